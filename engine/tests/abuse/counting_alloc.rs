//! An allocator that counts what each thread asks for: a measure of work that does not depend on the machine.
#![allow(unsafe_code)] // an allocator cannot be written otherwise
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static OCTETS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn hold(octets: isize) {
    let _ = HELD.try_with(|held| held.set(held.get() + octets));
}

fn count(octets: usize) {
    // A thread that is ending is not counted.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let _ = OCTETS.try_with(|total| total.set(total.get() + octets));
}

// SAFETY: every call is passed on unchanged to the system allocator; the counters are thread-local without destructors and never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        hold(layout.size() as isize);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: as above; `pointer` came from here, that is, from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        hold(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Work of this thread: allocations, and octets allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) calls: usize,
    pub(crate) octets: usize,
}

/// What `work` allocates.
pub(crate) fn counted(work: impl FnOnce()) -> Work {
    let (calls, octets) = (CALLS.get(), OCTETS.get());
    work();
    Work {
        calls: CALLS.get() - calls,
        octets: OCTETS.get() - octets,
    }
}

/// What this thread holds on the heap, from some moment on.
pub(crate) struct Held(isize);

impl Held {
    pub(crate) fn now() -> Self {
        Self(HELD.get())
    }

    /// Octets held more than then. Right only where what this thread gets it also gives back.
    pub(crate) fn more(&self) -> isize {
        HELD.get() - self.0
    }
}
