//! `store`: moves what a router keeps from one place to another.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use cortensor_router::internals::store::{CopyKind, CopyOptions, CopyPlace, CopyProgress, CopyReport, copy};
use serde_json::json;

use crate::exit::{Done, Exit};
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  cortensor-router store copy --to postgres://router@db.example/router
                                               from the configured store to a database
  export CORTENSOR_STORAGE_URL='postgres://router:PASSWORD@db.example/router'
  cortensor-router store copy --from ~/.local/share/cortensor-router
                                               ... whose password no other user sees
  cortensor-router store copy --to /var/lib/router   and back to a directory

Stop every router of both stores first. Afterwards start routers on the target alone:
the source stays as it is, and two stores that go on from one would give ids out twice.";

/// The arguments of `store`.
#[derive(Debug, Args)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy a store to an empty place: a data directory, or a schema of a PostgreSQL database
    Copy(Copy),
}

/// A source and a target.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Copy {
    /// The store to copy: a data directory, or the URL of a database; the configured store where none is given
    #[arg(long, value_name = "URL|DIR", required_unless_present = "to")]
    from: Option<String>,
    /// The empty place for the copy: a data directory, or the URL of a database; the configured store where none is
    /// given
    #[arg(long, value_name = "URL|DIR")]
    to: Option<String>,
    /// The schema of a database that `--from` names; `storage.schema` where none is given
    #[arg(long, value_name = "NAME", requires = "from")]
    from_schema: Option<String>,
    /// The schema of a database that `--to` names; `storage.schema` where none is given
    #[arg(long, value_name = "NAME", requires = "to")]
    to_schema: Option<String>,
    /// Leave out rows that cannot be read, and list them; otherwise the first one ends the copy
    #[arg(long)]
    skip_damaged: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

impl StoreCommand {
    pub(crate) fn run(&self) -> Done {
        match &self.action {
            Action::Copy(copy) => copy.run(),
        }
    }
}

impl Copy {
    fn run(&self) -> Done {
        let loaded = self.settings.load(Vec::new())?;
        let config = &loaded.config;
        let place = |flag: &str, named: Option<&String>, schema: Option<&String>| match named {
            Some(text) => {
                let place = CopyPlace::of(text, schema.unwrap_or(&config.storage.schema))
                    .map_err(|error| Exit::usage(format!("{flag}: {error}")))?;
                if schema.is_some() && matches!(place, CopyPlace::Directory(_)) {
                    return Err(Exit::usage(format!(
                        "{flag} is a directory, which has no schema: remove {flag}-schema"
                    )));
                }
                Ok(place)
            }
            None => CopyPlace::configured(config).ok_or_else(|| {
                Exit::usage(format!(
                    "the configured store is in memory, and ends with its router: name one with {flag}"
                ))
            }),
        };
        let from = place("--from", self.from.as_ref(), self.from_schema.as_ref())?;
        let to = place("--to", self.to.as_ref(), self.to_schema.as_ref())?;
        let options = CopyOptions { skip_damaged: self.skip_damaged, ..CopyOptions::of(config) };
        let mut line = Line::new(!self.json);
        let report = copy(&from, &to, &options, &mut |progress| {
            line.show(progress);
            ControlFlow::Continue(())
        });
        line.clear();
        let report = report?;
        if self.json {
            return output::json(&json!(report));
        }
        tell(&report)
    }
}

fn tell(report: &CopyReport) -> Done {
    output::fields(&[("from", report.from.clone()), ("to", report.to.clone())])?;
    let rows = report.copied.iter();
    let rows: Vec<_> =
        rows.map(|one| vec![one.kind.as_str().to_owned(), one.rows.to_string(), one.sha256.clone()]).collect();
    output::table(&["KIND", "ROWS", "SHA-256"], &rows)?;
    for skipped in &report.skipped {
        output::line(&format!("left out: {} {}: {}", skipped.kind.as_str(), skipped.row, skipped.why))?;
    }
    let more = report.skipped_rows - report.skipped.len() as u64;
    if more > 0 {
        output::line(&format!("left out: {more} more rows"))?;
    }
    let tasks = report.copied.iter().find(|one| one.kind == CopyKind::Tasks).map_or(0, |one| one.rows);
    let open = match report.open_tasks {
        0 => String::new(),
        open => format!("; {open} of them have not ended and run again at the next start"),
    };
    output::line(&format!(
        "the target was read back and is equal to the source: {tasks} tasks{open}. Start routers on the target alone."
    ))
}

/// The line on a terminal that says how far the copy is.
struct Line {
    is_drawn: bool,
    last: Option<(CopyKind, bool, u64)>,
}

impl Line {
    fn new(wanted: bool) -> Self {
        // A terminal that cannot go back to the start of its line would show every step.
        let can_draw = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
        Self { is_drawn: wanted && can_draw, last: None }
    }

    fn show(&mut self, progress: CopyProgress) {
        let CopyProgress { kind, compares, done, total } = progress;
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100).min(100);
        if !self.is_drawn || self.last.replace((kind, compares, percent)) == Some((kind, compares, percent)) {
            return;
        }
        let deed = if compares { "comparing" } else { "copying" };
        draw(&format!("{deed} {}: {done} of {total} ({percent} %)", kind.as_str()));
    }

    fn clear(&self) {
        if self.is_drawn {
            draw("");
        }
    }
}

/// Writes over the line. A terminal that is gone does not end the copy.
fn draw(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
}
