//! How a key pressed on one leg of a bridge reaches the other: one press is one press. Pure.
//!
//! | pressed by | reaches RFC 4733 | reaches tones | reaches INFO |
//! |---|---|---|---|
//! | RFC 4733 | relayed with the audio | sent as a tone | sent as INFO |
//! | tones, no events agreed | sent as event, tone muted | stays in the audio | sent as INFO, tone muted |
//! | tones, events agreed | stays in the audio | stays in the audio | stays in the audio |
//! | INFO | sent as event | sent as a tone | sent as INFO |
use super::leg::KeyPath;
use super::verb::DigitSource;
use crate::config::DtmfMode;

/// What one direction of a bridge does with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crossing {
    /// Events are relayed as events.
    pub(super) relay_events: bool,
    /// Tones are looked for, kept out of the audio, and sent in the other leg's way.
    pub(super) convert_tones: bool,
    /// Keys by RFC 4733 are sent in the other leg's way.
    convert_events: bool,
    /// Keys by INFO are.
    convert_info: bool,
}

impl Crossing {
    /// From a leg in `mode`, which sends events or not, to one that is reached by `to`.
    pub(super) fn new(mode: DtmfMode, sends_events: bool, to: KeyPath) -> Crossing {
        Crossing {
            relay_events: sends_events && to == KeyPath::Events,
            convert_events: sends_events && to != KeyPath::Events,
            // Whoever agreed on events sends them; a tone besides would be the same key once more.
            convert_tones: !sends_events && mode.inband() && to != KeyPath::InBand,
            convert_info: mode.info(),
        }
    }

    /// Whether a key from that source is to be pressed on the other leg. `events_seen`: this leg has sent keys as events before,
    /// so that an INFO only repeats one.
    pub(super) fn presses(&self, source: DigitSource, events_seen: bool) -> bool {
        match source {
            DigitSource::Rfc4733 => self.convert_events,
            DigitSource::InBand => self.convert_tones,
            DigitSource::Info => self.convert_info && !events_seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DigitSource::{InBand, Info, Rfc4733};

    /// Ways by which a press in `source` reaches the far end: relayed, in the audio, pressed.
    fn ways(crossing: Crossing, source: DigitSource, sends_events: bool, to: KeyPath) -> usize {
        let relayed = source == Rfc4733 && sends_events && crossing.relay_events;
        let heard = source == InBand && !crossing.convert_tones;
        let _ = to;
        usize::from(relayed) + usize::from(heard) + usize::from(crossing.presses(source, false))
    }

    #[test]
    fn one_press_is_one_press_on_every_crossing() {
        for mode in [
            DtmfMode::Auto,
            DtmfMode::Rfc4733,
            DtmfMode::InBand,
            DtmfMode::Info,
        ] {
            for events in [true, false] {
                for to in [KeyPath::Events, KeyPath::InBand, KeyPath::Info] {
                    let crossing = Crossing::new(mode, events && mode.telephone_event(), to);
                    let sources = [
                        (Rfc4733, events && mode.telephone_event()),
                        (InBand, true),
                        (Info, mode.info()),
                    ];
                    for (source, can) in sources {
                        let expected = usize::from(can);
                        let got = ways(crossing, source, events && mode.telephone_event(), to);
                        assert_eq!(got, expected, "{mode:?} {events} {source:?} to {to:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_info_beside_events_is_no_second_press() {
        let crossing = Crossing::new(DtmfMode::Auto, true, KeyPath::Events);
        assert!(crossing.presses(Info, false) && !crossing.presses(Info, true));
    }
}
