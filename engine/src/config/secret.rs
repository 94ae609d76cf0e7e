//! Passwords read from a configuration. Owns keeping them out of logs: a secret has no Display, its Debug shows nothing of it, and
//! two are compared in constant time.
use subtle::ConstantTimeEq;

/// A password. An empty one stands for a password that was not read and must never be accepted.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password in the clear: for the digest only, never for a log or a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        let shown = format!("{:?}", Some(Secret::new("opensesame")));
        assert_eq!(shown, "Some(Secret(not shown))");
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("ab"));
    }
}
