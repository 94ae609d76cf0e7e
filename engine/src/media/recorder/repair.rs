//! Recordings that a killed process left: a WAV header that tells of less than is in the file is put right. Ogg needs no repair: its pages
//! stand for themselves, and a last one that was cut is passed over by readers.
//!
//! Limit: files whose header is not the one that [`wav::header`] writes are left as they are.
use crate::media::wav::{self, HEADER_LEN, Shape};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is in a file that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// Length of its audio, in ms; `None`: not a WAV file of ours.
    pub ms: Option<u64>,
    /// Its size.
    pub octets: u64,
}

/// Puts the header of a recording right. Blocks.
///
/// # Errors
/// Those of the disk; the file is not there.
pub fn repair_recording(path: &Path) -> io::Result<Repaired> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let octets = file.metadata()?.len();
    let mut head = [0; HEADER_LEN];
    let shape = match file.read_exact(&mut head) {
        Ok(()) => shape_of(&head),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error),
    };
    let Some((shape, stated, whole)) = shape else {
        return Ok(Repaired { ms: None, octets });
    };
    // A header that fits was written when the file was completed, with a comment perhaps.
    if whole + 8 == octets {
        return Ok(told(shape, stated, octets));
    }
    let frame = u64::from(shape.channels) * 2;
    let data = (octets - HEADER_LEN as u64) / frame * frame;
    let octets = HEADER_LEN as u64 + data;
    rewrite(&file, shape, data, octets)?;
    Ok(told(shape, data, octets))
}

fn rewrite(file: &File, shape: Shape, data: u64, octets: u64) -> io::Result<()> {
    file.set_len(octets)?;
    file.write_all_at(&wav::header(shape, data, 0), 0)?;
    file.sync_all()
}

fn told(shape: Shape, data: u64, octets: u64) -> Repaired {
    let second = u64::from(shape.rate_hz) * u64::from(shape.channels) * 2;
    Repaired {
        ms: Some(data * 1000 / second),
        octets,
    }
}

/// Shape, stated octets of audio, and stated octets of all chunks of a header of ours.
fn shape_of(head: &[u8; HEADER_LEN]) -> Option<(Shape, u64, u64)> {
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let shape = Shape {
        rate_hz: word(24),
        channels: u16::from_le_bytes([head[22], head[23]]),
    };
    let (whole, data) = (word(4), word(40));
    let sane = (1..=2).contains(&shape.channels) && (8000..=48_000).contains(&shape.rate_hz);
    let after = u64::from(whole).checked_sub(u64::from(data) + HEADER_LEN as u64 - 8)?;
    let own = sane && wav::header(shape, u64::from(data), u32::try_from(after).ok()?) == *head;
    own.then_some((shape, u64::from(data), u64::from(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEREO: Shape = Shape {
        rate_hz: 8000,
        channels: 2,
    };

    fn repaired(octets: &[u8]) -> (Repaired, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, octets).unwrap();
        let said = repair_recording(&path).unwrap();
        (said, std::fs::read(&path).unwrap())
    }

    #[test]
    fn a_header_that_lags_is_put_right_and_half_a_frame_cut_off() {
        let mut file = wav::header(STEREO, 320, 0).to_vec();
        file.extend([1; 32_000 + 3]);
        let (said, file) = repaired(&file);
        assert_eq!((said.ms, said.octets), (Some(1000), 32_044));
        assert_eq!(file[..HEADER_LEN], wav::header(STEREO, 32_000, 0));
        assert_eq!(file.len(), 32_044);
        // Once more changes nothing.
        assert_eq!(repaired(&file), (said, file));
    }

    #[test]
    fn what_cannot_be_read_now_is_not_taken_for_something_else() {
        // Opens, and its first octet cannot be read (EIO).
        let unreadable = Path::new("/proc/self/mem");
        let error = repair_recording(unreadable).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_complete_file_and_what_is_not_ours_stay_as_they_are() {
        let comment = wav::comment("2 s are missing");
        let mut complete = wav::header(STEREO, 64, comment.len() as u32).to_vec();
        complete.extend([1; 64]);
        complete.extend(&comment);
        let mut foreign = complete.clone();
        foreign[20] = 7;
        for (file, ms) in [
            (complete, Some(2)),
            (foreign, None),
            (b"OggS and so on".to_vec(), None),
            (vec![], None),
        ] {
            let (said, after) = repaired(&file);
            assert_eq!((said.ms, after), (ms, file));
        }
    }
}
