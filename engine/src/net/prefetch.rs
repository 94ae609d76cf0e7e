//! Fetching memory into the cache before it is needed, where a thread knows what it will touch next and a system call lies before it. Hints:
//! nothing depends on them.
#![allow(unsafe_code)]

use std::ops::Range;

/// Octets of a cache line.
const LINE: usize = 64;

/// Begins to fetch the first octets of a value, at most `octets`, and returns at once. Does nothing on processors other than x86-64.
#[inline]
pub fn prefetch<T: ?Sized>(value: &T, octets: usize) {
    fetch(
        std::ptr::from_ref(value).cast(),
        octets.min(size_of_val(value)),
    );
}

/// The same for a part of a value, by its place in octets.
#[inline]
pub fn prefetch_part<T>(value: &T, part: Range<usize>) {
    let at = std::ptr::from_ref(value).cast::<i8>();
    let end = part.end.min(size_of::<T>());
    fetch(at.wrapping_add(part.start), end.saturating_sub(part.start));
}

#[inline]
fn fetch(at: *const i8, octets: usize) {
    #[cfg(target_arch = "x86_64")]
    for place in (0..octets).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: neither reads nor writes as far as the program can tell, and cannot fault wherever the pointer leads.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(place)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, octets, LINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_size_are_left_as_they_are() {
        prefetch(&(), 64);
        let value = [7u8; 1000];
        for octets in [0, 1, 64, 65, 1000, usize::MAX] {
            prefetch(&value, octets);
            prefetch(&value[..10], octets);
            prefetch_part(&value, 7..octets);
            prefetch_part(&value, 2000..octets);
        }
        assert_eq!(value, [7; 1000]);
    }
}
