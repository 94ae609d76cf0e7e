//! The tones of the countries: ITU-T E.180 supplement 2 and the national standards named beside them.
//!
//! Where a country gives one rhythm two meanings (Mexico, Poland, Japan: busy and congestion) the first of the list is what is heard.
//! Levels: E.180 clause 4 recommends -10 dBm0 for a tone; those of North America are Telcordia GR-506's.

use super::plan::{Beat, Kind, Plan, Signal, Sound};
use Kind::{Busy, CallWaiting, Congestion, Dial, Ringback, Unobtainable};
use Sound::{One, Swinging, Two};

/// Level of a tone of one frequency, dBm0, and of each of two.
const ALONE_DBM0: f32 = -10.0;
const PAIRED_DBM0: f32 = -13.0;

const fn beat(on_ms: u16, off_ms: u16) -> Beat {
    Beat {
        on_ms,
        off_ms,
        down_db: 0,
    }
}

const fn tone(kind: Kind, sound: Sound, beats: &'static [Beat]) -> Signal {
    let dbm0 = match sound {
        Two(_, _) => PAIRED_DBM0,
        _ => ALONE_DBM0,
    };
    Signal {
        kind,
        sound,
        dbm0,
        beats,
    }
}

const fn at(dbm0: f32, signal: Signal) -> Signal {
    Signal { dbm0, ..signal }
}

const fn plan(code: &'static str, name: &'static str, signals: &'static [Signal]) -> Plan {
    Plan {
        code,
        name,
        signals,
        by_rhythm: false,
    }
}

const EVENLY: &[Beat] = &[];
/// 1 s on, 4 s off: the ringing of most of the world.
const RING: &[Beat] = &[beat(1000, 4000)];
/// The double ring of Britain and those who learnt from it.
const RING_RING: &[Beat] = &[beat(400, 200), beat(400, 2000)];
/// Australia's congestion.
const EVERY_OTHER_LOWER: &[Beat] = &[
    beat(375, 375),
    Beat {
        on_ms: 375,
        off_ms: 375,
        down_db: 10,
    },
];
const HALVES: &[Beat] = &[beat(500, 500)];
const QUARTERS: &[Beat] = &[beat(250, 250)];
const FIFTHS: &[Beat] = &[beat(200, 200)];

/// All that are known; the first is what E.180 recommends where nothing else is said.
pub static COUNTRIES: &[Plan] = &[
    plan(
        "itu",
        "ITU-T E.180",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), QUARTERS),
            tone(CallWaiting, One(425.0), &[beat(200, 600), beat(200, 3000)]),
        ],
    ),
    plan(
        "ar",
        "Argentina",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), &[beat(300, 200)]),
            tone(Congestion, One(425.0), &[beat(300, 400)]),
            tone(CallWaiting, One(425.0), &[beat(400, 200), beat(400, 4000)]),
        ],
    ),
    plan(
        "at",
        "Austria",
        &[
            tone(Dial, One(420.0), EVENLY),
            tone(Ringback, One(420.0), &[beat(1000, 5000)]),
            tone(Busy, One(420.0), &[beat(400, 400)]),
            tone(Congestion, One(420.0), FIFTHS),
            tone(CallWaiting, One(420.0), &[beat(40, 1960)]),
        ],
    ),
    // AS/ACIF S002: every other beat of congestion is 10 dB lower.
    plan(
        "au",
        "Australia",
        &[
            tone(Dial, Two(413.0, 438.0), EVENLY),
            tone(Ringback, Two(413.0, 438.0), RING_RING),
            tone(Busy, One(425.0), &[beat(375, 375)]),
            tone(Congestion, One(425.0), EVERY_OTHER_LOWER),
            tone(Unobtainable, One(425.0), &[beat(2500, 500)]),
            tone(CallWaiting, One(425.0), &[beat(200, 200), beat(200, 4400)]),
        ],
    ),
    plan(
        "be",
        "Belgium",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), &[beat(1000, 3000)]),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), &[beat(167, 167)]),
            tone(CallWaiting, One(1400.0), &[beat(175, 175), beat(175, 3500)]),
        ],
    ),
    plan(
        "br",
        "Brazil",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), QUARTERS),
            tone(Congestion, One(425.0), &[beat(250, 250), beat(750, 250)]),
            tone(CallWaiting, One(425.0), &[beat(50, 1000)]),
        ],
    ),
    plan(
        "ch",
        "Switzerland",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), FIFTHS),
            tone(CallWaiting, One(425.0), &[beat(200, 200), beat(200, 4000)]),
        ],
    ),
    plan(
        "cn",
        "China",
        &[
            tone(Dial, One(450.0), EVENLY),
            tone(Ringback, One(450.0), RING),
            tone(Busy, One(450.0), &[beat(350, 350)]),
            tone(Congestion, One(450.0), &[beat(700, 700)]),
            tone(
                Unobtainable,
                One(450.0),
                &[
                    beat(100, 100),
                    beat(100, 100),
                    beat(100, 100),
                    beat(400, 400),
                ],
            ),
            tone(CallWaiting, One(450.0), &[beat(400, 4000)]),
        ],
    ),
    plan(
        "de",
        "Germany",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), &[beat(480, 480)]),
            tone(Congestion, One(425.0), &[beat(240, 240)]),
            tone(CallWaiting, One(425.0), &[beat(200, 200), beat(200, 5000)]),
        ],
    ),
    plan(
        "dk",
        "Denmark",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), FIFTHS),
            tone(CallWaiting, One(425.0), &[beat(200, 600), beat(200, 3000)]),
        ],
    ),
    plan(
        "es",
        "Spain",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), &[beat(1500, 3000)]),
            tone(Busy, One(425.0), FIFTHS),
            tone(
                Congestion,
                One(425.0),
                &[beat(200, 200), beat(200, 200), beat(200, 600)],
            ),
            tone(CallWaiting, One(425.0), &[beat(175, 175), beat(175, 3500)]),
        ],
    ),
    plan(
        "fi",
        "Finland",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), &[beat(300, 300)]),
            tone(Congestion, One(425.0), FIFTHS),
            tone(CallWaiting, One(425.0), &[beat(150, 150), beat(150, 8000)]),
        ],
    ),
    plan(
        "fr",
        "France",
        &[
            tone(Dial, One(440.0), EVENLY),
            tone(Ringback, One(440.0), &[beat(1500, 3500)]),
            tone(Busy, One(440.0), HALVES),
            tone(Congestion, One(440.0), QUARTERS),
            tone(CallWaiting, One(440.0), &[beat(300, 10_000)]),
        ],
    ),
    plan(
        "in",
        "India",
        &[
            tone(Dial, Swinging(400.0, 25.0), EVENLY),
            tone(Ringback, Swinging(400.0, 25.0), RING_RING),
            tone(Busy, One(400.0), &[beat(750, 750)]),
            tone(Congestion, One(400.0), QUARTERS),
            tone(CallWaiting, One(400.0), &[beat(200, 100), beat(200, 7500)]),
        ],
    ),
    plan(
        "it",
        "Italy",
        &[
            tone(Dial, One(425.0), &[beat(200, 200), beat(600, 1000)]),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), FIFTHS),
            tone(
                CallWaiting,
                One(425.0),
                &[beat(400, 100), beat(250, 100), beat(150, 14_000)],
            ),
        ],
    ),
    plan(
        "jp",
        "Japan",
        &[
            tone(Dial, One(400.0), EVENLY),
            tone(Ringback, Swinging(400.0, 16.0), &[beat(1000, 2000)]),
            tone(Busy, One(400.0), HALVES),
            tone(Congestion, One(400.0), HALVES),
            tone(CallWaiting, Swinging(400.0, 16.0), &[beat(500, 8000)]),
        ],
    ),
    plan(
        "mx",
        "Mexico",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), QUARTERS),
            tone(Congestion, One(425.0), QUARTERS),
            tone(
                CallWaiting,
                One(425.0),
                &[beat(200, 600), beat(200, 10_000)],
            ),
        ],
    ),
    plan(
        "nl",
        "Netherlands",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), QUARTERS),
            tone(CallWaiting, One(425.0), &[beat(500, 9500)]),
        ],
    ),
    plan(
        "no",
        "Norway",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), FIFTHS),
            tone(
                CallWaiting,
                One(425.0),
                &[beat(200, 600), beat(200, 10_000)],
            ),
        ],
    ),
    // TNA 102.
    plan(
        "nz",
        "New Zealand",
        &[
            tone(Dial, One(400.0), EVENLY),
            tone(Ringback, Two(400.0, 450.0), RING_RING),
            tone(Busy, One(400.0), HALVES),
            tone(Congestion, One(400.0), QUARTERS),
            tone(
                Unobtainable,
                One(400.0),
                &[beat(75, 100), beat(75, 100), beat(75, 100), beat(75, 400)],
            ),
            tone(CallWaiting, One(400.0), &[beat(200, 3000)]),
        ],
    ),
    plan(
        "pl",
        "Poland",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), HALVES),
            tone(Congestion, One(425.0), HALVES),
            tone(CallWaiting, One(425.0), &[beat(150, 150), beat(150, 4000)]),
        ],
    ),
    // GOST 45.223.
    plan(
        "ru",
        "Russia",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), RING),
            tone(Busy, One(425.0), &[beat(350, 350)]),
            tone(Congestion, One(425.0), &[beat(175, 175)]),
            tone(CallWaiting, One(425.0), &[beat(200, 5000)]),
        ],
    ),
    plan(
        "se",
        "Sweden",
        &[
            tone(Dial, One(425.0), EVENLY),
            tone(Ringback, One(425.0), &[beat(1000, 5000)]),
            tone(Busy, One(425.0), QUARTERS),
            tone(Congestion, One(425.0), &[beat(250, 750)]),
            tone(CallWaiting, One(425.0), &[beat(200, 500), beat(200, 9100)]),
        ],
    ),
    plan(
        "tr",
        "Turkey",
        &[
            tone(Dial, One(450.0), EVENLY),
            tone(Ringback, One(450.0), &[beat(2000, 4000)]),
            tone(Busy, One(450.0), HALVES),
            tone(
                Congestion,
                One(450.0),
                &[
                    beat(200, 200),
                    beat(200, 200),
                    beat(200, 200),
                    beat(600, 200),
                ],
            ),
            tone(CallWaiting, One(450.0), &[beat(200, 600), beat(200, 8000)]),
        ],
    ),
    // BT SIN 350.
    plan(
        "uk",
        "United Kingdom",
        &[
            tone(Dial, Two(350.0, 440.0), EVENLY),
            tone(Ringback, Two(400.0, 450.0), RING_RING),
            tone(Busy, One(400.0), &[beat(375, 375)]),
            tone(Congestion, One(400.0), &[beat(400, 350), beat(225, 525)]),
            tone(Unobtainable, One(400.0), EVENLY),
            tone(CallWaiting, One(400.0), &[beat(100, 4000)]),
        ],
    ),
    // Telcordia GR-506.
    plan(
        "us",
        "United States and Canada",
        &[
            at(-13.0, tone(Dial, Two(350.0, 440.0), EVENLY)),
            at(
                -19.0,
                tone(Ringback, Two(440.0, 480.0), &[beat(2000, 4000)]),
            ),
            at(-24.0, tone(Busy, Two(480.0, 620.0), HALVES)),
            at(-24.0, tone(Congestion, Two(480.0, 620.0), QUARTERS)),
            at(-13.0, tone(CallWaiting, One(440.0), &[beat(300, 10_000)])),
        ],
    ),
    plan(
        "za",
        "South Africa",
        &[
            tone(Dial, Swinging(400.0, 33.0), EVENLY),
            tone(Ringback, Swinging(400.0, 33.0), RING_RING),
            tone(Busy, One(400.0), HALVES),
            tone(Congestion, One(400.0), QUARTERS),
            tone(
                CallWaiting,
                Swinging(400.0, 33.0),
                &[
                    beat(250, 250),
                    beat(250, 250),
                    beat(250, 250),
                    beat(250, 8000),
                ],
            ),
        ],
    ),
];

/// Every frequency there is, told by the rhythm alone, as most countries use it: for calls to the whole world.
///
/// What is busy in one country and congestion in another (200 or 250 ms on and off) is congestion here, the more frequent use.
pub static ANYWHERE: Plan = Plan {
    code: "any",
    name: "anywhere",
    by_rhythm: true,
    signals: &[
        tone(Dial, One(425.0), EVENLY),
        tone(Dial, Two(350.0, 440.0), EVENLY),
        tone(Dial, Two(413.0, 438.0), EVENLY),
        tone(Dial, Swinging(400.0, 25.0), EVENLY),
        tone(Dial, Swinging(400.0, 33.0), EVENLY),
        tone(Ringback, Two(440.0, 480.0), &[beat(2000, 4000)]),
        tone(Ringback, One(450.0), RING),
        tone(Ringback, One(400.0), &[beat(1000, 5000)]),
        tone(Ringback, One(400.0), &[beat(1000, 3000)]),
        tone(Ringback, Swinging(400.0, 16.0), &[beat(1000, 2000)]),
        tone(Ringback, One(450.0), &[beat(1500, 3500)]),
        tone(Ringback, Two(400.0, 450.0), RING_RING),
        tone(Busy, Two(480.0, 620.0), HALVES),
        tone(Busy, One(425.0), &[beat(375, 375)]),
        tone(Busy, One(425.0), &[beat(300, 300)]),
        tone(Busy, One(425.0), &[beat(300, 200)]),
        tone(Busy, One(425.0), &[beat(750, 750)]),
        tone(Congestion, One(425.0), QUARTERS),
        tone(Congestion, One(425.0), FIFTHS),
        tone(Congestion, One(425.0), &[beat(170, 170)]),
        tone(Congestion, One(425.0), &[beat(300, 400)]),
        tone(Congestion, One(425.0), &[beat(400, 350), beat(225, 525)]),
        tone(Congestion, One(425.0), &[beat(250, 250), beat(750, 250)]),
        tone(Congestion, One(425.0), &[beat(250, 750)]),
        tone(Congestion, One(425.0), EVERY_OTHER_LOWER),
        tone(
            Congestion,
            One(425.0),
            &[beat(200, 200), beat(200, 200), beat(200, 600)],
        ),
        tone(
            Congestion,
            One(425.0),
            &[
                beat(200, 200),
                beat(200, 200),
                beat(200, 200),
                beat(600, 200),
            ],
        ),
    ],
};
