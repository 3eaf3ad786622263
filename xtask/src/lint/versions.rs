//! Checks that every copy of the version agrees with the workspace's.

use std::path::Path;

use crate::{Outcome, environment};

/// The places with a copy of the version, and the text before each.
const COPIES: &[(&str, &str)] = &[
    ("include/cortensor_router.h", "#define CORTENSOR_VERSION "),
    ("core/capi/go/version.go", "const Version = "),
    ("core/capi/java/src/network/cortensor/java/Router.java", "String VERSION = "),
    ("bindings-node/package.json", "\"version\": "),
    ("bindings-node/package-lock.json", "\"version\": "),
    ("core/uniffi/ruby/lib/cortensor_router/version.rb", "VERSION = "),
    ("core/uniffi/kotlin/src/network/cortensor/router/Router.kt", "VERSION: String = "),
    ("core/uniffi/swift/Sources/CortensorRouter/Router.swift", "let version = "),
    ("examples/deploy/helm/cortensor-router/Chart.yaml", "\nversion: "),
    ("examples/deploy/helm/cortensor-router/Chart.yaml", "\nappVersion: "),
];

/// Compares every copy with the workspace's version.
///
/// # Errors
/// A line for every copy that differs or is absent.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut wrong = Vec::new();
    for (file, before) in COPIES {
        match copy(&environment::read(&root.join(file))?, before) {
            Some(found) if found == version => {}
            found => wrong.push(format!("{file}: {found:?} instead of {version:?}")),
        }
    }
    if wrong.is_empty() { Ok(format!("{version} in {} places", COPIES.len() + 1)) } else { Err(wrong.join("\n")) }
}

/// The quoted text after the first `before`.
fn copy(text: &str, before: &str) -> Option<String> {
    let rest = text.split_once(before)?.1.strip_prefix('"')?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_copies_agree() {
        check(&environment::root()).unwrap();
    }

    #[test]
    fn a_copy_is_found_in_its_quotes() {
        assert_eq!(copy("a\n  \"version\": \"1.2.3\",\n", "\"version\": ").as_deref(), Some("1.2.3"));
        assert_eq!(copy("#define V 1", "#define V "), None);
    }
}
