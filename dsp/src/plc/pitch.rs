//! How a stretch of sound repeats: the lag of the highest normalised correlation.

/// A lag and how alike the sound is one lag apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pitch {
    /// Samples from one period to the next; a multiple of the period where the period is shorter than the search.
    pub(crate) lag: usize,
    /// Normalised correlation, -1..=1.
    pub(crate) likeness: f32,
}

/// The best lag within `shortest..=longest` for the last `template` samples of `past`, or `None` if `past` is shorter
/// than both together.
pub(crate) fn search(
    past: &[f32],
    template: usize,
    shortest: usize,
    longest: usize,
) -> Option<Pitch> {
    let from = past.len().checked_sub(template)?;
    let recent = &past[from..];
    let first = from.checked_sub(longest)?;
    let energy = dot(recent, recent);
    let mut lagged_energy = dot(
        &past[first..first + template],
        &past[first..first + template],
    );
    let mut best: Option<Pitch> = None;
    for lag in (shortest..=longest).rev() {
        let lagged = &past[from - lag..from - lag + template];
        if lag < longest {
            let left = past[from - lag - 1];
            let entered = lagged[template - 1];
            lagged_energy += entered * entered - left * left;
        }
        let likeness = dot(recent, lagged) / libm::sqrtf((energy * lagged_energy).max(1.0));
        // Of lags as good as each other the shortest is the period.
        if best.is_none_or(|best| likeness >= best.likeness) {
            best = Some(Pitch { lag, likeness });
        }
    }
    best
}

/// The sum of the products, in eight strands the compiler can put in one register.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    let mut strands = [0.0f32; 8];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (strand, (a, b)) in strands.iter_mut().zip(a.iter().zip(b)) {
            *strand += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    strands.iter().sum::<f32>() + rest
}
