//! How SIP messages look in the trace log.

/// A SIP message for the trace log: its lines are indented and its control characters escaped, so that no peer can forge a
/// line of the log or speak to the terminal.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        let text = String::from_utf8_lossy(self.0);
        for line in text.trim_end().split('\n') {
            f.write_str("\n    ")?;
            for character in line.trim_end_matches('\r').chars() {
                match character.is_control() && character != '\t' {
                    true => write!(f, "{}", character.escape_default())?,
                    false => f.write_char(character)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_the_log_stays_within_its_lines() {
        let shown = Shown(b"BYE sip:a SIP/2.0\r\nX: \x1b[2J\rWARN forged\r\n\r\n").to_string();
        assert_eq!(
            shown,
            "\n    BYE sip:a SIP/2.0\n    X: \\u{1b}[2J\\rWARN forged"
        );
    }
}
