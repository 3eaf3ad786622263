//! The gem: its native part, its tests, its cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contents::{self, BILL};
use crate::pages::blocks;
use crate::step::Steps;
use crate::{Outcome, bench, environment, sbom};

/// The libraries that are required, each with the Debian package that contains it. The last one is for the tests.
const TOOLS: &[(&str, &str)] = &[("ffi", "ruby-ffi"), ("minitest", "ruby-minitest")];
/// The libraries that a program needs.
const NEEDED: usize = 1;

/// The file that says what is in the gem.
const SPECIFICATION: &str = "cortensor_router.gemspec";

/// The examples that end by themselves.
const EXAMPLES: &[&str] = &["hello", "stream", "own_miner", "rack_app"];

/// The directory of the gem.
fn package() -> PathBuf {
    super::package().join("ruby")
}

/// Installs Ruby and the first `libraries` of those that are required, where that is allowed.
fn tools(steps: &mut Steps, libraries: usize) -> Outcome {
    let has = |library: &str| environment::answers("ruby", &["-e", &format!("require '{library}'")]);
    let absent = || {
        let libraries = TOOLS[..libraries].iter().filter(|(name, _)| !has(name)).map(|(_, package)| *package);
        let ruby = (!environment::answers("ruby", &["--version"])).then_some("ruby");
        libraries.chain(ruby).collect()
    };
    environment::present(steps, "Ruby", absent)
}

/// Puts the native part of a build beside the gem's own files.
fn place(steps: &mut Steps, built: &Path) -> Outcome {
    let code = super::generated(steps, "ruby")?;
    let lib = package().join("lib/cortensor_router");
    let native = lib.join("cortensor_router_native.rb");
    // Ruby would warn of the blanks that the templates leave.
    let text = format!("# warn_indent: false\n{}", environment::read(&code.join("cortensor_router_native.rb"))?);
    fs::write(&native, text).map_err(|error| format!("{}: {error}", native.display()))?;
    super::install_library(steps, built, &lib.join(super::library()))
}

/// A command of Ruby that finds the gem in the checkout.
fn ruby() -> Command {
    let mut ruby = Command::new("ruby");
    ruby.arg("-I").arg(package().join("lib"));
    ruby
}

/// Tests the gem: its own tests, the examples, the blocks of its page, and the gem as `gem` packs it.
///
/// # Errors
/// When one fails.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    tools(steps, TOOLS.len())?;
    let built = super::built(steps)?;
    place(steps, &built)?;
    let files = "Dir['test/*_test.rb'].sort.each { |file| require File.expand_path(file) }";
    let mut tests = ruby();
    tests.args(["-W2", "-e", files]).current_dir(package());
    let tests = steps.run("Ruby gem", &mut tests);
    let examples = examples(steps);
    let page = page(steps);
    let packed = emptied(environment::target().join("uniffi/gem"))
        .and_then(|out| pack(steps, &out, None))
        .and_then(|gem| try_out(steps, &gem, false));
    tests.and(examples).and(page).and(packed)
}

fn examples(steps: &mut Steps) -> Outcome {
    let mut outcome = Ok(());
    for name in EXAMPLES {
        let mut run = ruby();
        run.args(["-W2"]).arg(environment::root().join(format!("examples/ruby/{name}.rb")));
        outcome = outcome.and(steps.run(&format!("Ruby: {name}.rb"), &mut run));
    }
    outcome
}

/// Runs the Ruby blocks of the gem's page.
fn page(steps: &mut Steps) -> Outcome {
    let readme = environment::read(&package().join("README.md"))?;
    let mut outcome = Ok(());
    for block in blocks(&readme).iter().filter(|block| block.language == "ruby") {
        let path = environment::target().join(format!("uniffi/readme_{}.rb", block.line));
        fs::write(&path, &block.text).map_err(|error| format!("{}: {error}", path.display()))?;
        outcome = outcome.and(steps.run(&format!("Ruby: README.md:{}", block.line), ruby().arg(path)));
    }
    outcome
}

/// Packs the gem with the native part that lies in the checkout into `out`, and with the bill, if it is for users.
fn pack(steps: &mut Steps, out: &Path, bill: Option<&Path>) -> Outcome<PathBuf> {
    let tree = environment::target().join("uniffi/gem-tree");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(package().join("lib")).arg(package().join(SPECIFICATION)).arg(&tree);
    steps.run("copy the sources of the gem", &mut copy)?;
    contents::papers(&package(), bill, &tree)?;
    let mut build = Command::new("gem");
    steps.run("pack the gem", build.args(["build", SPECIFICATION]).current_dir(&tree))?;
    let is_gem = |path: &PathBuf| path.extension().is_some_and(|end| end == "gem");
    let packed = fs::read_dir(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    let packed = packed.filter_map(Result::ok).map(|entry| entry.path()).find(is_gem);
    let packed = packed.ok_or("`gem build` has left no gem")?;
    // Its name has the version and the platform.
    let gem = out.join(packed.file_name().unwrap_or_default());
    environment::install(&packed, &gem)?;
    Ok(gem)
}

/// An emptied directory.
fn emptied(directory: PathBuf) -> Outcome<PathBuf> {
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(directory)
}

/// Installs the gem into an empty directory, looks at what is in it, and uses it from there.
fn try_out(steps: &mut Steps, gem: &Path, is_for_users: bool) -> Outcome {
    let home = environment::target().join("uniffi/gems");
    let _ = fs::remove_dir_all(&home);
    let mut install = Command::new("gem");
    // Debian's `ffi` is there, and the index of all gems need not be.
    install.args(["install", "--local", "--ignore-dependencies", "--no-document", "--install-dir"]).arg(&home).arg(gem);
    steps.run("install the gem", &mut install)?;
    let place = home.join("gems").join(gem.file_stem().unwrap_or_default());
    contents::directory(steps, &place, is_for_users, &[format!("lib/cortensor_router/{}", super::library())])?;
    let mut run = Command::new("ruby");
    run.arg(environment::root().join("examples/ruby/hello.rb")).current_dir(&home);
    run.env("GEM_PATH", home.display().to_string() + ":" + &default_gems()?);
    steps.run("Ruby: hello.rb with the installed gem", &mut run)
}

/// The directories of the gems of this Ruby.
fn default_gems() -> Outcome<String> {
    let output = Command::new("ruby").args(["-e", "print Gem.path.join(':')"]).output();
    let output = output.map_err(|error| format!("ruby: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Measures the gem beside the facade in Rust. Results go to `target/bench/ruby.json`.
///
/// # Errors
/// When it does not build or run.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    tools(steps, NEEDED)?;
    let release = super::released(steps)?;
    place(steps, &release)?;
    let mut run = ruby();
    run.arg(package().join("bench/overhead.rb"));
    run.arg("--reference").arg(bench::reference()?).arg("--json").arg(environment::target().join("bench/ruby.json"));
    if quick {
        run.arg("--quick");
    }
    steps.run("bench: Ruby", &mut run)
}

/// Builds the gem for users into `target/dist/ruby`, for this platform, and tries it.
///
/// # Errors
/// When it does not build, or does not work once it is installed.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    tools(steps, NEEDED)?;
    let built = super::ported(steps)?;
    place(steps, &built)?;
    let out = emptied(environment::target().join("dist/ruby"))?;
    let bill = out.join(BILL);
    sbom::write(steps, "core/uniffi", &bill)?;
    let gem = pack(steps, &out, Some(&bill))?;
    try_out(steps, &gem, true)?;
    println!("{}", gem.display());
    Ok(())
}
