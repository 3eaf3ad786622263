//! Ties an object to the process that made it. A child of `fork` has none of the threads behind the object, and its
//! locks may be held by threads that do not exist: the child must neither use nor drop it.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, ErrorKind, Result};

/// The number of this process among those that fork off each other, counted from 1; 0: nobody counts.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Tells processes apart by a count of forks from now on. Otherwise their ids tell them apart, and reading an id is a
/// system call, which takes longer than passing a token on.
///
/// A binding calls this before it makes any object, if it calls [`forked`] in every child of a `fork`.
pub fn count_forks() {
    // A second call changes nothing.
    let _ = FORKS.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
}

/// Notes that this process is a child of a `fork`. It only changes a number, as a handler of forks must.
pub fn forked() {
    let _ = FORKS
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |forks| (forks > 0).then(|| forks.wrapping_add(1).max(1)));
}

/// The process in which an object was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin(u64);

impl Origin {
    /// This process.
    pub(super) fn here() -> Self {
        match FORKS.load(Ordering::Relaxed) {
            0 => Self(std::process::id().into()),
            // No id of a process is as great.
            forks => Self(u64::from(forks) << 32),
        }
    }

    /// Whether it is this process.
    pub(super) fn is_here(self) -> bool {
        self == Self::here()
    }

    /// Refuses use in a child of `fork`.
    ///
    /// # Errors
    /// `Closed` with the code `forked`.
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
///
/// A binding wraps its own state in it, and checks it before each use.
pub struct Bound<T> {
    origin: Origin,
    value: Option<T>,
}

impl<T> Bound<T> {
    /// Ties a value to this process.
    pub fn new(value: T) -> Self {
        Self { origin: Origin::here(), value: Some(value) }
    }

    /// Refuses use in a child of `fork`.
    ///
    /// # Errors
    /// `Closed` with the code `forked`.
    pub fn check(&self) -> Result<()> {
        self.origin.check()
    }
}

impl<T> std::fmt::Debug for Bound<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("origin", &self.origin).finish_non_exhaustive()
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
