//! How SIP messages look in the trace log.

/// What a line of a session description is cut after: a secret follows.
const SECRETS: [&str; 3] = ["inline:", "a=ice-pwd:", "k="];

/// A SIP message for the trace log: its lines are indented and its control characters escaped, so that no peer can forge a
/// line of the log or speak to the terminal. Keys of SRTP and passwords of ICE are left out.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        let text = String::from_utf8_lossy(self.0);
        for line in text.trim_end().split('\n') {
            f.write_str("\n    ")?;
            let (line, is_cut) = without_secret(line.trim_end_matches('\r'));
            for character in line.chars() {
                match character.is_control() && character != '\t' {
                    true => write!(f, "{}", character.escape_default())?,
                    false => f.write_char(character)?,
                }
            }
            if is_cut {
                f.write_str("...")?;
            }
        }
        Ok(())
    }
}

/// The line up to its secret, and whether it has one.
fn without_secret(line: &str) -> (&str, bool) {
    let lower = line.to_ascii_lowercase();
    let end = |secret: &&str| match *secret {
        "k=" => lower.starts_with("k=").then_some(2),
        secret => lower.find(secret).map(|at| at + secret.len()),
    };
    match SECRETS.iter().filter_map(end).min() {
        Some(end) => (&line[..end], true),
        None => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        let text = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 INLINE:c2VjcmV0|2^20\r\na=ice-pwd:hidden\r\nk=clear:hidden\r\na=sendrecv";
        let lines: Vec<String> = Shown(text).to_string().lines().map(str::to_owned).collect();
        assert_eq!(
            lines[1],
            "    a=crypto:1 AES_CM_128_HMAC_SHA1_80 INLINE:..."
        );
        assert_eq!(
            lines[2..],
            ["    a=ice-pwd:...", "    k=...", "    a=sendrecv"]
        );
    }

    #[test]
    fn a_message_in_the_log_stays_within_its_lines() {
        let shown = Shown(b"BYE sip:a SIP/2.0\r\nX: \x1b[2J\rWARN forged\r\n\r\n").to_string();
        assert_eq!(
            shown,
            "\n    BYE sip:a SIP/2.0\n    X: \\u{1b}[2J\\rWARN forged"
        );
    }
}
