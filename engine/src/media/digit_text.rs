//! Digits as they are written down to be sent: `0-9*#A-D`, pauses `w` (0.5 s) and `W` (1 s), and lengths: `12@1000` sends both digits for
//! 1000 ms each. A length is that of the digits since the last space. Other characters are skipped. Reads each character twice at most.

use trunkline_dsp::dtmf::Key;

/// A piece of such a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigitPiece {
    /// A key, and its length in ms where the text gives one.
    Key(Key, Option<u32>),
    /// A pause in ms.
    Pause(u32),
}

/// Reads such a text piece by piece.
#[derive(Debug, Clone)]
pub struct DigitText {
    text: String,
    at: usize,
    /// Where the present group's keys end, and where the next group begins.
    keys_end: usize,
    group_end: usize,
    ms: Option<u32>,
}

impl DigitText {
    /// At its beginning.
    pub fn new(text: String) -> DigitText {
        DigitText {
            text,
            at: 0,
            keys_end: 0,
            group_end: 0,
            ms: None,
        }
    }

    /// Begins the next group. Returns whether there is one.
    fn next_group(&mut self) -> bool {
        let octets = self.text.as_bytes();
        self.at = self.group_end;
        let rest = &octets[self.at..];
        if rest.is_empty() {
            return false;
        }
        let length = rest.iter().position(|octet| *octet == b' ');
        let group = &rest[..length.map_or(rest.len(), |length| length + 1)];
        self.group_end = self.at + group.len();
        let sign = group.iter().position(|octet| *octet == b'@');
        self.keys_end = sign.map_or(self.group_end, |sign| self.at + sign);
        self.ms = sign.and_then(|sign| {
            let digits = group[sign + 1..].trim_ascii();
            std::str::from_utf8(digits).ok()?.parse().ok()
        });
        true
    }
}

impl Iterator for DigitText {
    type Item = DigitPiece;

    fn next(&mut self) -> Option<DigitPiece> {
        loop {
            while self.at >= self.keys_end {
                if !self.next_group() {
                    return None;
                }
            }
            let octet = self.text.as_bytes()[self.at];
            self.at += 1;
            match (octet, Key::from_char(char::from(octet))) {
                (_, Some(key)) => return Some(DigitPiece::Key(key, self.ms)),
                (b'w', _) => return Some(DigitPiece::Pause(500)),
                (b'W', _) => return Some(DigitPiece::Pause(1000)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        DigitText::new(text.into())
            .map(|piece| match piece {
                DigitPiece::Key(key, None) => format!("{key} "),
                DigitPiece::Key(key, Some(ms)) => format!("{key}:{ms} "),
                DigitPiece::Pause(ms) => format!("-{ms} "),
            })
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    #[test]
    fn texts_as_people_write_them() {
        for (text, pieces) in [
            ("12#", "1 2 #"),
            ("1w2W3", "1 -500 2 -1000 3"),
            ("ww*", "-500 -500 *"),
            ("abcd", "A B C D"),
            ("123@1000", "1:1000 2:1000 3:1000"),
            ("1@60 2@500 3", "1:60 2:500 3"),
            ("1w2@80", "1:80 -500 2:80"),
            ("(555) 12-34", "5 5 5 1 2 3 4"),
            ("1@", "1"),
            ("1@x 2", "1 2"),
            ("1@99999999999", "1"),
            ("@5 6", "6"),
            ("  ", ""),
            ("", ""),
            ("1é2", "1 2"),
        ] {
            assert_eq!(read(text), pieces, "{text:?}");
        }
    }
}
