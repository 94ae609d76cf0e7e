//! A carrier in the test's own process: one UDP socket, answers written by the test, every request shown to it.
use crate::PATIENCE;
use std::net::SocketAddr;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// A request as text, with what tests look at.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) text: String,
}

impl Request {
    pub(crate) fn new(text: String) -> Request {
        let method = text.split(' ').next().unwrap_or_default().to_owned();
        Request { method, text }
    }

    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub(crate) fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n").filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(&name).then_some(value.trim())
        })
    }

    pub(crate) fn uri(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    /// A parameter of the digest in `Authorization`.
    pub(crate) fn digest(&self, name: &str) -> Option<String> {
        let value = self
            .header("Authorization")
            .or(self.header("Proxy-Authorization"))?;
        let start = value.find(&format!("{name}="))? + name.len() + 1;
        let rest = &value[start..];
        Some(match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?.to_owned(),
            None => rest.split([',', ' ']).next()?.to_owned(),
        })
    }
}

/// A response: status, and headers on lines of their own.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)]) -> Option<String> {
    let mut text = format!("{status} Test");
    for (name, value) in headers {
        text.push_str(&format!("\r\n{name}: {value}"));
    }
    Some(text)
}

/// What a carrier answers; `None`: it keeps silent.
pub(crate) type Answer = Box<dyn FnMut(&Request) -> Option<String> + Send>;

pub(crate) struct Carrier {
    pub(crate) address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Request>,
    behave: mpsc::UnboundedSender<Answer>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Carrier {
    pub(crate) async fn start(
        answer: impl FnMut(&Request) -> Option<String> + Send + 'static,
    ) -> Carrier {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        let (behave, mut behaviours) = mpsc::unbounded_channel::<Answer>();
        let mut answer: Answer = Box::new(answer);
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            loop {
                let (length, from) = tokio::select! {
                    biased;
                    Some(new) = behaviours.recv() => {
                        answer = new;
                        continue;
                    }
                    got = socket.recv_from(&mut buffer) => got.unwrap(),
                };
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text.starts_with("SIP/2.0") || text.trim().is_empty() {
                    continue;
                }
                let request = Request::new(text);
                if let Some(reply) = answer(&request) {
                    let response = response(&request, &reply);
                    socket.send_to(response.as_bytes(), from).await.unwrap();
                }
                let _ = tell.send(request);
            }
        });
        Carrier {
            address,
            seen,
            behave,
            task,
        }
    }

    /// Answers otherwise from now on. What came before has been answered the old way.
    pub(crate) fn behave(&self, answer: impl FnMut(&Request) -> Option<String> + Send + 'static) {
        self.behave.send(Box::new(answer)).unwrap();
    }

    /// The next request of this method; others are passed over.
    pub(crate) async fn next(&mut self, method: &str) -> Request {
        let found = async {
            loop {
                let request = self.seen.recv().await.unwrap();
                if request.method == method {
                    return request;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, found).await;
        waited.unwrap_or_else(|_| panic!("no {method} came to {}", self.address))
    }

    /// All requests that came so far and were not looked at.
    pub(crate) fn so_far(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

/// A whole response to `request`; `reply` is from its status on, with headers.
pub(crate) fn response(request: &Request, reply: &str) -> String {
    let mut text = format!("SIP/2.0 {reply}\r\n");
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        for value in request.headers(name) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let to = request.header("To").unwrap_or_default();
    let tag = if to.contains(";tag=") {
        ""
    } else {
        ";tag=carrier"
    };
    text.push_str(&format!("To: {to}{tag}\r\nContent-Length: 0\r\n\r\n"));
    text
}
