//! The tasks of the project: `cargo xtask --help`. Each command does its own set-up, so that a fresh checkout needs
//! only Rust, Python and Node on the machine.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod attack;
mod bench;
mod book;
mod c;
mod contents;
mod environment;
mod fuzz;
mod generate;
mod go;
mod instructions;
mod java;
mod lint;
mod maven;
mod model;
mod nightly;
mod node;
mod packages;
mod pages;
mod planted;
mod portable;
mod programs;
mod python;
mod sbom;
mod serve;
mod step;
mod suites;
mod turn;
mod uniffi;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use step::Steps;

/// The result of a command: nothing, or the text of the error.
type Outcome<T = ()> = Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Upkeep of the project", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the tests: some suites, or all of them.
    Test {
        /// The suites to run; all where none is given.
        #[arg(value_enum)]
        suites: Vec<suites::Suite>,
    },
    /// Check format, lints, types, licences, the number of dependencies and of public items.
    Lint,
    /// Make the book of the pages in docs/: an HTML site with search, in target/book/html. mdBook is installed below
    /// target/ if it is absent.
    Book {
        /// Serve the book on <http://localhost:3000>, and make it again when a page changes.
        #[arg(long)]
        serve: bool,
        /// Open the book in a browser.
        #[arg(long)]
        open: bool,
    },
    /// Run the commands and snippets of these pages alone, as `cargo xtask test docs` does for all.
    Page {
        /// The paths of the pages, from the root of the checkout.
        #[arg(required = true)]
        pages: Vec<String>,
    },
    /// Look the dependencies up in the database of known faults, over the network.
    Advisories {
        /// Succeed, and say so, if the database cannot be reached.
        #[arg(long)]
        if_reachable: bool,
    },
    /// Write the files that are generated from the schema: records and options of the packages, their errors,
    /// docs/rest-api.md, the tables of docs/reference/errors.md, the commands of docs/reference/command-line.md.
    Gen {
        /// Write nothing, and fail if a file is out of date.
        #[arg(long)]
        check: bool,
    },
    /// Run the simulator of the dispatch engine over many seeds.
    Sim {
        /// Instead, let many routers lend each other slots in virtual time, and print what that takes.
        #[arg(value_enum, conflicts_with_all = ["seeds", "effects", "shrink", "planted"])]
        what: Option<suites::Simulated>,
        /// The number of routers of a fleet.
        #[arg(long, default_value_t = 100, requires = "what")]
        routers: u32,
        /// The number of miners of a fleet.
        #[arg(long, default_value_t = 10_000, requires = "what")]
        miners: u32,
        /// The number of seeds; 10000 if neither this nor a seed is given.
        #[arg(long)]
        seeds: Option<u64>,
        /// The first seed; 0 if it is absent. Without --seeds, only this world is run, and its events are printed.
        #[arg(long)]
        seed: Option<u64>,
        /// Write the fingerprint of every world's effects to this file. Engines that behave alike write equal files.
        #[arg(long)]
        effects: Option<std::path::PathBuf>,
        /// Leave out what happens in the world of this seed while it fails, and print the events of what is left.
        #[arg(long, requires = "seed", conflicts_with_all = ["seeds", "effects"])]
        shrink: bool,
        /// Instead, build faults in on purpose and check that the tests find them: these faults, or all.
        #[arg(long, num_args = 0.., value_name = "NAME", conflicts_with_all = ["seeds", "seed", "effects"])]
        planted: Option<Vec<String>>,
        /// Check only the twelfth with this number of the planted bugs.
        #[arg(long, requires = "planted", value_parser = clap::value_parser!(u8).range(0..planted::PARTS as i64))]
        part: Option<u8>,
    },
    /// Run the listener and miners that dial in over simulated networks, with faults by a seed.
    Wiring {
        /// The number of worlds; 2000 if neither this nor a seed is given.
        #[arg(long)]
        seeds: Option<u64>,
        /// The first seed; 1 if it is absent. Without --seeds, only this world is run, and its events are printed.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Give readers of the router inputs that nobody should send: a target, or all of them.
    Fuzz {
        /// The target; all targets if it is absent.
        target: Option<String>,
        /// The time for all targets together, in seconds.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
        /// The seed of the inputs; a new one if it is absent.
        #[arg(long)]
        seed: Option<u64>,
        /// Let libFuzzer choose the inputs by the code that they reach. cargo-fuzz is installed below target/ if it is
        /// absent.
        #[arg(long)]
        coverage: bool,
        /// Instead, count the steps of the readers for inputs of growing sizes.
        #[arg(long, conflicts_with_all = ["coverage", "seconds", "seed"])]
        sweep: bool,
    },
    /// Break processes, disk, clock and connections under load, and check that no acknowledged task is lost, doubled or
    /// changed.
    Chaos {
        /// The thing to break: one router, or a fleet of three on a PostgreSQL of their own.
        #[arg(value_enum, default_value_t)]
        what: suites::Broken,
        /// The number of cycles, each of which draws one or two faults; for a fleet the number of times that each fault
        /// comes. Default: 300, for a fleet 50.
        #[arg(long)]
        cycles: Option<u32>,
        /// The time in seconds after which no further fault comes, for a fleet. No standby takes the place of the
        /// database then, because that takes long.
        #[arg(long)]
        seconds: Option<u32>,
        /// The seed of the faults and of the clients' actions.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Attack the real command over loopback: foreign tokens, forged frames, smuggled requests and more. No attack may
    /// succeed.
    Attack {
        /// The rows of the report to run; all where none is given.
        rows: Vec<String>,
    },
    /// Run what takes too long for CI: more worlds, all planted bugs, fuzzing by coverage, more chaos, longer sequences
    /// for the stores.
    Nightly,
    /// Measure the product against its gates, beside nginx, haproxy and bare proxies in the same run.
    Bench {
        /// The figures to measure; all figures of the core where none is given. `python`, `node`, `go`, `java`, `c`,
        /// `ruby` or `kotlin` alone measures that package, `embed` all of them. `page` fills docs/benchmarks.md from the
        /// last results.
        figures: Vec<String>,
        /// Measure other routers for inference from Python's package index, too.
        #[arg(long, conflicts_with = "against")]
        peers: bool,
        /// Use short rounds: all figures within about five minutes.
        #[arg(long)]
        quick: bool,
        /// The directory of the public traces that `policy` plays instead of requests of its own.
        #[arg(long)]
        traces: Option<std::path::PathBuf>,
        /// Another revision, as git names it. Its figures are measured in turns with those of this checkout.
        #[arg(long, value_name = "REV")]
        against: Option<String>,
        /// The number of rounds for each of the two revisions: 3, with --quick 1.
        #[arg(long, requires = "against", value_parser = clap::value_parser!(u32).range(1..=20))]
        rounds: Option<u32>,
    },
    /// Count the instructions and the allocations of one request under valgrind. Fails if there are more than 5 % above
    /// the record in xtask/instructions.toml.
    Instructions {
        /// Write the counts into the record.
        #[arg(long)]
        renew: bool,
        /// Count this program instead of the one that the profile `bench` gives.
        #[arg(long, value_name = "PATH", conflicts_with = "renew")]
        program: Option<std::path::PathBuf>,
    },
    /// Build the packages for users, and try them in clean environments.
    Dist {
        #[command(subcommand)]
        package: Package,
    },
    /// Fetch the small model and the llama.cpp server that the tests with a real model use.
    Model,
}

/// The packages that `cargo xtask dist` builds.
#[derive(Debug, Subcommand)]
enum Package {
    /// The command: an archive, a Debian package, a Containerfile beside them, and their sums.
    Command,
    /// The Python wheel and source package.
    Python,
    /// The C library with its headers, pkg-config and CMake files.
    C {
        /// The directory for the installation; target/dist/c if it is absent.
        #[arg(long)]
        prefix: Option<std::path::PathBuf>,
    },
    /// The Go module with the header and the static library.
    Go,
    /// The jar with the shared library, and the jars that it needs.
    Java,
    /// The npm packages: the main one and this platform's.
    Node,
    /// The Ruby gem, for this platform.
    Ruby,
    /// The Kotlin package: its jar with the library of this platform, and its description for Maven.
    Kotlin,
    /// The Swift package: its generated sources in the checkout, and the layout of its XCFramework.
    Swift,
    /// The bill of materials of every package.
    Sbom,
}

fn main() -> ExitCode {
    let mut steps = Steps::default();
    let outcome = match Cli::parse().command {
        Command::Test { suites } => suites::run(&mut steps, &suites),
        Command::Lint => lint::run(&mut steps, turn::Turn::All),
        Command::Book { serve, open } => book::run(&mut steps, serve, open),
        Command::Page { pages } => pages::run(&mut steps, &pages),
        Command::Gen { check: true } => generate::check(&mut steps),
        Command::Gen { check: false } => generate::run(&mut steps),
        Command::Sim { what: Some(suites::Simulated::Fleet), routers, miners, seed, .. } => {
            suites::lending(&mut steps, routers, miners, seed)
        }
        Command::Sim { planted: Some(names), part, .. } => planted::run(&mut steps, &names, part.map(usize::from)),
        Command::Sim { seed: Some(seed), shrink: true, .. } => suites::shrink(&mut steps, seed),
        Command::Sim { seeds, seed, effects, .. } => suites::sim(&mut steps, seeds, seed, effects.as_deref()),
        Command::Wiring { seeds, seed } => suites::wiring(&mut steps, seeds, seed),
        Command::Fuzz { target, sweep: true, .. } => fuzz::sweep(&mut steps, target.as_deref()),
        Command::Fuzz { target, seconds, seed, coverage, .. } => {
            let plan = fuzz::Plan { target, seconds, seed };
            if coverage { fuzz::with_coverage(&mut steps, &plan) } else { fuzz::seeded(&mut steps, &plan) }
        }
        Command::Chaos { what: suites::Broken::Router, cycles, seed, .. } => {
            suites::chaos(&mut steps, cycles.unwrap_or(300), seed)
        }
        Command::Chaos { what: suites::Broken::Fleet, cycles, seconds, seed } => {
            suites::chaos_of_fleet(&mut steps, cycles.unwrap_or(50), seconds, seed)
        }
        Command::Nightly => nightly::run(&mut steps),
        Command::Attack { rows } => attack::run(&mut steps, &rows),
        Command::Bench { figures, quick, .. } if figures == ["python"] => python::bench(&mut steps, quick),
        Command::Bench { figures, quick, .. } if figures == ["node"] => node::bench(&mut steps, quick),
        Command::Bench { figures, quick, .. } if figures == ["c"] => c::bench(&mut steps, quick),
        Command::Bench { figures, quick, .. } if figures == ["go"] => go::bench(&mut steps, quick),
        Command::Bench { figures, quick, .. } if figures == ["java"] => java::bench(&mut steps, quick),
        Command::Bench { figures, quick, .. } if figures == ["ruby"] => uniffi::ruby::bench(&mut steps, quick),
        Command::Bench { figures, quick, .. } if figures == ["kotlin"] => uniffi::kotlin::bench(&mut steps, quick),
        Command::Bench { figures, quick, .. } if figures == ["embed"] => {
            let python = python::bench(&mut steps, quick);
            let node = node::bench(&mut steps, quick);
            let go = go::bench(&mut steps, quick);
            let java = java::bench(&mut steps, quick);
            let c = c::bench(&mut steps, quick);
            let ruby = uniffi::ruby::bench(&mut steps, quick);
            python.and(node).and(go).and(java).and(c).and(ruby).and(uniffi::kotlin::bench(&mut steps, quick))
        }
        Command::Bench { figures, .. } if figures == ["page"] => bench::page::fill(&mut steps),
        Command::Bench { figures, quick, traces, against, rounds, peers } => {
            let rounds = rounds.unwrap_or(if quick { 1 } else { 3 });
            let plan = bench::Plan { figures, quick, traces, peers };
            bench::run(&mut steps, plan, against.as_deref(), rounds)
        }
        Command::Instructions { renew, program } => instructions::run(&mut steps, renew, program),
        Command::Dist { package: Package::Command } => packages::dist(&mut steps),
        Command::Dist { package: Package::Python } => python::dist(&mut steps),
        Command::Dist { package: Package::C { prefix } } => {
            let prefix = prefix.unwrap_or_else(|| environment::target().join("dist/c"));
            c::lay_out(&mut steps, &prefix, c::Build::Release)
        }
        Command::Dist { package: Package::Go } => go::dist(&mut steps),
        Command::Dist { package: Package::Java } => java::dist(&mut steps),
        Command::Dist { package: Package::Node } => node::dist(&mut steps),
        Command::Dist { package: Package::Ruby } => uniffi::ruby::dist(&mut steps),
        Command::Dist { package: Package::Kotlin } => uniffi::kotlin::dist(&mut steps),
        Command::Dist { package: Package::Swift } => uniffi::swift::dist(&mut steps),
        Command::Dist { package: Package::Sbom } => sbom::dist(&mut steps),
        Command::Advisories { if_reachable } => lint::advisories(&mut steps, if_reachable),
        Command::Model => model::installed(&mut steps).map(|model| println!("{model}")),
    };
    steps.summary();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nxtask: {message}");
            ExitCode::FAILURE
        }
    }
}
