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
