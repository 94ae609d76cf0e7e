//! One stream: a task that holds the tap and the connection, connects again where that helps, and ends both.
//!
//! Limits: [`QUEUE`] frames and [`CONTROLS`] other messages wait for the service; frames beyond are lost, and a service that lets other
//! messages pile up is given up. [`TRIES`] connections in a row may fail.

use super::connect::{self, Socket};
use super::protocol::{self, Framing, FromService, Heard};
use super::{StreamSpec, Streams};
use crate::media::{TapEnds, TapSide};
use futures_util::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Frames that wait for the service: half a second of both sides.
const QUEUE: usize = 50;
/// Other messages that wait for the service.
const CONTROLS: usize = 1000;
/// Connections that may fail in a row.
const TRIES: u32 = 4;
/// The rest before the second try; each further one is twice as long.
const REST: Duration = Duration::from_millis(500);
/// How often the tap is looked at.
const TURN: Duration = Duration::from_millis(10);
/// How often the service is asked for a sign of life, and how long it may give none.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);
/// How long the last messages may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often losses are told.
const LOSS_NEWS: Duration = Duration::from_secs(1);

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// We were asked to.
    Stopped,
    /// The channel is gone.
    CallOver,
    /// The service closed it or said `stop`.
    ByService,
    /// No connection could be made or kept; the text says why.
    Failed(String),
}

impl StreamEnd {
    pub(super) const NAMES: [&'static str; 4] = ["stopped", "call-over", "by-service", "failed"];

    fn place(&self) -> usize {
        match self {
            StreamEnd::Stopped => 0,
            StreamEnd::CallOver => 1,
            StreamEnd::ByService => 2,
            StreamEnd::Failed(_) => 3,
        }
    }

    /// A short, fixed name.
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.place()]
    }
}

/// What the leg tells its stream.
#[derive(Debug)]
enum Word {
    Key(char, Option<u32>),
    Heard(Heard),
    Pause(bool),
}

/// The leg's end of a stream. Dropping it stops the stream.
#[derive(Debug)]
pub struct StreamHandle {
    words: mpsc::Sender<Word>,
    end: watch::Receiver<Option<StreamEnd>>,
}

impl StreamHandle {
    /// Tells the service of a key. One that finds 64 others waiting is not told.
    pub fn key(&self, digit: char, duration_ms: Option<u32>) {
        let _ = self.words.try_send(Word::Key(digit, duration_ms));
    }

    /// Tells the service of something heard. Of keys and these 64 may wait; further ones are not told.
    pub fn heard(&self, heard: Heard) {
        let _ = self.words.try_send(Word::Heard(heard));
    }

    /// Holds back the leg's audio, or lets it go on.
    pub fn pause(&self, paused: bool) {
        let _ = self.words.try_send(Word::Pause(paused));
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> StreamEnd {
        match self.end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(StreamEnd::Stopped),
            // The task is gone without a word.
            Err(_) => StreamEnd::Failed("internal error".to_owned()),
        }
    }
}

/// Begins the task of a stream.
pub(super) fn begin(streams: Arc<Streams>, spec: StreamSpec, tap: TapEnds) -> StreamHandle {
    let (words, heard) = mpsc::channel(64);
    let (tell, end) = watch::channel(None);
    streams.stats.active.fetch_add(1, Ordering::Relaxed);
    let session = Session {
        streams,
        spec,
        tap,
        words: heard,
        marks: HashMap::new(),
        next_mark: 0,
        connections: 0,
        lost: 0,
        told: 0,
        told_at: Instant::now(),
    };
    let span = tracing::Span::current();
    tokio::spawn(tracing::Instrument::instrument(session.run(tell), span));
    StreamHandle { words, end }
}

/// A message on its way to the service.
struct Queues {
    frames: mpsc::Sender<Message>,
    controls: mpsc::Sender<Message>,
}

/// Why a connection is over.
enum Over {
    End(StreamEnd),
    Broken(String),
}

struct Session {
    streams: Arc<Streams>,
    spec: StreamSpec,
    tap: TapEnds,
    words: mpsc::Receiver<Word>,
    /// Names of the marks that wait.
    marks: HashMap<u32, String>,
    next_mark: u32,
    connections: u32,
    /// Frames that found the queue full.
    lost: u64,
    /// Losses that the service knows of, and since when.
    told: u64,
    told_at: Instant,
}

impl Session {
    async fn run(mut self, tell: watch::Sender<Option<StreamEnd>>) {
        let end = self.until_over().await;
        let stats = &self.streams.stats;
        stats.active.fetch_sub(1, Ordering::Relaxed);
        stats.ended[end.place()].fetch_add(1, Ordering::Relaxed);
        let (service, lost, refused) = (&self.spec.address, self.losses(), self.tap.refused());
        match &end {
            StreamEnd::Failed(reason) => {
                tracing::warn!(%service, reason, lost, refused, "stream failed")
            }
            end => {
                tracing::info!(%service, end = end.name(), lost, refused, connections = self.connections, "stream over")
            }
        }
        let _ = tell.send(Some(end));
    }

    async fn until_over(&mut self) -> StreamEnd {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let over = match self.connected().await {
                Ok(Socket::Plain(socket)) => self.converse(*socket).await,
                Ok(Socket::Tls(socket)) => self.converse(*socket).await,
                Err(over) => over,
            };
            let reason = match over {
                Over::End(end) => return end,
                Over::Broken(reason) => reason,
            };
            // A connection that held for a while is no failure.
            failures = if began.elapsed() > SILENCE {
                1
            } else {
                failures + 1
            };
            if failures >= TRIES {
                return StreamEnd::Failed(reason);
            }
            let rest = REST * 2u32.pow(failures - 1);
            tracing::warn!(service = %self.spec.address, reason, again_in = ?rest, "stream broken");
            if let Some(end) = self.rest(rest).await {
                return end;
            }
        }
    }

    /// Makes a connection; the tap goes on meanwhile.
    async fn connected(&mut self) -> Result<Socket, Over> {
        let (streams, spec) = (self.streams.clone(), self.spec.clone());
        let connecting = async {
            let tls = || match streams.tls.get() {
                Some(config) => Ok(config.clone()),
                None => {
                    connect::client_config().map(|made| streams.tls.get_or_init(|| made).clone())
                }
            };
            connect::connect(&spec, tls).await
        };
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                made = &mut connecting => return made.map_err(Over::Broken),
                end = self.rest(TURN) => if let Some(end) = end {
                    return Err(Over::End(end));
                },
            }
        }
    }

    /// Lets time pass without a connection: what is heard is lost, what waits is played.
    async fn rest(&mut self, time: Duration) -> Option<StreamEnd> {
        let until = tokio::time::Instant::now() + time;
        loop {
            self.tap
                .turn()
                .into_iter()
                .for_each(|mark| _ = self.marks.remove(&mark));
            if self.tap.is_over() {
                return Some(StreamEnd::CallOver);
            }
            while self.tap.read().is_some() {
                self.lose();
            }
            if tokio::time::Instant::now() >= until {
                return None;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until.min(tokio::time::Instant::now() + TURN)) => {}
                word = self.words.recv() => match word {
                    Some(Word::Pause(paused)) => self.tap.set_paused(paused),
                    Some(Word::Key(..) | Word::Heard(_)) => {}
                    None => return Some(StreamEnd::Stopped),
                },
            }
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        let stats = &self.streams.stats;
        stats.lost_frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames that did not reach the service.
    fn losses(&self) -> u64 {
        self.lost + self.tap.lost()
    }

    /// Runs one connection to its end.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: WebSocketStream<S>,
    ) -> Over {
        self.connections += 1;
        self.streams.stats.connected.fetch_add(1, Ordering::Relaxed);
        tracing::info!(service = %self.spec.address, connection = self.connections, "stream connected");
        let (mut sink, mut messages) = socket.split();
        let (frames, mut queued) = mpsc::channel::<Message>(QUEUE);
        let (controls, mut urgent) = mpsc::channel::<Message>(CONTROLS);
        let start = protocol::start(&self.spec, self.connections);
        let _ = controls.try_send(Message::text(start));
        let mut queues = Some(Queues { frames, controls });
        let writing = async {
            loop {
                let message = tokio::select! {
                    biased;
                    Some(message) = urgent.recv() => message,
                    Some(message) = queued.recv() => message,
                    else => break,
                };
                sink.send(message).await?;
            }
            sink.close().await
        };
        tokio::pin!(writing);
        let mut turn = tokio::time::interval(TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut pinged, mut heard) = (Instant::now(), Instant::now());
        let end = loop {
            let Some(out) = &queues else { break None };
            let over = tokio::select! {
                written = &mut writing => Some(Over::Broken(broken(written.err()))),
                message = messages.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(message)) => self.message(message, out),
                        Some(Err(error)) => Some(Over::Broken(error.to_string())),
                        None => Some(Over::Broken("connection closed".to_owned())),
                    }
                }
                word = self.words.recv() => self.word(word, out),
                _ = turn.tick() => {
                    if pinged.elapsed() > PING {
                        pinged = Instant::now();
                        let _ = out.controls.try_send(Message::Ping(Default::default()));
                    }
                    match heard.elapsed() > SILENCE {
                        true => Some(Over::Broken("no sign of life".to_owned())),
                        false => self.tap_turn(out),
                    }
                }
            };
            match over {
                None => {}
                Some(Over::Broken(reason)) => return Over::Broken(reason),
                Some(Over::End(end)) => {
                    let _ = out
                        .controls
                        .try_send(Message::text(protocol::stop(end.name())));
                    queues = None;
                    break Some(end);
                }
            }
        };
        drop(queues);
        let _ = tokio::time::timeout(FAREWELL, writing).await;
        Over::End(end.unwrap_or(StreamEnd::Stopped))
    }

    /// Hands what the tap has to the connection.
    fn tap_turn(&mut self, out: &Queues) -> Option<Over> {
        for mark in self.tap.turn() {
            if let Some(name) = self.marks.remove(&mark)
                && let Some(over) = say(out, protocol::mark(&name))
            {
                return Some(over);
            }
        }
        while let Some(frame) = self.tap.read() {
            let (number, track) = match frame.side {
                TapSide::Received => (0, "in"),
                TapSide::Sent => (1, "out"),
            };
            let message = match self.spec.framing {
                Framing::Json => Message::text(protocol::media(track, frame.at_ms, &frame.samples)),
                Framing::Binary => {
                    Message::binary(protocol::binary_media(number, frame.at_ms, &frame.samples))
                }
            };
            if out.frames.try_send(message).is_err() {
                self.lose();
            }
        }
        if self.losses() > self.told && self.told_at.elapsed() > LOSS_NEWS {
            (self.told, self.told_at) = (self.losses(), Instant::now());
            tracing::warn!(rule = "stream-slow", service = %self.spec.address, frames = self.told, "the service does not follow: frames are lost");
            let _ = say(out, protocol::lost(self.told));
        }
        self.tap.is_over().then_some(Over::End(StreamEnd::CallOver))
    }

    fn word(&mut self, word: Option<Word>, out: &Queues) -> Option<Over> {
        match word {
            Some(Word::Key(digit, ms)) => say(out, protocol::dtmf(digit, ms)),
            Some(Word::Heard(heard)) => say(out, protocol::heard(heard)),
            Some(Word::Pause(paused)) => {
                self.tap.set_paused(paused);
                None
            }
            None => Some(Over::End(StreamEnd::Stopped)),
        }
    }

    fn message(&mut self, message: Message, out: &Queues) -> Option<Over> {
        let read = match &message {
            Message::Text(text) => protocol::parse(text),
            Message::Binary(octets) => protocol::samples(octets).map(FromService::Media),
            Message::Close(_) => return Some(Over::End(StreamEnd::ByService)),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return None,
        };
        match read {
            Ok(FromService::Media(samples)) if self.spec.playback => {
                self.tap.write(&samples);
                None
            }
            Ok(FromService::Media(_)) => None,
            Ok(FromService::Mark(name)) => {
                self.next_mark = self.next_mark.wrapping_add(1);
                if self.tap.mark(self.next_mark) {
                    self.marks.insert(self.next_mark, name);
                }
                None
            }
            Ok(FromService::Clear) => {
                let gone = self.tap.clear();
                let gone = gone.iter().filter_map(|mark| self.marks.remove(mark));
                say(out, protocol::cleared(&gone.collect::<Vec<_>>()))
            }
            Ok(FromService::Pause) => {
                self.tap.set_paused(true);
                None
            }
            Ok(FromService::Resume) => {
                self.tap.set_paused(false);
                None
            }
            Ok(FromService::Stop) => Some(Over::End(StreamEnd::ByService)),
            Err(malformed) => {
                let stats = &self.streams.stats;
                stats.malformed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(service = %self.spec.address, %malformed, "a message of the service is not understood");
                say(out, protocol::error(&malformed.to_string()))
            }
        }
    }
}

/// Queues a message that must not be lost.
fn say(out: &Queues, text: String) -> Option<Over> {
    match out.controls.try_send(Message::text(text)) {
        Ok(()) => None,
        Err(_) => Some(Over::Broken("the service does not read".to_owned())),
    }
}

fn broken(error: Option<Error>) -> String {
    error.map_or("connection closed".to_owned(), |error| error.to_string())
}
