//! The formats of an `m=` line: codecs, telephone events (RFC 4733) and comfort noise (RFC 3389), each at its clock. Decides nothing.

use super::opus::OpusFormat;
use crate::encoding::Encoding;
use crate::sdp::{Attribute, MediaDescription};

const TELEPHONE_EVENT: &str = "telephone-event";
const COMFORT_NOISE: &str = "CN";
/// Static payload type of comfort noise at 8000 Hz (RFC 3551 section 6).
const STATIC_COMFORT_NOISE: u8 = 13;
/// Clock rates with an event format of ours, and its number where it is ours to choose.
const EVENT_OFFERS: [(u32, u8); 3] = [(8_000, 101), (16_000, 113), (48_000, 110)];

/// Telephone events of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Events {
    pub(super) clock_rate: u32,
    pub(super) number: u8,
}

/// The formats that mean something here, in the order of the line.
#[derive(Debug)]
pub(super) struct Formats {
    pub(super) codecs: Vec<(Encoding, u8)>,
    events: Vec<Events>,
    /// Clock rate and number.
    comfort_noise: Vec<(u32, u8)>,
}

impl Formats {
    pub(super) fn of(media: &MediaDescription) -> Self {
        let maps = media.rtpmaps();
        let mut formats = Self {
            codecs: Vec::new(),
            events: Vec::new(),
            comfort_noise: Vec::new(),
        };
        for number in media.payload_types() {
            let map = maps[usize::from(number)];
            let named = |name| map.filter(|map| map.name.eq_ignore_ascii_case(name));
            if let Some(encoding) = Encoding::of(number, map) {
                formats.codecs.push((encoding, number));
            } else if let Some(map) = named(TELEPHONE_EVENT) {
                formats.events.push(Events {
                    clock_rate: map.clock_rate,
                    number,
                });
            } else if let Some(map) = named(COMFORT_NOISE) {
                formats.comfort_noise.push((map.clock_rate, number));
            } else if number == STATIC_COMFORT_NOISE && map.is_none() {
                formats.comfort_noise.push((8_000, number));
            }
        }
        formats
    }

    /// The number of a codec; the first one counts.
    pub(super) fn number(&self, encoding: Encoding) -> Option<u8> {
        let mut codecs = self.codecs.iter();
        codecs
            .find(|(codec, _)| *codec == encoding)
            .map(|(_, number)| *number)
    }

    /// The events that go with a codec: of its clock (RFC 4733 section 2.1), else of 8000 Hz, which is all that some peers have beside a
    /// codec of another clock.
    pub(super) fn events_for(&self, encoding: Encoding) -> Option<Events> {
        let of = |clock_rate| {
            let mut events = self.events.iter();
            events
                .find(|events| events.clock_rate == clock_rate)
                .copied()
        };
        of(encoding.clock_rate()).or_else(|| of(8_000))
    }

    /// The number of the events of a clock.
    pub(super) fn events_at(&self, clock_rate: u32) -> Option<u8> {
        let mut events = self.events.iter();
        events
            .find(|events| events.clock_rate == clock_rate)
            .map(|events| events.number)
    }

    /// The number of comfort noise that goes with a codec.
    pub(super) fn comfort_noise_for(&self, encoding: Encoding) -> Option<u8> {
        let mut noises = self.comfort_noise.iter();
        noises
            .find(|(clock_rate, _)| *clock_rate == encoding.clock_rate())
            .map(|(_, number)| *number)
    }

    /// Whether there are events of any clock.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}

/// Adds a codec with its rtpmap and, for Opus, what we say of ourselves.
pub(super) fn add_codec(media: &mut MediaDescription, number: u8, encoding: Encoding) {
    add(media, number, &encoding.rtpmap());
    if encoding == Encoding::Opus {
        let own = format_args!("{number} {}", OpusFormat::OURS);
        media.attributes.push(Attribute::with("fmtp", own));
    }
}

pub(super) fn add_events(media: &mut MediaDescription, events: Events) {
    let Events { clock_rate, number } = events;
    add(media, number, &format!("{TELEPHONE_EVENT}/{clock_rate}"));
    media
        .attributes
        .push(Attribute::with("fmtp", format_args!("{number} 0-15")));
}

/// Adds events for each clock of the codecs that we offer.
pub(super) fn offer_events(media: &mut MediaDescription, codecs: &[Encoding]) {
    for (clock_rate, number) in EVENT_OFFERS {
        if codecs.iter().any(|codec| codec.clock_rate() == clock_rate) {
            add_events(media, Events { clock_rate, number });
        }
    }
}

pub(super) fn add_comfort_noise(media: &mut MediaDescription, number: u8, clock_rate: u32) {
    add(media, number, &format!("{COMFORT_NOISE}/{clock_rate}"));
}

fn add(media: &mut MediaDescription, number: u8, rtpmap: &str) {
    media.formats.push(number.to_string());
    media
        .attributes
        .push(Attribute::with("rtpmap", format_args!("{number} {rtpmap}")));
}
