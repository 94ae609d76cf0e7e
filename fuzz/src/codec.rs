//! Checks on payloads of audio codecs.

use trunkline::media::codec::opus::{MAX_SAMPLES, OpusDecoder, OpusError, packet, packet_samples};
use trunkline_dsp::comfort::{Noise, Silence};

/// Opus packets of one stream, each after an octet with its length: what has a head decodes to the length it says and everything else is
/// refused; a decoder takes any sequence of packets, losses and recoveries.
pub fn opus(octets: &[u8]) {
    let mut decoder = OpusDecoder::new().expect("a decoder");
    let mut out = [0; MAX_SAMPLES];
    let mut rest = octets;
    while let Some((&length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let samples = packet_samples(packet);
        assert_eq!(samples.is_some(), packet::head(packet).is_some());
        // A third of the packets come after a loss.
        match length % 6 {
            0 => assert_eq!(decoder.conceal(&mut out), Ok(MAX_SAMPLES)),
            1 => assert_eq!(
                decoder.recover(packet, &mut out).ok(),
                samples.map(|_| MAX_SAMPLES)
            ),
            _ => {}
        }
        match (decoder.decode(packet, &mut out), samples) {
            (Ok(decoded), Some(samples)) => assert_eq!(decoded, samples),
            (Err(OpusError::Packet), None) => {}
            (decoded, samples) => panic!("{decoded:?}, but {samples:?} samples"),
        }
    }
}

/// Comfort noise payloads, each after an octet with its length: what is read is written and read again, and the noise is never deafening.
pub fn comfort_noise(octets: &[u8]) {
    let mut noise = Noise::new(1);
    let mut rest = octets;
    while let Some((&length, after)) = rest.split_first() {
        let (payload, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let Some(silence) = Silence::parse(payload) else {
            assert!(payload.is_empty());
            continue;
        };
        let mut written = [0; 11];
        let length = silence.write(&mut written);
        assert_eq!(Silence::parse(&written[..length]), Some(silence));
        assert!(!silence.differs_from(&silence));
        noise.become_like(&silence);
        noise.fill(&mut [0; 160]);
    }
    noise.become_like(&Silence::white(-100.0));
    let mut rest = [0; 16_000];
    noise.fill(&mut rest);
    assert!(rest[15_000..].iter().all(|sample| sample.abs() <= 1));
}
