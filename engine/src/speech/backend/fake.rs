//! A made-up web service and made-up settings for the tests of back ends.
use crate::config::{At, SpeechBackend, SpeechKind};
use crate::fetch::{FetchLimits, Fetcher};
use crate::speech::Utterance;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone)]
pub(in crate::speech) struct Asked {
    pub(in crate::speech) method: String,
    pub(in crate::speech) path: String,
    headers: Vec<(String, String)>,
    pub(in crate::speech) body: Vec<u8>,
}

impl Asked {
    pub(in crate::speech) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(each, _)| each == name);
        found.map(|(_, value)| value.as_str())
    }
}

type Answer = (u16, &'static str, Vec<u8>);

/// A service that answers as told, and what it was asked.
pub(in crate::speech) async fn server(
    answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let all: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let (noted, answer) = (all.clone(), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (noted, answer) = (noted.clone(), answer.clone());
            tokio::spawn(async move {
                let Some(asked) = read(&mut stream).await else {
                    return;
                };
                let (status, kind, body) = answer(&asked);
                noted.lock().unwrap().push(asked);
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
            });
        }
    });
    (url, all)
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut octets = Vec::new();
    let head_end = loop {
        if let Some(at) = octets.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(length @ 1..) => octets.extend_from_slice(&piece[..length]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&octets[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = octets.split_off(head_end + 4);
    let had = body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[had..]).await.ok()?;
    Some(Asked {
        method,
        path,
        headers,
        body,
    })
}

/// Reaches this machine only.
pub(in crate::speech) fn fetcher() -> Fetcher {
    Fetcher::new(&FetchLimits {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        max_octets: 1 << 20,
        timeout: Duration::from_secs(30),
    })
    .unwrap()
}

pub(in crate::speech) fn backend(kind: SpeechKind) -> SpeechBackend {
    SpeechBackend {
        name: "test".to_owned(),
        kind,
        languages: Vec::new(),
        voices: BTreeMap::new(),
        voice: None,
        timeout: Duration::from_secs(30),
        at: At::START,
    }
}

pub(in crate::speech) fn said(text: &str) -> Utterance {
    Utterance {
        text: text.to_owned(),
        language: "en-US".to_owned(),
        voice: String::new(),
        by: String::new(),
        gender: None,
        rate_percent: 100,
        pitch_percent: 0,
        volume_db: 0,
    }
}
