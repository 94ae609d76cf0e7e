//! Tones as prompts: `tone:busy/de` is a country's, `tone:440@-10/500,0/500` one of its own.
//!
//! A tone of a country is as many whole rounds of its rhythm as 5 s take, one without a rhythm 5 s: played over and over it has no seam. Others
//! are played as they are written: `HZ`, `HZ+HZ` or `HZ*HZ` (the first swings in the rhythm of the second), `@` and the level of each wave in
//! dBm0 (-10 where none is given), `/` and ms; 0 Hz is silence. Limits: 16 such steps, a minute in all.

use trunkline_dsp::progress::{Information, Plan, Player, Sound, Step};

use super::prompt::Prompt;

/// What keys of such prompts begin with.
pub const TONE: &str = "tone:";
/// Least length of a country's tone, ms.
const LEAST_MS: u32 = 5000;
/// Longest tone in all, ms, and steps.
const LONGEST_MS: u32 = 60_000;
const STEPS: usize = 16;
const LEVEL_DBM0: f32 = -10.0;
/// Made at this rate, so that wide channels have no images.
const RATE_HZ: u32 = 16_000;

/// What a key after `tone:` stands for.
struct Source {
    player: Player,
    ms: u32,
}

/// Whether a key after `tone:` can be played.
///
/// # Errors
/// What is wrong with it.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

/// The prompt of a key after `tone:`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn prompt(text: &str) -> Result<Prompt, String> {
    let mut source = parse(text)?;
    let mut samples = vec![0; (source.ms * (RATE_HZ / 1000)) as usize];
    source.player.fill(&mut samples);
    Ok(Prompt::from_wide(format!("{TONE}{text}"), &samples))
}

fn parse(text: &str) -> Result<Source, String> {
    match text.split_once('/') {
        Some((name, code)) if name.starts_with(|first: char| first.is_ascii_lowercase()) => {
            of_country(name, code)
        }
        _ => as_written(text),
    }
}

fn of_country(name: &str, code: &str) -> Result<Source, String> {
    if let Some(information) = information(name) {
        let player = Player::information(RATE_HZ, information);
        // Three tones of 330 ms, or as long as they are, and a second's pause.
        let ms = information.length_ms() + 1000;
        return Ok(Source { player, ms });
    }
    let plan = Plan::of(code).ok_or_else(|| {
        format!("there are no tones of a country \"{code}\": codes are as \"de\", \"us\"; \"itu\" is what E.180 recommends")
    })?;
    let signal = plan.signal(name).ok_or_else(|| {
        let names: Vec<&str> = plan.signals.iter().map(|one| one.kind.name()).collect();
        format!(
            "{} has no tone \"{name}\"; it has: {}",
            plan.name,
            names.join(", ")
        )
    })?;
    let ms = match signal.cycle_ms() {
        0 => LEAST_MS,
        cycle => LEAST_MS.div_ceil(cycle) * cycle,
    };
    let player = Player::of(RATE_HZ, signal);
    Ok(Source { player, ms })
}

fn information(name: &str) -> Option<Information> {
    let all = [
        ("information", Information::Announcement),
        ("intercept", Information::Intercept),
        ("vacant_code", Information::VacantCode),
        ("no_circuit", Information::NoCircuit),
        ("reorder", Information::Reorder),
    ];
    let mut all = all.into_iter();
    all.find(|(known, _)| *known == name).map(|(_, of)| of)
}

fn as_written(text: &str) -> Result<Source, String> {
    let steps: Vec<Step> = text.split(',').map(step).collect::<Result<_, _>>()?;
    let ms = steps
        .iter()
        .fold(0u32, |sum, step| sum.saturating_add(step.ms));
    if steps.len() > STEPS || ms > LONGEST_MS {
        return Err(format!(
            "a tone has {STEPS} steps and {LONGEST_MS} ms at most"
        ));
    }
    let player = Player::new(RATE_HZ, &steps);
    Ok(Source { player, ms })
}

fn step(text: &str) -> Result<Step, String> {
    let wrong = || {
        format!(
            "\"{text}\" is no tone: write busy/de (a tone and a country) or 440@-10/500 (Hz, dBm0 and ms; 0 Hz is silence)"
        )
    };
    let (sound, ms) = text.split_once('/').ok_or_else(wrong)?;
    let (sound, dbm0) = match sound.split_once('@') {
        Some((sound, level)) => (sound, level.parse().map_err(|_| wrong())?),
        None => (sound, LEVEL_DBM0),
    };
    let ms = ms.parse().map_err(|_| wrong())?;
    let pair = |separator| sound.split_once(separator);
    let sound = match (pair('+'), pair('*')) {
        (Some((one, other)), _) => {
            Sound::Two(hz(one).ok_or_else(wrong)?, hz(other).ok_or_else(wrong)?)
        }
        (_, Some((one, by))) => {
            Sound::Swinging(hz(one).ok_or_else(wrong)?, hz(by).ok_or_else(wrong)?)
        }
        _ if sound == "0" => {
            return match ms {
                0 => Err(wrong()),
                ms => Ok(Step {
                    sound: None,
                    dbm0,
                    ms,
                }),
            };
        }
        _ => Sound::One(hz(sound).ok_or_else(wrong)?),
    };
    let loud = (-60.0..=3.0).contains(&dbm0);
    match ms > 0 && loud {
        true => Ok(Step {
            sound: Some(sound),
            dbm0,
            ms,
        }),
        false => Err(wrong()),
    }
}

fn hz(text: &str) -> Option<f32> {
    let hz: f32 = text.parse().ok()?;
    (1.0..=4000.0).contains(&hz).then_some(hz)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_dsp::level::dbm0;
    use trunkline_dsp::progress::{Kind, Listener};

    #[test]
    fn a_countrys_tone_is_whole_rounds_that_our_own_ears_know() {
        for (text, ms, kind) in [
            ("busy/de", 5760, Kind::Busy),
            ("ringback/us", 6000, Kind::Ringback),
            ("congestion/uk", 6000, Kind::Congestion),
            ("dial/jp", 5000, Kind::Dial),
        ] {
            let prompt = prompt(text).unwrap();
            assert_eq!(prompt.duration_ms(), ms, "{text}");
            let plan = Plan::of(&text[text.len() - 2..]).unwrap();
            let (mut listener, mut all) = (Listener::new(8000, plan), Vec::new());
            let twice = [&prompt.slin8[..], &prompt.slin8[..]].concat();
            for frame in twice.chunks(160) {
                listener.process(frame, |heard| all.push(heard.kind));
            }
            assert_eq!(all, [kind], "{text}");
        }
    }

    #[test]
    fn a_tone_of_its_own_has_its_level_and_lengths() {
        let prompt = prompt("440@-17/500,0/250,350+440@-20/100").unwrap();
        assert_eq!(prompt.duration_ms(), 850);
        let at = |from: usize, to: usize| dbm0(&prompt.slin8[from * 8..to * 8]);
        assert!((at(50, 450) + 17.0).abs() < 0.1, "{}", at(50, 450));
        assert!(at(510, 740) < -60.0);
        assert!((at(760, 840) + 17.0).abs() < 0.3, "{}", at(760, 840));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("busy/xx", "no tones of a country"),
            ("engaged/de", "it has: dial, ringback, busy"),
            ("440", "is no tone"),
            ("440/0", "is no tone"),
            ("9000/100", "is no tone"),
            ("440@50/100", "is no tone"),
            ("440/70000", "at most"),
            ("", "is no tone"),
        ] {
            let error = check(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(check("vacant_code/us").is_ok() && check("400*25/400,0/200").is_ok());
    }
}
