use super::*;

/// A made-up voice: a gliding buzz that comes and goes.
fn voice(seed: f32, count: usize) -> Vec<i16> {
    let mut phase = 0.0f32;
    let sample = |n: usize| {
        let seconds = n as f32 / 16_000.0;
        phase = (phase + (130.0 * seed + 40.0 * (seconds * 5.0 * seed).sin()) / 16_000.0).fract();
        let loud = (seconds * 7.0 * seed + seed).sin().max(0.0) * 3000.0;
        let harmonics = (1..12).map(|k| (std::f32::consts::TAU * k as f32 * phase).sin());
        (loud * harmonics.sum::<f32>()).clamp(-30_000.0, 30_000.0) as i16
    };
    (0..count).map(sample).collect()
}

/// Correlation of two pieces, 1 for equal up to a factor.
fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1.0)
}

/// The best correlation, and the delay in samples at which it is.
fn best(said: &[i16], heard: &[i16]) -> (f64, usize) {
    let at = |delay: usize| (likeness(said, &heard[delay..]), delay);
    let better = |a: (f64, usize), b: (f64, usize)| if b.0 > a.0 { b } else { a };
    (0..100).map(at).fold((0.0, 0), better)
}

/// Pages of an Ogg stream: flags, granule, number and packets. Stops at what is no whole page.
fn pages(mut octets: &[u8]) -> Vec<(u8, u64, u32, Vec<Vec<u8>>)> {
    let mut pages = Vec::new();
    while octets.len() >= 27 && octets.starts_with(b"OggS\0") {
        let count = usize::from(octets[26]);
        let Some(lacing) = octets.get(27..27 + count) else {
            break;
        };
        let length: usize = lacing.iter().map(|l| usize::from(*l)).sum();
        let Some(body) = octets.get(27 + count..27 + count + length) else {
            break;
        };
        let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), 0);
        for segment in lacing {
            packet.extend(&body[at..at + usize::from(*segment)]);
            at += usize::from(*segment);
            if *segment < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        assert!(packet.is_empty(), "no packet goes over a page");
        pages.push((
            octets[5],
            u64::from_le_bytes(octets[6..14].try_into().unwrap()),
            u32::from_le_bytes(octets[18..22].try_into().unwrap()),
            packets,
        ));
        octets = &octets[27 + count + length..];
    }
    pages
}

/// Each channel of an Ogg/Opus file at 16 kHz, as a player hears it.
fn play(octets: &[u8]) -> Vec<Vec<i16>> {
    let pages = pages(octets);
    let head = &pages[0].3[0];
    assert!(head.starts_with(b"OpusHead\x01") && head.len() == 19);
    let channels = usize::from(head[9]);
    let skip = usize::from(u16::from_le_bytes([head[10], head[11]])) / 3;
    assert!(pages[1].3[0].starts_with(b"OpusTags"));
    assert!(pages.iter().enumerate().all(|(n, page)| page.2 == n as u32));
    let mut decoder = opus_pure::OpusDecoder::new(16_000, channels).unwrap();
    let (mut heard, mut out) = (Vec::new(), vec![0; 320 * channels]);
    for packet in pages[2..].iter().flat_map(|page| &page.3) {
        assert_eq!(decoder.decode_s16(packet, 320, &mut out).unwrap(), 320);
        heard.extend(&out);
    }
    let last = pages.last().unwrap();
    let end = if last.0 & 4 == 0 {
        usize::MAX
    } else {
        last.1 as usize / 3
    };
    let of = |channel: usize| {
        let samples = heard.iter().skip(channel).step_by(channels).copied();
        samples.take(end).skip(skip).collect()
    };
    (0..channels).map(of).collect()
}

fn as_opus(folder: &tempfile::TempDir, tracks: Tracks) -> RecordingSpec {
    RecordingSpec {
        format: RecordingFormat::Opus,
        tracks,
        ..RecordingSpec::new(3, folder.path().join("a.opus"))
    }
}

#[test]
fn an_opus_file_holds_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let spec = as_opus(&folder, Tracks::Received);
    let path = spec.path.clone();
    let mut taking = start(spec);
    let said = voice(1.0, 16_000 * 3);
    for (n, frame) in said.chunks_exact(320).enumerate() {
        assert!(taking.push(frame));
        assert!(n % 7 != 0 || taking.write());
    }
    assert_eq!(taking.finish(), (3000, RecordingEnd::Stopped, 0, vec![]));
    let octets = std::fs::read(&path).unwrap();
    let heard = &play(&octets)[0];
    assert_eq!(heard.len(), said.len());
    let (alike, delay) = best(&said, heard);
    assert!(alike > 0.95 && delay <= 2, "{alike} at {delay}");
    assert!(octets.len() < 20_000, "{} octets", octets.len());
}

#[test]
fn narrow_audio_becomes_an_opus_file_of_the_same_length() {
    let folder = tempfile::tempdir().unwrap();
    let spec = as_opus(&folder, Tracks::Received);
    let path = spec.path.clone();
    let mut taking = start(spec);
    let wide = voice(1.0, 16_000 * 2);
    let said: Vec<i16> = wide.iter().step_by(2).copied().collect();
    said.chunks_exact(160)
        .for_each(|frame| assert!(taking.push(frame)));
    let (ms, ..) = taking.finish();
    assert!((1995..=2000).contains(&ms), "{ms}");
    let heard = &play(&std::fs::read(&path).unwrap())[0];
    let (alike, delay) = best(&wide, heard);
    // The converter is 2 ms behind at most.
    assert!(alike > 0.9 && delay <= 32, "{alike} at {delay}");
}

#[test]
fn the_sides_of_a_stereo_opus_file_stay_apart_and_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let spec = as_opus(&folder, Tracks::Stereo);
    let path = spec.path.clone();
    let mut taking = start(spec);
    let sides = [voice(1.0, 16_000 * 3), voice(1.7, 16_000 * 3)];
    for (left, right) in sides[0].chunks_exact(320).zip(sides[1].chunks_exact(320)) {
        taking.take().hear(left);
        taking.take().say(right);
        assert!(taking.take().turn() && taking.write());
    }
    assert_eq!(taking.finish().0, 3000);
    let heard = play(&std::fs::read(&path).unwrap());
    let between = likeness(&sides[0], &sides[1]).abs();
    for (n, side) in sides.iter().enumerate() {
        let (own, other) = (likeness(side, &heard[n]), likeness(side, &heard[1 - n]));
        assert!(own > 0.95, "channel {n}: {own}");
        assert!(
            other.abs() < between + 0.1,
            "channel {n}: {other} of the other"
        );
    }
}

#[test]
fn a_crash_costs_an_opus_file_a_second_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let spec = as_opus(&folder, Tracks::Received);
    let path = spec.path.clone();
    let mut taking = start(spec);
    for frame in voice(1.0, 16_000 * 5).chunks_exact(320) {
        assert!(taking.push(frame) && taking.write());
    }
    // Nobody completes it, and the last page is torn.
    let octets = std::fs::read(&path).unwrap();
    for cut in [0, 1, 500] {
        let heard = play(&octets[..octets.len() - cut]);
        assert!(heard[0].len() >= 4 * 16_000, "{}", heard[0].len());
    }
}

#[test]
fn a_full_disk_leaves_an_opus_file_that_tells_of_it() {
    ROOM.set(6000);
    DISK.with_borrow_mut(Vec::clear);
    let spec = RecordingSpec {
        format: RecordingFormat::Opus,
        ..RecordingSpec::new(3, "made-up")
    };
    let mut taking = start(spec);
    taking.half = taking.half.with_storage(|_| Ok(Box::new(SmallDisk)));
    for (second, audio) in voice(1.0, 16_000 * 5).chunks_exact(16_000).enumerate() {
        audio
            .chunks_exact(320)
            .for_each(|frame| assert!(taking.push(frame)));
        if second == 4 {
            ROOM.set(u64::MAX);
        }
        assert!(taking.write());
        taking.now += Duration::from_secs(1);
    }
    let (ms, end, lost_ms, gaps) = taking.finish();
    assert_eq!((ms, end, gaps.len()), (5000, RecordingEnd::Stopped, 1));
    assert!((2000..=4000).contains(&lost_ms), "{lost_ms}");
    let octets = DISK.with_borrow(Vec::clone);
    let said = format!("audio lost: {lost_ms} ms in all");
    assert!(octets.windows(said.len()).any(|at| at == said.as_bytes()));
    let heard = &play(&octets)[0];
    assert_eq!(heard.len(), 5 * 16_000);
    let gap = 16 * (gaps[0].at_ms as usize + 100)..16 * (gaps[0].at_ms + gaps[0].ms - 100) as usize;
    assert!(heard[gap].iter().all(|sample| sample.abs() < 100));
}
