//! The Kotlin package: its jar with the native library, its tests, its cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contents::{self, BILL};
use crate::pages::blocks;
use crate::step::Steps;
use crate::{Outcome, bench, environment, java, maven, sbom};

/// The name of the package, which Java's has not.
const ARTIFACT: &str = "cortensor-router-kotlin";

/// The version of the compiler.
const KOTLIN: &str = "2.4.20";
/// The jars that a program needs, for the description: those of the compiler's own distribution, and the oldest version of
/// JNA that does.
const NEEDS: [maven::Need; 3] = [
    ("org.jetbrains.kotlin", "kotlin-stdlib", KOTLIN),
    ("org.jetbrains.kotlinx", "kotlinx-coroutines-core-jvm", "1.8.0"),
    ("net.java.dev.jna", "jna", "5.13.0"),
];
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The examples that end by themselves.
const EXAMPLES: &[&str] = &["Hello", "Stream", "OwnMiner", "OwnServer"];

/// The directory of the package.
fn package() -> PathBuf {
    super::package().join("kotlin")
}

/// The directory of what is built here.
fn out() -> PathBuf {
    environment::target().join("uniffi/kotlin-build")
}

/// Installs Java, JNA and the compiler, where that is allowed.
fn tools(steps: &mut Steps) -> Outcome {
    let absent = || {
        let java = (!environment::answers("jar", &["--version"])).then_some("openjdk-17-jdk-headless");
        let jna = (!jna().exists()).then_some("libjna-java");
        java.into_iter().chain(jna).collect()
    };
    environment::present(steps, "Kotlin", absent)?;
    environment::node(steps, &package())?;
    let out = out();
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))
}

/// The library that binds native code on the JVM, where Debian puts it.
fn jna() -> PathBuf {
    Path::new(java::JARS).join("jna.jar")
}

/// A jar of the compiler's distribution.
fn distributed(name: &str) -> PathBuf {
    package().join("node_modules/kotlin-compiler/lib").join(name).with_extension("jar")
}

/// A class path.
fn path(jars: &[PathBuf]) -> String {
    let jars: Vec<_> = jars.iter().map(|jar| jar.display().to_string()).collect();
    jars.join(if cfg!(windows) { ";" } else { ":" })
}

/// The jars that a program with the package needs.
fn needed() -> Vec<PathBuf> {
    vec![distributed("kotlin-stdlib"), distributed("kotlinx-coroutines-core-jvm"), jna()]
}

/// Compiles sources that need the jars `with` to a jar.
fn compile(
    steps: &mut Steps,
    title: &str,
    sources: &[PathBuf],
    with: &[&Path],
    arguments: &[&str],
    jar: &Path,
) -> Outcome {
    let compiler: Vec<_> =
        ["kotlin-compiler", "kotlin-stdlib", "kotlin-script-runtime", "kotlin-reflect", "kotlinx-coroutines-core-jvm"]
            .map(distributed)
            .into();
    let with: Vec<_> = needed().into_iter().chain(with.iter().map(|jar| jar.to_path_buf())).collect();
    let mut compile = Command::new("java");
    compile.args(["-Xmx1500m", "-XX:TieredStopAtLevel=1", "-cp"]).arg(path(&compiler));
    compile.arg("org.jetbrains.kotlin.cli.jvm.K2JVMCompiler");
    compile.args(["-no-stdlib", "-no-reflect", "-jvm-target", "17", "-cp"]).arg(path(&with));
    compile.args(arguments).arg("-d").arg(jar).args(sources);
    steps.run(title, &mut compile)
}

/// Builds the jar of the package with the library in `built`, and with the bill, if it is for users.
fn jar(steps: &mut Steps, built: &Path, bill: Option<&Path>) -> Outcome<PathBuf> {
    let code = super::generated(steps, "kotlin")?;
    let generated = out().join("generated.jar");
    // The generated code has warnings of its own.
    let native = [code.join("network/cortensor/router/internal/cortensor_router_native.kt")];
    let quiet = ["-nowarn", "-Xno-call-assertions", "-module-name", "cortensor-router-internal"];
    // It takes long to compile and seldom changes.
    let compiled = out().join("generated.kt");
    let text = format!("// Kotlin {KOTLIN}\n{}", environment::read(&native[0])?);
    if !generated.exists() || fs::read_to_string(&compiled).ok().as_ref() != Some(&text) {
        let _ = fs::remove_file(&compiled);
        compile(steps, "Kotlin: compile the generated code", &native, &[], &quiet, &generated)?;
        fs::write(&compiled, text).map_err(|error| format!("{}: {error}", compiled.display()))?;
    }
    let facade = out().join("facade.jar");
    let strict = ["-Werror", "-Xexplicit-api=strict", "-module-name", "cortensor-router"];
    compile(steps, "Kotlin: compile the facade", &[package().join("src")], &[&generated], &strict, &facade)?;
    let tree = out().join("tree");
    let _ = fs::remove_dir_all(&tree);
    let natives = tree.join(java::platform()?);
    fs::create_dir_all(&natives).map_err(|error| format!("{}: {error}", natives.display()))?;
    super::install_library(steps, built, &natives.join(super::library()))?;
    for part in [&generated, &facade] {
        let mut unpack = Command::new("jar");
        steps.run("unpack", unpack.arg("--extract").arg("--file").arg(part).current_dir(&tree))?;
    }
    contents::papers(&package(), bill, &tree.join("META-INF"))?;
    let whole = out().join(format!("{ARTIFACT}-{VERSION}.jar"));
    let manifest = out().join("manifest.txt");
    let text = format!(
        "Implementation-Title: cortensor-router\nImplementation-Version: {VERSION}\nAutomatic-Module-Name: \
         network.cortensor.router\n"
    );
    fs::write(&manifest, text).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let mut pack = Command::new("jar");
    pack.arg("--create").arg("--file").arg(&whole).arg("--manifest").arg(&manifest).arg("-C").arg(&tree).arg(".");
    steps.run("Kotlin: pack the jar", &mut pack)?;
    let library = format!("{}/{}", java::platform()?, super::library());
    contents::jar(steps, &whole, bill.is_some(), &[library, "network/cortensor/router/Router.class".to_owned()])?;
    Ok(whole)
}

/// A virtual machine with those jars and what they need. It takes the native library from the directory `native`;
/// without one it unpacks that of the jar, which takes a while.
fn machine(jars: &[PathBuf], native: Option<&Path>) -> Command {
    let jars: Vec<_> = jars.iter().cloned().chain(needed()).collect();
    let mut java = Command::new("java");
    if let Some(native) = native {
        java.arg(format!("-Djna.library.path={}", native.display()));
    }
    java.arg(format!("-Dcortensor.repository={}", environment::root().display()));
    java.arg("-cp").arg(path(&jars));
    java
}

/// Tests the jar: its own tests, the examples, and the blocks of its page.
///
/// # Errors
/// When one fails.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    tools(steps)?;
    let built = super::built(steps)?;
    let jar = jar(steps, &built, None)?;
    let programs = programs(steps, &jar, &[package().join("test")])?;
    let mut tests = machine(&[programs.jar.clone(), jar.clone()], Some(&built));
    let tests = steps.run("Kotlin package", tests.arg("MainKt"));
    tests.and(programs.run(steps, &jar, &built))
}

/// The examples and the blocks of the page, in one jar: the title and the class of each.
struct Programs {
    jar: PathBuf,
    mains: Vec<(String, String)>,
}

/// Compiles the examples and the blocks of the page, and `more` beside them.
fn programs(steps: &mut Steps, jar: &Path, more: &[PathBuf]) -> Outcome<Programs> {
    let mut sources = vec![environment::root().join("examples/kotlin")];
    sources.extend_from_slice(more);
    let example = |name: &&str| ((*name).to_owned(), format!("{}.{name}Kt", name.to_lowercase()));
    let mut mains: Vec<_> = EXAMPLES.iter().map(example).collect();
    let readme = environment::read(&package().join("README.md"))?;
    for block in blocks(&readme).iter().filter(|block| block.language == "kotlin") {
        let name = format!("Readme{}", block.line);
        let source = out().join(format!("{name}.kt"));
        let package = name.to_lowercase();
        fs::write(&source, format!("package {package}\n\n{}", block.text))
            .map_err(|error| format!("{}: {error}", source.display()))?;
        sources.push(source);
        mains.push((format!("README.md:{}", block.line), format!("{package}.{name}Kt")));
    }
    let programs = out().join("programs.jar");
    // The tests read JSON as the facade does.
    let friends = format!("-Xfriend-paths={}", jar.display());
    compile(steps, "Kotlin: compile the tests and the examples", &sources, &[jar], &["-Werror", &friends], &programs)?;
    Ok(Programs { jar: programs, mains })
}

impl Programs {
    /// Runs them. The first takes the native library from the jar, the others from the directory `native`.
    fn run(&self, steps: &mut Steps, jar: &Path, native: &Path) -> Outcome {
        let mut outcome = Ok(());
        for (index, (title, main)) in self.mains.iter().enumerate() {
            let native = (index > 0).then_some(native);
            let mut run = machine(&[self.jar.clone(), jar.to_path_buf()], native);
            outcome = outcome.and(steps.run(&format!("Kotlin: {title}"), run.arg(main)));
        }
        outcome
    }
}

/// Measures the package beside the facade in Rust. Results go to `target/bench/kotlin.json`.
///
/// # Errors
/// When it does not build or run.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    tools(steps)?;
    let release = super::released(steps)?;
    let jar = jar(steps, &release, None)?;
    let program = out().join("bench.jar");
    compile(steps, "Kotlin: compile the benchmark", &[package().join("bench")], &[&jar], &[], &program)?;
    let mut run = machine(&[program, jar], None);
    run.arg("OverheadKt").arg(bench::reference()?).arg(environment::target().join("bench/kotlin.json"));
    if quick {
        run.arg("quick");
    }
    steps.run("bench: Kotlin", &mut run)
}

/// Builds the jar for users into `target/dist/kotlin`, with the native library of this platform and the description
/// that Maven and Gradle read.
///
/// # Errors
/// When it does not build.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    tools(steps)?;
    let built = super::ported(steps)?;
    let to = environment::target().join("dist/kotlin");
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    let bill = to.join(BILL);
    sbom::write(steps, "core/uniffi", &bill)?;
    let packed = jar(steps, &built, Some(&bill))?;
    let jar = to.join(packed.file_name().unwrap_or_default());
    environment::install(&packed, &jar)?;
    maven::describe(steps, &to, ARTIFACT, &NEEDS, &package().join("src"))?;
    programs(steps, &jar, &[])?.run(steps, &jar, &built)?;
    println!("{}", to.display());
    Ok(())
}
