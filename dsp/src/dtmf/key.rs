//! The sixteen keys of a telephone and their names in text, in RFC 4733 and in the air.

/// Low-group frequencies of the four rows, Hz (ITU-T Q.23).
pub const ROWS_HZ: [u16; 4] = [697, 770, 852, 941];
/// High-group frequencies of the four columns, Hz (ITU-T Q.23).
pub const COLUMNS_HZ: [u16; 4] = [1209, 1336, 1477, 1633];

/// One of `0`–`9`, `*`, `#`, `A`–`D`. Holds the RFC 4733 event code, 0..=15.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key(u8);

const NAMES: &[u8; 16] = b"0123456789*#ABCD";
/// The RFC 4733 codes by row and column of the keypad.
const KEYPAD: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];

impl Key {
    /// All keys in RFC 4733 order.
    pub const ALL: [Self; 16] = {
        let mut keys = [Self(0); 16];
        let mut code = 0;
        while code < 16 {
            keys[code] = Self(code as u8);
            code += 1;
        }
        keys
    };

    /// The key named by `0`–`9`, `*`, `#`, `A`–`D` or `a`–`d`.
    pub fn from_char(name: char) -> Option<Self> {
        let name = u8::try_from(name).ok()?.to_ascii_uppercase();
        NAMES
            .iter()
            .position(|known| *known == name)
            .map(|code| Self(code as u8))
    }

    /// The key's name, letters in upper case.
    pub fn to_char(self) -> char {
        char::from(NAMES[usize::from(self.0 & 15)])
    }

    /// The key of an RFC 4733 section 3.2 event code; `None` for 16 (flash) and above.
    pub fn from_event(code: u8) -> Option<Self> {
        (code < 16).then_some(Self(code))
    }

    /// The RFC 4733 section 3.2 event code, 0..=15.
    pub fn to_event(self) -> u8 {
        self.0
    }

    /// The key at a row and column of the 4×4 keypad, both 0..=3.
    pub(super) fn at(row: usize, column: usize) -> Self {
        Self(KEYPAD[row & 3][column & 3])
    }

    /// The low and the high frequency in Hz (ITU-T Q.23).
    pub fn frequencies(self) -> (u16, u16) {
        let cell = KEYPAD
            .as_flattened()
            .iter()
            .position(|code| *code == self.0)
            .unwrap_or(0);
        (ROWS_HZ[cell / 4], COLUMNS_HZ[cell % 4])
    }
}

impl core::fmt::Display for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Write::write_char(f, self.to_char())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_events_agree() {
        for (code, name) in "0123456789*#ABCD".chars().enumerate() {
            let key = Key::from_char(name).expect("a key");
            assert_eq!(usize::from(key.to_event()), code);
            assert_eq!(key.to_char(), name);
            assert_eq!(Key::from_event(key.to_event()), Some(key));
            assert_eq!(Key::ALL[code], key);
        }
        assert_eq!(Key::from_char('d'), Key::from_char('D'));
        for refused in ['E', 'w', ' ', 'é', '\0'] {
            assert_eq!(Key::from_char(refused), None);
        }
        assert_eq!(Key::from_event(16), None);
    }

    #[test]
    fn frequencies_follow_the_keypad() {
        let table = [
            ('1', 697, 1209),
            ('5', 770, 1336),
            ('9', 852, 1477),
            ('D', 941, 1633),
            ('0', 941, 1336),
            ('*', 941, 1209),
            ('A', 697, 1633),
        ];
        for (name, low, high) in table {
            assert_eq!(
                Key::from_char(name).expect("a key").frequencies(),
                (low, high),
                "{name}"
            );
        }
        for (row, low) in ROWS_HZ.into_iter().enumerate() {
            for (column, high) in COLUMNS_HZ.into_iter().enumerate() {
                assert_eq!(Key::at(row, column).frequencies(), (low, high));
            }
        }
    }
}
