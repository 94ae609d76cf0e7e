//! Reads `[security]` and `[transfer]`.
use super::value::{count, flag, header_text, optional_count, seconds};
use super::{Field, Table};
use crate::config::types::*;

/// Reads `[security]`.
pub(super) fn security(mut table: Table<'_>) -> Security {
    let strangers = [("refuse", Strangers::Refuse), ("drop", Strangers::Drop)];
    let none_at_zero = |found: Option<usize>, default: u32| {
        let number = found.map_or(default, |number| number as u32);
        (number > 0).then_some(number)
    };
    let rate = optional_count(&mut table, "requests_per_second_per_source", 0..=1_000_000);
    let failures = optional_count(&mut table, "ban_after_failures", 0..=1_000_000);
    let security = Security {
        strangers: table
            .field("strangers")
            .and_then(|f| f.choice(&strangers))
            .unwrap_or(Strangers::Refuse),
        realm: table
            .field("realm")
            .and_then(|f| header_text(&f))
            .unwrap_or("trunkline")
            .to_owned(),
        digest: table
            .field("digest")
            .and_then(|f| algorithms(&f))
            .unwrap_or_else(|| vec![DigestAlgorithm::Md5]),
        nonce_life: seconds(&mut table, "nonce_life_s", 5, 60),
        requests_per_second_per_source: none_at_zero(rate, 100),
        ban_after_failures: none_at_zero(failures, 10),
        ban: seconds(&mut table, "ban_s", 1, 600),
        tcp_per_source: count(&mut table, "tcp_per_source", 1..=100_000, 64),
    };
    table.finish();
    security
}

fn algorithms(field: &Field<'_>) -> Option<Vec<DigestAlgorithm>> {
    let names = [
        ("md5", DigestAlgorithm::Md5),
        ("sha-256", DigestAlgorithm::Sha256),
    ];
    let mut all = Vec::new();
    let items = field.list()?;
    for item in &items {
        let Some(algorithm) = item.choice(&names) else {
            continue;
        };
        if all.contains(&algorithm) {
            item.error("is given twice");
        }
        all.push(algorithm);
    }
    match items.is_empty() {
        true => field.expected("a list of at least one algorithm: \"md5\", \"sha-256\""),
        false => Some(all),
    }
}

/// Reads `[transfer]`.
pub(super) fn transfer(mut table: Table<'_>) -> Transfer {
    let transfer = Transfer {
        blind: flag(&mut table, "blind", true),
        attended: flag(&mut table, "attended", true),
        strangers: flag(&mut table, "strangers", false),
    };
    table.finish();
    transfer
}
