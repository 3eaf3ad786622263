//! Counts the items of the library that users see, and checks the links of its documentation.

use std::path::Path;

use crate::{Outcome, environment};

/// The library shows fewer items than this: types, traits, functions and constants, without methods and fields.
const MOST_ITEMS: usize = 120;

/// Documents the libraries with every feature, with warnings as errors, and counts the items of the one that users see:
/// those on rustdoc's page of all items, including re-exports of other crates. The selection of the whole workspace and
/// an example brings in the features of the lints, so that no dependency is checked anew.
///
/// # Errors
/// When a link leads nowhere, or there are too many items.
pub(crate) fn check() -> Outcome<String> {
    let mut doc = environment::cargo(&["doc", "--quiet", "--no-deps", "--workspace"]);
    doc.args(["--all-features", "--lib", "--example", "hello"]).env("RUSTDOCFLAGS", "-D warnings");
    let output = doc.output().map_err(|error| format!("cargo doc: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo doc: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let shown = items(&environment::target().join("doc/cortensor_router/all.html"))?;
    if shown >= MOST_ITEMS {
        return Err(format!(
            "the library shows {shown} items; it must stay under {MOST_ITEMS}: hide what no user needs behind `internals`"
        ));
    }
    Ok(format!("the library shows {shown} items (fewer than {MOST_ITEMS}), and their pages hold together"))
}

fn items(page: &Path) -> Outcome<usize> {
    Ok(links(&environment::read(page)?))
}

/// The items that the page lists. Links within the page begin with `#`.
fn links(page: &str) -> usize {
    page.split("<li><a href=\"").skip(1).filter(|link| !link.starts_with('#')).count()
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn items_are_counted_and_headings_are_not() {
        let page = "<li><a href=\"#structs\">S</a></li><li><a href=\"struct.A.html\">A</a></li>\
                    <li><a href=\"config/fn.load.html\">config::load</a></li>";
        assert_eq!(links(page), 2);
    }
}
