//! The DTMF modes of a leg: what is heard and how digits are sent in each.
use crate::phone::{EVENTS, Phone, audio_port};
use crate::rig::{Plan, Rig, settings};
use std::time::Duration;
use trunkline::call::*;
use trunkline::config::{DtmfMode, SrtpPolicy};
use trunkline_dsp::dtmf::{Generator, Key};
use trunkline_dsp::g711;

/// 100 ms of silence, a key's tones for 200 ms, and silence, at the pace of time.
async fn tone(phone: &mut Phone, to: u16, from_frame: u32, key: char) -> u32 {
    let mut generator = Generator::new(8000, Key::from_char(key).unwrap(), -8.0, -8.0);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for frame in 0..50 {
        pace.tick().await;
        let mut samples = [0i16; 160];
        if (5..15).contains(&frame) {
            generator.fill(&mut samples);
        }
        let payload = samples.map(g711::ulaw_encode);
        phone.rtp(to, 0, (from_frame + frame) * 160, &payload).await;
    }
    from_frame + 50
}

/// A phone in a call with a program, the leg in that mode; where its RTP goes, and what was answered.
async fn calling(rig: &Rig, mode: DtmfMode, number: &str) -> (Phone, u16, String) {
    rig.calls.apply(
        CallSettings {
            dtmf: mode,
            ..settings("/nowhere".into(), 8, SrtpPolicy::Never)
        },
        None,
    );
    let mut phone = Phone::new(rig.address, number).await;
    let sdp = phone.sdp("sendrecv");
    phone.invite(&sdp).await;
    let answer = phone.last_response("INVITE").await;
    phone.ack(&answer, "").await;
    let to = audio_port(&answer);
    (phone, to, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_hears_what_it_says_and_no_more() {
    for (mode, agreed, heard) in [
        (DtmfMode::Auto, true, "1i2e3t"),
        (DtmfMode::Rfc4733, true, "2e"),
        (DtmfMode::InBand, false, "3t"),
        (DtmfMode::Info, false, "1i"),
        (DtmfMode::Off, false, ""),
    ] {
        let plan = Plan::of([Verb::Answer, crate::gather(true, 4000)]);
        let mut rig = Rig::start(vec![("keys", plan)]).await;
        let (mut phone, to, answer) = calling(&rig, mode, "keys").await;
        assert_eq!(answer.contains("telephone-event"), agreed, "{mode:?}");
        phone.info('1').await;
        phone.event(to, 2).await;
        tone(&mut phone, to, 20, '3').await;
        let Outcome::Gathered(gathered) = rig.outcome().await else {
            panic!("no gather");
        };
        let mut keys = String::new();
        for key in &gathered.keys {
            keys.push(key.digit);
            keys.push(match key.source {
                DigitSource::InBand => 't',
                DigitSource::Rfc4733 => 'e',
                DigitSource::Info => 'i',
            });
            // What is measured of tones is told of them.
            assert_eq!(key.tone.is_some(), key.source == DigitSource::InBand);
            assert!(key.sources.contains(key.source));
        }
        assert_eq!(keys, heard, "{mode:?}");
        phone.expect("BYE").await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
    }
}

/// Audio of so many frames at the pace of time: a key's tones or silence. Also the key as an event that began with the frame `event` says.
async fn held(
    phone: &mut Phone,
    to: u16,
    frames: std::ops::Range<u32>,
    tones: Option<&mut Generator>,
    event: Option<(u8, u32)>,
) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut tones = tones;
    for frame in frames {
        pace.tick().await;
        let mut samples = [0i16; 160];
        if let Some(tones) = &mut tones {
            tones.fill(&mut samples);
        }
        let payload = samples.map(g711::ulaw_encode);
        phone.rtp(to, 0, frame * 160, &payload).await;
        if let Some((code, since)) = event {
            let [high, low] = u16::to_be_bytes(((frame - since + 1) * 160) as u16);
            let event = [code, 10, high, low];
            phone.rtp(to, EVENTS, since * 160, &event).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_down_while_a_re_invite_changes_the_mode_is_one_digit() {
    let plan = Plan::of([Verb::Answer, crate::gather(true, 3000)]);
    let mut rig = Rig::start(vec![("keys", plan)]).await;
    let (mut phone, to, _) = calling(&rig, DtmfMode::Auto, "keys").await;
    let with = phone.sdp("sendrecv");
    let without = with
        .replace(&format!(" {EVENTS}\r\n"), "\r\n")
        .replace(&format!("a=rtpmap:{EVENTS} telephone-event/8000\r\n"), "");
    held(&mut phone, to, 0..10, None, None).await;
    // 4, by event and tone; then there are no events any more, and the tone goes on.
    let generator = |key| Generator::new(8000, Key::from_char(key).unwrap(), -8.0, -8.0);
    let mut four = generator('4');
    held(&mut phone, to, 10..20, Some(&mut four), Some((4, 10))).await;
    let answer = phone.reinvite(&without, "").await;
    assert!(!answer.contains("telephone-event"), "{answer}");
    held(&mut phone, to, 20..30, Some(&mut four), None).await;
    held(&mut phone, to, 30..40, None, None).await;
    // 5, a tone alone.
    held(&mut phone, to, 40..50, Some(&mut generator('5')), None).await;
    held(&mut phone, to, 50..60, None, None).await;
    // 6 begins as a tone, and there are events again before it ends.
    let mut six = generator('6');
    held(&mut phone, to, 60..70, Some(&mut six), None).await;
    let answer = phone.reinvite(&with, "").await;
    assert!(answer.contains("telephone-event"), "{answer}");
    held(&mut phone, to, 70..80, Some(&mut six), Some((6, 60))).await;
    held(&mut phone, to, 80..120, None, None).await;
    let Outcome::Gathered(gathered) = rig.outcome().await else {
        panic!("no gather");
    };
    let keys: String = gathered.keys.iter().map(|key| key.digit).collect();
    assert_eq!(keys, "456", "{:?}", gathered.keys);
    phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_are_sent_in_the_way_of_the_mode() {
    let send = Verb::SendDigits(SendDigits {
        digits: "1w2@80 #".to_owned(),
        tone_ms: 100,
        gap_ms: 40,
    });
    for mode in [DtmfMode::Auto, DtmfMode::Info, DtmfMode::Off] {
        let plan = Plan::of([Verb::Answer, send.clone()]);
        let mut rig = Rig::start(vec![("send", plan)]).await;
        let (mut phone, ..) = calling(&rig, mode, "send").await;
        if mode == DtmfMode::Info {
            // A length is that of all digits since the last space.
            for (digit, ms) in [('1', 80), ('2', 80), ('#', 100)] {
                let info = phone.expect("INFO").await;
                let body = format!("Signal={digit}\r\nDuration={ms}\r\n");
                assert!(info.ends_with(&body), "{info}");
            }
        }
        phone.expect("BYE").await;
        let (mut events, mut sounds) = (Vec::new(), false);
        while let Some(packet) = phone.already_heard() {
            match packet.kind {
                EVENTS => events.push(packet.payload[0]),
                _ => {
                    sounds |= packet
                        .payload
                        .iter()
                        .any(|of| g711::ulaw_decode(*of) > 2000)
                }
            }
        }
        events.dedup();
        let expected: &[u8] = if mode == DtmfMode::Auto {
            &[1, 2, 11]
        } else {
            &[]
        };
        assert_eq!(events, expected, "{mode:?}");
        assert_eq!(sounds, mode == DtmfMode::Off, "{mode:?}");
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
    }
}
