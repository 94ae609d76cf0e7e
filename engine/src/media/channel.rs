//! The state of one channel, owned by its shard, and what commands do to it. Receiving is in `receive.rs`, sending in `emit.rs`.
//!
//! Limits: one thing playing, one recording, one tap and one that only hears, one sequence of digits at a time; each replaces the one before.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use trunkline_dsp::dtmf::{Detector, Key, Profile};

use super::attention::Attentive;
use super::bridge::{Bridge, Inlet};
use super::codec::AudioRate;
use super::codec::opus::OpusError;
use super::command::{Command, Manner, StreamParams};
use super::digits::DigitSender;
use super::ears::Ears;
use super::emit::Outgoing;
use super::event::{ChannelStats, MediaEvent};
use super::intake::Intake;
use super::key_delay::KeyDelay;
use super::latch::Latch;
use super::path::{Path, SendErrors, Watch};
use super::player::{List, Player};
use super::quality::QualityWatch;
use super::receive::{Incoming, report_keys};
use super::recorder::{Recording, RecordingLedger};
use super::retire::{ChannelId, Left, Reaper, Retired};
use super::room::Seat;
use super::rtcp_session::RtcpSession;
use super::secure::Secure;
use super::stats::MediaStats;
use super::stock::Stock;
use super::tap::Tap;
use super::voice::Voice;
use crate::net::prefetch::prefetch;
use crate::net::rtp_socket;

/// Recordings and taps that may end within a frame and be freed elsewhere.
const SPENT: usize = 8;

/// What all channels of a shard share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) stats: Arc<MediaStats>,
    pub(crate) rtp_timeout: Duration,
    pub(crate) dtmf: Profile,
    pub(crate) stock: Stock,
    pub(crate) reaper: Reaper,
}

impl Surroundings {
    /// Has it freed elsewhere.
    pub(crate) fn scrap(&self, left: Box<impl std::fmt::Debug + Send + 'static>) {
        self.reaper.send(Retired::Left(left));
    }

    /// Has what a player holds freed elsewhere.
    pub(crate) fn scrap_player(&self, player: Option<Player>) {
        let lists = player.into_iter().flat_map(Player::into_lists);
        lists.for_each(|list| self.scrap(list));
    }
}

/// The moment of a step: wall time, and the shard's count of milliseconds from which media time is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) tick_ms: u64,
}

/// The sockets of a channel.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// Whether the RTP socket is connected to the latched peer.
    pub(crate) connected: bool,
    pub(crate) is_v6: bool,
    pub(crate) errors: SendErrors,
}

/// The negotiated stream and its peer.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) params: Box<StreamParams>,
    pub(crate) latch: Latch,
    pub(crate) secure: Option<Box<Secure>>,
    /// Encodes what is sent.
    pub(crate) voice: Box<Voice>,
}

impl Stream {
    /// Another description. What it replaces is freed elsewhere.
    fn renew(
        &mut self,
        around: &Surroundings,
        params: Box<StreamParams>,
        mut voice: Box<Voice>,
        secure: Option<Box<Secure>>,
        now: Instant,
    ) {
        self.latch = self.latch.renew(params.remote_rtp, now);
        let (secure, spent) = Secure::follow(self.secure.take(), secure);
        self.secure = secure;
        spent.into_iter().for_each(|spent| around.scrap(spent));
        around.scrap(std::mem::replace(&mut self.params, params));
        if !self.voice.continues(&voice) {
            std::mem::swap(&mut self.voice, &mut voice);
        }
        around.scrap(voice);
    }

    /// Where RTCP goes.
    pub(crate) fn rtcp_destination(&self) -> SocketAddr {
        let rtp = self.latch.destination();
        match self.params.remote_rtcp {
            _ if self.params.rtcp_mux => rtp,
            // A peer that is elsewhere than it says is there with its RTCP too.
            Some(signalled) if rtp.ip() == self.params.remote_rtp.ip() => signalled,
            _ => SocketAddr::new(rtp.ip(), rtp.port().wrapping_add(1)),
        }
    }
}

/// One channel.
///
/// In this order in memory: what every frame touches comes first, and the shard fetches it ahead ([`fetch_ahead`](ChannelState::fetch_ahead)).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ChannelState {
    pub(crate) id: ChannelId,
    /// Set by the handle when it is dropped.
    pub(crate) closed: Arc<AtomicBool>,
    /// What is to be freed elsewhere.
    pub(crate) spent: Vec<Box<dyn Left>>,
    /// The time of its newest frame, on the clock of all shards.
    pub(crate) stepped_ms: Option<u64>,
    pub(crate) intake: Intake,
    pub(crate) sockets: Sockets,
    pub(crate) stream: Option<Stream>,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    /// What goes to another channel, and what comes from there.
    pub(crate) bridge: Option<Bridge>,
    pub(crate) inlet: Inlet,
    /// Where it is in a room.
    pub(crate) seat: Option<Seat>,
    pub(crate) digits: Option<Box<DigitSender>>,
    pub(crate) echo: bool,
    pub(crate) detector: Option<Box<Detector>>,
    pub(crate) detector_rate: AudioRate,
    /// What counts as a key, where that is not what the engine was configured with.
    pub(crate) profile: Option<&'static Profile>,
    /// Samples the detector has heard.
    pub(crate) detector_heard: u64,
    /// The key it hears, and since which sample.
    pub(crate) tone_down: Option<(Key, u64)>,
    /// Holds back what goes over the bridge while keys are kept out of it.
    pub(crate) key_delay: Option<Box<KeyDelay>>,
    pub(crate) recording: Option<Box<Recording>>,
    pub(crate) tap: Option<Box<Tap>>,
    /// A tap beside it, of what the peer says.
    pub(crate) listener: Option<Box<Tap>>,
    pub(crate) attentive: Option<Box<Attentive>>,
    pub(crate) events: UnboundedSender<MediaEvent>,
    pub(crate) opened: Instant,
    pub(crate) path: Path,
    pub(crate) rtcp: RtcpSession,
    pub(crate) player: Option<Player>,
    pub(crate) quality: QualityWatch,
    pub(crate) ears: Option<Box<Ears>>,
    // Seldom touched from here on.
    /// What plays when that has faded.
    pub(crate) next_player: Option<Player>,
    /// Recordings whose files may not be complete yet.
    pub(crate) ledgers: Vec<RecordingLedger>,
    pub(crate) port: u16,
    pub(crate) ever_latched: bool,
}

/// Octets at the beginning of a channel that a frame touches, the beginning of what plays included.
const TOUCHED: usize = std::mem::offset_of!(ChannelState, player) + 320;

/// A command as it reaches the shard: what needs allocations or other threads is prepared before.
#[derive(Debug)]
pub(crate) enum Order {
    Plain(Command),
    Stream(NewStream),
    Play(Box<List>, Manner),
    Append(Box<List>),
    Digits(Box<DigitSender>),
    Record(Box<Recording>),
    Tap(Box<Tap>),
    /// Begin another, which only hears.
    Hear(Box<Tap>),
    Listen(Option<Box<Ears>>),
    Attend(Option<Box<Attentive>>),
    /// Look for tones of keys with this receiver, whatever it heard before; `None`: no more.
    Detect(Option<Box<Detector>>),
}

/// A stream to be set, with the state of its codec.
#[derive(Debug)]
pub(crate) struct NewStream {
    params: Box<StreamParams>,
    voice: Box<Voice>,
    secure: Option<Box<Secure>>,
}

impl NewStream {
    /// Makes the state of the encoder and of the encryption, which allocates.
    pub(crate) fn new(params: Box<StreamParams>) -> Result<NewStream, OpusError> {
        let voice = Voice::new(params.encoding, params.opus, params.ptime_ms)?;
        Ok(NewStream {
            voice: Box::new(voice),
            secure: params
                .srtp
                .as_deref()
                .cloned()
                .map(Secure::new)
                .map(Box::new),
            params,
        })
    }
}

impl ChannelState {
    /// A channel that knows no stream yet. `seed` is random.
    pub(crate) fn new(
        id: ChannelId,
        port: u16,
        sockets: Sockets,
        events: UnboundedSender<MediaEvent>,
        closed: Arc<AtomicBool>,
        seed: [u8; 32],
        now: Instant,
    ) -> ChannelState {
        let [a, b, c, d, ..] = *seed.as_chunks::<4>().0 else {
            unreachable!("32 octets are eight words")
        };
        ChannelState {
            id,
            port,
            opened: now,
            events,
            closed,
            sockets,
            intake: Intake::default(),
            stream: None,
            incoming: Incoming::new(now),
            outgoing: Outgoing::new(
                u32::from_be_bytes(a),
                u32::from_be_bytes(b),
                u32::from_be_bytes(c) as u16,
            ),
            rtcp: RtcpSession::new(u32::from_be_bytes(d), &seed[16..32]),
            bridge: None,
            inlet: Inlet::default(),
            seat: None,
            player: None,
            next_player: None,
            digits: None,
            echo: false,
            detector: None,
            detector_rate: AudioRate::Narrow,
            profile: None,
            detector_heard: 0,
            tone_down: None,
            key_delay: None,
            recording: None,
            tap: None,
            listener: None,
            ears: None,
            attentive: None,
            ledgers: Vec::with_capacity(SPENT),
            spent: Vec::with_capacity(SPENT),
            ever_latched: false,
            path: Path::default(),
            quality: QualityWatch::new(),
            stepped_ms: None,
        }
    }

    /// Begins to fetch what its next frame touches into the cache.
    pub(crate) fn fetch_ahead(&self) {
        prefetch(self, TOUCHED);
        prefetch(&self.quality.next_at, 1);
    }

    /// The same for what that leads to, once it is there.
    pub(crate) fn fetch_further(&self) {
        prefetch(&*self.closed, 1);
        if let Some(stream) = &self.stream {
            prefetch(&*stream.params, usize::MAX);
            prefetch(&*stream.voice, 1);
        }
        if let Some(player) = &self.player {
            player.fetch_ahead();
        }
        if let Some(hearing) = &self.incoming.hearing {
            hearing.fetch_ahead();
        }
        if let Some(detector) = &self.detector {
            prefetch(&**detector, usize::MAX);
        }
    }

    /// The same for what that leads to in turn.
    pub(crate) fn fetch_furthest(&self) {
        if let Some(player) = &self.player {
            player.fetch_item();
        }
    }

    /// Tells the call; it may not listen any more.
    pub(crate) fn tell(&self, event: MediaEvent) {
        let _ = self.events.send(event);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Carries out a command.
    pub(crate) fn obey(&mut self, around: &Surroundings, order: Order, moment: Moment) {
        match order {
            Order::Record(recording) => {
                if self.ledgers.len() == self.ledgers.capacity() {
                    self.ledgers.retain(|ledger| !ledger.is_reported());
                }
                self.ledgers.push(recording.ledger());
                self.begin_listening();
                let before = self.recording.replace(recording);
                self.scrap(before);
            }
            Order::Tap(tap) => {
                self.begin_listening();
                let before = self.tap.replace(tap);
                self.scrap(before);
            }
            Order::Hear(tap) => {
                self.begin_listening();
                let before = self.listener.replace(tap);
                self.scrap(before);
            }
            Order::Listen(mut wanted) => {
                self.begin_listening();
                if let (Some(ears), Some(before)) = (&mut wanted, &self.ears) {
                    ears.follow(before);
                }
                let before = std::mem::replace(&mut self.ears, wanted);
                self.scrap(before);
            }
            Order::Attend(wanted) => {
                self.begin_listening();
                let before = std::mem::replace(&mut self.attentive, wanted);
                self.scrap(before);
            }
            Order::Detect(detector) => {
                if detector.is_some() {
                    self.begin_listening();
                }
                let profile = self.profile.copied().unwrap_or(around.dtmf);
                let wanted = detector.map(|detector| (detector, profile));
                let spare = self.detect(moment.now, wanted);
                self.scrap(spare);
            }
            Order::Stream(stream) => self.set_stream(around, stream, moment),
            Order::Play(list, manner) => {
                self.play_next(around, Player::of(list).in_manner(manner));
            }
            Order::Append(list) => self.append(around, list),
            Order::Digits(digits) => {
                let before = self.digits.replace(digits);
                self.scrap(before);
            }
            Order::Plain(command) => match command {
                Command::ChangePlay(change) => {
                    if let Some(player) = self.next_player.as_mut().or(self.player.as_mut()) {
                        player.change(change);
                    }
                }
                Command::StopPlay => {
                    around.scrap_player(self.next_player.take());
                    if let Some(player) = &mut self.player {
                        player.stop();
                    }
                }
                Command::Echo(on) => {
                    if on && !self.echo {
                        self.begin_listening();
                    }
                    self.echo = on;
                }
                Command::Profile(profile) => self.profile = Some(profile),
                Command::StopRecord { id } => {
                    let stopped = self.recording.take_if(|recording| recording.id() == id);
                    self.scrap(stopped);
                }
                Command::PauseRecord { id, paused } => {
                    if let Some(recording) = &mut self.recording
                        && recording.id() == id
                    {
                        recording.set_paused(paused);
                    }
                }
                Command::ReleaseDigit { id, tone_ms } => {
                    let sending = self.digits.as_mut();
                    if let Some(digits) = sending.filter(|digits| digits.id() == id) {
                        digits.end_after(tone_ms);
                    }
                }
                // Made into orders of their own by the handle; done by the shard for both ends.
                Command::Stream(_)
                | Command::Record(_)
                | Command::Listen(_)
                | Command::Attend(_)
                | Command::Detect { .. }
                | Command::Play { .. }
                | Command::PlayIn { .. }
                | Command::Append { .. }
                | Command::SendDigits { .. }
                | Command::Unbridge => {}
            },
        }
    }

    /// Has it freed elsewhere: the shard sends what is spent to the reaper with the next frame.
    pub(crate) fn scrap<T: Left + 'static>(&mut self, gone: Option<Box<T>>) {
        if let Some(gone) = gone
            && self.spent.len() < self.spent.capacity()
        {
            self.spent.push(gone);
        }
    }

    fn append(&mut self, around: &Surroundings, list: Box<List>) {
        match self.next_player.as_mut().or(self.player.as_mut()) {
            Some(player) if !player.is_leaving() => {
                if let Some(refused) = player.append(list) {
                    self.tell(MediaEvent::PlayRefused { id: refused.id() });
                    around.scrap(refused);
                }
            }
            _ => self.play_next(around, Player::of(list)),
        }
    }

    /// Plays something else: at once, or when what plays has faded, so that it does not click.
    fn play_next(&mut self, around: &Surroundings, next: Player) {
        match &mut self.player {
            Some(player) => {
                player.stop();
                around.scrap_player(self.next_player.replace(next));
            }
            None => self.player = Some(next),
        }
    }

    /// Whether anybody wants the received samples.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.echo
            || self.detector.is_some()
            || self.wants_samples()
            || self.is_overheard()
            || self.passes_frames()
            || self.is_heard_in_room()
    }

    /// Forgets old audio when somebody begins to listen.
    pub(crate) fn begin_listening(&mut self) {
        if !self.is_listened_to() {
            self.incoming.forget();
        }
    }

    fn set_stream(&mut self, around: &Surroundings, stream: NewStream, moment: Moment) {
        let NewStream {
            params,
            voice,
            secure,
        } = stream;
        let now = moment.now;
        tracing::debug!(call = %params.log_id, port = self.port, remote = %params.remote_rtp, send = params.send,
                        receive = params.receive, codec = params.encoding.name(), "media stream set");
        if self.sockets.connected {
            // On failure the old peer stays connected, which is the best that is left.
            self.sockets.connected = rtp_socket::disconnect(&self.sockets.rtp).is_err();
        }
        self.follow_codec(around, &params, now);
        let before = self.stream.as_ref();
        let resumes = before.is_some_and(|stream| !stream.params.send) && params.send;
        self.outgoing.marker |= resumes;
        self.incoming.expect_from(now);
        self.path.watch = Watch::default();
        self.outgoing
            .set_clock(params.encoding.clock(), moment.tick_ms);
        match &mut self.stream {
            Some(stream) => stream.renew(around, params, voice, secure, now),
            None => {
                self.stream = Some(Stream {
                    secure,
                    latch: Latch::new(params.remote_rtp, now),
                    params,
                    voice,
                });
            }
        }
    }

    /// What is received is as a new description says from now on.
    fn follow_codec(&mut self, around: &Surroundings, params: &StreamParams, now: Instant) {
        let codecs = |params: &StreamParams| (params.encoding, params.telephone_event_clock);
        let before = self.stream.as_ref().map(|stream| codecs(&stream.params));
        if before == Some(codecs(params)) {
            return;
        }
        let mut on = report_keys(self.incoming.keys.clock(), now, &self.events);
        let events = params.telephone_event_clock;
        self.incoming.change_codec(params.encoding, events, &mut on);
        if before.is_some_and(|(encoding, _)| encoding != params.encoding)
            && let Some(hearing) = &mut self.incoming.hearing
        {
            hearing.tune(&around.stock, params.encoding);
        }
    }

    /// The statistics so far.
    pub(crate) fn stats(&self) -> ChannelStats {
        let mut stats = ChannelStats {
            packets_out: self.outgoing.packets,
            relayed: self.inlet.relayed,
            decoded: self.inlet.decoded,
            bridge_dropped: self.inlet.dropped,
            octets_out: self.outgoing.octets,
            first_rtp_out_ms: self
                .outgoing
                .first_at
                .map(|at| (at - self.opened).as_millis() as u32),
            quality: self.quality.quality,
            path: self.path_facts(),
            ..ChannelStats::default()
        };
        self.incoming.add_to(&mut stats, self.opened);
        stats
    }

    pub(crate) fn recordings_complete(&self) -> bool {
        self.ledgers.iter().all(RecordingLedger::is_reported)
    }
}
