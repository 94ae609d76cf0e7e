//! What a menu choice's `exten` matches: keys as written, or after `_` a pattern as confd has them (`_1XX`).
//!
//! `X` is 0-9, `Z` 1-9, `N` 2-9, `[1-5*]` a set; at the end `.` is one key or more and `!` none or more. Limit: [`MAX_KEYS`].
use std::cmp::Ordering;

/// The longest exten, in keys.
pub const MAX_KEYS: usize = 40;

/// Every DTMF key, in the order of the bits of a [`Pattern`].
pub const KEYS: &str = "0123456789*#ABCD";

/// Keys of one place, one bit for each of [`KEYS`].
type Keys = u16;

/// A checked exten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    places: Vec<Keys>,
    /// How many more keys may follow; `None`: none.
    tail: Option<usize>,
}

impl Pattern {
    /// Reads an exten.
    ///
    /// # Errors
    /// A sentence: what is wrong and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (keys, is_pattern) = text
            .strip_prefix('_')
            .map_or((text, false), |rest| (rest, true));
        let mut places = Vec::new();
        let mut tail = None;
        let mut chars = keys.chars();
        while let Some(char) = chars.next() {
            if tail.is_some() {
                return Err("nothing may follow \".\" or \"!\" in a pattern".to_owned());
            }
            match char {
                '.' if is_pattern => tail = Some(1),
                '!' if is_pattern => tail = Some(0),
                '[' if is_pattern => places.push(set(&mut chars)?),
                'X' | 'x' if is_pattern => places.push(range('0', '9')),
                'Z' | 'z' if is_pattern => places.push(range('1', '9')),
                'N' | 'n' if is_pattern => places.push(range('2', '9')),
                key => places.push(bit(key).ok_or_else(|| not_a_key(key, is_pattern))?),
            }
            if places.len() > MAX_KEYS {
                return Err(format!("an exten has at most {MAX_KEYS} keys"));
            }
        }
        if places.is_empty() && tail.is_none() {
            return Err("an exten has at least one key".to_owned());
        }
        let text = text.to_owned();
        Ok(Self { text, places, tail })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The most keys it can match.
    pub fn longest(&self) -> usize {
        if self.tail.is_some() {
            MAX_KEYS
        } else {
            self.places.len()
        }
    }

    /// The fewest keys it can match.
    pub fn shortest(&self) -> usize {
        self.places.len() + self.tail.unwrap_or(0)
    }

    /// Keys that match, as few as can be.
    pub fn sample(&self) -> Option<String> {
        let first = |place: &Keys| {
            KEYS.chars()
                .find(|key| bit(*key).is_some_and(|key| key & place != 0))
        };
        let mut keys: String = self.places.iter().map(first).collect::<Option<_>>()?;
        keys.extend(std::iter::repeat_n('1', self.tail.unwrap_or(0)));
        Some(keys)
    }

    /// Whether the digits match.
    pub fn matches(&self, digits: &str) -> bool {
        let mut keys = digits.chars();
        let fixed = self.places.iter().all(|place| {
            keys.next()
                .and_then(bit)
                .is_some_and(|key| key & place != 0)
        });
        let rest = keys.count();
        fixed && self.tail.map_or(rest == 0, |least| rest >= least)
    }

    /// Whether an entry of `digits` could begin with this key.
    pub fn begins_with(&self, key: char) -> bool {
        let first = self.places.first().copied().unwrap_or(Keys::MAX);
        bit(key).is_some_and(|key| key & first != 0)
    }

    /// Whether the key can occur at all.
    pub fn contains(&self, key: char) -> bool {
        self.tail.is_some()
            || bit(key).is_some_and(|key| self.places.iter().any(|place| place & key != 0))
    }

    /// The narrower pattern first: fewer keys allowed at the first place that differs, then the longer one, and a fixed end
    /// before a tail. A total order.
    pub fn narrower(&self, other: &Self) -> Ordering {
        self.widths().cmp(other.widths())
    }

    /// Whether some keys match both, and each matches some that the other does not: which of them counts is then easily mistaken.
    pub fn crosses(&self, other: &Self) -> bool {
        let places = self.places.len().max(other.places.len());
        let both = self.shortest().max(other.shortest()) <= self.longest().min(other.longest())
            && (0..places).all(|index| self.at(index) & other.at(index) != 0);
        both && !self.is_within(other) && !other.is_within(self)
    }

    fn is_within(&self, other: &Self) -> bool {
        self.shortest() >= other.shortest()
            && self.longest() <= other.longest()
            && (0..other.places.len()).all(|index| self.at(index) & !other.at(index) == 0)
    }

    /// The keys that may come at a place, also in the tail.
    fn at(&self, index: usize) -> Keys {
        self.places.get(index).copied().unwrap_or(Keys::MAX)
    }

    /// How many keys each place allows, and behind them a mark for the end, wider than any place.
    fn widths(&self) -> impl Iterator<Item = u32> {
        let end = match self.tail {
            None => Keys::BITS + 1,
            Some(1) => Keys::BITS + 2,
            Some(_) => Keys::BITS + 3,
        };
        self.places
            .iter()
            .map(|place| place.count_ones())
            .chain([end])
    }
}

fn bit(key: char) -> Option<Keys> {
    KEYS.find(key).map(|index| 1 << index)
}

fn range(first: char, last: char) -> Keys {
    (first..=last)
        .filter_map(bit)
        .fold(0, |keys, key| keys | key)
}

fn set(chars: &mut std::str::Chars<'_>) -> Result<Keys, String> {
    let mut keys = 0;
    let Some((inside, rest)) = chars.as_str().split_once(']') else {
        return Err("\"[\" has no \"]\"".to_owned());
    };
    *chars = rest.chars();
    let mut members = inside.chars().peekable();
    while let Some(first) = members.next() {
        let last = if members.next_if_eq(&'-').is_some() {
            members.next()
        } else {
            Some(first)
        };
        let members = match (bit(first), last.and_then(bit)) {
            (Some(_), Some(_)) => range(first, last.unwrap_or(first)),
            _ => return Err(not_a_key(first, true)),
        };
        if members == 0 {
            return Err(format!("the range \"{inside}\" runs backwards"));
        }
        keys |= members;
    }
    if keys == 0 {
        return Err("\"[]\" allows no key".to_owned());
    }
    Ok(keys)
}

fn not_a_key(key: char, is_pattern: bool) -> String {
    let key = key.escape_debug();
    if is_pattern {
        return format!(
            "\"{key}\" is not allowed here: a pattern has the keys 0-9 * # A-D, X (0-9), Z (1-9), N (2-9), [1-5], and . or ! at its end"
        );
    }
    format!("\"{key}\" is not a key: keys are 0-9 * # A-D, and a pattern begins with \"_\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_confd_says() {
        for (pattern, yes, no) in [
            ("1", "1", "2 11"),
            ("*", "*", "#"),
            ("_1XX", "100 199", "1 10 1000 200 1*0"),
            ("_ZN", "12 99", "02 11"),
            ("_[1-3*]", "1 2 3 *", "4 #"),
            ("_9.", "91 9123", "9 81"),
            ("_9!", "9 91", "8"),
            ("_[A-C]", "A B C", "D"),
        ] {
            let parsed = Pattern::parse(pattern).expect(pattern);
            assert!(
                yes.split(' ').all(|digits| parsed.matches(digits)),
                "{pattern} {yes}"
            );
            assert!(
                !no.split(' ').any(|digits| parsed.matches(digits)),
                "{pattern} {no}"
            );
        }
    }

    #[test]
    fn patterns_cross_where_neither_is_the_narrower_case_of_the_other() {
        let parse = |text| Pattern::parse(text).expect(text);
        for (first, second, crosses) in [
            ("_1X", "_X1", true),
            ("_[12]X", "_[23]X", true),
            ("_1X.", "_X1", false),
            ("_1!", "_XX", true),
            ("_1XX", "_XXX", false),
            ("12", "_1X", false),
            ("_1.", "_12.", false),
            ("_1X", "_2X", false),
            ("_X", "_XX", false),
        ] {
            let (first, second) = (parse(first), parse(second));
            assert_eq!(first.crosses(&second), crosses, "{first:?} {second:?}");
            assert_eq!(second.crosses(&first), crosses, "{second:?} {first:?}");
        }
    }

    #[test]
    fn wrong_patterns_are_told() {
        for (pattern, expected) in [
            ("", "an exten has at least one key"),
            ("_", "an exten has at least one key"),
            (
                "1X",
                "\"X\" is not a key: keys are 0-9 * # A-D, and a pattern begins with \"_\"",
            ),
            ("_1.2", "nothing may follow \".\" or \"!\" in a pattern"),
            ("_[12", "\"[\" has no \"]\""),
            ("_[]", "\"[]\" allows no key"),
            ("_[3-1]", "the range \"3-1\" runs backwards"),
        ] {
            assert_eq!(Pattern::parse(pattern).expect_err(pattern), expected);
        }
        assert!(
            Pattern::parse("_e")
                .expect_err("bad")
                .starts_with("\"e\" is not allowed here")
        );
        assert!(Pattern::parse(&"1".repeat(41)).is_err());
    }

    #[test]
    fn the_narrower_pattern_comes_first() {
        let parse = |text| Pattern::parse(text).expect(text);
        for (narrow, wide) in [
            ("_1XX", "_XXX"),
            ("_[12]X", "_ZX"),
            ("_1X", "_1."),
            ("1", "_X"),
            ("_12.", "_1."),
        ] {
            assert_eq!(
                parse(narrow).narrower(&parse(wide)),
                Ordering::Less,
                "{narrow} {wide}"
            );
            assert_eq!(
                parse(wide).narrower(&parse(narrow)),
                Ordering::Greater,
                "{narrow} {wide}"
            );
        }
    }
}
