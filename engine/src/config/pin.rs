//! PINs that are keyed in at a phone: who guesses is locked out for a while. Pure: the time is an argument.
use super::Secret;
use std::time::{Duration, Instant};

/// Wrong ones in a row before it is locked.
pub const MAX_WRONG_PINS: u32 = 5;
/// How long it is locked then.
pub const LOCKED: Duration = Duration::from_secs(300);

/// The tries at one PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PinTries {
    wrong: u32,
    locked_until: Option<Instant>,
}

/// Why a PIN is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinRefused {
    /// It is wrong.
    Wrong,
    /// Too many were tried.
    Locked,
}

impl PinTries {
    /// Whether `given` is the PIN, compared in constant time.
    ///
    /// # Errors
    /// It is not, or too many were tried.
    pub fn check(&mut self, now: Instant, own: &Secret, given: &str) -> Result<(), PinRefused> {
        if self.locked_until.is_some_and(|until| now < until) {
            return Err(PinRefused::Locked);
        }
        if !own.is_empty() && *own == Secret::new(given) {
            *self = PinTries::default();
            return Ok(());
        }
        self.wrong += 1;
        if self.wrong >= MAX_WRONG_PINS {
            (self.wrong, self.locked_until) = (0, Some(now + LOCKED));
        }
        Err(PinRefused::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_is_locked_out_for_a_while() {
        let (mut tries, now, own) = (PinTries::default(), Instant::now(), Secret::new("4711"));
        for _ in 0..MAX_WRONG_PINS {
            assert_eq!(tries.check(now, &own, "0000"), Err(PinRefused::Wrong));
        }
        let just_before = now + LOCKED - Duration::from_millis(1);
        assert_eq!(
            tries.check(just_before, &own, "4711"),
            Err(PinRefused::Locked)
        );
        assert_eq!(tries.check(now + LOCKED, &own, "4711"), Ok(()));
        assert_eq!(tries, PinTries::default());
        let unread = Secret::default();
        assert_eq!(tries.check(now, &unread, ""), Err(PinRefused::Wrong));
    }
}
