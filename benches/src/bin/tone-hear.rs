//! Listens to 16-bit 8 kHz samples on stdin for tones of the network (of the country named, or `any`) and says who answered: one line each.
//!
//! `tone-hear [COUNTRY] < audio.raw`. Lines: `tone MS NAME HZ DBM0`, `answered MS WHO CAUSE WORDS VOICE_MS`, `over MS BEEP`.
#![allow(clippy::print_stdout, reason = "what it hears is its output")]

use std::io::Read;
use trunkline_dsp::answering::{Detector, Finding, Settings};
use trunkline_dsp::progress::{Listener, Plan};

const RATE_HZ: u32 = 8000;
const FRAME: usize = 160;

fn main() -> std::io::Result<()> {
    let country = std::env::args().nth(1).unwrap_or_else(|| "any".to_owned());
    let Some(plan) = Plan::to_hear(&country) else {
        return Err(std::io::Error::other(format!("no tones of {country}")));
    };
    let mut octets = Vec::new();
    std::io::stdin().read_to_end(&mut octets)?;
    let samples: Vec<i16> = octets
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let settings = Settings {
        wait_for_beep: true,
        ..Settings::default()
    };
    let mut listener = Listener::new(RATE_HZ, plan);
    let mut answering = Detector::new(RATE_HZ, plan, settings);
    for (index, frame) in samples.chunks(FRAME).enumerate() {
        let ms = (index + 1) * 20;
        listener.process(frame, |heard| {
            println!(
                "tone {ms} {} {:.1} {:.1}",
                heard.kind.name(),
                heard.hz,
                heard.dbm0
            );
        });
        answering.process(frame, |finding| match finding {
            Finding::Verdict(of) => println!(
                "answered {} {} {} {} {}",
                of.after_ms,
                of.answerer.name(),
                of.because.name(),
                of.words,
                of.voice_ms
            ),
            Finding::GreetingOver { beep, after_ms } => println!("over {after_ms} {beep}"),
        });
    }
    Ok(())
}
