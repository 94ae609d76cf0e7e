//! What is wrong with a document and where: one type for configuration and flows.
use std::fmt;

/// A place in a document; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl At {
    /// The beginning of a document.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub at: At,
    /// Path of keys, `sip.listen[0]`; empty for the document as a whole.
    pub path: String,
    /// What was refused, the rule, and what would be accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ", self.at.line, self.at.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", Printable(&self.path))?;
        }
        Printable(&self.message).fmt(f)
    }
}

/// Text that may quote the document: control characters are shown as escapes, so that a problem stays one line and a terminal
/// is told nothing.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(char::is_control) {
            match piece.chars().next_back() {
                Some(last) if last.is_control() => {
                    write!(
                        f,
                        "{}{}",
                        &piece[..piece.len() - last.len_utf8()],
                        last.escape_default()
                    )?;
                }
                _ => f.write_str(piece)?,
            }
        }
        Ok(())
    }
}

/// All mistakes of one document, in the order of their places. Displays as one line each, `file:line:column path: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The document's name.
    pub file: String,
    /// At least one.
    pub list: Vec<Problem>,
}

impl Problems {
    /// A single problem that concerns no key.
    pub fn one(file: &str, at: At, message: String) -> Self {
        let path = String::new();
        Self {
            file: file.to_owned(),
            list: vec![Problem { at, path, message }],
        }
    }

    /// One line for each problem, without line ends.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.list
            .iter()
            .map(|problem| format!("{}:{problem}", self.file))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The longest word that is compared by [`nearest`], in characters.
const MAX_COMPARED: usize = 64;

/// The candidate that `word` was probably meant to be: the fewest edits, and at most a third of the word's length.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.is_empty() || word.len() > MAX_COMPARED {
        return None;
    }
    let limit = (word.len() / 3).max(1);
    let scored = candidates.into_iter().filter_map(|candidate| {
        let other: Vec<char> = candidate.to_lowercase().chars().collect();
        (other.len() <= MAX_COMPARED).then(|| (edits(&word, &other), candidate))
    });
    let (score, best) = scored.min_by_key(|(score, _)| *score)?;
    (score <= limit).then_some(best)
}

/// `; did you mean "…"?`, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |best| format!("; did you mean \"{best}\"?"))
}

/// `"a", "b" or "c"`.
pub fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| format!("\"{word}\""))
        .collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// Optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let replaced = above[j] + usize::from(a[i] != b[j]);
            row[j + 1] = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_forgives_a_third_of_the_word() {
        let known = ["listen", "advertise", "max_calls"];
        for (word, expected) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("LISTEN", Some("listen")),
            ("max-calls", Some("max_calls")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }

    #[test]
    fn quoted_reads_as_a_sentence() {
        assert_eq!(quoted(["a"]), "\"a\"");
        assert_eq!(quoted(["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
    }
}
