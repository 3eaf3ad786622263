//! What the product depends on: how many crates, and under which licences.

use std::collections::BTreeMap;

use crate::{Outcome, environment};

/// The default build stays under this many crates.
const MOST_CRATES: usize = 250;

/// Licences that a product under Apache-2.0 or MIT can pass on.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Counts the crates of the default build and checks the licence of every crate of the workspace.
///
/// # Errors
/// When there are too many, or one has a licence that is not accepted.
pub(crate) fn check() -> Outcome<String> {
    let build = crates(&["--package", "cortensor-router-cli", "--edges", "normal,build"])?;
    if build.len() >= MOST_CRATES {
        return Err(format!("the default build has {} crates; it is to stay under {MOST_CRATES}", build.len()));
    }
    let all = crates(&["--workspace", "--all-features", "--edges", "normal,build"])?;
    let refused: Vec<_> = all
        .iter()
        .filter(|(_, licence)| !accepted(licence))
        .map(|(name, licence)| format!("{name}: the licence {licence:?} is not among the accepted ones"))
        .collect();
    if refused.is_empty() {
        Ok(format!("{} crates in the default build (fewer than {MOST_CRATES}), every licence accepted", build.len()))
    } else {
        Err(refused.join("\n"))
    }
}

/// The crates of a build by name and version, with their licences.
fn crates(arguments: &[&str]) -> Outcome<BTreeMap<String, String>> {
    let mut tree = environment::cargo(&["tree", "--locked", "--prefix", "none", "--format", "{p}|{l}"]);
    let output = tree.args(arguments).output().map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, licence)| {
            let name = name.split(" (").next().unwrap_or(name);
            (name.to_owned(), licence.trim_end_matches(" (*)").to_owned())
        })
        .collect())
}

/// Whether an SPDX expression leaves a way to use the crate under accepted licences alone.
fn accepted(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let fine = any(&mut words);
    fine && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>) -> bool {
    let mut fine = all(words);
    while words.next_if_eq(&"OR").is_some() {
        fine |= all(words);
    }
    fine
}

fn all(words: &mut Words<'_>) -> bool {
    let mut fine = one(words);
    while words.next_if_eq(&"AND").is_some() {
        fine &= one(words);
    }
    fine
}

fn one(words: &mut Words<'_>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let fine = any(words);
        return words.next_if_eq(&")").is_some() && fine;
    }
    let Some(licence) = words.next() else { return false };
    match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
        Some(exception) => ACCEPTED.contains(&format!("{licence} WITH {exception}").as_str()),
        None => ACCEPTED.contains(&licence),
    }
}

#[cfg(test)]
mod tests {
    use super::accepted;

    #[test]
    fn an_expression_is_read_as_spdx_has_it() {
        for fine in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            "Apache-2.0 AND ISC",
        ] {
            assert!(accepted(fine), "{fine}");
        }
        for refused in ["GPL-3.0", "", "MIT AND GPL-3.0", "(MIT OR ISC) AND AGPL-3.0", "MIT)", "Apache-2.0 WITH Odd"] {
            assert!(!accepted(refused), "{refused}");
        }
    }
}
