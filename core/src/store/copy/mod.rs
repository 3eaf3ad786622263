//! Copies a store to another place: from a file to a database, back, or to another one of its kind.
//!
//! Rows go as they are, page by page, so that ids, times, answers and hashes of keys stay. Everything is written in one
//! transaction, read back and compared before its commit. A copy that breaks off therefore leaves the target as empty
//! as it was. Both stores are locked meanwhile: no router starts on either.

mod carrying;
mod report;
mod side;
mod soundness;
mod table;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub use self::report::{CopiedRows, CopyProgress, CopyReport, SkippedRow};
pub use self::side::{CopyCounters, CopyOptions, CopyPlace};
pub use self::table::CopyKind;

pub(super) use self::side::{PAGE_BYTES, PAGE_ROWS, Side};
#[cfg(feature = "postgres")]
pub(super) use self::table::Form;
pub(super) use self::table::{Found, Value, task_columns};

use self::carrying::{Copying, Skips, differs};
use super::sqlite::SqliteSide;
#[cfg(feature = "postgres")]
use super::{PostgresOptions, postgres::PostgresSide};
use crate::{Error, ErrorKind, Result};

/// The sessions that every router has from its first start on.
const STANDING: i64 = 1;

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
            "this program cannot use PostgreSQL: use a package, or build it with `--features full` (a library: with \
             the feature postgres), or name a data directory",
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
