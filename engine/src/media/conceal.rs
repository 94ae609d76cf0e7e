//! Concealment of lost frames: the last frame again, fading out over 60 ms. Works on G.711 octets.

use super::codec::{FRAME_SAMPLES, Law};

/// Gain of the first, second and third frame in a row that is missing, in 1/256.
const FADE: [i32; 3] = [200, 110, 40];

/// The last frame that came, and how many are missing since.
#[derive(Debug)]
pub(crate) struct Concealment {
    last: [u8; FRAME_SAMPLES],
    run: usize,
}

impl Concealment {
    /// Nothing came yet.
    pub(crate) fn new(silence: u8) -> Concealment {
        Concealment {
            last: [silence; FRAME_SAMPLES],
            run: 0,
        }
    }

    /// Keeps a frame that came.
    pub(crate) fn keep(&mut self, frame: &[u8; FRAME_SAMPLES]) {
        self.last = *frame;
        self.run = 0;
    }

    /// Writes something for a missing frame. Returns whether it is more than silence.
    pub(crate) fn conceal(&mut self, law: Law, out: &mut [u8; FRAME_SAMPLES]) -> bool {
        let Some(gain) = FADE.get(self.run) else {
            out.fill(law.silence());
            return false;
        };
        self.run += 1;
        let mut samples = [0i16; FRAME_SAMPLES];
        law.decode(&self.last, &mut samples);
        for sample in &mut samples {
            *sample = ((i32::from(*sample) * gain) >> 8) as i16;
        }
        law.encode(&samples, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fades_to_silence_and_starts_anew() {
        let mut concealment = Concealment::new(0xD5);
        let mut loud = [0; FRAME_SAMPLES];
        Law::A.encode(&[10_000; FRAME_SAMPLES], &mut loud);
        for _ in 0..2 {
            concealment.keep(&loud);
            let levels: Vec<i16> = (0..5)
                .map(|_| {
                    let (mut out, mut samples) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
                    concealment.conceal(Law::A, &mut out);
                    Law::A.decode(&out, &mut samples);
                    samples[80]
                })
                .collect();
            assert!(
                levels[0] > 7000 && levels[1] < 5000 && levels[2] < 2000 && levels[3..] == [8, 8],
                "{levels:?}"
            );
        }
    }
}
