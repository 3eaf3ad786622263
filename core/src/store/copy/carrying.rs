//! Carries rows from one side to the other, page by page, and compares them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sha2::{Digest, Sha256};

use super::report::{CopiedRows, CopyProgress, SkippedRow};
use super::side::{CopyOptions, Side};
use super::table::{CopyKind, Found, Value};
use super::{soundness, told};
use crate::model::hex;
use crate::store::columns::ENDED_AT;
use crate::{Error, ErrorKind, Result};

/// Rows of which the report says why they were left out; further ones are only counted.
const MOST_SKIPPED: usize = 1_000;

/// The error for a target that is not what was written.
pub(super) fn differs(what: &str) -> Error {
    Error::store_corrupt(format!(
        "{what} of the target are not those of the source after the copy: nothing was kept; check the disks of both, \
         and copy again"
    ))
}

/// The rows that were left out.
#[derive(Debug, Default)]
pub(super) struct Skips {
    pub(super) listed: Vec<SkippedRow>,
    pub(super) count: u64,
    /// The ids of sessions and of tasks that were left out, because what belongs to them is left out with them.
    sessions: HashSet<i64>,
    tasks: HashSet<i64>,
}

/// The count and the hash of rows.
#[derive(Default)]
struct Tally {
    rows: u64,
    hasher: Sha256,
}

impl Tally {
    /// Adds a row. Each value goes with its type and its length, so that no two rows look alike.
    fn add(&mut self, values: &[Value]) {
        self.rows += 1;
        for value in values {
            let (tag, number) = match value {
                Value::Null => (0, 0),
                Value::Int(number) => (1, number.cast_unsigned()),
                Value::Real(number) => (2, number.to_bits()),
                Value::Text(bytes) => (3, bytes.len() as u64),
                Value::Bytes(bytes) => (4, bytes.len() as u64),
            };
            self.hasher.update([tag]);
            self.hasher.update(number.to_le_bytes());
            self.hasher.update(value.bytes().unwrap_or_default());
        }
    }

    fn of(self, kind: CopyKind) -> CopiedRows {
        CopiedRows { kind, rows: self.rows, sha256: hex(&self.hasher.finalize()) }
    }
}

/// A copy that runs.
pub(super) struct Copying<'a> {
    pub(super) source: &'a dyn Side,
    pub(super) target: &'a dyn Side,
    pub(super) options: &'a CopyOptions,
    pub(super) watch: &'a mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
    pub(super) skips: Skips,
    pub(super) open_tasks: u64,
}

impl Copying<'_> {
    /// Writes all rows of a kind. Gives their count and their hash.
    pub(super) fn write(&mut self, kind: CopyKind) -> Result<CopiedRows> {
        let (total, source) = (self.source.count(kind)?, self.source);
        let (mut tally, mut read) = (Tally::default(), 0);
        self.tell(CopyProgress { kind, compares: false, done: 0, total })?;
        pages(source, kind, |page| {
            let mut rows = Vec::with_capacity(page.len());
            read += page.len() as u64;
            for found in page {
                if let Some(why) = self.fault(kind, &found) {
                    self.skip(kind, &found.values, why)?;
                    continue;
                }
                tally.add(&found.values);
                let is_open = kind == CopyKind::Tasks && found.values.get(ENDED_AT) == Some(&Value::Null);
                self.open_tasks += u64::from(is_open);
                rows.push(found.values);
            }
            self.target.write(kind, &rows).map_err(|error| told("the target", &error))?;
            self.tell(CopyProgress { kind, compares: false, done: read, total })
        })?;
        Ok(tally.of(kind))
    }

    /// Reads the rows of a kind back, and compares them with those that were written.
    pub(super) fn compare(&mut self, written: &CopiedRows) -> Result<()> {
        let (kind, total, target) = (written.kind, written.rows, self.target);
        let mut tally = Tally::default();
        pages(target, kind, |page| {
            page.iter().filter(|found| found.fault.is_none()).for_each(|found| tally.add(&found.values));
            self.tell(CopyProgress { kind, compares: true, done: tally.rows, total })
        })?;
        if tally.of(kind) == *written { Ok(()) } else { Err(differs(kind.as_str())) }
    }

    fn tell(&mut self, progress: CopyProgress) -> Result<()> {
        match (self.watch)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(Error::new(ErrorKind::Cancelled, "the copy was stopped; the target is as empty as it was"))
            }
        }
    }

    /// The reason why a row is not copied.
    fn fault(&self, kind: CopyKind, found: &Found) -> Option<String> {
        let id = |at: usize| found.values.get(at).map(Value::int).unwrap_or_default();
        let owner = match kind {
            CopyKind::Tasks if self.skips.sessions.contains(&id(1)) => Some("its session cannot be read"),
            CopyKind::Webhooks if self.skips.tasks.contains(&id(0)) => Some("its task cannot be read"),
            _ => None,
        };
        let own = || found.fault.clone().or_else(|| soundness::fault(kind, &found.values));
        owner.map(str::to_owned).or_else(own).or_else(|| self.target.refusal(kind, &found.values))
    }

    /// Leaves a row out, or ends the copy because of it.
    fn skip(&mut self, kind: CopyKind, values: &[Value], why: String) -> Result<()> {
        let key = values.iter().take(kind.key().len());
        let row = key.map(Value::shown).collect::<Vec<_>>().join(" ");
        if !self.options.skip_damaged {
            return Err(Error::store_corrupt(format!(
                "the row {row} of the source's {} cannot be copied ({why}): restore the source from a back-up, or \
                 leave out and list what cannot be copied with --skip-damaged; nothing was copied",
                kind.as_str()
            )));
        }
        let ids = match kind {
            CopyKind::Sessions => Some(&mut self.skips.sessions),
            CopyKind::Tasks => Some(&mut self.skips.tasks),
            _ => None,
        };
        if let (Some(ids), Some(id)) = (ids, values.first()) {
            ids.insert(id.int());
        }
        self.skips.count += 1;
        if self.skips.listed.len() < MOST_SKIPPED {
            self.skips.listed.push(SkippedRow { kind, row, why });
        }
        Ok(())
    }
}

/// Reads all rows of a kind, page by page.
fn pages(side: &dyn Side, kind: CopyKind, mut take: impl FnMut(Vec<Found>) -> Result<()>) -> Result<()> {
    let columns = kind.key().len();
    let mut after: Option<Vec<Value>> = None;
    loop {
        let page = side.page(kind, after.as_deref())?;
        let Some(last) = page.last() else { return Ok(()) };
        let next: Vec<Value> = last.values.iter().take(columns).cloned().collect();
        // A damaged index could lead in a circle.
        if after.is_some_and(|after| !comes_behind(&next, &after)) {
            return Err(Error::store_corrupt(format!(
                "the {} of a store are out of order: restore it from a back-up; `cortensor-router doctor` lists what \
                 is damaged",
                kind.as_str()
            )));
        }
        after = Some(next);
        take(page)?;
    }
}

fn comes_behind(key: &[Value], other: &[Value]) -> bool {
    let orders = key.iter().zip(other).map(|(this, that)| this.order(that));
    orders.into_iter().find(|order| order.is_ne()).is_some_and(std::cmp::Ordering::is_gt)
}
