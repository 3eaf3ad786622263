//! The test suites, and the long runs beside them.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::step::{Lane, Steps};
use crate::turn::Turn;
use crate::{Outcome, c, environment, go, java, lint, model, node, packages, pages, programs, python, uniffi};

/// The default number of worlds.
const SEEDS: u64 = 10_000;

/// The default number of worlds with simulated networks.
const WIRING_SEEDS: u64 = 2_000;

/// One suite of `cargo xtask test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Format, lints, types, licences, the number of dependencies and of public items: `cargo xtask lint`, of whose lints
    /// with few features each has its day.
    Lint,
    /// Unit, integration and documentation tests of the crates.
    Rust,
    /// Python clients, `openai` among them, against a running router; a real model behind it; the Python package.
    Python,
    /// The Node package with its examples, and Node clients against a running router: `openai` and
    /// `cortensor-openai-provider`.
    Node,
    /// The C library from C and C++ programs, installed as its users install it.
    C,
    /// The Go module over the C library.
    Go,
    /// The Java library over the C library.
    Java,
    /// The Ruby gem, with its examples and its page.
    Ruby,
    /// The Kotlin package, with its examples and its page.
    Kotlin,
    /// The sources of the Swift package, which are compared and not compiled.
    Swift,
    /// The commands and snippets of README.md and of the book.
    Docs,
    /// The command's Debian package, image, compose file and chart; the crates as crates.io gets them.
    Packages,
}

/// Suites that mostly wait for one program after the other, in two rows that run beside each other and take about as
/// long. Suites that write the same files are in one row: C, Go and Java share the installed C library.
const LANES: [&[Suite]; 2] = [
    &[Suite::C, Suite::Go, Suite::Java, Suite::Packages, Suite::Node],
    &[Suite::Python, Suite::Ruby, Suite::Kotlin, Suite::Swift],
];

/// Runs those suites, or all. A suite that fails does not keep the next one from running.
///
/// # Errors
/// When one failed.
pub(crate) fn run(steps: &mut Steps, suites: &[Suite]) -> Outcome {
    let suites = if suites.is_empty() { Suite::value_variants() } else { suites };
    let mut failures = Vec::new();
    let run = |steps: &mut Steps, suite: Suite| match suite {
        Suite::Lint => lint::run(steps, Turn::today()),
        Suite::Rust => rust(steps),
        Suite::Python => python_suite(steps),
        Suite::Node => node_clients(steps).and(node::test(steps)),
        Suite::C => c::test(steps),
        Suite::Go => go::test(steps),
        Suite::Java => java::test(steps),
        Suite::Ruby => uniffi::ruby::test(steps),
        Suite::Kotlin => uniffi::kotlin::test(steps),
        Suite::Swift => uniffi::swift::test(steps),
        Suite::Docs => pages::run(steps, &[]),
        Suite::Packages => packages::test(steps),
    };
    let wanted = |of: &[Suite]| of.iter().copied().filter(|suite| suites.contains(suite)).collect::<Vec<_>>();
    let all = |steps: &mut Steps, of: Vec<Suite>| {
        let failed: Vec<_> = of.into_iter().filter_map(|suite| run(steps, suite).err()).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
    };
    // These use all processors, and build what the others use.
    failures.extend(all(steps, wanted(&[Suite::Lint, Suite::Rust])).err());
    let all = &all;
    let lanes = LANES.iter().map(|of| wanted(of)).filter(|of| !of.is_empty());
    let lanes: Vec<_> = lanes.map(|of| Box::new(move |steps: &mut Steps| all(steps, of)) as Lane<'_>).collect();
    // One alone shows its output as it comes.
    match lanes.len() {
        0 | 1 => failures.extend(lanes.into_iter().filter_map(|lane| lane(steps).err())),
        _ => failures.extend(steps.beside(lanes).into_iter().filter_map(Result::err)),
    }
    // The pages run what the packages' suites have built.
    failures.extend(all(steps, wanted(&[Suite::Docs])).err());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn rust(steps: &mut Steps) -> Outcome {
    let mut tests = if environment::answers("cargo-nextest", &["nextest", "--version"]) {
        let mut nextest = environment::cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
        nextest.args(["--config-file", ".cargo/nextest.toml"]);
        nextest
    } else {
        environment::cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"])
    };
    // Building a model takes long. It happens here only if a model is required; otherwise the Python suite does it.
    if let Some(model) = if model::is_required() { Some(model::installed(steps)?) } else { model::present()? } {
        tests.envs(model.environment());
    }
    // Without the servers their tests say that they were left out.
    match environment::postgres(steps) {
        Ok(()) => drop(tests.env("CORTENSOR_REQUIRE_POSTGRES", "1")),
        Err(why) => steps.skip("tests of PostgreSQL", &why),
    }
    // A snapshot that was not reviewed is a failure, and must not become a file that the next run trusts.
    let tests = steps.run("Rust tests", tests.env("INSTA_UPDATE", "no"));
    let docs = steps.run("Rust documentation tests", &mut environment::cargo(&["test", "--workspace", "--doc"]));
    tests.and(docs)
}

/// A seed that no earlier run had.
pub(crate) fn new_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Builds an integration test of the workspace. Gives the command that runs those of its tests whose names contain
/// `filter`, with their output.
///
/// # Errors
/// When it does not build.
pub(crate) fn test_of(steps: &mut Steps, name: &str, filter: &str) -> Outcome<Command> {
    let mut command = None;
    steps.check(&format!("build the test {name}"), || {
        let built = programs::build(&mut programs::cargo("test", &["--no-run", "--test", name]), &environment::root())?;
        let program = built.get(name).ok_or_else(|| format!("cargo has built no test {name}"))?;
        let mut run = program.command();
        run.args(["--nocapture", filter]);
        command = Some(run);
        Ok(program.path.display().to_string())
    })?;
    command.ok_or_else(|| format!("there is no test {name}"))
}

fn python_suite(steps: &mut Steps) -> Outcome {
    let router = environment::router(steps)?;
    let bin = environment::python(steps)?;
    let mut pytest = Command::new(bin.join("pytest"));
    pytest.current_dir(environment::clients().join("python")).env("CORTENSOR_ROUTER_BIN", router);
    let model = match model::installed(steps) {
        Ok(model) => Some(model),
        // A contributor whose machine has no prebuilt package can still run the other tests.
        Err(why) if !model::is_required() => {
            steps.skip("a real model", &why);
            None
        }
        Err(why) => return Err(why),
    };
    if let Some(model) = &model {
        pytest.envs(model.environment()).env("CORTENSOR_REQUIRE_MODEL", "1");
    }
    let clients = steps.run("Python clients", &mut pytest);
    clients.and(python::test(steps, model.as_ref()))
}

fn node_clients(steps: &mut Steps) -> Outcome {
    let router = environment::router(steps)?;
    let mut outcome = Ok(());
    for (name, title) in [("node", "Node client: openai"), ("cortensor", "Node client: cortensor-openai-provider")] {
        let directory = environment::clients().join(name);
        environment::node(steps, &directory)?;
        let mut test = Command::new("node");
        test.args(["--test", "--test-timeout=60000", "--test-concurrency=1"]);
        test.current_dir(directory).env("CORTENSOR_ROUTER_BIN", &router);
        outcome = outcome.and(steps.run(title, &mut test));
    }
    outcome
}

/// Runs the simulator: `seeds` worlds from `seed` on, or that one alone with its events printed. The fingerprints of
/// their effects go to the file `effects`.
///
/// # Errors
/// When a seed breaks a rule.
pub(crate) fn sim(steps: &mut Steps, seeds: Option<u64>, seed: Option<u64>, effects: Option<&Path>) -> Outcome {
    let mut run = test_of(steps, "simulation", "no_world_breaks_an_invariant")?;
    let title = if let (None, Some(seed)) = (seeds, seed) {
        format!("simulator: seed {seed}")
    } else {
        let seeds = seeds.unwrap_or(SEEDS);
        run.env("SIM_SEEDS", seeds.to_string());
        format!("simulator: {seeds} seeds")
    };
    if let Some(seed) = seed {
        run.env("SIM_SEED", seed.to_string());
    }
    if let Some(file) = effects {
        let file = std::path::absolute(file).map_err(|error| format!("{}: {error}", file.display()))?;
        run.env("SIM_EFFECTS", file);
    }
    steps.run(&title, &mut run)
}

/// Runs the listener and miners over simulated networks: `seeds` worlds from `seed` on, or that one alone with
/// everything that happened.
///
/// # Errors
/// When a world breaks a promise.
pub(crate) fn wiring(steps: &mut Steps, seeds: Option<u64>, seed: Option<u64>) -> Outcome {
    let mut run = test_of(steps, "wiring", "")?;
    let seeds = seeds.unwrap_or(if seed.is_some() { 1 } else { WIRING_SEEDS });
    run.env("CORTENSOR_WIRING_SEEDS", seeds.to_string());
    if let Some(seed) = seed {
        run.env("CORTENSOR_WIRING_SEED", seed.to_string());
    }
    steps.run(&format!("wiring: {seeds} worlds"), &mut run)
}

/// Makes the world of a failing seed smaller, and plays what is left of it.
///
/// # Errors
/// When the world fails.
pub(crate) fn shrink(steps: &mut Steps, seed: u64) -> Outcome {
    let mut run = test_of(steps, "simulation", "no_world_breaks_an_invariant")?;
    run.env("SIM_SEED", seed.to_string()).env("SIM_SHRINK", "1");
    steps.run(&format!("simulator: a smaller world of seed {seed}"), &mut run)
}

/// Plays `sequences` sequences of calls, failures and restarts for each test of the model of the stores.
///
/// # Errors
/// When a store answers otherwise than the model allows.
pub(crate) fn stores(steps: &mut Steps, sequences: u32) -> Outcome {
    let mut run = test_of(steps, "model", "")?;
    run.env("PROPTEST_CASES", sequences.to_string());
    steps.run(&format!("model of the stores: {sequences} sequences"), &mut run)
}

/// Runs the chaos loop.
///
/// # Errors
/// When an acknowledged task is lost, doubled or changed.
pub(crate) fn chaos(steps: &mut Steps, cycles: u32, seed: Option<u64>) -> Outcome {
    let mut run = test_of(steps, "chaos", "")?;
    run.env("CORTENSOR_CHAOS_CYCLES", cycles.to_string());
    if let Some(seed) = seed {
        run.env("CORTENSOR_CHAOS_SEED", seed.to_string());
    }
    steps.run(&format!("chaos: {cycles} cycles"), &mut run)
}

/// The thing that a chaos loop breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Broken {
    /// One router with its miners, its disk and its clock.
    #[default]
    Router,
    /// Three routers with their miners, their links and their database.
    Fleet,
}

/// Runs the chaos loop over a fleet: each fault `rounds` times, and none after `seconds`. With a bound of time no standby
/// takes the place of the database.
///
/// # Errors
/// When an acknowledged task is lost, doubled or changed.
pub(crate) fn chaos_of_fleet(steps: &mut Steps, rounds: u32, seconds: Option<u32>, seed: Option<u64>) -> Outcome {
    environment::postgres(steps)?;
    let mut run = test_of(steps, "chaos", "no_fault_of_a_fleet_loses_doubles_or_changes_a_task")?;
    run.arg("--ignored").env("CORTENSOR_REQUIRE_POSTGRES", "1").env("CORTENSOR_CHAOS_CYCLES", rounds.to_string());
    if let Some(seconds) = seconds {
        run.env("CORTENSOR_CHAOS_SECONDS", seconds.to_string()).env("CORTENSOR_CHAOS_FAILOVER", "0");
    }
    if let Some(seed) = seed {
        run.env("CORTENSOR_CHAOS_SEED", seed.to_string());
    }
    steps.run(&format!("chaos of a fleet: each fault {rounds} times"), &mut run)
}

/// A thing that is simulated beside the engine's worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Simulated {
    /// Routers that lend each other slots.
    Fleet,
}

/// Lets routers with their engines lend each other slots in virtual time, and prints what that takes.
///
/// # Errors
/// When it does not build or fails.
pub(crate) fn lending(steps: &mut Steps, routers: u32, miners: u32, seed: Option<u64>) -> Outcome {
    let (routers, miners, seed) = (routers.to_string(), miners.to_string(), seed.unwrap_or(1).to_string());
    let mut run =
        environment::cargo(&["run", "--release", "--package", "cortensor-router-engine", "--example", "lending"]);
    run.args(["--", "--routers", &routers, "--miners", &miners, "--seed", &seed]);
    steps.run(&format!("lending: {routers} routers, {miners} miners"), &mut run)
}
