//! Reads `[dtmf]`: a profile by name, and single thresholds on top of it.
use super::Table;
use std::ops::RangeInclusive;
use trunkline_dsp::dtmf::Profile;

pub(super) fn dtmf(mut table: Table<'_>) -> Profile {
    let named = table
        .field("profile")
        .and_then(|f| f.choice(&Profile::NAMED));
    let mut profile = named.unwrap_or_default();
    let mut set = |key, range: RangeInclusive<f64>, unit: f64, threshold: &mut f32| {
        if let Some(value) = table.field(key).and_then(|f| f.number(range)) {
            *threshold = (value * unit) as f32;
        }
    };
    let p = &mut profile;
    set(
        "frequency_limit_percent",
        0.5..=3.4,
        0.01,
        &mut p.frequency_limit,
    );
    set("ratio_limit_percent", 0.5..=7.0, 0.01, &mut p.ratio_limit);
    set(
        "harmonic_ratio_percent",
        0.5..=7.0,
        0.01,
        &mut p.harmonic_ratio,
    );
    set("low_stronger_db", 0.0..=20.0, 1.0, &mut p.low_stronger_db);
    set("high_stronger_db", 0.0..=20.0, 1.0, &mut p.high_stronger_db);
    set("level_min_db", -60.0..=-10.0, 1.0, &mut p.level_min_dbm0);
    set("tone_min_ms", 27.5..=50.0, 1.0, &mut p.tone_min_ms);
    set("pause_min_ms", 10.0..=100.0, 1.0, &mut p.pause_min_ms);
    set("gap_max_ms", 0.0..=25.0, 1.0, &mut p.gap_max_ms);
    set("residue_max_db", -30.0..=0.0, 1.0, &mut p.residue_max_db);
    set(
        "late_residue_max_db",
        -30.0..=0.0,
        1.0,
        &mut p.late_residue_max_db,
    );
    set("low_innocent_db", -40.0..=20.0, 1.0, &mut p.low_innocent_db);
    set("low_slope", 0.0..=10.0, 1.0, &mut p.low_slope);
    set("low_max_db", 0.0..=30.0, 1.0, &mut p.low_max_db);
    set(
        "detune_innocent_percent",
        0.0..=5.0,
        0.01,
        &mut p.detune_innocent,
    );
    set("detune_slope", 0.0..=50.0, 1.0, &mut p.detune_slope);
    set("detune_max_db", 0.0..=30.0, 1.0, &mut p.detune_max_db);
    set("unsteadiness", 1.0..=10.0, 1.0, &mut p.unsteadiness);
    table.finish();
    profile
}
