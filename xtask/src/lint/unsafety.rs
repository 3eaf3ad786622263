//! Compares the `unsafe` code of the dependencies with its record, `xtask/unsafe.toml`.
//!
//! The record names each dependency of what is shipped that contains `unsafe` code, how often it does, why, and what
//! the project relies on. A new one, or one that has gained `unsafe` code with an update, fails the check until
//! somebody has read what is new and renewed the record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};
use serde::Deserialize;

use crate::{Outcome, environment};

/// The packages that users get. Their dependencies at run time are looked at.
const SHIPPED: &[&str] = &[
    "cortensor-router-cli",
    "cortensor-router-capi",
    "cortensor-router-python",
    "cortensor-router-node",
    "cortensor-router-uniffi",
];

const RECORD: &str = "xtask/unsafe.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    group: Vec<Group>,
}

/// Crates whose `unsafe` code has the same purpose and the same ground for trust.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    purpose: String,
    ground: String,
    /// How often `unsafe` stands in the sources of each crate. Where two versions are used, the greater number counts.
    crates: BTreeMap<String, usize>,
}

/// The part of `cargo metadata` that counts here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    source: Option<String>,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// Absent for a dependency at run time; `build` or `dev` for others.
    kind: Option<String>,
}

/// Compares the dependencies on this platform with the record.
///
/// # Errors
/// When a crate is missing in the record or has more `unsafe` code than it says, when an entry is out of date, or when
/// the dependencies cannot be read.
pub(crate) fn check() -> Outcome<String> {
    let record = record()?;
    let counted = counted()?;
    let mut faults = compared(&record, &counted);
    let lock = environment::read(&environment::root().join("Cargo.lock"))?;
    // A crate of another platform stands in the lock file, though this platform does not use it.
    faults.extend(
        record
            .keys()
            .filter(|name| !lock.contains(&format!("name = \"{name}\"")))
            .map(|name| format!("{name} is no dependency any more: remove it")),
    );
    if faults.is_empty() {
        let crates = counted.values().filter(|count| **count > 0).count();
        Ok(format!("{crates} of {} dependencies contain unsafe code; {RECORD} names each", counted.len()))
    } else {
        Err(format!("{}\nread what is new there, then renew {RECORD}", faults.join("\n")))
    }
}

fn record() -> Outcome<BTreeMap<String, usize>> {
    let text = environment::read(&environment::root().join(RECORD))?;
    let record: Record = toml::from_str(&text).map_err(|error| format!("{RECORD}: {error}"))?;
    let mut crates = BTreeMap::new();
    for group in record.group {
        if group.purpose.is_empty() || group.ground.is_empty() {
            return Err(format!("{RECORD}: a group needs a purpose and a ground: {:?}", group.crates));
        }
        for (name, count) in group.crates {
            if crates.insert(name.clone(), count).is_some() {
                return Err(format!("{RECORD} names {name} twice"));
            }
        }
    }
    Ok(crates)
}

fn compared(record: &BTreeMap<String, usize>, counted: &BTreeMap<String, usize>) -> Vec<String> {
    let used = counted.iter().filter(|(_, count)| **count > 0);
    used.filter_map(|(name, count)| match record.get(name) {
        None => Some(format!("{name} contains unsafe code ({count} times) and is not in the record")),
        Some(recorded) if recorded != count => {
            Some(format!("{name} contains unsafe code {count} times; the record says {recorded}"))
        }
        Some(_) => None,
    })
    .collect()
}

/// How often `unsafe` stands in each dependency of what is shipped.
fn counted() -> Outcome<BTreeMap<String, usize>> {
    let metadata = metadata()?;
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|one| (one.id.as_str(), one)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let is_shipped = |package: &&Package| package.source.is_none() && SHIPPED.contains(&package.name.as_str());
    let mut todo: Vec<&str> = metadata.packages.iter().filter(is_shipped).map(|one| one.id.as_str()).collect();
    if todo.len() != SHIPPED.len() {
        return Err(format!("the workspace does not have all of {SHIPPED:?}"));
    }
    let mut seen = BTreeSet::new();
    let mut counted = BTreeMap::new();
    while let Some(id) = todo.pop() {
        let (Some(package), Some(node)) = (packages.get(id), nodes.get(id)) else { continue };
        if !seen.insert(id) {
            continue;
        }
        let runs = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        todo.extend(node.deps.iter().filter(runs).map(|dependency| dependency.pkg.as_str()));
        if package.source.is_some() {
            let sources = Path::new(&package.manifest_path).with_file_name("src");
            // A few crates have their files beside the manifest.
            let sources = if sources.is_dir() { sources } else { sources.with_file_name("") };
            let count = in_folder(&sources).map_err(|error| format!("{}: {error}", sources.display()))?;
            let most = counted.entry(package.name.clone()).or_insert(0);
            *most = count.max(*most);
        }
    }
    Ok(counted)
}

fn metadata() -> Outcome<Metadata> {
    let host = environment::host()?;
    let mut cargo = environment::cargo(&["metadata", "--format-version", "1", "--locked", "--all-features"]);
    let output = cargo.args(["--filter-platform", &host]).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

fn in_folder(folder: &Path) -> std::io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            count += in_folder(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            count += in_source(&String::from_utf8_lossy(&fs::read(&path)?));
        }
    }
    Ok(count)
}

/// How often the keyword stands in a source, but not in its comments and texts.
fn in_source(source: &str) -> usize {
    if !source.contains("unsafe") {
        return 0;
    }
    match TokenStream::from_str(source) {
        Ok(tokens) => in_tokens(tokens),
        // A file for a macro's `include!` need not be made of whole tokens.
        Err(_) => source.matches("unsafe ").count(),
    }
}

fn in_tokens(tokens: TokenStream) -> usize {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => in_tokens(group.stream()),
            TokenTree::Ident(word) => usize::from(word == "unsafe"),
            TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_counts_and_not_the_word() {
        for (source, wanted) in [
            ("fn safe() {}", 0),
            ("#![forbid(unsafe_code)]", 0),
            ("// unsafe { }\n/* unsafe */ const X: &str = \"unsafe { }\";", 0),
            ("/// An unsafe fn.\nfn f() {}", 0),
            ("unsafe fn f() { unsafe { g() } }", 2),
            ("unsafe impl Send for X {}", 1),
            ("macro_rules! m { () => { unsafe { x() } } }", 1),
        ] {
            assert_eq!(in_source(source), wanted, "{source}");
        }
    }

    #[test]
    fn a_new_crate_and_new_unsafe_code_are_found() {
        let map = |pairs: &[(&str, usize)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let record = map(&[("a", 1), ("b", 2), ("other-platform", 9)]);
        assert_eq!(compared(&record, &map(&[("a", 1), ("b", 2), ("safe", 0)])), [""; 0]);
        let faults = compared(&record, &map(&[("a", 3), ("new", 1)]));
        assert!(faults[0].contains("a contains unsafe code 3 times; the record says 1"), "{faults:?}");
        assert!(faults[1].contains("new contains unsafe code (1 times)"), "{faults:?}");
    }
}
