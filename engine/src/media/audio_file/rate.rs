//! Conversion of a whole file's rate: a windowed sinc, exact rather than fast, for audio that is converted once when it is loaded.
//!
//! 32 zero crossings on each side (Kaiser window, 80 dB); the pass band ends at 0.92 of the lower of both half rates. The audio keeps its place in
//! time: the filter's delay is taken out. Rates of 4 to 192 kHz.

/// Zero crossings on each side of the centre.
const CROSSINGS: f64 = 32.0;
/// Where the pass band's edge is put, of the lower half rate: the slope ends at that half rate.
const EDGE: f64 = 0.96;
/// Positions between two samples of the source for which taps are made; of ratios that need more, the nearest is taken.
const MOST_PHASES: u64 = 4096;
/// Shape of the Kaiser window for 80 dB: 0.1102 (A - 8.7).
const KAISER_BETA: f64 = 0.1102 * (80.0 - 8.7);

/// Converts a stream of samples piece by piece.
pub(super) struct Converter {
    from: u64,
    to: u64,
    phases: u64,
    /// Taps of each phase, one after the other.
    taps: Vec<f32>,
    /// Taps of a phase.
    width: usize,
    /// Samples of the source from `first` on; silence before the first one.
    source: Vec<f32>,
    /// Place of `source[0]` among the source's samples, counted with the silence before them.
    first: u64,
    /// Samples written.
    written: u64,
    /// Samples taken.
    taken: u64,
}

impl Converter {
    /// # Errors
    /// When a rate is not of 4 to 192 kHz.
    pub(super) fn new(from_hz: u32, to_hz: u32) -> Result<Converter, String> {
        if !(4000..=192_000).contains(&from_hz) {
            return Err(format!("{from_hz} Hz; 4000 to 192000 Hz are understood"));
        }
        let (from, to) = (u64::from(from_hz), u64::from(to_hz));
        let shared = gcd(from, to);
        let (from, to) = (from / shared, to / shared);
        let phases = to.min(MOST_PHASES);
        let cutoff = EDGE * (to as f64 / from as f64).min(1.0);
        let half = (CROSSINGS / cutoff).ceil() as usize;
        let width = 2 * half;
        let mut taps = Vec::with_capacity(phases as usize * width);
        for phase in 0..phases {
            let fraction = phase as f64 / phases as f64;
            let of_phase = (0..width).map(|tap| {
                let offset = tap as f64 - (half as f64 - 1.0) - fraction;
                cutoff * sinc(cutoff * offset) * kaiser(offset / half as f64)
            });
            let of_phase: Vec<f64> = of_phase.collect();
            let sum: f64 = of_phase.iter().sum();
            taps.extend(of_phase.iter().map(|tap| (tap / sum) as f32));
        }
        Ok(Converter {
            from,
            to,
            phases,
            taps,
            width,
            source: vec![0.0; half - 1],
            first: 0,
            written: 0,
            taken: 0,
        })
    }

    /// Takes samples and writes those that can be told now.
    pub(super) fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.taken += samples.len() as u64;
        for piece in samples.chunks(4096) {
            self.source
                .extend(piece.iter().map(|sample| f32::from(*sample)));
            self.write(u64::MAX, out);
        }
    }

    /// Writes what is left.
    pub(super) fn finish(&mut self, out: &mut Vec<i16>) {
        let all = (self.taken * self.to).div_ceil(self.from);
        self.source.extend(vec![0.0; self.width]);
        self.write(all, out);
    }

    fn write(&mut self, up_to: u64, out: &mut Vec<i16>) {
        while self.written < up_to {
            let place = self.written * self.from;
            let begin = (place / self.to - self.first) as usize;
            let Some(window) = self.source.get(begin..begin + self.width) else {
                break;
            };
            let phase = (place % self.to) * self.phases / self.to;
            let taps = &self.taps[phase as usize * self.width..][..self.width];
            let sum: f32 = window.iter().zip(taps).map(|(a, b)| a * b).sum();
            out.push(sum.round_ties_even() as i16);
            self.written += 1;
        }
        let needed = (self.written * self.from / self.to - self.first) as usize;
        let gone = needed.min(self.source.len());
        self.source.drain(..gone);
        self.first += gone as u64;
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

/// The Kaiser window at -1 to 1.
fn kaiser(place: f64) -> f64 {
    let bessel = |square: f64| {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..40 {
            term *= square / 4.0 / f64::from(k * k);
            sum += term;
        }
        sum
    };
    let inside = (1.0 - place * place).max(0.0);
    bessel(KAISER_BETA * KAISER_BETA * inside) / bessel(KAISER_BETA * KAISER_BETA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_division_gives_the_same_samples() {
        let samples: Vec<i16> = (0..5000).map(|n| (n * 7919 % 20_011) as i16).collect();
        let converted = |piece: usize| {
            let mut converter = Converter::new(44_100, 16_000).unwrap();
            let mut out = Vec::new();
            samples
                .chunks(piece)
                .for_each(|piece| converter.push(piece, &mut out));
            converter.finish(&mut out);
            out
        };
        let whole = converted(5000);
        assert_eq!(whole.len(), (5000 * 160usize).div_ceil(441));
        for piece in [1, 7, 160, 4097] {
            assert_eq!(converted(piece), whole, "{piece}");
        }
    }

    #[test]
    fn rates_out_of_reach_are_refused() {
        for rate in [0, 3999, 192_001, u32::MAX] {
            assert!(Converter::new(rate, 16_000).is_err());
        }
        assert!(Converter::new(191_999, 16_000).is_ok());
    }

    #[test]
    fn nothing_becomes_nothing() {
        let mut out = Vec::new();
        Converter::new(48_000, 8000).unwrap().finish(&mut out);
        assert_eq!(out, [0i16; 0]);
    }
}
