//! When a delivery that failed is tried again. Pure.
use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
pub const LONGEST: Duration = Duration::from_secs(900);

/// The time to wait after so many failures: it doubles, up to a quarter of an hour; `random` takes up to half of it off, so that those who failed
/// together do not come back together.
pub fn delay(failures: u32, random: u32) -> Duration {
    let doubled = FIRST.saturating_mul(
        1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    let whole = doubled.min(LONGEST);
    whole - whole.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_and_is_bounded() {
        let seconds = |failures| delay(failures, 0).as_secs();
        assert_eq!([1, 2, 3, 10, 11, 40].map(seconds), [1, 2, 4, 512, 900, 900]);
        assert_eq!(delay(3, u32::MAX).as_secs(), 2);
        assert_eq!(delay(0, 0), FIRST);
    }
}
