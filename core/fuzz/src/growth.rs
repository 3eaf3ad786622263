//! The memory that a target may use, as a multiple of its input.

/// A bound of memory: a constant, and a multiple of the input's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// The bytes that every input may use.
    pub fixed: u64,
    /// The bytes for each byte of the input.
    pub times: u64,
}

impl Growth {
    /// The bytes that an input of that length may use.
    pub fn most(self, length: usize) -> u64 {
        self.fixed.saturating_add(self.times.saturating_mul(length as u64))
    }
}

/// The work of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// The number of allocations.
    pub(crate) allocations: u64,
    /// The bytes of all allocations together, freed or not. Growing buffers count again when they move.
    pub(crate) bytes: u64,
    /// The greatest number of bytes that were in use at one time.
    pub(crate) peak: u64,
}

/// Runs a function, and counts the work of this thread.
pub(crate) fn counted(run: impl FnOnce()) -> Work {
    let found = allocation_counter::measure(run);
    Work { allocations: found.count_total, bytes: found.bytes_total, peak: found.bytes_max }
}
