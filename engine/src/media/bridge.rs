//! What passes between two bridged channels, and how the receiving end of a bridge sends it.
//!
//! ```text
//!  peer A ─► receive_rtp ──packet──────────────────────► pass_packet ─► peer B    at once, packet for packet
//!              └─► jitter buffer ─► A's frame ──frame──► pass_frame  ─► peer B    when codecs or packet times differ or samples are needed
//! ```
//!
//! Each channel knows its own half: its [`Bridge`] says what goes to the far side, its [`Inlet`] takes what comes from there. Nothing but
//! packets and frames goes across, so that the halves could live on different shards. What the channel plays itself has precedence over
//! audio of the bridge, and one stream with one SSRC and continuous numbers carries both.

use super::channel::{ChannelState, Moment, Surroundings};
use super::codec::{ClockRate, Encoding};
use super::command::StreamParams;
use super::digits::DigitSender;
use super::frame::Frame;
use super::key_delay::KeyDelay;
use super::relay::{Kind, Pace, Received, Relay};
use super::retire::ChannelId;
use super::voice::{LONGEST_PAYLOAD, Speech};
use crate::rtp::packet::Header;
use crate::rtp::telephone_event::Payload;
use crate::rtp::telephone_event_clock::{Converted, EventClock};
use trunkline_dsp::dtmf::Key;

/// Packets in a row of another length before audio is framed anew, or no longer.
const OTHER_LENGTHS: u8 = 5;
/// After this long without a relayed packet the channel sends silence of its own.
const PATIENCE_MS: u64 = 500;
/// The same after comfort noise, which stands for silence until audio comes back.
const COMFORT_MS: u64 = 15_000;
/// The same in the decoded path, where a frame comes every 20 ms.
const FRAME_PATIENCE_MS: u64 = 50;
/// A key that came by SIP INFO and comes as an event within so long is the same press.
const REPEAT_MS: u64 = 1400;
/// Frames are held back so long after a packet of an event.
const EVENT_MS: u64 = 120;

/// What a bridge carries in one direction beside audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carriage {
    /// Telephone events (RFC 4733) are relayed as such; the far side must have negotiated them, too.
    pub events: bool,
    /// While a detector runs, a tone it hears is not passed as audio, from its beginning on. Costs that direction the delay of a jitter
    /// buffer and 80 ms.
    pub mute_inband_keys: bool,
    /// No audio is carried; events are.
    pub muted: bool,
}

/// What the stream of a channel wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) encoding: Encoding,
    /// Length of its packets.
    pub(crate) ptime_ms: u32,
}

impl Wants {
    pub(crate) fn of(params: &StreamParams) -> Wants {
        Wants {
            encoding: params.encoding,
            ptime_ms: params.encoding.sendable_ms(params.ptime_ms).into(),
        }
    }
}

/// Whether payloads of one encoding can be sent as the other without decoding them.
fn relayable(from: Encoding, to: Encoding) -> bool {
    from == to || (from.law().is_some() && to.law().is_some())
}

/// A channel's half of a bridge: what goes to the far side.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) peer: ChannelId,
    pub(crate) carriage: Carriage,
    /// What the far side asked for, where it is known.
    pub(crate) far: Option<Wants>,
    /// What comes, if anything did.
    comes: Option<Encoding>,
    /// The far side's recording or tap wants what goes there.
    pub(crate) overheard: bool,
    /// The packets that come have another length than the far side wants.
    reframes: bool,
    other_lengths: u8,
}

impl Bridge {
    pub(crate) fn new(peer: ChannelId, carriage: Carriage) -> Bridge {
        Bridge {
            peer,
            carriage,
            far: None,
            comes: None,
            overheard: false,
            reframes: false,
            other_lengths: 0,
        }
    }

    /// Whether what comes has to be decoded for the far side.
    fn decodes(&self) -> bool {
        let transcodes = match (self.comes, self.far) {
            (Some(comes), Some(far)) => !relayable(comes, far.encoding),
            _ => false,
        };
        self.reframes || transcodes
    }

    /// Takes note of a packet and its length. Returns whether from now on the audio is decoded.
    fn measure(&mut self, comes: Encoding, ms: u32) -> bool {
        let decoded = self.decodes();
        self.comes = Some(comes);
        self.measure_length(ms) || (!decoded && self.decodes())
    }

    /// Returns whether the framing began anew.
    fn measure_length(&mut self, ms: u32) -> bool {
        let fits = ms == self.far.map_or(20, |far| far.ptime_ms);
        if fits != self.reframes {
            self.other_lengths = 0;
            return false;
        }
        self.other_lengths += 1;
        if self.other_lengths < OTHER_LENGTHS {
            return false;
        }
        self.other_lengths = 0;
        self.reframes = !self.reframes;
        self.reframes
    }
}

/// An end of a bridge that is to be.
#[derive(Debug)]
pub(crate) struct BridgeEnd {
    pub(crate) id: ChannelId,
    /// What it sends to the other.
    pub(crate) carriage: Carriage,
    /// For a channel whose keys are kept out of its audio, unless it has one.
    pub(crate) key_delay: Option<Box<KeyDelay>>,
}

impl BridgeEnd {
    /// Allocates what the channel may need.
    pub(crate) fn new(id: ChannelId, carriage: Carriage) -> BridgeEnd {
        let delays = carriage.mute_inband_keys;
        BridgeEnd {
            id,
            carriage,
            key_delay: delays.then(|| Box::new(KeyDelay::new())),
        }
    }
}

/// A packet on its way to the far side.
#[derive(Debug)]
pub(crate) struct Passed<'p> {
    pub(crate) to: ChannelId,
    pub(crate) carriage: Carriage,
    pub(crate) header: Header,
    pub(crate) payload: &'p [u8],
    pub(crate) kind: Kind,
    pub(crate) in_order: bool,
    /// The numbers of the source begin anew.
    pub(crate) fresh: bool,
    /// The encoding of the audio; of the stream where it is none.
    pub(crate) encoding: Encoding,
    /// What durations of events count in.
    pub(crate) event_clock: ClockRate,
    /// Audio goes as frames.
    pub(crate) frames: bool,
}

/// Takes what comes from the far side.
#[derive(Debug, Default)]
pub(crate) struct Inlet {
    relay: Relay,
    pace: Pace,
    event_clock: EventClock,
    /// The key that the channel itself sent last, and until when a telephone event of it is the same press.
    pressed: Option<(Key, u64)>,
    /// Timestamp of an event that is such a repeat.
    repeat: Option<u32>,
    /// It came while the key was being sent.
    told: bool,
    /// The bridge sends this channel's audio until then.
    fed_until_ms: u64,
    event_until_ms: u64,
    pub(crate) relayed: u64,
    pub(crate) decoded: u64,
    pub(crate) dropped: u64,
}

impl Inlet {
    /// The bridge is gone or leads elsewhere.
    pub(crate) fn disconnect(&mut self) {
        self.relay = Relay::default();
        self.event_clock = EventClock::default();
        (self.pressed, self.repeat, self.told) = (None, None, false);
        self.fed_until_ms = 0;
        self.event_until_ms = 0;
    }

    /// The channel sent something of its own.
    pub(crate) fn interrupt(&mut self) {
        self.relay.restart();
    }

    /// The channel sent a key that came to the call another way.
    pub(crate) fn press(&mut self, key: Key, tick_ms: u64) {
        // Its event has come already where there is one.
        let told = std::mem::take(&mut self.told);
        self.pressed = (!told).then_some((key, tick_ms + REPEAT_MS));
    }

    /// Whether a packet of an event is of the press that the channel sends, or just sent, itself: then all of the event is.
    fn repeats(&mut self, passed: &Passed<'_>, sending: Option<Key>, tick_ms: u64) -> bool {
        let timestamp = passed.header.timestamp;
        if self.repeat == Some(timestamp) {
            return true;
        }
        let recent = self.pressed.filter(|(_, until)| tick_ms < *until);
        let recent = recent.map(|(key, _)| key);
        let own = sending.filter(|_| !self.told).or(recent);
        let code = passed.payload.first().copied();
        let repeats = own.is_some() && own.map(Key::to_event) == code;
        if repeats {
            (self.pressed, self.repeat) = (None, Some(timestamp));
            self.told = sending.is_some();
        }
        repeats
    }

    /// An event in the units of the stream it goes to, where those are others.
    fn converted(&mut self, passed: &Passed<'_>, to: &StreamParams) -> Option<Converted> {
        let (from, to) = (passed.event_clock, to.telephone_event_clock);
        if from == to || !matches!(passed.kind, Kind::Event { .. }) {
            return None;
        }
        let payload = Payload::parse(passed.payload)?;
        let clock = &mut self.event_clock;
        Some(clock.convert(passed.header.timestamp, payload, from, to))
    }

    /// Whether the channel need not send audio of its own.
    pub(crate) fn feeds(&self, tick_ms: u64) -> bool {
        tick_ms < self.fed_until_ms
    }

    fn feed(&mut self, tick_ms: u64, kind: Kind) {
        let patience = match kind {
            Kind::ComfortNoise => COMFORT_MS,
            Kind::Audio | Kind::Event { .. } => PATIENCE_MS,
        };
        self.fed_until_ms = tick_ms + patience;
    }
}

impl ChannelState {
    /// Audio is held back from now on, or no longer. What is not needed is freed elsewhere.
    pub(crate) fn hold_back(&mut self, delay: Option<Box<KeyDelay>>) {
        let spare = match (&self.key_delay, delay) {
            (None, delay) => {
                self.key_delay = delay;
                None
            }
            (Some(_), None) => self.key_delay.take(),
            (Some(_), spare) => spare,
        };
        self.scrap(spare);
    }

    /// Whether audio goes to the far side as frames at this channel's pace instead of packet for packet.
    pub(crate) fn passes_frames(&self) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| {
            bridge.decodes() || (bridge.carriage.mute_inband_keys && self.detector.is_some())
        })
    }

    /// Takes note of an audio packet's encoding and length for the bridge.
    pub(crate) fn measure_packet(&mut self, encoding: Encoding, ms: u32) {
        let listening = self.is_listened_to();
        let begins = self
            .bridge
            .as_mut()
            .is_some_and(|bridge| bridge.measure(encoding, ms));
        if begins && !listening {
            self.forget_audio();
        }
    }

    /// Where this channel's frame of received audio goes, if it goes anywhere. A tone that is to be kept back becomes silence.
    pub(crate) fn frame_for_the_far_side(&mut self, heard: &mut Frame) -> Option<ChannelId> {
        let receives = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.params.receive);
        if !receives || !self.passes_frames() {
            return None;
        }
        let bridge = self.bridge.as_ref()?;
        let muted = bridge.carriage.muted;
        if bridge.carriage.mute_inband_keys
            && let Some(delay) = &mut self.key_delay
        {
            if muted {
                // What comes out after it is nothing that was said while or before it was muted.
                heard.silence_at(heard.rate());
            }
            delay.pass(heard, self.detector_heard);
        }
        (!muted).then_some(bridge.peer)
    }

    /// Whether it sends audio or digits of its own.
    pub(crate) fn speaks_itself(&self) -> bool {
        self.player.is_some() || self.digits.is_some() || self.tap_plays()
    }

    /// Sends a packet that came from the far side, or drops it and says why.
    pub(crate) fn pass_packet(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        passed: &Passed<'_>,
    ) {
        let dropped = &around.stats.bridge_dropped;
        let sending = self.digits.as_deref().and_then(DigitSender::key);
        let repeats = matches!(passed.kind, Kind::Event { .. })
            && self.inlet.repeats(passed, sending, moment.tick_ms);
        let Some(stream) = &self.stream else {
            self.inlet.dropped += 1;
            dropped.hold.add(1);
            return;
        };
        let params = &stream.params;
        let (send, events) = (params.send, params.telephone_event_send);
        let (payload_send, comfort_noise) = (params.payload_send, params.comfort_noise);
        if passed.fresh {
            self.inlet.relay.restart();
        }
        let relays = relayable(passed.encoding, params.encoding);
        let event = self.inlet.converted(passed, params);
        let received = received(passed, params, event.as_ref());
        let payload_type = match passed.kind {
            _ if !send => Err(&dropped.hold),
            _ if passed.payload.is_empty() || passed.payload.len() > LONGEST_PAYLOAD => {
                Err(&dropped.length)
            }
            Kind::Event { .. } if repeats || self.digits.is_some() => Err(&dropped.own_audio),
            Kind::Audio | Kind::ComfortNoise if passed.carriage.muted => Err(&dropped.hold),
            Kind::Event { .. } => events
                .filter(|_| passed.carriage.events)
                .ok_or(&dropped.event),
            Kind::ComfortNoise => comfort_noise.ok_or(&dropped.comfort_noise),
            Kind::Audio if relays => Ok(payload_send),
            // The source has not heard yet what is spoken here.
            Kind::Audio => Err(&dropped.stale),
        };
        let payload_type = match payload_type {
            Ok(payload_type) => payload_type,
            Err(cause) => {
                cause.add(1);
                self.inlet.dropped += 1;
                self.inlet.relay.leave_out(&received);
                return;
            }
        };
        let packet_ms = u64::from(received.clock.ms(received.samples));
        if !self.inlet.pace.admit(moment.tick_ms, packet_ms) {
            self.inlet.dropped += 1;
            dropped.rate.add(1);
            return;
        }
        self.relay_packet(around, moment, passed, (&received, event), payload_type);
    }

    fn relay_packet(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        passed: &Passed<'_>,
        (received, event): (&Received, Option<Converted>),
        payload_type: u8,
    ) {
        let is_event = matches!(passed.kind, Kind::Event { .. });
        let own_audio = self.speaks_itself();
        self.inlet.feed(moment.tick_ms, passed.kind);
        if is_event || !own_audio {
            self.say_the_rest(around, moment);
        }
        let next = self.outgoing.position(moment.tick_ms);
        let place = if is_event && (own_audio || passed.frames) {
            Some(self.inlet.relay.place_event(received, next))
        } else if own_audio {
            None
        } else {
            self.inlet.relay.place(moment.tick_ms, received, next)
        };
        let Some(place) = place else {
            self.inlet.dropped += 1;
            let dropped = &around.stats.bridge_dropped;
            let cause = if own_audio {
                &dropped.own_audio
            } else {
                &dropped.stale
            };
            cause.add(1);
            return;
        };
        let resumes = std::mem::take(&mut self.outgoing.marker);
        let header = Header {
            marker: passed.header.marker || place.begins || (resumes && !is_event),
            payload_type,
            sequence: place.sequence,
            timestamp: place
                .timestamp
                .wrapping_add(event.map_or(0, |event| event.after)),
            ssrc: self.outgoing.ssrc,
        };
        if is_event {
            self.inlet.event_until_ms = moment.tick_ms + EVENT_MS;
        }
        if let Some(stream) = &mut self.stream
            && let Some(encoder) = stream.voice.rest()
        {
            around.scrap(encoder);
        }
        self.inlet.relayed += 1;
        around.stats.relayed.add(1);
        let event = event.map(|event| event.payload.to_bytes());
        self.send_bridged(around, moment, header, (passed, event), received.samples);
    }

    fn send_bridged(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        header: Header,
        (passed, event): (&Passed<'_>, Option<[u8; 4]>),
        samples: u32,
    ) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let mut space;
        let payload = match (passed.encoding.law(), stream.params.encoding.law()) {
            (Some(from), Some(to)) if passed.kind == Kind::Audio && from != to => {
                space = [0; LONGEST_PAYLOAD];
                let converted = &mut space[..passed.payload.len()];
                converted.copy_from_slice(passed.payload);
                from.convert(to, converted);
                converted
            }
            _ => passed.payload,
        };
        let payload = event.as_ref().map_or(payload, |event| &event[..]);
        self.outgoing
            .send(around, moment, &self.sockets, stream, &header, payload);
        self.outgoing.went_out(moment, &header, samples, true);
    }

    /// Sends a frame that came from the far side.
    pub(crate) fn pass_frame(&mut self, around: &Surroundings, moment: Moment, heard: &Frame) {
        let Some(stream) = &self.stream else { return };
        let send = stream.params.send;
        let dropped = &around.stats.bridge_dropped;
        let refused = match () {
            () if !send => Some(&dropped.hold),
            () if self.speaks_itself() => Some(&dropped.own_audio),
            () => None,
        };
        self.inlet.fed_until_ms = moment.tick_ms + FRAME_PATIENCE_MS;
        if let Some(cause) = refused {
            self.inlet.dropped += 1;
            cause.add(1);
            return;
        }
        self.inlet.relay.restart();
        if moment.tick_ms < self.inlet.event_until_ms {
            return;
        }
        self.inlet.decoded += 1;
        around.stats.decoded.add(1);
        self.say(around, moment, Speech::Frame(heard), true);
    }
}

/// What counts of a packet for the stream it goes to, in its units.
fn received(passed: &Passed<'_>, to: &StreamParams, event: Option<&Converted>) -> Received {
    Received {
        sequence: passed.header.sequence,
        timestamp: event.map_or(passed.header.timestamp, |event| event.begun),
        kind: match (passed.kind, event) {
            (Kind::Event { .. }, Some(event)) => Kind::Event {
                duration: event.payload.duration,
            },
            (kind, _) => kind,
        },
        in_order: passed.in_order,
        samples: match passed.kind {
            Kind::Audio => passed.encoding.duration(passed.payload).unwrap_or(0),
            Kind::Event { .. } | Kind::ComfortNoise => 0,
        },
        clock: to.encoding.clock(),
    }
}
