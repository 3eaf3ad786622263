//! The Java library over the C API: its jar for users, its tests, and its cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::{self, Build};
use crate::lint::list;
use crate::step::Steps;
use crate::{Outcome, bench, contents, environment, maven, pages};

/// Where Debian puts the jars of its packages, and the jars, each with its package. The last two are for the tests.
pub(crate) const JARS: &str = "/usr/share/java";
const LIBRARIES: [(&str, &str); 4] = [
    ("jna.jar", "libjna-java"),
    ("gson.jar", "libgoogle-gson-java"),
    ("junit4.jar", "junit4"),
    ("hamcrest-core.jar", "libhamcrest-java"),
];
/// The jars that a program needs beside ours.
const NEEDED: usize = 2;

/// The name of the jar, and what it needs, for its description: the oldest versions that do.
const ARTIFACT: &str = "cortensor-router-java";
const NEEDS: [maven::Need; 2] = [("net.java.dev.jna", "jna", "5.13.0"), ("com.google.code.gson", "gson", "2.10")];

/// The arguments of the compiler: every warning is an error, and every public item has a comment.
const STRICT: [&str; 4] = ["--release", "17", "-Xlint:all", "-Werror"];
const COMMENTED: &str = "-Xdoclint:all/public";

/// The examples that end by themselves, and those that serve.
const EXAMPLES: [&str; 3] = ["Hello", "Streaming", "OwnMiner"];
const SERVED: [&str; 2] = ["Serve", "OwnServer"];

/// The suites of the tests.
const TESTS: [&str; 4] = ["ConformanceTest", "MinerTest", "TaskTest", "ScaleTest"];

fn source() -> PathBuf {
    environment::root().join("core/capi/java")
}

/// The name that JNA has for this machine.
pub(crate) fn platform() -> Outcome<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("linux-x86-64"),
        ("linux", "aarch64") => Ok("linux-aarch64"),
        (os, arch) => Err(format!("no jar is made for {os} on {arch}")),
    }
}

/// Installs the compiler and the first `jars` of the libraries, where that is allowed.
fn installed(steps: &mut Steps, jars: usize) -> Outcome {
    let absent = || {
        let jars = LIBRARIES[..jars].iter().filter(|(jar, _)| !Path::new(JARS).join(jar).exists());
        let compiler = (!environment::answers("javac", &["-version"])).then_some("openjdk-17-jdk-headless");
        jars.map(|(_, package)| *package).chain(compiler).collect()
    };
    environment::present(steps, "Java", absent)
}

/// A class path of these places and of Debian's jars.
fn class_path(places: &[&Path], jars: usize) -> String {
    let jars = LIBRARIES[..jars].iter().map(|(jar, _)| Path::new(JARS).join(jar));
    let all = places.iter().map(|place| place.to_path_buf()).chain(jars);
    all.map(|place| place.display().to_string()).collect::<Vec<_>>().join(":")
}

/// The Java files below a directory of the checkout.
fn files(directory: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = std::collections::BTreeSet::new();
    list(&environment::root(), Path::new(directory), &mut found)?;
    let is_java = |file: &&String| Path::new(file).extension().is_some_and(|end| end == "java");
    Ok(found.iter().filter(is_java).map(|file| environment::root().join(file)).collect())
}

/// Compiles files into a directory, which is emptied first.
fn compile(steps: &mut Steps, title: &str, class_path: &str, out: &Path, files: &[PathBuf], more: &[&str]) -> Outcome {
    let _ = fs::remove_dir_all(out);
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let mut javac = Command::new("javac");
    javac.args(STRICT).args(more).args(["-cp", class_path, "-d"]).arg(out).args(files);
    steps.run(title, &mut javac)
}

/// Compiles the library and packs it into a jar, with the shared library below `prefix` in it. Gives the jar.
fn pack(steps: &mut Steps, prefix: &Path, out: &Path, build: Build) -> Outcome<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let (classes, natives) = (out.join("classes"), out.join("natives"));
    let sources = files("core/capi/java/src")?;
    compile(steps, "Java: compile", &class_path(&[], NEEDED), &classes, &sources, &[COMMENTED])?;
    let place = natives.join(platform()?);
    let failed = |error: std::io::Error| format!("{}: {error}", natives.display());
    fs::create_dir_all(&place).map_err(failed)?;
    // Names of debuggers are most of the bytes of a library of the dev profile.
    let mut strip = Command::new("strip");
    strip.arg("--strip-debug").arg("-o").arg(place.join("libcortensor_router.so"));
    steps.run("Java: strip the library", strip.arg(prefix.join("lib/libcortensor_router.so")))?;
    fs::create_dir_all(natives.join("META-INF")).map_err(failed)?;
    let bill = c::bill(prefix);
    contents::papers(&source(), bill.as_deref(), &natives.join("META-INF"))?;
    let manifest = out.join("manifest.txt");
    let text = format!(
        "Implementation-Title: cortensor-router\nImplementation-Version: {version}\nAutomatic-Module-Name: \
         network.cortensor.java\n"
    );
    fs::write(&manifest, text).map_err(failed)?;
    let jar = out.join(format!("{ARTIFACT}-{version}.jar"));
    let mut pack = Command::new("jar");
    pack.arg("--create").arg("--file").arg(&jar).arg("--manifest").arg(&manifest);
    if build == Build::Dev {
        // The library of the dev profile is large, and nobody carries this jar anywhere.
        pack.arg("--no-compress");
    }
    pack.arg("-C").arg(&classes).arg(".").arg("-C").arg(&natives).arg(".");
    steps.run("Java: pack the jar", &mut pack)?;
    let files = [format!("{}/libcortensor_router.so", platform()?), "network/cortensor/java/Router.class".to_owned()];
    contents::jar(steps, &jar, bill.is_some(), &files)?;
    Ok(jar)
}

/// Builds the jar for users into `target/dist/java`, with the jars that it needs beside it, and runs an example with it.
/// The directory `maven` has the jar with its sources and its description.
///
/// # Errors
/// When it does not build, or the example does not work.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    installed(steps, NEEDED)?;
    let prefix = c::prefix(steps, Build::Portable)?;
    let out = environment::target().join("dist/java");
    let jar = pack(steps, &prefix, &environment::target().join("java/dist"), Build::Portable)?;
    // Programs take all jars of the directory, and one of another version must not be among them.
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    for file in [jar.clone(), Path::new(JARS).join("jna.jar"), Path::new(JARS).join("gson.jar")] {
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, out.join(name)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    // A compiler would take the sources from a class path that has them.
    let maven = out.join("maven");
    fs::create_dir_all(&maven).map_err(|error| format!("{}: {error}", maven.display()))?;
    environment::install(&jar, &maven.join(jar.file_name().unwrap_or_default()))?;
    maven::describe(steps, &maven, ARTIFACT, &NEEDS, &source().join("src"))?;
    let mut run = Command::new("java");
    run.arg("-cp").arg(out.join("*")).arg(environment::root().join("examples/java/Hello.java"));
    steps.run("Java: Hello with the jars of target/dist/java", &mut run)
}

/// The place of the tests: the classes and the jar with the C library of the dev profile.
struct Stage {
    prefix: PathBuf,
    out: PathBuf,
    jar: PathBuf,
}

impl Stage {
    fn new(steps: &mut Steps) -> Outcome<Self> {
        installed(steps, LIBRARIES.len())?;
        let prefix = c::prefix(steps, Build::Dev)?;
        let out = environment::target().join("java");
        let jar = pack(steps, &prefix, &out, Build::Dev)?;
        Ok(Self { prefix, out, jar })
    }

    /// A run of a class with the classes of the library and the installed shared library.
    fn java(&self, places: &[&Path], jars: usize) -> Command {
        let mut java = Command::new("java");
        java.arg(format!("-Djna.library.path={}", self.prefix.join("lib").display()));
        let classes = self.out.join("classes");
        java.arg("-cp").arg(class_path(&[&[classes.as_path()], places].concat(), jars));
        java
    }

    fn tests(&self, steps: &mut Steps) -> Outcome {
        let tests = self.out.join("tests");
        let path = class_path(&[&self.out.join("classes")], LIBRARIES.len());
        compile(steps, "Java: compile the tests", &path, &tests, &files("core/capi/java/test")?, &[])?;
        let mut run = Command::new("timeout");
        let java = self.java(&[&tests], LIBRARIES.len());
        run.arg("500").arg("java").args(["-ea", "-XX:+UseSerialGC"]);
        run.arg(format!("-Dcortensor.conformance={}", environment::root().join("core/tests/conformance").display()));
        run.args(java.get_args()).arg("org.junit.runner.JUnitCore");
        run.args(TESTS.map(|name| format!("network.cortensor.java.tests.{name}")));
        steps.run("Java library", &mut run)
    }

    /// Compiles the examples and the blocks of the pages, and runs them; one of them with nothing but the jar.
    fn programs(&self, steps: &mut Steps) -> Outcome {
        let out = self.out.join("programs");
        let path = class_path(&[&self.out.join("classes")], NEEDED);
        compile(steps, "Java: compile the examples", &path, &out, &files("examples/java")?, &[])?;
        let mut runs: Vec<(String, PathBuf)> = EXAMPLES.iter().map(|name| ((*name).to_owned(), out.clone())).collect();
        for (page, block) in pages::programs(&["java"])? {
            let title = format!("{page}:{}", block.line);
            let name = main_class(&block.text).ok_or_else(|| format!("{title} has no class with a main"))?;
            let place = self.out.join("pages").join(title.replace(['/', '.', ':'], "-"));
            let file = place.with_extension("d").join(format!("{name}.java"));
            let failed = |error: std::io::Error| format!("{}: {error}", file.display());
            fs::create_dir_all(place.with_extension("d")).map_err(failed)?;
            fs::write(&file, &block.text).map_err(failed)?;
            compile(steps, &format!("Java: compile {title}"), &path, &place, &[file], &[])?;
            runs.push((name, place));
        }
        let mut outcome = Ok(());
        for (name, place) in &runs {
            let mut run = self.java(&[place], NEEDED);
            outcome = outcome.and(steps.run(&format!("Java: {name}"), run.arg(name)));
        }
        let mut alone = Command::new("java");
        alone.arg("-cp").arg(class_path(&[&self.jar, &out], NEEDED)).arg("Hello");
        outcome = outcome.and(steps.run("Java: Hello with the library in the jar", &mut alone));
        for name in SERVED {
            let mut run = self.java(&[&out], NEEDED);
            run.args([name, "0"]);
            let served = steps.check(&format!("Java: {name}, driven"), || c::served(run));
            outcome = outcome.and(served);
        }
        outcome
    }
}

/// The name of the class of a program, which is the last one before its `main`.
fn main_class(text: &str) -> Option<String> {
    let before = text.split_once(" main(")?.0;
    let rest = before.rsplit_once("class ")?.1;
    Some(rest.split_whitespace().next()?.to_owned())
}

/// Compiles the library with every warning as an error, and tests it; then the examples, the pages and the jar.
///
/// # Errors
/// When one fails.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    let stage = Stage::new(steps)?;
    let version = steps.check("Java: the version in the jar", || stage.version());
    version.and(stage.tests(steps)).and(stage.programs(steps))
}

impl Stage {
    /// Compares the version in the jar's manifest with the workspace's.
    fn version(&self) -> Outcome<String> {
        let place = self.out.join("unpacked");
        fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
        let mut unpack = Command::new("jar");
        unpack.arg("--extract").arg("--file").arg(&self.jar).arg("META-INF/MANIFEST.MF").current_dir(&place);
        unpack.output().map_err(|error| format!("jar: {error}"))?;
        let manifest = environment::read(&place.join("META-INF/MANIFEST.MF"))?;
        let wanted = format!("Implementation-Version: {}", env!("CARGO_PKG_VERSION"));
        if manifest.lines().any(|line| line.trim_end() == wanted) { Ok(wanted) } else { Err(manifest) }
    }
}

/// Measures the library beside the facade in Rust. Results go to `target/bench/java.json`.
///
/// # Errors
/// When it does not build or run.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    installed(steps, NEEDED)?;
    let prefix = c::prefix(steps, Build::Figures)?;
    let out = environment::target().join("bench/java");
    let jar = pack(steps, &prefix, &out, Build::Figures)?;
    let programs = out.join("programs");
    let path = class_path(&[&jar], NEEDED);
    compile(steps, "Java: compile the benchmark", &path, &programs, &[source().join("bench/Overhead.java")], &[])?;
    let mut run = Command::new("java");
    run.arg("-cp").arg(class_path(&[&jar, &programs], NEEDED)).arg("Overhead").arg(bench::reference()?);
    run.arg(environment::target().join("bench/java.json"));
    if quick {
        run.arg("--quick");
    }
    steps.run("bench: Java", &mut run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_program_is_found() {
        let text = "record A(int b) {}\nfinal class Tour {\n    public static void main(String[] a) {}\n}\n";
        assert_eq!(main_class(text).as_deref(), Some("Tour"));
        assert_eq!(main_class("class A {}"), None);
    }
}
