//! Keys with packets lost.

use super::*;

/// What is heard when packets of `packet` samples are lost as `lost` says and `fill` takes their place, marked as made up.
fn keys_through_loss(
    samples: &[i16],
    packet: usize,
    mut lost: impl FnMut(usize) -> bool,
    mut fill: impl FnMut(&mut [i16]),
) -> String {
    let mut detector = Detector::new(RATE, Profile::TELEPHONE);
    let mut heard = String::new();
    let mut note = |event| {
        if let Event::Begin { key, .. } = event {
            heard.push(key.to_char());
        }
    };
    for (index, frame) in samples.chunks(packet).enumerate() {
        if lost(index) {
            let mut made_up = frame.to_vec();
            fill(&mut made_up);
            detector.process_concealed(&made_up, &mut note);
        } else {
            detector.process(frame, &mut note);
        }
    }
    detector.process(&silence(800), &mut note);
    heard
}

#[test]
fn a_packet_lost_inside_a_key_neither_ends_nor_doubles_it() {
    let mut random = Random::new(21);
    for (packet, ms) in [(160, 80.0), (160, 100.0), (320, 120.0), (480, 140.0)] {
        for key in Key::ALL {
            for lead in (0..packet).step_by(37) {
                let mut samples = silence(packet * 2 + lead);
                samples.extend(Digit::new(key, ms).samples(&mut random));
                samples.extend(silence(800));
                for hole in 2..samples.len() / packet {
                    for fill in [0i16, 700] {
                        let noise = |made_up: &mut [i16]| {
                            for (index, sample) in made_up.iter_mut().enumerate() {
                                *sample = if index % 7 < 3 { fill } else { -fill };
                            }
                        };
                        let heard =
                            keys_through_loss(&samples, packet, |index| index == hole, noise);
                        assert_eq!(
                            heard,
                            String::from(key.to_char()),
                            "packets of {packet}, {ms} ms from {lead}, hole {hole}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_concealment_made_up_is_no_key() {
    let mut random = Random::new(22);
    for key in Key::ALL {
        let tone = Digit::new(key, 200.0).samples(&mut random);
        let mut detector = Detector::new(RATE, Profile::TELEPHONE);
        detector.process_concealed(&tone, |event| panic!("{event:?}"));
        detector.process(&silence(800), |event| panic!("{event:?}"));
        // Twenty milliseconds that were sent do not become a key by being made longer.
        detector.process(&tone[..160], |event| panic!("{event:?}"));
        detector.process_concealed(&tone[160..480], |event| panic!("{event:?}"));
        detector.process(&silence(800), |event| panic!("{event:?}"));
    }
}

#[test]
fn a_key_ends_in_concealment_that_never_ends() {
    let mut detector = Detector::new(RATE, Profile::TELEPHONE);
    let tone = Digit::new(Key::ALL[3], 60.0).samples(&mut Random::new(23));
    let mut events = Vec::new();
    detector.process(&tone, |event| events.push(event));
    detector.process_concealed(&silence(1600), |event| events.push(event));
    let [
        _,
        Event::End {
            at_sample,
            duration_ms,
            ..
        },
    ] = events[..]
    else {
        panic!("{events:?}");
    };
    assert!(
        at_sample.abs_diff(480) < 40 && duration_ms.abs_diff(60) < 5,
        "{events:?}"
    );
}
