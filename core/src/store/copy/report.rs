//! The result of a copy, and how far it is.

use serde::Serialize;

use super::side::CopyCounters;
use super::table::CopyKind;

/// The state of a copy, each time that it has moved on.
#[derive(Debug, Clone, Copy)]
pub struct CopyProgress {
    /// The rows on their way.
    pub kind: CopyKind,
    /// Whether they are read back. Otherwise they are written.
    pub compares: bool,
    /// The rows that are done.
    pub done: u64,
    /// The rows that the source has.
    pub total: u64,
}

/// The rows of one kind, equal on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopiedRows {
    /// The kind.
    pub kind: CopyKind,
    /// Their number.
    pub rows: u64,
    /// The SHA-256 over all of them, in the order of their ids.
    pub sha256: String,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedRow {
    /// Its kind.
    pub kind: CopyKind,
    /// Its id.
    pub row: String,
    /// The reason.
    pub why: String,
}

/// The result of a copy.
#[derive(Debug, Clone, Serialize)]
pub struct CopyReport {
    /// The source, without secrets.
    pub from: String,
    /// The target, without secrets.
    pub to: String,
    /// The rows that both have now.
    pub copied: Vec<CopiedRows>,
    /// The tasks among them that have not ended.
    pub open_tasks: u64,
    /// Rows that were left out because they cannot be read, at most 1000.
    pub skipped: Vec<SkippedRow>,
    /// The number of all rows that were left out.
    pub skipped_rows: u64,
    /// The numbers that the target has given out, as it counts them.
    pub counters: CopyCounters,
}
