//! Compiles and runs C and C++ programs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, environment};

use super::PATIENCE;

/// The library that a program is linked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linkage {
    Shared,
    Static,
}

impl fmt::Display for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Shared { "shared" } else { "static" })
    }
}

/// The tool that watches a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instrument {
    None,
    Sanitizers,
    Valgrind,
}

impl fmt::Display for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Sanitizers => ", ASAN and UBSAN",
            Self::Valgrind => ", valgrind",
        })
    }
}

impl Instrument {
    pub(super) fn wrapper(self) -> &'static [&'static str] {
        if self == Self::Valgrind {
            &[
                "valgrind",
                "--quiet",
                "--error-exitcode=99",
                "--leak-check=full",
                "--show-leak-kinds=definite",
                "--errors-for-leak-kinds=definite",
                "--fair-sched=yes",
                // A child of fork has no access to the memory of its parent's threads; that is not a leak.
                "--child-silent-after-fork=yes",
            ]
        } else {
            &[]
        }
    }
}

/// A program of one file, or of several.
#[derive(Default)]
pub(super) struct Program {
    sources: Vec<PathBuf>,
    /// Other libraries that the program needs, by their names in pkg-config.
    packages: &'static [&'static str],
    arguments: Vec<PathBuf>,
    /// The argument under valgrind, where every step takes many times as long.
    slow: &'static [&'static str],
}

/// Whether that source is C++.
fn is_cpp(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "cpp")
}

impl Program {
    pub(super) fn example(name: &str) -> Self {
        let directory = if is_cpp(name) { "examples/cpp" } else { "examples/c" };
        Self::of(environment::root().join(directory).join(name))
    }

    /// The test programs in C and C++.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub(super) fn tests() -> Outcome<Vec<Self>> {
        let tests = environment::root().join("core/capi/tests/c");
        let one = |name: &str| Self::of(tests.join(name));
        let mut conformance = one("conformance.c");
        conformance.sources.extend(sources(&tests.join("conformance"))?);
        conformance.packages = &["jansson"];
        conformance.arguments = vec![environment::root().join("core/tests/conformance")];
        let mut units = one("two_units.cpp");
        units.sources.push(tests.join("no_exceptions.cpp"));
        let stress = Self { slow: &["60", "3", "32", "2"], ..one("stress.c") };
        Ok(vec![
            conformance,
            one("misuse.c"),
            one("ages.c"),
            one("ready.c"),
            one("remote.c"),
            one("http.c"),
            one("fork.c"),
            stress,
            units,
        ])
    }

    /// A program whose source was written elsewhere.
    pub(super) fn of(source: PathBuf) -> Self {
        Self { sources: vec![source], ..Self::default() }
    }

    pub(super) fn name(&self) -> String {
        self.sources[0].file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) fn arguments(&self, instrument: Instrument) -> Vec<PathBuf> {
        let slow = if instrument == Instrument::Valgrind { self.slow } else { &[] };
        self.arguments.iter().cloned().chain(slow.iter().map(PathBuf::from)).collect()
    }
}

/// The C files of a directory.
fn sources(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "c") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The flags of the libraries, as pkg-config gives them.
fn flags(prefix: &Path, packages: &[&str]) -> Outcome<Vec<String>> {
    let mut ask = Command::new("pkg-config");
    ask.args(["--cflags", "--libs"]).args(packages).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let output = ask.output().map_err(|error| format!("pkg-config: {error}"))?;
    if !output.status.success() {
        return Err(format!("{ask:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
}

/// Compiles a program as a user of pkg-config does, with every warning as an error. Gives the binary.
///
/// # Errors
/// When the program does not compile.
pub(super) fn compile(
    program: &Program,
    prefix: &Path,
    out: &Path,
    linkage: Linkage,
    instrument: Instrument,
) -> Outcome<PathBuf> {
    let name = program.name();
    let is_cpp = is_cpp(&name);
    let binary = out.join(format!("{}-{linkage}-{instrument:?}", name.replace('.', "-")));
    let compiler = || {
        let mut compiler = Command::new(if is_cpp { "c++" } else { "cc" });
        compiler.arg(if is_cpp { "-std=c++17" } else { "-std=c11" });
        compiler.args([
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-O1",
            "-g",
            "-pthread",
            "-D_POSIX_C_SOURCE=200809L",
        ]);
        if instrument == Instrument::Sanitizers {
            compiler.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]);
        }
        compiler
    };
    let package = if linkage == Linkage::Shared { "cortensor_router" } else { "cortensor_router-static" };
    let flags = flags(prefix, &[&[package], program.packages].concat())?;
    let mut objects = Vec::new();
    for source in &program.sources {
        let object = binary.with_extension(format!("{}.o", objects.len()));
        let mut unit = compiler();
        if source.ends_with("no_exceptions.cpp") {
            unit.arg("-fno-exceptions");
        }
        unit.arg("-c").arg(source).arg("-o").arg(&object).args(flags.iter().filter(|flag| flag.starts_with("-I")));
        run(&mut unit)?;
        objects.push(object);
    }
    let mut link = compiler();
    link.args(&objects).arg("-o").arg(&binary).args(flags.iter().filter(|flag| !flag.starts_with("-I")));
    run(&mut link)?;
    Ok(binary)
}

fn run(command: &mut Command) -> Outcome {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The command of a program that ends by itself, with a time limit.
pub(super) fn timed(wrapper: &[&str], binary: &Path, arguments: &[PathBuf]) -> Command {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE).args(wrapper).arg(binary).args(arguments);
    command
}

/// The command of a program that this process watches.
pub(super) fn plain(wrapper: &[&str], binary: &Path, arguments: &[&str]) -> Command {
    let mut words = wrapper.iter().map(PathBuf::from).chain([binary.to_path_buf()]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).args(arguments);
    command
}

/// Sets the environment: the place of the shared library, and options of the sanitizers.
pub(super) fn environment<'a>(command: &'a mut Command, prefix: &Path, instrument: Instrument) -> &'a mut Command {
    command.env("LD_LIBRARY_PATH", prefix.join("lib"));
    if instrument == Instrument::Sanitizers {
        command.env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1:abort_on_error=0");
    }
    command
}
