//! A service that hears the speech as it is spoken, over a WebSocket: the protocol of `docs/voices.md`.
//!
//! Limits: [`MAX_MESSAGE`] octets and [`MAX_MESSAGES`] of its messages; what it is sent waits for it, the speech itself does not.
use super::protocol::{self, FromService};
use super::{Backend, Common, Understanding, Wanted, Words};
use crate::config::Secret;
use crate::fetch::Fetcher;
use crate::speech::SpeechError;
use crate::stream::{self, Address, AddressError, Socket};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long a connection may take, with TLS and WebSocket handshakes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest message of the service, in octets.
const MAX_MESSAGE: usize = 64 * 1024;
/// The most messages of the service for one piece of speech.
const MAX_MESSAGES: usize = 10_000;
/// The most samples of one message to it: a quarter of a second.
const CHUNK: usize = 4000;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Live {
    common: Common,
    fetcher: Fetcher,
    address: Result<Address, AddressError>,
    key: Option<Secret>,
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Live {
    pub(super) fn new(common: Common, fetcher: Fetcher, url: &str, key: Option<Secret>) -> Live {
        Live {
            common,
            fetcher,
            address: Address::parse(url),
            key: key.filter(|key| !key.is_empty()),
            tls: OnceLock::new(),
        }
    }

    async fn ask(&self, wanted: &Wanted, language: &str) -> Result<Words, SpeechError> {
        let limit = self.common.config.timeout;
        let mut too_late = pin!(async {
            wanted.spoken.over().await;
            tokio::time::sleep(limit).await;
            failed(format!("no answer within {} s", limit.as_secs_f32()))
        });
        let connecting = tokio::time::timeout(PATIENCE, self.connect());
        let socket = tokio::select! {
            biased;
            connected = connecting => match connected {
                Ok(socket) => socket.map_err(SpeechError::Failed)?,
                Err(_) => return Err(failed(format!("no connection within {PATIENCE:?}"))),
            },
            error = &mut too_late => return Err(error),
        };
        match socket {
            Socket::Plain(socket) => converse(*socket, wanted, language, too_late).await,
            Socket::Tls(socket) => converse(*socket, wanted, language, too_late).await,
        }
    }

    async fn connect(&self) -> Result<Socket, String> {
        let address = self.address.as_ref().map_err(ToString::to_string)?;
        let found = self.fetcher.admitted(address.host(), address.port()).await;
        let found = found.map_err(|error| error.to_string())?;
        let tcp = TcpStream::connect(&found[..]).await;
        let tcp = tcp.map_err(|error| error.to_string())?;
        // Chunks are small and due now.
        let _ = tcp.set_nodelay(true);
        let tls = || match self.tls.get() {
            Some(config) => Ok(config.clone()),
            None => stream::client_config().map(|made| self.tls.get_or_init(|| made).clone()),
        };
        stream::open(tcp, address, self.key.as_ref(), MAX_MESSAGE, tls).await
    }
}

/// Sends the speech and reads what the service makes of it, both at once; the answer may come before all is sent, and counts where it has come.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    wanted: &Wanted,
    language: &str,
    too_late: impl Future<Output = SpeechError>,
) -> Result<Words, SpeechError> {
    let (mut sink, mut messages) = socket.split();
    let sending = async {
        let broken = send(&mut sink, wanted, language).await.err();
        match broken {
            Some(error) => failed(error.to_string()),
            // What else there is to come is an answer.
            None => std::future::pending().await,
        }
    };
    let words = tokio::select! {
        biased;
        words = read(&mut messages, wanted) => words,
        error = sending => Err(error),
        error = too_late => Err(error),
    };
    if words.is_ok() {
        // Good manners; the service has said its last word.
        let _ = tokio::time::timeout(Duration::from_secs(1), sink.close()).await;
    }
    words
}

fn failed(reason: String) -> SpeechError {
    SpeechError::Failed(reason)
}

/// Sends all of the speech as it comes.
async fn send(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    wanted: &Wanted,
    language: &str,
) -> Result<(), Error> {
    let partial = wanted.so_far.is_some();
    let start = protocol::start(language, &wanted.hints, partial);
    sink.send(Message::text(start)).await?;
    let mut sent = 0;
    while let Some(samples) = wanted.spoken.after(sent).await {
        sent += samples.len();
        for chunk in samples.chunks(CHUNK) {
            let octets: Vec<u8> = chunk.iter().flat_map(|it| it.to_le_bytes()).collect();
            sink.send(Message::binary(octets)).await?;
        }
    }
    sink.send(Message::text(protocol::end())).await
}

/// Reads until the last word.
async fn read(
    messages: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    wanted: &Wanted,
) -> Result<Words, SpeechError> {
    for _ in 0..MAX_MESSAGES {
        let text = match messages.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Binary(_))) => {
                return Err(failed("sent a binary message".to_owned()));
            }
            Some(Err(error)) => return Err(failed(error.to_string())),
            Some(Ok(Message::Close(_))) | None => {
                return Err(failed("closed the connection without an answer".to_owned()));
            }
        };
        match protocol::parse(&text) {
            Ok(FromService::Partial(text)) => {
                if let Some(tell) = &wanted.so_far {
                    tell.send_replace(text);
                }
            }
            Ok(FromService::Final(words)) => return Ok(words),
            Ok(FromService::Error(reason)) => return Err(SpeechError::Refused(reason)),
            Err(malformed) => return Err(failed(malformed.to_string())),
        }
    }
    Err(failed(format!("sent more than {MAX_MESSAGES} messages")))
}

impl Backend for Live {
    fn name(&self) -> &str {
        &self.common.config.name
    }

    fn understands(&self, language: &str) -> bool {
        self.common.understands(language)
    }

    fn understand<'a>(&'a self, wanted: &'a Wanted, language: &'a str) -> Understanding<'a> {
        Box::pin(self.ask(wanted, language))
    }
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
