//! Against receivers of the test on loopback, from good to hostile.
use super::deliver::until_due;
use super::*;
use crate::config::{At, Secret};
use crate::fetch::FetchLimits;
use serde_json::{Value, json};
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request as it came: its head and its body.
type Came = (String, String);

async fn read_request(socket: &mut TcpStream) -> Came {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = header(&head, "content-length").parse().unwrap();
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.unwrap().1.to_owned()
}

/// A receiver: answers by what it is given, in turn, then 200; tells what came.
async fn receiver(answers: Vec<&'static str>) -> (String, mpsc::UnboundedReceiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (send, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let request = read_request(&mut socket).await;
            let status = answers.next().unwrap_or("200 OK");
            let answer =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
            send.send(request).unwrap();
        }
    });
    (url, came)
}

fn hook(url: &str, timeout: Duration) -> Webhook {
    Webhook {
        name: "test".to_owned(),
        url: url.to_owned(),
        secret: Secret::new("secret"),
        events: vec!["call.*".to_owned()],
        timeout,
        give_up: Duration::from_secs(3600),
        at: At::START,
    }
}

fn fetcher(allow: &[&str]) -> Fetcher {
    let limits = FetchLimits {
        allow: allow
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
        max_octets: 0,
        timeout: Duration::from_secs(60),
    };
    Fetcher::without_redirects(&limits).unwrap()
}

async fn start(hook: Webhook, store: &Store) -> Arc<Webhooks> {
    let fetcher = fetcher(&["127.0.0.0/8"]);
    Webhooks::start(&[hook], store.clone(), fetcher)
        .await
        .unwrap()
}

fn tell(hooks: &Webhooks, kind: EventKind, call: &str, data: Value) {
    hooks.take(1, &Arc::new(Event::now(kind, Some(call), data)));
}

/// Waits until a counter is so high; the test's harness ends one that never is.
async fn until(counter: impl Fn() -> u64, value: u64) {
    while counter() < value {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_delivered_is_signed_in_order_and_only_what_was_asked_for() {
    let (url, mut came) = receiver(vec![]).await;
    let store = Store::in_memory().unwrap();
    let hooks = start(hook(&url, LONG), &store).await;
    tell(&hooks, EventKind::CallStarted, "c-1", json!({"from": "é"}));
    tell(&hooks, EventKind::LegStarted, "c-1", json!({}));
    tell(&hooks, EventKind::CallEnded, "c-1", json!({}));
    for name in ["call.started", "call.ended"] {
        let (head, body) = came.recv().await.unwrap();
        let said: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(said["event"], name);
        assert_eq!(said["id"], header(&head, "Trunkline-Delivery"));
        assert_eq!(header(&head, "Trunkline-Event"), name);
        let signed = header(&head, "Trunkline-Signature");
        let seconds = signed
            .strip_prefix("t=")
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        assert_eq!(
            signed,
            crate::fetch::signature(b"secret", seconds.parse().unwrap(), &body)
        );
        assert!(!head.contains("secret"));
    }
    let counters = hooks.counters();
    until(|| counters.delivered.load(Ordering::Relaxed), 2).await;
    while counters.waiting.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.webhooks_waiting().await.unwrap(), []);
}

#[tokio::test]
async fn a_failure_is_tried_again_with_the_same_id_and_holds_up_its_call_only() {
    let (url, mut came) = receiver(vec![
        "503 No",
        "302 Found\r\nLocation: http://169.254.169.254/",
    ])
    .await;
    let store = Store::in_memory().unwrap();
    let hooks = start(hook(&url, LONG), &store).await;
    tell(&hooks, EventKind::CallStarted, "c-1", json!({}));
    let (first, _) = came.recv().await.unwrap();
    tell(&hooks, EventKind::CallEnded, "c-1", json!({}));
    let mut seen = vec![];
    for _ in 0..3 {
        let (head, _) = came.recv().await.unwrap();
        seen.push((
            header(&head, "Trunkline-Event"),
            header(&head, "Trunkline-Delivery"),
            header(&head, "Trunkline-Attempt"),
        ));
    }
    let id = header(&first, "Trunkline-Delivery");
    let again = |attempt: &str| ("call.started".to_owned(), id.clone(), attempt.to_owned());
    assert_eq!(seen[..2], [again("2"), again("3")]);
    assert_eq!(seen[2].0, "call.ended");
    assert_eq!(hooks.counters().failed.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_a_killed_process_left_is_delivered_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let id = {
        let store = Store::open(&path).unwrap();
        // Nobody listens there.
        let dead = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let hooks = start(hook(&format!("http://{dead}/"), LONG), &store).await;
        tell(&hooks, EventKind::CallStarted, "c-1", json!({}));
        until(|| hooks.counters().failed.load(Ordering::Relaxed), 1).await;
        store.flush().await;
        store.webhook_heads("test", 1).await.unwrap()[0].id.clone()
    };
    let (url, mut came) = receiver(vec![]).await;
    let store = Store::open(&path).unwrap();
    let hooks = start(hook(&url, LONG), &store).await;
    assert_eq!(hooks.counters().waiting.load(Ordering::Relaxed), 1);
    let (head, _) = came.recv().await.unwrap();
    assert_eq!(header(&head, "Trunkline-Delivery"), id);
    // A hook that is gone leaves nothing behind.
    tell(&hooks, EventKind::CallEnded, "c-1", json!({}));
    let renamed = Webhook {
        name: "other".to_owned(),
        ..hook("http://127.0.0.1:9/", LONG)
    };
    store.flush().await;
    let hooks = start(renamed, &store).await;
    assert!(store.webhooks_waiting().await.unwrap().is_empty());
    let dropped = hooks.counters().dropped_by();
    assert!(dropped.iter().any(|(cause, _)| *cause == "hook-removed"));
}

#[tokio::test]
async fn hostile_receivers_cost_a_place_for_a_time_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let store = Store::in_memory().unwrap();
    let hooks = start(hook(&url, Duration::from_secs(1)), &store).await;
    tell(&hooks, EventKind::CallStarted, "silent", json!({}));
    tell(&hooks, EventKind::CallStarted, "drip", json!({}));
    tell(&hooks, EventKind::CallStarted, "endless", json!({}));
    let mut silent = Vec::new();
    for _ in 0..3 {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (_, body) = read_request(&mut socket).await;
        match serde_json::from_str::<Value>(&body).unwrap()["call"]
            .as_str()
            .unwrap()
        {
            "silent" => silent.push(socket),
            "drip" => drop(tokio::spawn(async move {
                for octet in b"HTTP/1.1 200 OK\r\nX: "
                    .iter()
                    .chain(std::iter::repeat(&b'x'))
                {
                    if socket.write_u8(*octet).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })),
            _ => drop(tokio::spawn(async move {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n";
                socket.write_all(head.as_bytes()).await.unwrap();
                while socket.write_all(&[b'x'; 65_536]).await.is_ok() {}
            })),
        }
    }
    let counters = hooks.counters();
    until(|| counters.delivered.load(Ordering::Relaxed), 1).await;
    until(|| counters.failed.load(Ordering::Relaxed), 2).await;
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_and_tried_again() {
    let store = Store::in_memory().unwrap();
    for url in ["http://169.254.169.254/latest", "http://localhost:1/"] {
        let fetcher = fetcher(&[]);
        let hooks = Webhooks::start(&[hook(url, LONG)], store.clone(), fetcher)
            .await
            .unwrap();
        tell(&hooks, EventKind::CallStarted, "c-1", json!({}));
        until(|| hooks.counters().failed.load(Ordering::Relaxed), 1).await;
        store.forget_webhook("test").await.unwrap();
    }
}

#[tokio::test]
async fn what_is_too_old_or_unwanted_is_dropped_by_name() {
    let (url, mut came) = receiver(vec!["500 No", "410 Gone"]).await;
    let store = Store::in_memory().unwrap();
    let patient = hook(&url, LONG);
    let hooks = start(patient, &store).await;
    let mut old = Event::now(EventKind::CallStarted, Some("c-1"), json!({}));
    old.at = SystemTime::UNIX_EPOCH;
    hooks.take(1, &Arc::new(old));
    came.recv().await.unwrap();
    let counters = hooks.counters();
    let dropped = |why: Drop| counters.dropped[why as usize].load(Ordering::Relaxed);
    until(|| dropped(Drop::TooOld), 1).await;
    tell(&hooks, EventKind::CallStarted, "c-2", json!({}));
    until(|| dropped(Drop::Gone), 1).await;
    // A spool that is full takes no more.
    hooks.hooks[0]
        .waiting
        .store(MOST_WAITING, Ordering::Relaxed);
    tell(&hooks, EventKind::CallStarted, "c-3", json!({}));
    assert_eq!(dropped(Drop::SpoolFull), 1);
}

#[tokio::test]
async fn what_a_full_disk_does_not_take_is_dropped_by_name_and_what_comes_later_is_sent() {
    let (url, mut came) = receiver(vec![]).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    let hooks = start(hook(&url, LONG), &store).await;
    // SQLite's own limit fails as a full disk does.
    let pages = async |count: i64| {
        let set = format!("PRAGMA max_page_count = {count}");
        let set = store.write(move |database| database.query(&set, &[]).map(|_| ()));
        set.await.unwrap();
    };
    pages(1).await;
    let large = json!({"from": "x".repeat(100_000)});
    tell(&hooks, EventKind::CallStarted, "c-1", large.clone());
    let counters = hooks.counters();
    let dropped = || counters.dropped[Drop::Store as usize].load(Ordering::Relaxed);
    until(dropped, 1).await;
    assert_eq!(counters.waiting.load(Ordering::Relaxed), 0);
    pages(10_000).await;
    tell(&hooks, EventKind::CallEnded, "c-1", large);
    let (head, _) = came.recv().await.unwrap();
    assert_eq!(header(&head, "Trunkline-Event"), "call.ended");
    assert_eq!(dropped(), 1);
}

#[tokio::test]
async fn one_that_waits_is_tried_at_once_or_given_up_by_hand() {
    let (url, mut came) = receiver(vec!["503 No"]).await;
    let store = Store::in_memory().unwrap();
    let hooks = start(hook(&url, LONG), &store).await;
    tell(&hooks, EventKind::CallStarted, "c-1", json!({}));
    tell(&hooks, EventKind::CallEnded, "c-1", json!({}));
    let (first, _) = came.recv().await.unwrap();
    let counters = hooks.counters();
    until(|| counters.failed.load(Ordering::Relaxed), 1).await;
    let waiting = loop {
        let waiting = store.webhook_spool(None, 0, 9).await.unwrap();
        if waiting.first().is_some_and(|first| first.attempts == 1) && waiting.len() == 2 {
            break waiting;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(waiting[0].id, header(&first, "Trunkline-Delivery"));
    assert!(hooks.delete(&waiting[1].id).await.unwrap());
    assert!(!hooks.delete(&waiting[1].id).await.unwrap());
    assert!(!hooks.retry("evt-0").await.unwrap());
    assert!(hooks.retry(&waiting[0].id).await.unwrap());
    let (again, _) = came.recv().await.unwrap();
    assert_eq!(header(&again, "Trunkline-Attempt"), "2");
    until(|| counters.delivered.load(Ordering::Relaxed), 1).await;
    while counters.waiting.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hooks.hooks[0].waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn a_clock_that_is_put_back_delays_nothing() {
    let head = |due_ms| Spooled {
        number: 1,
        hook: String::new(),
        call: String::new(),
        id: String::new(),
        event: String::new(),
        body: String::new(),
        created_ms: 0,
        due_ms,
        attempts: 1,
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100_000);
    let wait = |due_ms| until_due(&head(due_ms), now);
    assert_eq!(wait(99_999_000), Duration::ZERO);
    assert_eq!(wait(100_004_000), Duration::from_secs(4));
    assert_eq!(wait(100_000_000 + 3_600_000), Duration::ZERO);
}

#[test]
fn a_pattern_that_nothing_fits_is_an_error() {
    let named = |pattern: &str| {
        kinds(&Webhook {
            events: vec![pattern.to_owned()],
            ..hook("http://a/", LONG)
        })
    };
    assert_eq!(named("*").unwrap(), EventKind::ALL);
    assert_eq!(named("call.ended").unwrap(), [EventKind::CallEnded]);
    let wrong = named("cal.ended").unwrap_err().to_string();
    assert!(wrong.contains("\"cal.ended\""), "{wrong}");
    assert_eq!(host_of("HTTPS://A.example:8443/x?y"), "a.example:8443");
}
