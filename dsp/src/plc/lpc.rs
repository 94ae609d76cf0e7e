//! Short-term prediction: how a sound rings on when what drives it stops.

use super::pitch::dot;

/// Order of the predictor.
pub(crate) const ORDER: usize = 10;

/// Predicts a sample from the ten before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Predictor {
    /// Weight of the sample one back, two back, ...
    weights: [f32; ORDER],
}

impl Predictor {
    /// Predicts nothing.
    pub(crate) const SILENT: Predictor = Predictor {
        weights: [0.0; ORDER],
    };

    /// Fits the samples by the autocorrelation method (Levinson and Durbin), then widens the resonances so that what rings
    /// dies away: weight k is multiplied by `widening` to the power of k.
    pub(crate) fn fit(windowed: &[f32], widening: f32) -> Predictor {
        let mut correlation = [0.0f32; ORDER + 1];
        for (lag, value) in correlation.iter_mut().enumerate() {
            if let Some(lagged) = windowed.get(lag..) {
                *value = dot(lagged, windowed);
            }
        }
        // A noise floor of -40 dB and one quantisation step keeps the recursion well conditioned.
        let mut error = correlation[0] * 1.0001 + windowed.len() as f32;
        let mut weights = [0.0f32; ORDER];
        for order in 0..ORDER {
            let predicted: f32 = (0..order)
                .map(|index| weights[index] * correlation[order - index])
                .sum();
            let reflection = (correlation[order + 1] - predicted) / error;
            let previous = weights;
            weights[order] = reflection;
            for index in 0..order {
                weights[index] = previous[index] - reflection * previous[order - 1 - index];
            }
            error *= 1.0 - reflection * reflection;
            if error <= 0.0 || !error.is_finite() {
                return Predictor::SILENT;
            }
        }
        let mut factor = 1.0;
        for weight in &mut weights {
            factor *= widening;
            *weight *= factor;
        }
        Predictor { weights }
    }

    /// The next sample of a ringing whose latest samples are `memory`, newest first, which it joins.
    pub(crate) fn ring(&self, memory: &mut [f32; ORDER]) -> f32 {
        let next = dot(&self.weights, memory).clamp(-65_536.0, 65_536.0);
        memory.copy_within(..ORDER - 1, 1);
        memory[0] = next;
        next
    }
}
