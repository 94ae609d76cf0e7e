//! The check behind target `byte_range`: the `Range` header of a request for a recording.
use trunkline::api::byte_range::part;

/// The first line is the length of the file, the rest the header. A part lies within the file, is not empty, and asking for it in plain words
/// gives the same.
pub fn byte_range(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let (length, header) = text.split_once('\n').unwrap_or(("10", &text));
    let length: u64 = length.trim().parse().unwrap_or(10);
    let found = part(header, length);
    // Whether it is understood does not depend on the file, and of an empty one there is no part.
    assert_eq!(part(header, 0), found.as_ref().map(|_| Err(())));
    let Some(Ok(found)) = found else { return };
    assert!(found.start < found.end && found.end <= length, "{found:?}");
    // The longest numbers that are read have 19 digits.
    if found.end <= 9_999_999_999_999_999_999 {
        let plain = format!("bytes={}-{}", found.start, found.end - 1);
        assert_eq!(part(&plain, length), Some(Ok(found)));
    }
}
