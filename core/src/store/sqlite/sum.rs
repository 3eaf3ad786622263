//! The checksums of rows. A row that the disk damaged must never be shown as an answer.
//!
//! In the row of a task, one integer holds two CRC-32s, because a task is written twice and each write knows different
//! columns. The upper half covers the columns that only the accept writes, the lower half all columns that the end may
//! write anew.

use crc32fast::Hasher;
use rusqlite::types::ValueRef;

use super::super::columns::{AcceptColumns, EndColumns};

impl AcceptColumns<'_> {
    /// The upper half of the sum, shifted into place.
    pub(super) fn half(&self) -> i64 {
        let mut hasher = Hasher::new();
        numbers(&mut hasher, &[self.gid, self.session_id, self.id, self.band]);
        for value in [self.idem_scope, self.idem_key, self.idem_fp] {
            bytes(&mut hasher, value);
        }
        i64::from(hasher.finalize()) << 32
    }
}

impl EndColumns<'_> {
    /// The lower half of the sum. It covers the task's number, so that two rows cannot change places.
    pub(super) fn half(&self, gid: i64) -> i64 {
        let mut hasher = Hasher::new();
        numbers(
            &mut hasher,
            &[
                gid,
                self.bytes,
                self.attempts,
                self.fence,
                self.created_at,
                self.started_at,
                self.first_token_at,
                self.precommitted_at,
                self.committed_at,
                i64::from(self.ended_at.is_some()),
                self.ended_at.unwrap_or_default(),
                self.deadline,
            ],
        );
        for value in [self.assigned_miners, Some(self.request), self.end, self.text, self.raw] {
            bytes(&mut hasher, value);
        }
        // Rows of older versions have no key. Their sums stay right, because a key is added only where there is one.
        if self.key_id.is_some() {
            bytes(&mut hasher, self.key_id);
        }
        i64::from(hasher.finalize())
    }
}

/// The sum of a row that is always written whole: a session, a key or a miner.
pub(super) fn of_row<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut hasher = Hasher::new();
    for value in values {
        match value {
            ValueRef::Null => bytes(&mut hasher, None),
            ValueRef::Text(text) => bytes(&mut hasher, Some(text)),
            ValueRef::Integer(number) => {
                hasher.update(&[2]);
                hasher.update(&number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                hasher.update(&[3]);
                hasher.update(&number.to_bits().to_le_bytes());
            }
            ValueRef::Blob(blob) => {
                hasher.update(&[4]);
                bytes(&mut hasher, Some(blob));
            }
        }
    }
    i64::from(hasher.finalize())
}

/// The mask that selects the upper half of a stored sum, in SQL.
pub(super) const UPPER: i64 = -1 << 32;

fn numbers(hasher: &mut Hasher, values: &[i64]) {
    for value in values {
        hasher.update(&value.to_le_bytes());
    }
}

/// Adds the length first, so that bytes cannot move from one value to the next unnoticed.
fn bytes(hasher: &mut Hasher, value: Option<&[u8]>) {
    match value {
        None => hasher.update(&[0]),
        Some(value) => {
            hasher.update(&[1]);
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value);
        }
    }
}

/// The bytes of a column, even if damage changed its type.
pub(super) fn bytes_of(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}
