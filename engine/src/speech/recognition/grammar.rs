//! What is expected as a grammar in the JSpeech Grammar Format (<https://www.w3.org/TR/jsgf/>), for programs that hear better when they know what may come.
//! Pure.

/// A grammar of one of `hints`; `None`: there are none with words in them.
pub(super) fn of(hints: &[String]) -> Option<String> {
    let phrases: Vec<String> = hints.iter().filter_map(|hint| words(hint)).collect();
    if phrases.is_empty() {
        return None;
    }
    let phrases = phrases.join(" | ");
    Some(format!(
        "#JSGF V1.0;\ngrammar hints;\npublic <said> = ( {phrases} ) ;\n"
    ))
}

/// The words of a hint in small letters: nothing that means something to the grammar.
fn words(hint: &str) -> Option<String> {
    let letters: String = hint
        .to_lowercase()
        .chars()
        .map(|char| match char {
            '\'' | '’' => '\'',
            char if char.is_alphanumeric() => char,
            _ => ' ',
        })
        .collect();
    let words: Vec<&str> = letters
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_words_and_nothing_else() {
        let hints = ["Sales!", "don't know", "x = <evil>; | y", "…"].map(str::to_owned);
        let grammar = of(&hints).unwrap();
        assert!(
            grammar.ends_with("public <said> = ( sales | don't know | x evil y ) ;\n"),
            "{grammar}"
        );
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["?".to_owned()]), None);
    }
}
