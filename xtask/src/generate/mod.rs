//! Generates files from the schema. `cargo xtask gen` writes them, `cargo xtask gen --check` lists those that are out
//! of date.
//!
//! The sources are the OpenAPI document (`docs/openapi.json`), the records that only the packages have
//! (`docs/packages.json`) and the table of errors ([`KINDS`](cortensor_router_model::KINDS)). The router itself writes
//! the two files, and the test `docs` of the crate `cortensor-router` compares them. The C header follows from the statuses
//! that are written here and from the rest of the C library; the test `header` of that crate holds it to them.

mod document;
mod errors;
mod example;
mod go;
mod java;
mod json;
mod kinds;
mod kotlin;
mod layout;
mod python;
mod reference;
mod shape;
mod status;
mod swift;
mod typescript;

use std::fs;

use crate::step::Steps;
use crate::{Outcome, environment, programs};

use document::Document;

/// Writes every generated file, after the router has written its schema.
///
/// # Errors
/// When the router does not build, or a file cannot be read or written.
pub(crate) fn run(steps: &mut Steps) -> Outcome {
    let mut ask = programs::cargo("test", &["--quiet"]);
    steps.run("ask the router for its schema", ask.env("UPDATE_DOCS", "1"))?;
    steps.check("write what follows from it", || {
        let files = files()?;
        for (path, text) in &files {
            let path = environment::root().join(path);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(format!("{} files", files.len()))
    })?;
    // The header has numbers that were written just now.
    let mut header = programs::cargo("test", &["--quiet"]);
    steps.run("write the C header", header.env("UPDATE_DOCS", "1"))?;
    let mut commands = environment::cargo(&["test", "--quiet", "--package", "cortensor-router-cli", "--lib"]);
    commands.args(["--features", "full", "reference"]);
    steps.run("write the page about the command line", commands.env("UPDATE_DOCS", "1"))
}

/// Compares every generated file with the schema in `docs/`.
///
/// # Errors
/// When one differs.
pub(crate) fn check(steps: &mut Steps) -> Outcome {
    steps.check("what follows from the schema", || {
        let files = files()?;
        let old: Vec<_> = files
            .iter()
            .filter(|(path, text)| fs::read_to_string(environment::root().join(path)).ok().as_deref() != Some(text))
            .map(|(path, _)| *path)
            .collect();
        if old.is_empty() {
            Ok(format!("{} files are current", files.len()))
        } else {
            Err(format!("old: {}; run cargo xtask gen", old.join(", ")))
        }
    })
}

/// Every generated file: its path and its content.
fn files() -> Outcome<Vec<(&'static str, String)>> {
    let docs = environment::root().join("docs");
    let read = |name: &str| environment::read(&docs.join(name)).and_then(|text| Document::parse(name, &text));
    let api = read("openapi.json")?;
    let rest_api = reference::markdown(&api);
    let all = api.with(&read("packages.json")?);
    Ok(vec![
        ("docs/rest-api.md", rest_api),
        (errors::PAGE, errors::page()?),
        ("core/capi/src/status.rs", status::rust()),
        ("bindings-python/python/cortensor_router/_errors.py", kinds::python()),
        ("bindings-python/python/cortensor_router/_records.py", python::records(&all)?),
        ("bindings-python/python/cortensor_router/_options.py", python::options(&all)?),
        ("core/uniffi/ruby/lib/cortensor_router/errors.rb", kinds::ruby()),
        ("core/uniffi/kotlin/src/network/cortensor/router/Exceptions.kt", kinds::kotlin()),
        ("core/uniffi/kotlin/src/network/cortensor/router/Records.kt", kotlin::records(&all)?),
        ("core/uniffi/swift/Sources/CortensorRouter/Kind.swift", kinds::swift()),
        ("core/uniffi/swift/Sources/CortensorRouter/Records.swift", swift::records(&all)?),
        ("bindings-node/records.d.ts", typescript::records(&all)?),
        ("core/capi/go/kinds.go", go::kinds()),
        ("core/capi/go/records.go", go::records(&all)?),
        ("core/capi/go/options.go", go::options(&all)?),
        ("core/capi/java/src/network/cortensor/java/Records.java", java::records(&all)?),
        ("core/capi/java/src/network/cortensor/java/Options.java", java::options(&all)?),
        ("core/capi/java/src/network/cortensor/java/RouterException.java", java::exceptions()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_file_is_current() {
        for (path, text) in files().unwrap() {
            let there = fs::read_to_string(environment::root().join(path)).unwrap_or_default();
            assert!(there == text, "{path} is old: run cargo xtask gen");
        }
    }
}
