//! Installs the C library under a prefix, and tests it from there as its users use it.

mod dist;
mod programs;
mod running;
mod tools;

pub(crate) use dist::{Build, bill, lay_out, prefix};

use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use crate::step::Steps;
use crate::turn::Turn;
use crate::{Outcome, environment, pages};

use programs::{Instrument, Linkage, Program, compile};

/// The examples of both languages. `running` drives the examples that wait for a signal.
const EXAMPLES: [&str; 6] = ["hello.c", "hello.cpp", "stream.c", "stream.cpp", "own_miner.c", "own_miner.cpp"];
const SERVED: [&str; 5] = ["serve.c", "serve.cpp", "own_server.c", "shutdown.c", "shutdown.cpp"];

/// The time limit of one program. Valgrind is slow, and so is a busy machine.
const PATIENCE: &str = "300";

/// The days in which each C program has its run under valgrind.
const TURNS: usize = 3;

/// Builds C and C++ programs against the library in every supported way, and runs them plainly, with the sanitizers and,
/// each on its day, under valgrind.
///
/// # Errors
/// When one does not build, fails, or leaks.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    tools::installed(steps)?;
    let prefix = prefix(steps, Build::Dev)?;
    let out = environment::target().join("c/programs");
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let stage = Stage { prefix, out };
    let mut outcomes = vec![stage.cmake(steps), stage.pages(steps)];
    let mut watch = Watch { turn: Turn::today(), programs: 0 };
    for linkage in [Linkage::Shared, Linkage::Static] {
        for name in ["hello.c", "hello.cpp"] {
            outcomes.push(stage.run(steps, &Program::example(name), linkage, Instrument::None));
        }
    }
    for program in EXAMPLES.iter().map(|name| Program::example(name)) {
        for instrument in watch.tools(&program.name()) {
            outcomes.push(stage.run(steps, &program, Linkage::Shared, instrument));
        }
    }
    for program in Program::tests()? {
        for instrument in iter::once(Instrument::None).chain(watch.tools(&program.name())) {
            outcomes.push(stage.run(steps, &program, Linkage::Shared, instrument));
        }
    }
    for name in SERVED {
        for instrument in watch.tools(name) {
            outcomes.push(stage.serve(steps, name, instrument));
        }
    }
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// The choice of the tools that watch the programs of a run.
struct Watch {
    turn: Turn,
    /// The number of C programs so far.
    programs: usize,
}

impl Watch {
    /// The tools that watch the next program. The C++ header is compiled with the program, so that the sanitizers see all
    /// of it; valgrind sees the library as well, which the C programs call alike.
    fn tools(&mut self, name: &str) -> impl Iterator<Item = Instrument> + use<> {
        let is_c = Path::new(name).extension().is_none_or(|extension| extension != "cpp");
        let its_day = self.turn.has(self.programs, TURNS);
        self.programs += usize::from(is_c);
        [Instrument::Sanitizers].into_iter().chain((is_c && its_day).then_some(Instrument::Valgrind))
    }
}

/// Measures the cost of the C border beside equal work from Rust.
///
/// # Errors
/// When it does not build or fails.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    let mut run = environment::cargo(&["bench", "--package", "cortensor-router-capi", "--bench", "border", "--"]);
    if quick {
        run.arg("--quick");
    }
    steps.run("bench: the C border", &mut run)
}

/// Drives a program that serves on a free port: clients hang up, and SIGINT ends it.
///
/// # Errors
/// When the program does not bear it.
pub(crate) fn served(command: std::process::Command) -> Outcome<String> {
    running::driven(command, running::hang_up_and_end)
}

struct Stage {
    prefix: PathBuf,
    out: PathBuf,
}

impl Stage {
    /// Builds all examples by the CMake package, with the shared and with the static library.
    fn cmake(&self, steps: &mut Steps) -> Outcome {
        let build = self.out.join("cmake");
        let _ = fs::remove_dir_all(&build);
        let mut configure = std::process::Command::new("cmake");
        configure.arg("-S").arg(environment::root().join("examples")).arg("-B").arg(&build);
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", self.prefix.display()));
        steps.run("C: cmake finds the package", &mut configure)?;
        let mut make = std::process::Command::new("cmake");
        steps.run("C: cmake builds the examples", make.arg("--build").arg(&build))?;
        for name in ["hello_c", "hello_cpp", "hello_c_static", "hello_cpp_static"] {
            steps.run(&format!("C: {name} of cmake"), &mut programs::timed(&[], &build.join(name), &[]))?;
        }
        Ok(())
    }

    /// Builds and runs the C and C++ blocks of the pages.
    fn pages(&self, steps: &mut Steps) -> Outcome {
        for (page, block) in pages::programs(&["c", "cpp"])? {
            let stem = page.replace('/', "-");
            let source = self.out.join(format!("{stem}-{}.{}", block.line, block.language));
            fs::write(&source, &block.text).map_err(|error| format!("{}: {error}", source.display()))?;
            self.run(steps, &Program::of(source), Linkage::Shared, Instrument::Sanitizers)?;
        }
        Ok(())
    }

    fn run(&self, steps: &mut Steps, program: &Program, linkage: Linkage, instrument: Instrument) -> Outcome {
        let binary = compile(program, &self.prefix, &self.out, linkage, instrument)?;
        let title = format!("C: {} {linkage}{instrument}", program.name());
        let mut command = programs::timed(instrument.wrapper(), &binary, &program.arguments(instrument));
        steps.run(&title, programs::environment(&mut command, &self.prefix, instrument))
    }

    fn serve(&self, steps: &mut Steps, name: &str, instrument: Instrument) -> Outcome {
        let binary = compile(&Program::example(name), &self.prefix, &self.out, Linkage::Shared, instrument)?;
        let mut command = programs::plain(instrument.wrapper(), &binary, &["0"]);
        programs::environment(&mut command, &self.prefix, instrument);
        let drive = if name.starts_with("shutdown") { running::interrupt } else { running::hang_up_and_end };
        steps.check(&format!("C: {name}{instrument}, driven"), || running::driven(command, drive))
    }
}
