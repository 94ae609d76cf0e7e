//! Against servers of the test on loopback.
use super::*;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that gives these answers, one a connection, and keeps the requests.
async fn server(answers: Vec<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (kept, own) = (requests.clone(), base.clone());
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            kept.lock()
                .unwrap()
                .push(String::from_utf8(request).unwrap());
            let answer = answer.replace("BASE", &own);
            // The client may have seen enough.
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (base, requests)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

fn fetcher(allow: &[&str]) -> Fetcher {
    let allow = allow.iter().map(|network| network.parse().unwrap());
    Fetcher::new(&FetchLimits {
        allow: allow.collect(),
        max_octets: 1000,
        timeout: Duration::from_secs(60),
    })
    .unwrap()
}

const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let (base, requests) = server(vec![
        answer(
            "200 OK",
            "ETag: \"v1\"\r\nCache-Control: max-age=7\r\n",
            "hello",
        ),
        answer("304 Not Modified", "ETag: \"v1\"\r\n", ""),
    ])
    .await;
    let (fetcher, url) = (
        fetcher(&LOOPBACK),
        format!("{base}/a/Hello.WAV?token=secret"),
    );
    let first = fetcher.fetch(&url, &Validators::default()).await.unwrap();
    assert_eq!(first.body.as_deref(), Some(&b"hello"[..]));
    assert_eq!(
        (first.extension.as_str(), first.fresh_for.as_secs()),
        ("wav", 7)
    );
    let second = fetcher.fetch(&url, &first.validators).await.unwrap();
    assert!(second.body.is_none());
    let requests = requests.lock().unwrap();
    assert!(requests[0].starts_with("GET /a/Hello.WAV?token=secret HTTP/1.1\r\n"));
    assert!(!requests[0].contains("if-none-match"));
    assert!(
        requests[1].contains("if-none-match: \"v1\"\r\n"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn redirects_are_followed_within_reach() {
    let (base, _) = server(vec![
        answer("302 Found", "Location: BASE/b\r\n", ""),
        answer("200 OK", "Content-Type: audio/mpeg; x=y\r\n", "x"),
        answer(
            "302 Found",
            "Location: http://169.254.169.254/latest/meta-data\r\n",
            "",
        ),
        answer("302 Found", "Location: file:///etc/passwd\r\n", ""),
    ])
    .await;
    let fetcher = fetcher(&LOOPBACK);
    let known = Validators::default();
    let url = format!("{base}/a");
    assert_eq!(fetcher.fetch(&url, &known).await.unwrap().extension, "mp3");
    let refused = fetcher.fetch(&url, &known).await.unwrap_err();
    assert!(
        matches!(&refused, FetchError::Forbidden { host, .. } if host == "169.254.169.254"),
        "{refused}"
    );
    assert!(fetcher.fetch(&url, &known).await.is_err());
}

#[tokio::test]
async fn what_is_not_public_is_not_reached() {
    let fetcher = fetcher(&[]);
    for url in [
        "http://127.0.0.1:9/",
        "http://localhost:9/",
        "http://[::1]:9/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://[::ffff:10.0.0.1]/",
    ] {
        let refused = fetcher
            .fetch(url, &Validators::default())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, FetchError::Forbidden { .. }),
            "{url}: {refused}"
        );
    }
    for url in [
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "",
        "http://a b/",
        "https:///x",
    ] {
        let refused = fetcher
            .fetch(url, &Validators::default())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, FetchError::Url { .. } | FetchError::Network { .. }),
            "{url}: {refused}"
        );
    }
}

#[tokio::test]
async fn limits_and_errors_are_told_without_secrets() {
    let (base, _) = server(vec![
        answer("200 OK", "", &"x".repeat(1001)),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
            + "3E8\r\n"
            + &"y".repeat(1000)
            + "\r\n1\r\nz\r\n0\r\n\r\n",
        answer("404 Not Found", "", "no"),
        answer("304 Not Modified", "", ""),
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".into(),
    ])
    .await;
    let (fetcher, url) = (fetcher(&LOOPBACK), format!("{base}/a?token=secret"));
    for word in [
        "longer than 1000 octets",
        "longer than 1000 octets",
        "404",
        "304",
        "127.0.0.1",
    ] {
        let error = fetcher
            .fetch(&url, &Validators::default())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(word) && !error.contains("secret"), "{error}");
    }
    let error = fetcher
        .fetch("gopher://h/?secret", &Validators::default())
        .await
        .unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn urls_are_told_from_files() {
    assert!(is_url("http://a/b.wav") && is_url("HTTPS://a"));
    assert!(!is_url("/http://a") && !is_url("http:") && !is_url("prompts/é"));
}
