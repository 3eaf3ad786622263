//! The Swift package: its generated sources, and the layout that Apple's tools want. No Swift is compiled here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contents::{self, BILL};
use crate::step::Steps;
use crate::{Outcome, environment, sbom};

/// The generated files of the checkout, and where the program that writes them puts them.
const GENERATED: &[(&str, &str)] = &[
    ("Sources/CortensorRouterNative/CortensorRouterNative.swift", "CortensorRouterNative.swift"),
    ("Sources/cortensor_router_nativeFFI/cortensor_router_nativeFFI.h", "cortensor_router_nativeFFI.h"),
];

/// The platforms of the XCFramework: Rust's name, the directory, the system, and its variant.
const SLICES: &[(&str, &str, &str, &str)] = &[
    ("aarch64-apple-darwin", "macos-arm64", "macos", ""),
    ("aarch64-apple-ios", "ios-arm64", "ios", ""),
    ("aarch64-apple-ios-sim", "ios-arm64-simulator", "ios", "simulator"),
];

/// The parts of the package's directory that users get, beside its page.
const PARTS: [&str; 3] = ["Package.swift", "Sources", "Examples"];

const FRAMEWORK: &str = "cortensor_router_nativeFFI.xcframework";
const LIBRARY: &str = "libcortensor_router_uniffi.a";

/// The directory of the package.
fn package() -> PathBuf {
    super::package().join("swift")
}

/// Checks that the generated sources are current, and that the facade calls what they have.
///
/// # Errors
/// When a file is old, or a call has no function.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    super::built(steps)?;
    let fresh = super::generated(steps, "swift")?;
    let current = steps.check("Swift package: the generated sources are current", || {
        let old: Vec<_> = GENERATED
            .iter()
            .filter(|(kept, made)| {
                let read = |path: PathBuf| fs::read(path).unwrap_or_default();
                read(package().join(kept)) != read(fresh.join(made))
            })
            .map(|(kept, _)| *kept)
            .collect();
        if old.is_empty() { Ok("they are".into()) } else { Err(format!("old: {old:?}; run cargo xtask dist swift")) }
    });
    let calls = steps.check("Swift package: the facade calls what there is", facade);
    current.and(calls).and(grammar(steps))
}

/// Parses every source by a grammar of Swift: it finds what no compiler would read, and knows no types.
fn grammar(steps: &mut Steps) -> Outcome {
    let here = environment::root().join("xtask/src/uniffi");
    let bin = environment::venv(steps, &environment::target().join("swift"), &here.join("grammar.txt"))?;
    let mut parse = Command::new(bin.join("python"));
    parse.arg(here.join("grammar.py")).args(["Sources", "Examples", "README.md"].map(|part| package().join(part)));
    steps.run("Swift package: every source parses", &mut parse)
}

/// Compares the calls of the facade with the functions of the generated code, by their names and their labels. It takes
/// the place of a compiler only as far as that.
fn facade() -> Outcome<String> {
    let native = environment::read(&package().join(GENERATED[0].0))?;
    let functions = signatures(&native);
    let mut calls = BTreeSet::new();
    let sources = package().join("Sources/CortensorRouter");
    let entries = fs::read_dir(&sources).map_err(|error| format!("{}: {error}", sources.display()))?;
    for file in entries.filter_map(Result::ok) {
        calls.extend(called(&environment::read(&file.path())?));
    }
    let absent: Vec<_> = calls.iter().filter(|call| !functions.contains(*call)).collect();
    if calls.is_empty() || !absent.is_empty() {
        return Err(format!("the generated code has no {absent:?}; {} calls were found", calls.len()));
    }
    Ok(format!("{} different calls", calls.len()))
}

/// The functions of a source, as `name(label:label:)`.
fn signatures(source: &str) -> BTreeSet<String> {
    let heads = source.lines().filter_map(|line| line.split_once("func ").map(|(_, rest)| rest));
    heads
        .filter_map(|head| {
            let (name, rest) = head.split_once('(')?;
            let parameters = rest.split_once(')')?.0;
            let label = |parameter: &str| parameter.split_whitespace().next().unwrap_or_default().to_owned();
            let labels: Vec<_> = parameters.split(", ").filter(|part| part.contains(':')).map(label).collect();
            Some(format!("{name}({})", labels.concat()))
        })
        .collect()
}

/// The calls on native objects of a source, in the same form. An object of the generated code has one of these names.
fn called(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for object in ["native.", "mailbox.", "stream."] {
        for (at, _) in source.match_indices(object) {
            let before = source[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
                continue;
            }
            let rest = &source[at + object.len()..];
            let end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
            if rest[end..].starts_with('(') && end > 0 {
                found.insert(format!("{}({})", &rest[..end], labels(&rest[end + 1..])));
            }
        }
    }
    found
}

/// The labels of the arguments up to the parenthesis that closes them.
fn labels(arguments: &str) -> String {
    let (mut depth, mut word, mut out) = (0_u32, String::new(), String::new());
    for letter in arguments.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                out.push_str(&word);
                out.push(':');
            }
            _ => {}
        }
        if letter.is_alphanumeric() {
            word.push(letter);
        } else {
            word.clear();
        }
    }
    out
}

/// Renews the generated sources of the checkout, and lays the package out in `target/dist/swift`: the sources, the
/// module map, and an XCFramework of the static libraries. On macOS the library of this machine is built; those of
/// other platforms, built elsewhere, are taken from `target/dist/swift/libraries/TARGET`.
///
/// # Errors
/// When the library does not build, or a file cannot be written.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    super::built(steps)?;
    let fresh = super::generated(steps, "swift")?;
    for (kept, made) in GENERATED {
        let kept = package().join(kept);
        let directory = kept.parent().ok_or("a file has a directory")?;
        fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        environment::install(&fresh.join(made), &kept)?;
    }
    let out = environment::target().join("dist/swift");
    let libraries = out.join("libraries");
    if cfg!(target_os = "macos") {
        let mut cargo = environment::cargo(&["build", "--profile", "dist", "--package", "cortensor-router-uniffi"]);
        steps.run("build the static library (dist)", &mut cargo)?;
        let here = libraries.join(environment::host()?);
        fs::create_dir_all(&here).map_err(|error| format!("{}: {error}", here.display()))?;
        environment::install(&environment::target().join("dist").join(LIBRARY), &here.join(LIBRARY))?;
    }
    let mut copy = Command::new("cp");
    copy.arg("-R");
    copy.args(PARTS.map(|part| package().join(part))).arg(&out);
    fs::create_dir_all(&libraries).map_err(|error| format!("{}: {error}", libraries.display()))?;
    steps.run("copy the sources", &mut copy)?;
    steps.check("lay the XCFramework out", || framework(&out, &libraries))?;
    let bill = out.join(BILL);
    sbom::write(steps, "core/uniffi", &bill)?;
    contents::papers(&package(), None, &out)?;
    contents::directory(steps, &out, true, &["Package.swift".to_owned(), format!("{FRAMEWORK}/Info.plist")])
}

/// Writes the XCFramework of the libraries that are there.
fn framework(out: &Path, libraries: &Path) -> Outcome<String> {
    let root = out.join(FRAMEWORK);
    let _ = fs::remove_dir_all(&root);
    let there: Vec<_> = SLICES.iter().filter(|(target, ..)| libraries.join(target).join(LIBRARY).exists()).collect();
    let header = package().join(GENERATED[1].0);
    for (target, directory, ..) in &there {
        let headers = root.join(directory).join("Headers");
        fs::create_dir_all(&headers).map_err(|error| format!("{}: {error}", headers.display()))?;
        environment::install(&libraries.join(target).join(LIBRARY), &root.join(directory).join(LIBRARY))?;
        environment::install(&header, &headers.join("cortensor_router_nativeFFI.h"))?;
        environment::install(&header.with_file_name("module.modulemap"), &headers.join("module.modulemap"))?;
    }
    fs::create_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let slices: Vec<_> =
        there.iter().map(|(_, directory, system, variant)| slice(directory, system, variant)).collect();
    let list = root.join("Info.plist");
    fs::write(&list, plist(&slices.concat())).map_err(|error| format!("{}: {error}", list.display()))?;
    let missing: Vec<_> =
        SLICES.iter().map(|(target, ..)| *target).filter(|target| !there.iter().any(|one| one.0 == *target)).collect();
    Ok(format!(
        "{} libraries are in it; build these elsewhere and put them into {}: {missing:?}",
        there.len(),
        libraries.display()
    ))
}

/// The entry of one library in the list of an XCFramework.
fn slice(directory: &str, system: &str, variant: &str) -> String {
    let variant = if variant.is_empty() {
        String::new()
    } else {
        format!("      <key>SupportedPlatformVariant</key><string>{variant}</string>\n")
    };
    format!(
        "    <dict>\n      <key>LibraryIdentifier</key><string>{directory}</string>\n      \
         <key>LibraryPath</key><string>{LIBRARY}</string>\n      <key>HeadersPath</key><string>Headers</string>\n      \
         <key>SupportedArchitectures</key><array><string>arm64</string></array>\n      \
         <key>SupportedPlatform</key><string>{system}</string>\n{variant}    </dict>\n"
    )
}

fn plist(slices: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>AvailableLibraries</key>
  <array>
{slices}  </array>
  <key>CFBundlePackageType</key><string>XFWK</string>
  <key>XCFrameworkFormatVersion</key><string>1.0</string>
</dict>
</plist>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_compared_by_names_and_labels() {
        let functions = signatures(
            "open func emit(piece: String)throws  -> NativeEmit  {\npublic func keys()\nfunc a(b: T, c: [U])",
        );
        assert_eq!(functions.into_iter().collect::<Vec<_>>(), ["a(b:c:)", "emit(piece:)", "keys()"]);
        let calls = called(
            "try native.emit(piece: f(x: 1)); self.native.keys(); native.a(b: [k: 1], c: { d: e }); unnative.no()",
        );
        assert_eq!(calls.into_iter().collect::<Vec<_>>(), ["a(b:c:)", "emit(piece:)", "keys()"]);
    }

    #[test]
    fn the_list_names_every_library() {
        let list = plist(&(slice("ios-arm64-simulator", "ios", "simulator") + &slice("macos-arm64", "macos", "")));
        assert_eq!(list.matches("<key>LibraryIdentifier</key>").count(), 2);
        assert_eq!(list.matches("SupportedPlatformVariant").count(), 1);
    }
}
