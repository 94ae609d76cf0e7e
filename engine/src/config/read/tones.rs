//! Reads `[tones]`, and the countries of other sections.
use super::{Field, Table};
use crate::config::types::Tones;
use trunkline_dsp::progress::{COUNTRIES, Plan};

/// Reads `[tones]`.
pub(super) fn tones(mut table: Table<'_>) -> Tones {
    let country = own_country(&mut table, "country", Plan::recommended());
    table.finish();
    Tones { country }
}

/// The country of a table that may have its own; else the one given.
pub(super) fn own_country(
    table: &mut Table<'_>,
    key: &'static str,
    default: &'static Plan,
) -> &'static Plan {
    let own = table.field(key).and_then(|field| country(&field));
    own.unwrap_or(default)
}

fn country(field: &Field<'_>) -> Option<&'static Plan> {
    let code = field.string()?;
    let plan = Plan::of(code);
    if plan.is_none() {
        let codes: Vec<&str> = COUNTRIES.iter().map(|plan| plan.code).collect();
        return field.expected(&format!("one of {}", codes.join(", ")));
    }
    plan
}
