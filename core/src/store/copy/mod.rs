//! Copies a store to another place: from a file to a database, back, or to another one of its kind.
//!
//! Rows go as they are, page by page, so that ids, times, answers and hashes of keys stay. Everything is written in one
//! transaction, read back and compared before its commit. A copy that breaks off therefore leaves the target as empty
//! as it was. Both stores are locked meanwhile: no router starts on either.

mod side;
mod soundness;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::ControlFlow;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::side::{CopyCounters, CopyOptions, CopyPlace};
pub use self::table::CopyKind;

pub(super) use self::side::Side;
#[cfg(feature = "postgres")]
pub(super) use self::table::Form;
pub(super) use self::table::{Found, Value, task_columns};

use self::table::ENDED_AT;
use super::sqlite::SqliteSide;
#[cfg(feature = "postgres")]
use super::{PostgresOptions, postgres::PostgresSide};
use crate::model::hex;
use crate::{Error, ErrorKind, Result};

/// Rows of which the report says why they were left out; further ones are only counted.
const MOST_SKIPPED: usize = 1_000;

/// The sessions that every router has from its first start on.
const STANDING: i64 = 1;

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

/// Copies everything that a store has to another place, which must be empty. Blocks, and must not be called from a
/// runtime. `watch` may stop the copy.
///
/// # Errors
/// `NotFound` if there is no source; `Conflict` if a process uses one of the stores, or the target is not empty;
/// `Internal` with the code `store_corrupt` if a row of the source cannot be read; `Cancelled` if `watch` stopped it;
/// errors of the stores. After an error the target is as it was.
pub fn copy(
    from: &CopyPlace,
    to: &CopyPlace,
    options: &CopyOptions,
    watch: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
) -> Result<CopyReport> {
    if from.is(to) {
        return Err(Error::invalid("to", format!("source and target are one store, {}: name two", to.shown())));
    }
    let source = open(from, options, false).map_err(|error| told("the source", &error))?;
    let target = open(to, options, true).map_err(|error| told("the target", &error))?;
    check_empty(&*target, to)?;
    target.clear()?;
    let mut run =
        Copying { source: &*source, target: &*target, options, watch, skips: Skips::default(), open_tasks: 0 };
    let mut copied = Vec::new();
    for kind in CopyKind::ALL {
        copied.push(run.write(kind)?);
    }
    let wanted = source.counters()?.max(target.counters()?);
    let written = target.finish(wanted)?;
    for rows in &copied {
        run.compare(rows)?;
    }
    let counters = target.counters()?;
    if counters != written || counters != counters.max(wanted) {
        return Err(differs("the numbers that were given out"));
    }
    let (skips, open_tasks) = (run.skips, run.open_tasks);
    target.commit()?;
    Ok(CopyReport {
        from: from.shown(),
        to: to.shown(),
        copied,
        open_tasks,
        skipped: skips.listed,
        skipped_rows: skips.count,
        counters,
    })
}

fn open(place: &CopyPlace, options: &CopyOptions, is_target: bool) -> Result<Box<dyn Side>> {
    match place {
        CopyPlace::Directory(dir) => Ok(Box::new(SqliteSide::open(dir, &options.sqlite, is_target)?)),
        #[cfg(feature = "postgres")]
        CopyPlace::Database { url, schema } => {
            let options = PostgresOptions { schema: schema.clone(), ..options.postgres.clone() };
            Ok(Box::new(PostgresSide::open(url, &options, is_target)?))
        }
        #[cfg(not(feature = "postgres"))]
        CopyPlace::Database { .. } => Err(Error::invalid(
            "storage.url",
            "this program cannot use PostgreSQL: use a package, or build it with `--features full` (a library: with the \
             feature postgres), or name a data directory",
        )),
    }
}

/// The error of one of the two stores.
fn told(side: &str, error: &Error) -> Error {
    let mut told = Error::new(error.kind(), format!("{side}: {error}")).with_code(error.code().to_owned());
    if let Some(param) = &error.details().param {
        told = told.with_param(param.clone());
    }
    told
}

/// Refuses a target in which there is anything but the sessions of an unused store.
fn check_empty(target: &dyn Side, to: &CopyPlace) -> Result<()> {
    let mut found = Vec::new();
    for kind in CopyKind::ALL {
        let mut rows = target.count(kind)?;
        if kind == CopyKind::Sessions {
            let standing = target.page(kind, None)?;
            let unused = standing.iter().take_while(|row| row.values.first().is_some_and(|id| id.int() <= STANDING));
            rows -= unused.count() as u64;
        }
        if rows > 0 {
            found.push(format!("{}: {rows}", kind.as_str()));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let words = format!(
        "the target {} is not empty ({}): copy into an empty one, which is a new directory, database or schema",
        to.shown(),
        found.join(", ")
    );
    Err(Error::new(ErrorKind::Conflict, words).with_param("to").with_code("store_not_empty"))
}

fn differs(what: &str) -> Error {
    Error::store_corrupt(format!(
        "{what} of the target are not those of the source after the copy: nothing was kept; check the disks of both, and \
         copy again"
    ))
}

/// The rows that were left out.
#[derive(Debug, Default)]
struct Skips {
    listed: Vec<SkippedRow>,
    count: u64,
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

struct Copying<'a> {
    source: &'a dyn Side,
    target: &'a dyn Side,
    options: &'a CopyOptions,
    watch: &'a mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
    skips: Skips,
    open_tasks: u64,
}

impl Copying<'_> {
    /// Writes all rows of a kind. Gives their count and their hash.
    fn write(&mut self, kind: CopyKind) -> Result<CopiedRows> {
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
    fn compare(&mut self, written: &CopiedRows) -> Result<()> {
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
                "the row {row} of the source's {} cannot be copied ({why}): restore the source from a back-up, or leave out \
                 and list what cannot be copied with --skip-damaged; nothing was copied",
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
                "the {} of a store are out of order: restore it from a back-up; `cortensor-router doctor` lists what is \
                 damaged",
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
