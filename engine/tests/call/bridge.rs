//! Two legs joined: audio, hold and keys from one far end to the other.
use crate::dial::joined_with;
use crate::phone::{EVENTS, Phone, audio_port, direction, status};
use crate::rig::{Plan, Rig};
use trunkline::config::DtmfMode;
use trunkline_dsp::dtmf::{Detector, Generator, Key, Profile};
use trunkline_dsp::g711;

/// A pair that talks; the RTP ports that each sends to.
pub(crate) struct Pair {
    pub(crate) rig: Rig,
    pub(crate) ann: Phone,
    pub(crate) bob: Phone,
    pub(crate) ann_to: u16,
    pub(crate) bob_to: u16,
}

impl Pair {
    pub(crate) async fn new() -> Pair {
        Pair::with(|_| {}, |sdp| sdp, |sdp| sdp).await
    }

    /// With further numbers.
    pub(crate) async fn with_plans(plans: Vec<(&'static str, Plan)>) -> Pair {
        Pair::of(Rig::start(plans).await, |_| {}, |sdp| sdp, |sdp| sdp).await
    }

    /// Bob's leg and what both describe themselves by may be changed.
    async fn with(
        leg: impl Fn(&mut trunkline::route::OutboundLeg),
        ann_sdp: impl Fn(String) -> String,
        bob_sdp: impl Fn(String) -> String,
    ) -> Pair {
        Pair::of(Rig::start(vec![]).await, leg, ann_sdp, bob_sdp).await
    }

    async fn of(
        rig: Rig,
        leg: impl Fn(&mut trunkline::route::OutboundLeg),
        ann_sdp: impl Fn(String) -> String,
        bob_sdp: impl Fn(String) -> String,
    ) -> Pair {
        let mut bob = rig.phone_with("bob", leg).await;
        let mut ann = Phone::new(rig.address, "dial-bob").await;
        let (ann_sdp, bob_sdp) = (ann_sdp(ann.sdp("sendrecv")), bob_sdp(bob.sdp("sendrecv")));
        let (answer, invite) = joined_with(&mut ann, &mut bob, &ann_sdp, &bob_sdp).await;
        Pair {
            rig,
            ann,
            bob,
            ann_to: audio_port(&answer),
            bob_to: audio_port(&invite),
        }
    }

    pub(crate) async fn over(mut self) {
        self.ann.bye().await;
        self.bob.expect("BYE").await;
        self.rig.rests().await;
    }
}

/// Sends a pattern until the other end hears it.
pub(crate) async fn heard(from: &mut Phone, to_port: u16, to: &mut Phone, kind: u8, octet: u8) {
    for frame in 0..500 {
        from.rtp(to_port, kind, frame * 160, &[octet; 160]).await;
        if let Some(packet) = to.heard_now().await
            && packet.payload.iter().all(|heard| *heard == octet)
        {
            return;
        }
    }
    panic!("{octet:#x} was not heard");
}

/// What the holder sends is not heard by the held, the music is.
pub(crate) async fn music(holder: &mut Phone, to_port: u16, held: &mut Phone) {
    for frame in 0..500 {
        let sent = [0x31; 160];
        holder.rtp(to_port, 0, frame * 160, &sent).await;
        let heard = held.heard_now().await;
        let is_music = |octet: &u8| g711::ulaw_decode(*octet).abs() > 400;
        if heard.is_some_and(|packet| packet.payload != sent && packet.payload.iter().any(is_music))
        {
            return;
        }
    }
    panic!("no music");
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_passes_octet_for_octet_both_ways() {
    let mut pair = Pair::new().await;
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    heard(&mut pair.bob, pair.bob_to, &mut pair.ann, 0, 0x42).await;
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_passes_between_two_codecs() {
    let only = |number: &'static str| {
        move |sdp: String| sdp.replace("RTP/AVP 0", &format!("RTP/AVP {number}"))
    };
    let mut pair = Pair::with(|_| {}, only("0"), only("8")).await;
    let (ulaw, alaw) = (0x31, g711::ulaw_to_alaw(0x31));
    for frame in 0..500 {
        pair.ann
            .rtp(pair.ann_to, 0, frame * 160, &[ulaw; 160])
            .await;
        if let Some(packet) = pair.bob.heard_now().await
            && packet.payload.iter().all(|heard| *heard == alaw)
        {
            assert_eq!(packet.kind, 8);
            return pair.over().await;
        }
    }
    panic!("nothing was heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn early_audio_is_heard_before_the_answer() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let mut ann = Phone::new(rig.address, "dial-bob").await;
    ann.invite(&ann.sdp("sendrecv")).await;
    let invite = bob.called().await;
    let sdp = bob.sdp("sendrecv");
    bob.respond(&invite, "183 Session Progress", &sdp).await;
    ann.response("INVITE", |status| status == 183).await;
    heard(&mut bob, audio_port(&invite), &mut ann, 0, 0x55).await;
    bob.pick_up(&invite).await;
    let answer = ann.last_response("INVITE").await;
    ann.ack(&answer, "").await;
    heard(&mut ann, audio_port(&answer), &mut bob, 0, 0x66).await;
    ann.bye().await;
    bob.expect("BYE").await;
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_held_hears_music_until_the_call_is_resumed() {
    let mut pair = Pair::new().await;
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    let sdp = pair.ann.sdp("sendrecv");
    let old = |host| sdp.replace("c=IN IP4 127.0.0.1", host);
    let holds = [
        (pair.ann.sdp("sendonly"), "recvonly"),
        (pair.ann.sdp("inactive"), "inactive"),
        (old("c=IN IP4 0.0.0.0"), "recvonly"),
        (old("c=IN IP6 ::"), "recvonly"),
    ];
    for (offer, expected) in holds {
        let answer = pair.ann.reinvite(&offer, "").await;
        assert_eq!(status(&answer), 200, "{offer}: {answer}");
        assert_eq!(direction(&answer), expected, "{offer}");
        music(&mut pair.ann, pair.ann_to, &mut pair.bob).await;
        let resumed = pair.ann.reinvite(&sdp, "").await;
        assert_eq!(direction(&resumed), "sendrecv", "{resumed}");
        heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
        heard(&mut pair.bob, pair.bob_to, &mut pair.ann, 0, 0x42).await;
    }
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callee_can_hold_and_change_its_codec() {
    let mut pair = Pair::new().await;
    let hold = pair.bob.sdp("sendonly");
    let answer = pair.bob.reinvite(&hold, "").await;
    assert_eq!(direction(&answer), "recvonly", "{answer}");
    let other = pair.bob.sdp("sendrecv").replace("RTP/AVP 0", "RTP/AVP 8");
    let answer = pair.bob.reinvite(&other, "").await;
    assert_eq!(direction(&answer), "sendrecv", "{answer}");
    let (ulaw, alaw) = (0x31, g711::ulaw_to_alaw(0x31));
    for frame in 0.. {
        pair.ann
            .rtp(pair.ann_to, 0, frame * 160, &[ulaw; 160])
            .await;
        let heard = pair.bob.heard_now().await;
        if heard.is_some_and(|packet| packet.payload == [alaw; 160]) {
            break;
        }
        assert!(frame < 500, "nothing was heard");
    }
    pair.over().await;
}

/// The events a phone hears within what it is sent next: digit and timestamp of each.
async fn events(phone: &mut Phone, enough: usize) -> Vec<(u8, u32)> {
    let mut found: Vec<(u8, u32)> = Vec::new();
    for _ in 0..2000 {
        let Some(packet) = phone.heard_now().await else {
            continue;
        };
        if packet.kind != EVENTS {
            continue;
        }
        let event = (packet.payload[0], packet.timestamp);
        if !found.contains(&event) {
            found.push(event);
        }
        // The end of the last one wanted.
        if found.len() >= enough && packet.payload[1] & 0x80 != 0 {
            return found;
        }
    }
    panic!("only {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_press_is_one_event_whatever_it_came_by() {
    let mut pair = Pair::new().await;
    pair.ann.event(pair.ann_to, 5).await;
    assert_eq!(events(&mut pair.bob, 1).await[0].0, 5);
    pair.over().await;

    let mut pair = Pair::new().await;
    pair.ann.info('7').await;
    pair.ann.info('8').await;
    let digits: Vec<u8> = events(&mut pair.bob, 2)
        .await
        .iter()
        .map(|event| event.0)
        .collect();
    assert_eq!(digits, [7, 8]);
    pair.over().await;
}

fn without_events(sdp: String) -> String {
    sdp.replace(" 101\r\n", "\r\n")
        .replace("a=rtpmap:101 telephone-event/8000\r\n", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_becomes_a_tone_for_who_knows_no_events() {
    let mut pair = Pair::with(|_| {}, |sdp| sdp, without_events).await;
    pair.ann.event(pair.ann_to, 9).await;
    let mut detector = Detector::new(8000, Profile::TELEPHONE);
    let mut keys = Vec::new();
    for _ in 0..500 {
        let Some(packet) = pair.bob.heard_now().await else {
            continue;
        };
        assert_eq!(packet.kind, 0);
        let samples: Vec<i16> = packet
            .payload
            .iter()
            .map(|octet| g711::ulaw_decode(*octet))
            .collect();
        detector.process(&samples, |event| keys.push(format!("{event:?}")));
        if keys.len() == 2 {
            break;
        }
    }
    assert!(keys.len() == 2 && keys[0].contains('9'), "{keys:?}");
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_becomes_an_info_for_who_wants_info() {
    let mut pair = Pair::with(|leg| leg.dtmf = DtmfMode::Info, |sdp| sdp, |sdp| sdp).await;
    pair.ann.event(pair.ann_to, 3).await;
    let info = pair.bob.expect("INFO").await;
    assert!(info.contains("Signal=3\r\n"), "{info}");
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_becomes_an_event_and_is_heard_no_more() {
    let mut pair = Pair::with(|_| {}, without_events, |sdp| sdp).await;
    let key = Key::from_char('4').unwrap();
    let mut generator = Generator::new(8000, key, -8.0, -8.0);
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
    let (mut digits, mut ended) = (Vec::new(), false);
    for frame in 0..200u32 {
        pace.tick().await;
        let mut samples = [0i16; 160];
        if (10..20).contains(&frame) {
            generator.fill(&mut samples);
        }
        let payload: Vec<u8> = samples
            .iter()
            .map(|sample| g711::ulaw_encode(*sample))
            .collect();
        pair.ann.rtp(pair.ann_to, 0, frame * 160, &payload).await;
        while let Some(packet) = pair.bob.already_heard() {
            if packet.kind == EVENTS {
                digits.push((packet.payload[0], packet.timestamp));
                ended |= packet.payload[1] & 0x80 != 0;
            }
        }
        if ended {
            break;
        }
    }
    digits.dedup();
    assert_eq!(digits.len(), 1, "{digits:?}");
    assert_eq!(digits[0].0, 4);
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_of_its_own_profile_hears_what_that_takes_for_a_key() {
    // -29 dBm0 a tone: Q.24 has NTT refuse that, the others hear it.
    for (profile, expected) in [(None, 1), (Some(&Profile::NTT), 0)] {
        let mut pair =
            Pair::with(|leg| leg.dtmf_profile = profile, |sdp| sdp, without_events).await;
        let mut generator = Generator::new(8000, Key::from_char('8').unwrap(), -29.0, -29.0);
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
        let mut begun = Vec::new();
        for frame in 0..60u32 {
            pace.tick().await;
            let mut samples = [0i16; 160];
            if (10..20).contains(&frame) {
                generator.fill(&mut samples);
            }
            let payload = samples.map(g711::ulaw_encode);
            pair.bob.rtp(pair.bob_to, 0, frame * 160, &payload).await;
            while let Some(packet) = pair.ann.already_heard() {
                if packet.kind == EVENTS {
                    begun.push((packet.payload[0], packet.timestamp));
                }
            }
        }
        begun.dedup();
        assert_eq!(begun.len(), expected, "{profile:?}: {begun:?}");
        pair.over().await;
    }
}
