//! Conceals the lost packets of a file of raw 16-bit little-endian samples.
//!
//! `plc-conceal [--ahead MS] [--rate HZ] IN MASK OUT`: IN holds the samples, MASK one byte (0 came, 1 lost) for each 20 ms
//! of them, OUT gets the concealed samples. With `--ahead` the packets of the next MS ms are there already, as they often
//! are in a jitter buffer. `--time` prints the cost per packet that came and per lost packet on standard error.

use std::{
    fs, io,
    process::ExitCode,
    time::{Duration, Instant},
};
use trunkline_dsp::plc::Concealer;

/// Milliseconds of a packet.
const PACKET_MS: usize = 20;

struct Options {
    ahead: usize,
    rate_hz: u32,
    time: bool,
    files: Vec<String>,
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("usage: plc-conceal [--ahead MS] [--rate HZ] [--time] IN MASK OUT");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plc-conceal: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Option<Options> {
    let mut options = Options {
        ahead: 0,
        rate_hz: 8000,
        time: false,
        files: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--ahead" => options.ahead = arguments.next()?.parse::<usize>().ok()? / PACKET_MS,
            "--rate" => options.rate_hz = arguments.next()?.parse().ok()?,
            "--time" => options.time = true,
            _ => options.files.push(argument),
        }
    }
    (options.files.len() == 3).then_some(options)
}

fn run(options: &Options) -> io::Result<()> {
    let [input, mask, output] = options.files.as_slice() else {
        return Ok(());
    };
    let bytes = fs::read(input)?;
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut samples: Vec<i16> = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    conceal(options, &mut samples, &fs::read(mask)?);
    let concealed: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    fs::write(output, concealed)
}

fn conceal(options: &Options, samples: &mut [i16], mask: &[u8]) {
    let length = options.rate_hz as usize * PACKET_MS / 1000;
    let mut concealer = Concealer::new(options.rate_hz);
    let (mut came, mut lost) = ((Duration::ZERO, 0), (Duration::ZERO, 0));
    let mut done = 0;
    let mut rest = samples;
    for (packet, gone) in mask.iter().enumerate() {
        // A hole is filled as a whole once its far side is in sight; a packet of it is then done already.
        if done > 0 {
            done -= 1;
            continue;
        }
        let run = mask[packet..].iter().take_while(|gone| **gone != 0).count();
        let in_sight = run > 0 && run <= options.ahead && packet + run < mask.len();
        let packets = if in_sight { run } else { 1 };
        let Some((frame, behind)) = rest.split_at_mut_checked(packets * length) else {
            break;
        };
        let next = behind
            .get(..length)
            .filter(|_| in_sight)
            .map(<[i16]>::to_vec);
        let started = Instant::now();
        if *gone == 0 {
            concealer.good(frame);
            came = (came.0 + started.elapsed(), came.1 + 1);
        } else {
            concealer.conceal(frame, next.as_deref());
            lost = (lost.0 + started.elapsed(), lost.1 + packets as u128);
        }
        done = packets - 1;
        rest = behind;
    }
    if options.time {
        for (name, (spent, packets)) in [("came", came), ("lost", lost)] {
            eprintln!("{name}: {} ns", spent.as_nanos() / packets.max(1));
        }
    }
}
