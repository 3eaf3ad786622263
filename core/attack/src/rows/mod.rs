//! The rows of the report.

mod access;
mod addresses;
mod bodies;
mod exposure;
mod frames;
mod keys;
mod origins;
mod paths;
mod requests;
mod secrets;
mod slow;
mod smuggling;
mod timing;

use crate::Outcome;
use crate::report::Tally;
use crate::target::Command;

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name in the report and on the command line.
    pub(crate) name: &'static str,
    /// Runs the attacks.
    pub(crate) run: fn(&Command) -> Outcome<Tally>,
}

/// All rows, in the order in which they run.
pub(crate) const ALL: &[Row] = &[
    Row { name: "access", run: access::run },
    Row { name: "addresses", run: addresses::run },
    Row { name: "origins", run: origins::run },
    Row { name: "frames", run: frames::run },
    Row { name: "bodies", run: bodies::run },
    Row { name: "smuggling", run: smuggling::run },
    Row { name: "paths", run: paths::run },
    Row { name: "keys", run: keys::run },
    Row { name: "requests", run: requests::run },
    Row { name: "secrets", run: secrets::run },
    Row { name: "timing", run: timing::run },
    Row { name: "exposure", run: exposure::run },
    Row { name: "slow", run: slow::run },
];
