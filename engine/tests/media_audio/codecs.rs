//! What a phone may send beside the codec that was agreed: other codecs it named, keys in the clock of the audio, comfort noise; and keys as
//! tones in wide audio.

use trunkline::media::{Carriage, Command, Encoding, KeySource};
use trunkline::rtp::packet::Header;
use trunkline_dsp::dtmf;

use crate::sound::{WIDE_MS, assert_heard, voice};
use crate::wire::{EVENTS, NOISE, Party, Rig, payload_type};

#[test]
fn a_peer_may_send_what_it_named_besides() {
    for agreed in Encoding::ALL {
        let mut rig = Rig::new(28_200);
        let mut parties = [Party::new(&rig.media, agreed)];
        let [party] = &mut parties;
        let others = Encoding::ALL.map(|other| (payload_type(other), other));
        party.also = others.into_iter().filter(|(_, of)| *of != agreed).collect();
        party.agree(true, true);
        party.channel.send(Command::Echo(true)).unwrap();
        rig.run(&mut parties, 400);
        let said = voice(1, 600);
        for speaks in Encoding::ALL {
            let [party] = &mut parties;
            party.speak(speaks);
            rig.run(&mut parties, 200);
            parties[0].say(&said);
            rig.run(&mut parties, 900);
            let name = format!("{speaks:?} where {agreed:?} was agreed");
            let coders = match (speaks, agreed.law()) {
                // After PCMU it is told apart octet by octet, by the tables of G.711.
                (Encoding::Pcma, None) => vec![speaks, Encoding::Pcmu, agreed],
                _ => vec![speaks, agreed],
            };
            assert_heard(&name, &parties[0].sound(), &said, &coders);
            parties[0].assert_one_stream(&name, 1);
        }
    }
}

#[test]
fn keys_are_counted_in_the_clock_of_the_audio() {
    let mut rig = Rig::new(28_400);
    let mut parties = Encoding::ALL.map(|encoding| Party::new(&rig.media, encoding));
    rig.run(&mut parties, 200);
    for party in &mut parties {
        let digits = Command::SendDigits {
            id: 1,
            digits: "5".into(),
            tone_ms: 2000,
            gap_ms: 60,
        };
        party.channel.send(digits).unwrap();
        // And one that it sends: 100 ms.
        let clock = party.encoding.clock();
        for (n, end) in [(1, false), (3, false), (5, true)] {
            let [high, low] = (clock.samples_in_ms(20 * n) as u16).to_be_bytes();
            let header = Header {
                payload_type: EVENTS,
                marker: n == 1,
                ..party.header
            };
            party.send_as(header, &[7, u8::from(end) << 7, high, low]);
        }
    }
    rig.run(&mut parties, 2600);
    for party in &mut parties {
        let name = format!("{:?}", party.encoding);
        assert_eq!(party.keys(), [('7', KeySource::Rfc4733, 100)], "{name}");
        let clock = party.encoding.clock();
        // 2 s are more than one packet can state at 48 kHz: the rest is in other segments (RFC 4733 section 2.5.1.3).
        let total = clock.samples_in_ms(2000);
        let last = total - total.saturating_sub(1) / 0xFFFF * 0xFFFF;
        let mut units = party.got_events.iter().map(|(_, units)| u32::from(*units));
        assert!(units.any(|units| units == last), "{name}");
    }
}

#[test]
fn a_key_goes_over_a_bridge_of_any_two_clocks() {
    let mut rig = Rig::new(28_600);
    let carriage = Carriage {
        events: true,
        mute_inband_keys: false,
        muted: false,
    };
    let clocks = [Encoding::Opus, Encoding::Pcmu, Encoding::L16Wide];
    let mut parties = Vec::new();
    for a in clocks {
        for b in clocks {
            parties.extend([a, b].map(|encoding| Party::new(&rig.media, encoding)));
            let [.., a, b] = &parties[..] else {
                unreachable!()
            };
            rig.bridge_carrying(a, b, carriage);
        }
    }
    rig.run(&mut parties, 400);
    for n in 1..=8u32 {
        for party in parties.iter_mut().step_by(2) {
            let length = party.encoding.clock().samples_in_ms(20 * n.min(6));
            let [high, low] = (length as u16).to_be_bytes();
            let header = Header {
                payload_type: EVENTS,
                marker: n == 1,
                ..party.header
            };
            party.send_as(header, &[3, u8::from(n >= 6) << 7 | 10, high, low]);
        }
        rig.settle(&mut parties);
    }
    for pair in parties.chunks(2) {
        let name = format!("{:?} to {:?}", pair[0].encoding, pair[1].encoding);
        let clock = pair[1].encoding.clock();
        let expected = [20, 40, 60, 80, 100, 120, 120, 120].map(|ms| clock.samples_in_ms(ms));
        let (stamps, units): (Vec<u32>, Vec<u16>) = pair[1].got_events.iter().copied().unzip();
        assert_eq!(units, expected.map(|units| units as u16), "{name}");
        assert!(stamps.iter().all(|stamp| *stamp == stamps[0]), "{name}");
    }
}

#[test]
fn tones_are_heard_in_every_codec() {
    let mut rig = Rig::new(28_800);
    let mut parties = Encoding::ALL.map(|encoding| Party::new(&rig.media, encoding));
    let mut tones = vec![0; 800];
    dtmf::Generator::new(8000, dtmf::Key::from_char('8').unwrap(), -10.0, -10.0).fill(&mut tones);
    for party in &mut parties {
        let detect = Command::Detect { inband: true };
        party.channel.send(detect).unwrap();
        party.say(&[&[0; 800][..], &tones, &[0; 800]].concat());
    }
    rig.run(&mut parties, 1000);
    for party in &mut parties {
        let keys = party.keys();
        let name = format!("{:?}: {keys:?}", party.encoding);
        assert!(matches!(keys[..], [('8', KeySource::InBand, _)]), "{name}");
    }
}

/// Packets of comfort noise are heard as noise of their level at the rate of the codec, where they are decoded; and go on as they are, under
/// the far side's number, where they are not.
#[test]
fn a_pause_sounds_as_the_peer_says() {
    const DBOV: u8 = 45;
    let mut rig = Rig::new(29_000);
    let mut parties = Vec::new();
    for (a, b) in [
        (Encoding::L16Wide, Encoding::L16Wide),
        (Encoding::L16Wide, Encoding::L16Narrow),
        (Encoding::Pcma, Encoding::L16Wide),
        (Encoding::G722, Encoding::Pcma),
        (Encoding::Pcmu, Encoding::Pcma),
    ] {
        parties.extend([a, b].map(|encoding| {
            let mut party = Party::new(&rig.media, encoding);
            party.noise = true;
            party.agree(true, true);
            party
        }));
        let [.., a, b] = &parties[..] else {
            unreachable!()
        };
        rig.bridge(a, b);
    }
    rig.run(&mut parties, 400);
    for party in parties.iter_mut().step_by(2) {
        party.pause();
        let header = Header {
            payload_type: NOISE,
            ..party.header
        };
        party.send_as(header, &[DBOV]);
    }
    parties.iter_mut().for_each(Party::listen_anew);
    rig.run(&mut parties, 400);
    for pair in parties.chunks(2) {
        let name = format!("{:?} to {:?}", pair[0].encoding, pair[1].encoding);
        let relays = pair[0].encoding.audio() == pair[1].encoding.audio()
            && pair[0].encoding.law().is_some() == pair[1].encoding.law().is_some();
        let expected = [&[DBOV][..]];
        assert_eq!(
            pair[1].got_noise,
            &expected[..usize::from(relays)],
            "{name}"
        );
        if !relays {
            let heard = pair[1].sound();
            let noise = &heard[200 * WIDE_MS..350 * WIDE_MS];
            let sum: f64 = noise.iter().map(|s| f64::from(*s).powi(2)).sum();
            let dbov = 10.0 * (sum / noise.len() as f64).log10() - 20.0 * 32_768f64.log10();
            // What is white to 8 kHz has half of its power below 4 kHz.
            let [from, to] = [&pair[0], &pair[1]].map(|party| party.encoding.audio().hz());
            let expected = -f64::from(DBOV) - if from > to { 3.0 } else { 0.0 };
            assert!((dbov - expected).abs() < 1.0, "{name}: {dbov:.1} dBov");
        }
    }
}
