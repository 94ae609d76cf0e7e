//! Where a text can be cut so that its first piece is heard while the rest is made. Pure.

/// A text as short as this is not cut, in characters.
const WHOLE: usize = 120;
/// Pieces after the first are filled up to about this length.
const FULL: usize = 200;
/// A sentence longer than this is cut at a comma or a space.
const LONGEST: usize = 300;
/// What ends with a full stop and ends no sentence.
const ABBREVIATIONS: [&str; 18] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "no", "vs", "etc", "e.g", "i.e", "sr", "sra", "srta",
    "ud", "uds", "núm", "av",
];

/// The pieces of a text, in order, with nothing lost but white space.
pub(super) fn split(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return Vec::new();
    }
    if text.chars().count() <= WHOLE {
        return vec![text];
    }
    let mut pieces: Vec<String> = Vec::new();
    for sentence in sentences(&text).into_iter().flat_map(cut) {
        let joins = pieces.len() > 1
            && pieces
                .last()
                .is_some_and(|last| last.chars().count() + sentence.chars().count() < FULL);
        match pieces.last_mut().filter(|_| joins) {
            Some(last) => {
                last.push(' ');
                last.push_str(sentence);
            }
            None => pieces.push(sentence.to_owned()),
        }
    }
    pieces
}

fn sentences(text: &str) -> Vec<&str> {
    let (mut found, mut start) = (Vec::new(), 0);
    let mut characters = text.char_indices().peekable();
    while let Some((at, char)) = characters.next() {
        let wide = matches!(char, '。' | '！' | '？');
        let ends = wide || matches!(char, '.' | '!' | '?' | '…' | ';');
        let end = at + char.len_utf8();
        let before_space = characters.peek().is_none_or(|(_, next)| *next == ' ');
        if !ends || !(wide || before_space) || (char == '.' && is_abbreviation(&text[start..at])) {
            continue;
        }
        found.push(text[start..end].trim());
        start = end;
    }
    found.push(text[start..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(' ').next().unwrap_or_default();
    let word = word.trim_start_matches(['(', '"', '¿', '¡']);
    let single = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    single || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

/// A sentence that is too long, at its commas, else at its spaces, else anywhere.
fn cut(sentence: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), sentence);
    while let Some((limit, _)) = rest.char_indices().nth(LONGEST) {
        let head = &rest[..limit];
        let at = head
            .rfind([',', ':', ')'])
            .filter(|at| *at > limit / 3)
            .map(|at| at + 1)
            .or_else(|| head.rfind(' ').filter(|at| *at > 0))
            .unwrap_or(limit);
        pieces.push(rest[..at].trim());
        rest = rest[at..].trim_start();
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_texts_stay_whole_and_long_ones_are_cut_at_sentences() {
        assert_eq!(split("  Hello.\n How are you? "), ["Hello. How are you?"]);
        assert_eq!(split(" \n "), [""; 0]);
        let long = "Welcome to Dr. Smith and J. Doe of No. 5. ".to_owned()
            + &"We are open at 8.30 in the morning! ".repeat(4)
            + "Bye";
        let pieces = split(&long);
        assert_eq!(pieces[0], "Welcome to Dr. Smith and J. Doe of No. 5.");
        assert_eq!(pieces[1].matches("8.30").count(), 4);
        assert!(
            pieces[1].ends_with("Bye") && pieces.len() == 2,
            "{pieces:?}"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-z é.!?,;。 ]{0,900}") {
            let pieces = split(&text);
            let plain = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
            prop_assert_eq!(plain(&pieces.concat()), plain(&text));
            prop_assert!(pieces.iter().all(|piece| piece.chars().count() <= LONGEST && !piece.is_empty()));
        }
    }
}
