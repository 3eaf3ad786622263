//! The npm package of `bindings-node`: its addon, its tests, its tarballs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, bench, environment, model, portable, programs, sbom};

/// The path of Debian's browser.
const CHROMIUM: &str = "/usr/bin/chromium";

/// The directory of the package.
pub(crate) fn package() -> PathBuf {
    environment::root().join("bindings-node")
}

/// Copies the addon of the dev profile to the place where the package's loader finds it.
///
/// # Errors
/// When it does not build.
pub(crate) fn addon(steps: &mut Steps) -> Outcome {
    steps.run("build the Node addon", &mut programs::all())?;
    let native = package().join("native");
    install(&environment::target().join("debug"), &native.join(file_name()?))
}

/// Runs the package's own tests, its type tests and the examples.
///
/// # Errors
/// When one fails.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    addon(steps)?;
    environment::node(steps, &package())?;
    let loader = loader(steps);
    let types = steps.run("Node package: types", package_tool("tsc").args(["--project", "test/types"]));
    let console = steps.run("console: types", package_tool("tsc").args(["--project", "test/console"]));
    let lints = lint(steps);
    let mut test = Command::new("node");
    test.args(["--test", "--test-timeout=600000", "--test-concurrency=1"]).current_dir(package());
    if let Err(why) = chromium(steps) {
        steps.skip("Node package: a browser", &why);
    }
    // The Python suite builds the model if it is absent and required.
    match model::present()? {
        Some(model) => {
            test.envs(model.environment());
        }
        None if model::is_required() => {
            test.envs(model::installed(steps)?.environment());
        }
        None => steps.skip("Node package: a real model", "it was not fetched: cargo xtask model"),
    }
    llama(steps)?;
    loader.and(types).and(console).and(lints).and(steps.run("Node package", &mut test))
}

/// Installs the peer `node-llama-cpp` beside the other packages, with llama.cpp for this processor alone: those for
/// graphics cards, which npm would fetch as well, are hundreds of megabytes.
fn llama(steps: &mut Steps) -> Outcome {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        steps.skip("Node package: node-llama-cpp", "the lock file has it for Linux on x86_64 alone");
        return Ok(());
    }
    let home = package().join("test/llama");
    let lock = environment::read(&home.join("package-lock.json"))?;
    let stamp = home.join("node_modules/.installed");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&lock) {
        let mut install = Command::new("npm");
        // `npm ci` would refuse a lock file without those packages.
        install.args(["install", "--omit=optional", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
        steps.run("install node-llama-cpp", install.args(["--loglevel", "error"]).current_dir(&home))?;
        fs::write(&stamp, lock).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    let link = package().join("node_modules").join("node-llama-cpp");
    let _ = fs::remove_file(&link);
    let real = home.join("node_modules/node-llama-cpp");
    std::os::unix::fs::symlink(real, &link).map_err(|error| format!("{}: {error}", link.display()))
}

/// Compares the checked-in loader with the one that `@napi-rs/cli` makes of the addon.
fn loader(steps: &mut Steps) -> Outcome {
    let fresh = environment::target().join("node-loader");
    fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    let native = package().join("native");
    let mut generate = Command::new("node");
    generate.arg(native.join("generate.mjs")).arg(native.join(file_name()?)).arg(&fresh);
    steps.run("Node package: generate the loader", &mut generate)?;
    steps.check("Node package: the loader is up to date", || {
        if environment::read(&fresh.join("loader.cjs"))? == environment::read(&native.join("loader.cjs"))? {
            Ok("it is".to_owned())
        } else {
            Err("bindings-node/native/loader.cjs is old: run node bindings-node/native/generate.mjs".to_owned())
        }
    })
}

/// Lints the package, the examples and the scripts of the console.
///
/// # Errors
/// When there is a finding.
pub(crate) fn lint(steps: &mut Steps) -> Outcome {
    environment::node(steps, &package())?;
    let mut eslint = package_tool("eslint");
    eslint.args([
        "--max-warnings",
        "0",
        "--config",
        "bindings-node/eslint.config.mjs",
        "bindings-node",
        "examples/node",
        "core/src/listener/console/assets",
    ]);
    steps.run("eslint of the Node package", eslint.current_dir(environment::root()))
}

/// Measures the package beside the facade in Rust. Results go to `target/bench/node.json`.
///
/// # Errors
/// When it does not build or run.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    let mut build = environment::cargo(&["build", "--profile", "bench", "--package", "cortensor-router-node"]);
    steps.run("build the Node addon (release)", &mut build)?;
    let addon = environment::target().join("bench").join(file_name()?);
    fs::create_dir_all(environment::target().join("bench")).map_err(|error| format!("target/bench: {error}"))?;
    install(&environment::target().join("release"), &addon)?;
    let mut run = Command::new("node");
    run.arg(package().join("bench/overhead.mjs"));
    run.arg("--reference").arg(bench::reference()?);
    run.arg("--json").arg(environment::target().join("bench/node.json"));
    // The loader prefers this addon to the one of the dev profile, which the tests have put beside it.
    run.env("NAPI_RS_NATIVE_LIBRARY_PATH", addon);
    if quick {
        run.arg("--quick");
    }
    steps.run("bench: Node", &mut run)
}

/// Builds the packages for npm into `target/dist/node`: the main one, and the one of this platform. Installs them in an
/// empty directory and tries them there. An addon that was built elsewhere and lies in `target/dist/node/addons` gets a
/// package too.
///
/// # Errors
/// When it does not build or pack, or the installed packages do not work.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    environment::node(steps, &package())?;
    let built = portable::build(steps, "cortensor-router-node", "", &library())?;
    let out = environment::target().join("dist/node");
    let addons = out.join("addons");
    fs::create_dir_all(&addons).map_err(|error| format!("{}: {error}", addons.display()))?;
    install(&built, &addons.join(file_name()?))?;
    let bill = out.join("sbom.cdx.json");
    sbom::write(steps, "bindings-node", &bill)?;
    let mut pack = Command::new("node");
    pack.arg(package().join("pack.mjs")).arg("--out").arg(&out).arg("--sbom").arg(&bill);
    let entries = fs::read_dir(&addons).map_err(|error| format!("{}: {error}", addons.display()))?;
    pack.args(entries.filter_map(Result::ok).map(|entry| entry.path()));
    steps.run("pack", &mut pack)?;
    let mut test = Command::new("node");
    test.args(["--test", "--test-timeout=600000", "test/package.test.mjs"]).current_dir(package());
    steps.run("the packages in an empty folder", test.env("CORTENSOR_TEST_PACKAGES", &out))
}

/// Copies the built library to the place of the addon.
fn install(built: &Path, addon: &Path) -> Outcome {
    environment::install(&built.join(library()), addon)
}

/// The file name of the library, as cargo gives it.
fn library() -> String {
    format!("{}cortensor_router_node{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// The file name of the addon, with Node's name for this platform.
fn file_name() -> Outcome<String> {
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64-gnu",
        ("linux", "aarch64") => "linux-arm64-gnu",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        ("windows", "x86_64") => "win32-x64-msvc",
        (os, arch) => return Err(format!("no npm package is made for {os} on {arch}")),
    };
    Ok(format!("cortensor-router.{platform}.node"))
}

/// A program among the package's own dependencies, run in the package's directory.
fn package_tool(name: &str) -> Command {
    let mut command = Command::new(package().join("node_modules/.bin").join(name));
    command.current_dir(package());
    command
}

/// Finds a browser, or installs one where that is possible.
fn chromium(steps: &mut Steps) -> Outcome {
    if Path::new(CHROMIUM).exists() {
        return Ok(());
    }
    environment::apt_install(steps, &["chromium"])
}
