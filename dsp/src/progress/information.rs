//! Special information tones: what the three tones say.

/// What stands behind a special information tone. North America tells by frequency and length (Telcordia SR-2275 clause 6.21); elsewhere
/// the three are always 950, 1400 and 1800 Hz (ITU-T E.180 clause 8) and mean that an announcement says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Information {
    /// As E.180 has it: listen to what is said.
    Announcement,
    /// The number was changed or its calls are intercepted.
    Intercept,
    /// No such number.
    VacantCode,
    /// All circuits are busy.
    NoCircuit,
    /// The call could not be completed as dialled, or equipment is busy.
    Reorder,
}

impl Information {
    /// Its name: `vacant_code`.
    pub fn name(self) -> &'static str {
        match self {
            Information::Announcement => "announcement",
            Information::Intercept => "intercept",
            Information::VacantCode => "vacant_code",
            Information::NoCircuit => "no_circuit",
            Information::Reorder => "reorder",
        }
    }

    /// The length of its three tones, ms.
    pub fn length_ms(self) -> u32 {
        self.tones().iter().map(|(_, ms)| ms).sum()
    }

    /// Its three tones: Hz and ms.
    pub(super) fn tones(self) -> [(f32, u32); 3] {
        let (low, high) = ([913.8, 1370.6], [985.2, 1428.5]);
        let (short, long) = (274, 380);
        let (first, second) = match self {
            Information::Announcement => return [(950.0, 330), (1400.0, 330), (1800.0, 330)],
            Information::Intercept => ((low[0], short), (low[1], short)),
            Information::VacantCode => ((high[0], long), (low[1], short)),
            Information::NoCircuit => ((high[0], long), (high[1], long)),
            Information::Reorder => ((low[0], short), (high[1], long)),
        };
        [first, second, (1776.7, long)]
    }

    /// What tones of these frequencies (Hz) and lengths (ms) say; only the first two differ.
    pub(super) fn of(hz: [f32; 2], ms: [u32; 2]) -> Information {
        // 913.8 and 985.2 Hz, 1370.6 and 1428.5 Hz; between them lie E.180's.
        let first = high(hz[0], 913.8, 950.0, 985.2);
        let second = high(hz[1], 1370.6, 1400.0, 1428.5);
        // 274 and 380 ms.
        let long = ms.map(|ms| ms > 327);
        match (first, long[0], second, long[1]) {
            (Some(false), false, Some(false), false) => Information::Intercept,
            (Some(true), true, Some(false), false) => Information::VacantCode,
            (Some(true), true, Some(true), true) | (Some(false), true, Some(false), true) => {
                Information::NoCircuit
            }
            (Some(false), false, Some(true), true) | (Some(true), false, Some(false), true) => {
                Information::Reorder
            }
            _ => Information::Announcement,
        }
    }
}

/// Whether `hz` is the upper or the lower frequency; `None`: the one between.
fn high(hz: f32, lower: f32, between: f32, upper: f32) -> Option<bool> {
    match hz {
        hz if hz < (lower + between) / 2.0 => Some(false),
        hz if hz > (between + upper) / 2.0 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_of_north_america_and_the_one_of_the_world() {
        let (low, high) = ([913.8, 1370.6], [985.2, 1428.5]);
        let (short, long) = (274, 380);
        for (hz, ms, expected) in [
            ([low[0], low[1]], [short, short], Information::Intercept),
            ([high[0], low[1]], [long, short], Information::VacantCode),
            ([high[0], high[1]], [long, long], Information::NoCircuit),
            ([low[0], low[1]], [long, long], Information::NoCircuit),
            ([low[0], high[1]], [short, long], Information::Reorder),
            ([high[0], low[1]], [short, long], Information::Reorder),
            ([950.0, 1400.0], [330, 330], Information::Announcement),
            ([low[0], high[1]], [long, short], Information::Announcement),
        ] {
            assert_eq!(Information::of(hz, ms), expected, "{hz:?} {ms:?}");
        }
    }
}
