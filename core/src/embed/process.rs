//! Ties an object to the process that made it. A child of `fork` has none of the threads behind the object, and its
//! locks may be held by threads that do not exist: the child must neither use nor drop it.

use std::ops::Deref;

use crate::{Error, ErrorKind, Result};

/// The process in which an object was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin(u32);

impl Origin {
    pub(super) fn here() -> Self {
        Self(std::process::id())
    }

    pub(super) fn is_here(self) -> bool {
        self == Self::here()
    }

    /// Refuses use in a child of `fork`.
    pub(super) fn check(self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Closed,
            "this router belongs to the parent process: a forked child must open one of its own",
        )
        .with_code("forked"))
    }
}

/// A value that is leaked instead of dropped in a child of `fork`.
pub(super) struct Bound<T> {
    origin: Origin,
    value: Option<T>,
}

impl<T> Bound<T> {
    pub(super) fn new(value: T) -> Self {
        Self { origin: Origin::here(), value: Some(value) }
    }
}

impl<T> Deref for Bound<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            // Only `drop` takes the value.
            None => unreachable!(),
        }
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}
