//! An estimate of how a call sounds from what the network did to it: the E-model (ITU-T G.107) with its default values. Pure.
//!
//! ```text
//! R = 93.2 - Id - Ie,eff        Ie,eff = Ie + (95 - Ie) · Ppl / (Ppl / BurstR + Bpl)        (G.107 clause 7)
//! ```
//!
//! Id is the fit of R. Cole and J. Rosenbluth ("Voice over IP performance monitoring", ACM CCR 31, 2001) to G.107's Id with its
//! defaults: 0.024 d + 0.11 (d - 177.3) beyond 177.3 ms. Knows nothing of noise, echo, levels or what was said: it is an estimate, on the narrow-band scale
//! for every codec, where G.711 without loss is the best there is.

/// R of a connection in which nothing is wrong (G.107 with default values).
const BEST_R: f32 = 93.2;

/// How a codec bears loss (ITU-T G.113 Appendix I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Robustness {
    /// Ie: what coding alone costs.
    pub impairment: f32,
    /// Bpl: the greater, the better loss is borne.
    pub loss: f32,
}

impl Robustness {
    /// G.711 with concealment, random loss (G.113 table I.3); used for all codecs that conceal as it does.
    pub const G711_CONCEALED: Robustness = Robustness {
        impairment: 0.0,
        loss: 25.1,
    };
}

/// What happened to a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Share of the packets that were not played, 0 to 1.
    pub loss: f32,
    /// Mean length of a run of lost packets over that of random loss; 1 for random loss, more for bursts.
    pub burst_ratio: f32,
    /// From mouth to ear in ms.
    pub delay_ms: f32,
}

/// An estimate of a stretch of audio.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// R with delay, 0 to 100.
    pub r: f32,
    /// MOS of listening: without delay, 1 to 4.5 (RFC 3611 section 4.7.5).
    pub mos_lq: f32,
    /// MOS of conversation: with delay.
    pub mos_cq: f32,
}

/// The estimate. What is beyond its bounds counts as the nearest one; what is no number gives the worst score.
pub fn score(codec: Robustness, of: Conditions) -> Score {
    let percent = of.loss.clamp(0.0, 1.0) * 100.0;
    let burst = of.burst_ratio.max(1.0);
    let spent = (95.0 - codec.impairment) * percent / (percent / burst + codec.loss);
    let listening = BEST_R - codec.impairment - spent;
    let r = (listening - delay_impairment(of.delay_ms.max(0.0))).max(0.0);
    Score {
        r,
        mos_lq: mos(listening),
        mos_cq: mos(r),
    }
}

/// Id of a one-way delay.
fn delay_impairment(ms: f32) -> f32 {
    0.024 * ms + 0.11 * (ms - 177.3).max(0.0)
}

/// MOS of an R (G.107 Annex B).
pub fn mos(r: f32) -> f32 {
    let r = r.clamp(0.0, 100.0);
    // The cubic falls below 1 where R is under 6.5, and `max` takes the number where one is none.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

/// How much longer runs of loss are than at random (G.107 clause 7.2): `runs` of together `lost` packets among `expected`.
pub fn burst_ratio(expected: u64, lost: u64, runs: u64) -> f32 {
    if runs == 0 || lost >= expected {
        return 1.0;
    }
    let share = lost as f32 / expected as f32;
    (lost as f32 / runs as f32 * (1.0 - share)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mos_of_known_r() {
        // G.107 Annex B, table B.1 with the categories of G.109.
        for (r, expected) in [
            (0.0, 1.0),
            (50.0, 2.58),
            (60.0, 3.10),
            (70.0, 3.60),
            (80.0, 4.024),
            (90.0, 4.34),
            (93.2, 4.41),
            (100.0, 4.5),
            (120.0, 4.5),
            (-3.0, 1.0),
            (f32::NAN, 1.0),
        ] {
            assert!((mos(r) - expected).abs() < 0.006, "{r}: {}", mos(r));
        }
    }

    #[test]
    fn scores_by_hand() {
        // loss, burst ratio, delay, R, MOS-LQ
        for (loss, burst_ratio, delay_ms, r, mos_lq) in [
            (0.0, 1.0, 0.0, 93.2, 4.41),
            (0.0, 1.0, 100.0, 90.8, 4.41),
            (0.0, 1.0, 150.0, 89.6, 4.41),
            // 0.024 · 277.3 + 0.11 · 100
            (0.0, 1.0, 277.3, 75.54, 4.41),
            // 95 / (1 + 25.1)
            (0.01, 1.0, 0.0, 89.56, 4.33),
            // 95 · 5 / 30.1
            (0.05, 1.0, 0.0, 77.42, 3.93),
            // 95 · 5 / (2.5 + 25.1)
            (0.05, 2.0, 0.0, 75.99, 3.87),
            // 95 · 20 / 45.1
            (0.2, 1.0, 0.0, 51.07, 2.64),
            (1.0, 1.0, 0.0, 17.26, 1.18),
        ] {
            let of = Conditions {
                loss,
                burst_ratio,
                delay_ms,
            };
            let score = score(Robustness::G711_CONCEALED, of);
            assert!((score.r - r).abs() < 0.02, "{of:?}: {score:?}");
            assert!((score.mos_lq - mos_lq).abs() < 0.012, "{of:?}: {score:?}");
            assert!(score.mos_cq <= score.mos_lq);
        }
    }

    #[test]
    fn bursts_against_chance() {
        assert_eq!(burst_ratio(100, 0, 0), 1.0);
        assert_eq!(burst_ratio(100, 100, 1), 1.0);
        // ten alone: less than chance would have it
        assert_eq!(burst_ratio(100, 10, 10), 1.0);
        assert!((burst_ratio(100, 10, 2) - 4.5).abs() < 1e-4);
    }
}
