//! Attacks on the real command, over loopback. `cargo xtask attack` builds and runs this program.
//!
//! Each row of the report is a set of tries of one kind. A row counts its tries and the successes of the attacker, and
//! the program fails if there is one. A row also has controls: honest requests that must succeed, because an attack on
//! a router that refuses everything proves nothing.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod clients;
mod http;
mod miner;
mod report;
mod rows;
mod target;
mod upstream;

use std::process::ExitCode;

/// The result of a step that is no attack; an error ends the row.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(router) = arguments.next() else {
        eprintln!("usage: cortensor-router-attack ROUTER [ROW ...], with the path of the command cortensor-router");
        return ExitCode::from(2);
    };
    let wanted: Vec<String> = arguments.collect();
    if let Some(unknown) = wanted.iter().find(|name| !rows::ALL.iter().any(|row| row.name == name.as_str())) {
        let names: Vec<&str> = rows::ALL.iter().map(|row| row.name).collect();
        eprintln!("there is no row {unknown}; the rows are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let command = target::Command::new(router.into());
    let mut report = report::Report::default();
    for row in rows::ALL.iter().filter(|row| wanted.is_empty() || wanted.iter().any(|name| name == row.name)) {
        report.run(row.name, || (row.run)(&command));
    }
    report.print();
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
