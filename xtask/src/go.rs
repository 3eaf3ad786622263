//! The Go module over the C API: its layout for users, its tests, and its cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::{self, Build};
use crate::step::Steps;
use crate::{Outcome, bench, contents, environment, pages};

/// Programs that the tests need, each with an argument to which it answers and Debian's package that contains it.
const TOOLS: &[(&str, &str, &str)] = &[
    ("go", "version", "golang-go"),
    ("gofmt", "-h", "golang-go"),
    ("cc", "--version", "build-essential"),
    ("pkg-config", "--version", "pkg-config"),
];

/// The examples that end by themselves, and those that serve.
const EXAMPLES: [&str; 3] = ["hello", "stream", "own_miner"];
const SERVED: [&str; 2] = ["serve", "own_server"];

/// The flags that leave out the parts of the static library that are not called, as the README has them. Go exports every
/// symbol of a program, and nothing is left out then, unless the library's are excluded.
const TRIM: [&str; 2] = ["-ldflags", "-s -w \"-extldflags=-Wl,--gc-sections -Wl,--exclude-libs,ALL\""];

/// The build tag that links the shared library.
const SHARED: [&str; 2] = ["-tags", "cortensor_shared"];

/// The directory of the module's sources.
fn source() -> PathBuf {
    environment::root().join("core/capi/go")
}

/// The name that Go has for this machine.
fn platform() -> Outcome<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("linux_amd64"),
        ("linux", "aarch64") => Ok("linux_arm64"),
        (os, arch) => Err(format!("no Go module is made for {os} on {arch}")),
    }
}

/// Lays the module out as its users have it, with the header and the static library of the C library below `prefix`.
fn lay_out(steps: &mut Steps, prefix: &Path, module: &Path) -> Outcome {
    let platform = platform()?;
    let bill = c::bill(prefix);
    steps.check(&format!("lay out {}", module.display()), || {
        copied(prefix, module, platform).map_err(|error| format!("{}: {error}", module.display()))?;
        contents::papers(&source(), bill.as_deref(), module)?;
        Ok(format!("cortensor.internal/router {}, for {platform}", env!("CARGO_PKG_VERSION")))
    })?;
    let files = ["go.mod".into(), "include/cortensor_router.h".into(), format!("lib/{platform}/libcortensor_router.a")];
    contents::directory(steps, module, bill.is_some(), &files)
}

fn copied(prefix: &Path, module: &Path, platform: &str) -> std::io::Result<()> {
    let library = module.join("lib").join(platform);
    let _ = fs::remove_dir_all(module);
    fs::create_dir_all(module.join("include"))?;
    fs::create_dir_all(&library)?;
    for entry in fs::read_dir(source())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), module.join(entry.file_name()))?;
        }
    }
    fs::copy(prefix.join("include/cortensor_router.h"), module.join("include/cortensor_router.h"))?;
    environment::link(&prefix.join("lib/libcortensor_router.a"), &library.join("libcortensor_router.a"))
}

/// Builds the module for users into `target/dist/go`, and runs an example with it.
///
/// # Errors
/// When it does not build, or the example does not work.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    installed(steps)?;
    let prefix = c::prefix(steps, Build::Portable)?;
    lay_out(steps, &prefix, &environment::target().join("dist/go"))?;
    let mut run = Command::new("go");
    run.args(["run", "-mod=mod"]).args(TRIM).arg("./hello").current_dir(environment::root().join("examples/go"));
    steps.run("Go: hello with the module of target/dist/go", &mut run)
}

fn installed(steps: &mut Steps) -> Outcome {
    let absent = || {
        let there = |program: &str, argument: &str| {
            Command::new(program).arg(argument).output().is_ok_and(|output| output.status.code().is_some())
        };
        let mut packages: Vec<_> = TOOLS
            .iter()
            .filter(|(program, argument, _)| !there(program, argument))
            .map(|(_, _, package)| *package)
            .collect();
        packages.dedup();
        packages
    };
    environment::present(steps, "Go", absent)
}

/// The place of the tests: the module with the C library of the dev profile, and programs that use it.
struct Stage {
    prefix: PathBuf,
    module: PathBuf,
    programs: PathBuf,
}

impl Stage {
    fn new(steps: &mut Steps) -> Outcome<Self> {
        installed(steps)?;
        let out = environment::target().join("go");
        let prefix = c::prefix(steps, Build::Dev)?;
        let stage = Self { prefix, module: out.join("module"), programs: out.join("programs") };
        lay_out(steps, &stage.prefix, &stage.module)?;
        Ok(stage)
    }

    /// A command of go in that directory. The shared library is found by pkg-config, and by the loader.
    fn go(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut go = Command::new("go");
        go.args(arguments).current_dir(directory);
        go.env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig")).env("LD_LIBRARY_PATH", self.prefix.join("lib"));
        go.env("CORTENSOR_CONFORMANCE", environment::root().join("core/tests/conformance"));
        // Nothing is fetched: the module needs nothing but Go.
        go.env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("GOWORK", "off");
        go
    }

    /// Builds the examples and the blocks of the pages with the shared library, which links faster, and runs them.
    fn programs(&self, steps: &mut Steps) -> Outcome {
        let failed = |error: std::io::Error| format!("{}: {error}", self.programs.display());
        let _ = fs::remove_dir_all(&self.programs);
        fs::create_dir_all(&self.programs).map_err(failed)?;
        let examples = environment::root().join("examples/go");
        let module = environment::read(&examples.join("go.mod"))?.replace("../../target/dist/go", "../module");
        fs::write(self.programs.join("go.mod"), module).map_err(failed)?;
        for name in EXAMPLES.iter().chain(&SERVED) {
            self.source(name, &environment::read(&examples.join(name).join("main.go"))?).map_err(failed)?;
        }
        let mut names: Vec<String> = EXAMPLES.iter().map(|name| (*name).to_owned()).collect();
        for (page, block) in pages::programs(&["go"])? {
            let name = format!("{}-{}", page.replace(['/', '.'], "-"), block.line);
            self.source(&name, &block.text).map_err(failed)?;
            names.push(name);
        }
        let mut vet = self.go(&self.programs, &["vet"]);
        steps.run("Go: vet the programs", vet.args(SHARED).arg("./..."))?;
        let mut build = self.go(&self.programs, &["build"]);
        steps.run("Go: build the programs", build.args(SHARED).args(["-o", "bin/", "./..."]))?;
        let mut outcome = Ok(());
        for name in &names {
            let mut run = self.program(name);
            outcome = outcome.and(steps.run(&format!("Go: {name}"), &mut run));
        }
        for name in SERVED {
            let mut run = self.program(name);
            run.arg("0");
            let served = steps.check(&format!("Go: {name}, driven"), || c::served(run));
            outcome = outcome.and(served);
        }
        outcome
    }

    fn source(&self, name: &str, text: &str) -> std::io::Result<()> {
        fs::create_dir_all(self.programs.join(name))?;
        fs::write(self.programs.join(name).join("main.go"), text)
    }

    fn program(&self, name: &str) -> Command {
        let mut run = Command::new(self.programs.join("bin").join(name));
        run.current_dir(&self.programs).env("LD_LIBRARY_PATH", self.prefix.join("lib"));
        run
    }
}

/// Checks the module's form, and tests it: plainly with the static library; with the shared one under the race detector
/// and the checks of cgo's rules; by the examples and the pages.
///
/// # Errors
/// When one fails.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    let stage = Stage::new(steps)?;
    let format = steps.check("Go: gofmt", format);
    let vet = steps.run("Go: vet", &mut stage.go(&stage.module, &["vet", "./..."]));
    let mut tests = stage.go(&stage.module, &["test", "-count=1", "-timeout=300s"]);
    let tests = steps.run("Go module", tests.args(TRIM).arg("."));
    let mut watched = stage.go(&stage.module, &["test", "-race", "-count=1", "-timeout=300s"]);
    // The rest measures memory and threads, which the detector multiplies.
    watched.args(SHARED).args(["-short", "."]).env("GODEBUG", "cgocheck=2");
    let watched = steps.run("Go module, race detector and cgocheck=2", &mut watched);
    format.and(vet).and(tests).and(watched).and(stage.programs(steps))
}

/// Checks that gofmt would change nothing.
fn format() -> Outcome<String> {
    let mut gofmt = Command::new("gofmt");
    gofmt.arg("-l").arg(source()).arg(environment::root().join("examples/go"));
    let output = gofmt.output().map_err(|error| format!("gofmt: {error}"))?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if told.is_empty() { Ok("every file is formatted".to_owned()) } else { Err(format!("run gofmt -w on\n{told}")) }
}

/// Measures the module beside the facade in Rust. Results go to `target/bench/go.json`.
///
/// # Errors
/// When it does not build or run.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    installed(steps)?;
    let module = environment::target().join("bench/go");
    let prefix = c::prefix(steps, Build::Figures)?;
    lay_out(steps, &prefix, &module)?;
    let mut run = Command::new("go");
    run.args(["test", "-count=1", "-timeout=600s", "-run", "TestOverhead", "-v", "."]).current_dir(&module);
    run.env("CORTENSOR_BENCH_REFERENCE", bench::reference()?);
    run.env("CORTENSOR_BENCH_JSON", environment::target().join("bench/go.json"));
    run.env("CORTENSOR_BENCH_QUICK", if quick { "1" } else { "" });
    steps.run("bench: Go", &mut run)
}
