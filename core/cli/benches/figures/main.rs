//! Measures the product and decides whether it meets its gates: `cargo xtask bench`. `docs/benchmarks.md` explains each
//! figure and lists the measured values.
//!
//! Each figure and its reference are measured in one run, in turns, so that other load on the machine changes both.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]
#![allow(clippy::unchecked_time_subtraction, reason = "one clock is read twice, and does not go back")]
#![allow(clippy::similar_names, reason = "what is compared has names alike")]

mod accepts;
mod bare;
mod chart;
mod compare;
mod decisions;
mod families;
mod first_token;
mod fleet;
mod frames;
mod growth;
mod hang_up;
mod history;
mod load;
mod memory;
mod mock;
mod peers;
mod policy;
mod process;
mod proxies;
mod remote;
mod report;
mod requests;
mod target;
mod verdicts;
mod wire;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use serde_json::json;
use tempfile::TempDir;

use process::{Foreign, load_average, processor};
use report::Row;

/// The result of a step; the error is a text.
type Outcome<T = ()> = Result<T, String>;

type Measure = fn(&Context, &mut Vec<Row>) -> Outcome;

/// All figures, with their names on the command line.
const FIGURES: [(&str, Measure); 20] = [
    ("unary", requests::unary),
    ("streams", requests::streams),
    ("full", requests::full),
    ("open-loop", requests::open_loop),
    ("bodies", requests::bodies),
    ("families", families::measure),
    ("peers", peers::measure),
    ("hang-up", hang_up::measure),
    ("accepts", accepts::measure),
    ("first-token", first_token::measure),
    ("frames", frames::measure),
    ("recovery", history::recovery),
    ("history", history::history),
    ("memory", memory::measure),
    ("growth", growth::measure),
    ("decisions", decisions::measure),
    ("policy", policy::measure),
    ("remote", remote::measure),
    ("verdicts", verdicts::measure),
    ("fleet", fleet::measure),
];

/// Measures the product against its gates.
#[derive(Parser)]
#[command(name = "figures")]
struct Arguments {
    /// The figures to measure; all where none is given
    figures: Vec<String>,
    /// Use short rounds: all figures within five minutes
    #[arg(long)]
    quick: bool,
    /// The path of nginx
    #[arg(long, default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,
    /// The path of haproxy
    #[arg(long, default_value = "/usr/sbin/haproxy")]
    haproxy: PathBuf,
    /// The directory of the environments of other routers for inference
    #[arg(long)]
    peers: Option<PathBuf>,
    /// A directory for the drawings of the curves
    #[arg(long)]
    drawings: Option<PathBuf>,
    /// The build of the command to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_cortensor-router"))]
    router: PathBuf,
    /// The directory of the public traces that `policy` plays instead of its own requests
    #[arg(long)]
    traces: Option<PathBuf>,
    /// A file for the figures as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// The flag that cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Run as a bare proxy in front of that upstream instead
    #[arg(long, hide = true)]
    bare_proxy: Option<SocketAddr>,
    /// Let the threads of the bare proxy share their work
    #[arg(long, hide = true)]
    shared_threads: bool,
    /// Run as the mock upstream instead, for a profiler
    #[arg(long, hide = true)]
    mock: bool,
}

/// The settings that all figures share.
struct Context {
    quick: bool,
    router: PathBuf,
    /// The path of nginx, or the reason why it is not used.
    nginx: Outcome<PathBuf>,
    /// The path of haproxy, or the reason why it is not used.
    haproxy: Outcome<PathBuf>,
    /// The directory of the environments of other routers, if they are measured.
    peers: Option<PathBuf>,
    /// The directory for drawings, if they are wanted.
    drawings: Option<PathBuf>,
    /// The curves that were measured.
    curves: RefCell<Vec<serde_json::Value>>,
    /// The directory of public traces, if they are used.
    traces: Option<PathBuf>,
    scratch: TempDir,
    made: Cell<u32>,
}

impl Context {
    /// Gives the first value in a quick run, else the second.
    fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Keeps a curve for the results, and draws it.
    fn keep(&self, curve: &chart::Curve) -> Outcome {
        self.curves.borrow_mut().push(curve.json());
        let Some(dir) = &self.drawings else { return Ok(()) };
        let file = dir.join(format!("{}.svg", curve.name));
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&file, curve.svg()))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Makes an empty directory on a disk.
    fn fresh_dir(&self, name: &str) -> Outcome<PathBuf> {
        let number = self.made.replace(self.made.get() + 1);
        let dir = self.scratch().join(format!("{name}-{number}"));
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(dir)
    }
}

/// Makes the runtime for the product in this process.
fn runtime() -> Outcome<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.bare_proxy {
        Some(upstream) => bare::serve(upstream, arguments.shared_threads),
        None if arguments.mock => mock::Mock::start(1).map(|mock| {
            println!("port {}", mock.address.port());
            loop {
                std::thread::park();
            }
        }),
        // A test run builds benchmarks too, but must not run them.
        None if !arguments.bench => {
            println!("figures: run `cargo xtask bench`");
            Ok(())
        }
        None => run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("figures: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Outcome {
    let names: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = arguments.figures.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("there is no figure {unknown:?}; there are: {}", names.join(", ")));
    }
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|error| error.to_string())?;
    let installed = |program: &PathBuf| match Command::new(program).arg("-v").output() {
        Ok(_) => Ok(program.clone()),
        Err(error) => Err(format!("{}: {error}", program.display())),
    };
    let context = Context {
        quick: arguments.quick,
        router: arguments.router.clone(),
        nginx: installed(&arguments.nginx),
        haproxy: installed(&arguments.haproxy),
        peers: arguments.peers.clone(),
        drawings: arguments.drawings.clone(),
        curves: RefCell::default(),
        traces: arguments.traces.clone(),
        scratch,
        made: Cell::new(0),
    };
    let (mut rows, mut failures, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    println!("{}; load average {}", processor(), load_average());
    let chosen = |name: &str| arguments.figures.is_empty() || arguments.figures.iter().any(|one| one == name);
    for (name, measure) in FIGURES.into_iter().filter(|(name, _)| chosen(name)) {
        let (from, foreign, before) = (Instant::now(), Foreign::watch(), rows.len());
        if let Err(error) = measure(&context, &mut rows) {
            eprintln!("{name}: {error}");
            failures.push(format!("{name}: {error}"));
        }
        let (seconds, share) = (from.elapsed().as_secs_f64(), foreign.share());
        println!("\n{name}: {seconds:.1} s, others used {:.0} % of the machine", share * 100.0);
        print!("{}", report::table(&rows[before..]));
        loads.push(json!({ "figure": name, "seconds": seconds, "foreign_load": share }));
    }
    if let Some(path) = &arguments.json {
        let all = json!({
            "version": cortensor_router::VERSION,
            "processor": processor(),
            "load_average": load_average(),
            "quick": arguments.quick,
            "runs": loads,
            "curves": context.curves.take(),
            "figures": rows.iter().map(Row::json).collect::<Vec<_>>(),
            "failures": failures,
        });
        let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let gated: Vec<bool> = rows.iter().filter_map(Row::met).collect();
    let met = gated.iter().filter(|met| **met).count();
    println!("\nbench: {met} of {} gates met, {} figures failed", gated.len(), failures.len());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}
