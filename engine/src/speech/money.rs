//! Amounts of money in words: `$12.50`, `12,50 EUR`, `USD 3`. English and Spanish. Pure.

/// Code, signs, and the names of one, of many and of the hundredth's one and many in English, then in Spanish.
const CURRENCIES: &[(&str, &[&str], [&str; 4], [&str; 4])] = &[
    (
        "USD",
        &["US$", "$"],
        ["dollar", "dollars", "cent", "cents"],
        ["dólar", "dólares", "centavo", "centavos"],
    ),
    (
        "EUR",
        &["€"],
        ["euro", "euros", "cent", "cents"],
        ["euro", "euros", "céntimo", "céntimos"],
    ),
    (
        "GBP",
        &["£"],
        ["pound", "pounds", "penny", "pence"],
        ["libra", "libras", "penique", "peniques"],
    ),
    (
        "MXN",
        &["MX$"],
        ["peso", "pesos", "centavo", "centavos"],
        ["peso", "pesos", "centavo", "centavos"],
    ),
    (
        "CHF",
        &["Fr."],
        ["franc", "francs", "centime", "centimes"],
        ["franco", "francos", "céntimo", "céntimos"],
    ),
    (
        "CAD",
        &["C$"],
        ["dollar", "dollars", "cent", "cents"],
        ["dólar", "dólares", "centavo", "centavos"],
    ),
    (
        "JPY",
        &["¥"],
        ["yen", "yen", "sen", "sen"],
        ["yen", "yenes", "sen", "sen"],
    ),
    (
        "INR",
        &["₹"],
        ["rupee", "rupees", "paisa", "paise"],
        ["rupia", "rupias", "paisa", "paisas"],
    ),
];

/// An amount in words; in other languages, as it is. `None`: it is no amount of a currency we know.
pub(super) fn said(text: &str, spanish: bool, english: bool) -> Option<String> {
    if !spanish && !english {
        return Some(text.to_owned());
    }
    let text = text.trim();
    let (english_names, spanish_names, amount) =
        CURRENCIES.iter().find_map(|(code, signs, en, es)| {
            let amount = without(text, code)
                .or_else(|| signs.iter().find_map(|sign| without(text, sign)))?;
            Some((en, es, amount))
        })?;
    let names = if spanish {
        spanish_names
    } else {
        english_names
    };
    let (whole, hundredths) = numbers(amount)?;
    let name = |number: u64, one: &str, many: &str| {
        let name = if number == 1 { one } else { many };
        match (number, spanish) {
            (1, true) if one.ends_with('a') => format!("una {name}"),
            (1, true) => format!("un {name}"),
            _ => format!("{number} {name}"),
        }
    };
    let big = name(whole, names[0], names[1]);
    let small = name(hundredths, names[2], names[3]);
    Some(match (whole, hundredths) {
        (_, 0) => big,
        (0, _) => small,
        _ if spanish => format!("{big} con {small}"),
        _ => format!("{big} and {small}"),
    })
}

/// The amount without the currency before or behind it; no other letters may stand there.
fn without<'t>(text: &'t str, currency: &str) -> Option<&'t str> {
    let amount = text
        .strip_prefix(currency)
        .or_else(|| text.strip_suffix(currency))?;
    let amount = amount.trim();
    let digits = |char: char| char.is_ascii_digit() || ".,' ".contains(char);
    (!amount.is_empty() && amount.chars().all(digits)).then_some(amount)
}

/// Whole units and hundredths: the last `.` or `,` with one or two digits behind it parts them.
fn numbers(amount: &str) -> Option<(u64, u64)> {
    let digits = |text: &str| {
        text.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let point = amount
        .rfind(['.', ','])
        .filter(|at| (1..=2).contains(&(amount.len() - at - 1)));
    let (whole, part) = match point {
        Some(at) => (digits(&amount[..at]), digits(&amount[at + 1..])),
        None => (digits(amount), String::new()),
    };
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let hundredths: u64 = match part.len() {
        0 => 0,
        1 => part.parse::<u64>().ok()? * 10,
        _ => part.parse().ok()?,
    };
    Some((whole, hundredths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_words() {
        for (text, english, spanish) in [
            (
                "$12.50",
                "12 dollars and 50 cents",
                "12 dólares con 50 centavos",
            ),
            ("USD 1", "1 dollar", "un dólar"),
            ("1,01 €", "1 euro and 1 cent", "un euro con un céntimo"),
            (
                "£1,234.5",
                "1234 pounds and 50 pence",
                "1234 libras con 50 peniques",
            ),
            ("1.234.567 EUR", "1234567 euros", "1234567 euros"),
            ("$0.99", "99 cents", "99 centavos"),
            ("£1", "1 pound", "una libra"),
        ] {
            assert_eq!(said(text, false, true).as_deref(), Some(english));
            assert_eq!(said(text, true, false).as_deref(), Some(spanish));
        }
        for text in ["12.50", "$", "$x", "XYZ 3", "$99999999999999999999999"] {
            assert_eq!(said(text, false, true), None, "{text}");
        }
        assert_eq!(said("$5", false, false).as_deref(), Some("$5"));
    }
}
