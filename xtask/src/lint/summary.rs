//! The table of contents of the book: it lists every page once.

use std::collections::BTreeSet;
use std::path::Path;

use super::links::{beside, targets};
use super::pages;
use crate::{Outcome, environment};

/// The table of contents.
pub(crate) const SUMMARY: &str = "docs/SUMMARY.md";

/// Checks that every page below `docs/` is in the table of contents, and that nothing is there twice. The check of
/// links finds an entry without a page.
///
/// # Errors
/// A line for every page that is absent or doubled.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let listed = listed(root)?;
    let mut files = BTreeSet::new();
    pages::list(root, Path::new("docs"), &mut files)?;
    let mut wrong = Vec::new();
    let mut once = BTreeSet::new();
    for page in &listed {
        if !once.insert(page) {
            wrong.push(format!("{SUMMARY}: {page} is there twice"));
        }
    }
    let is_page = |file: &&String| Path::new(file).extension().is_some_and(|end| end == "md") && *file != SUMMARY;
    let absent = files.iter().filter(is_page).filter(|page| !once.contains(page));
    wrong.extend(absent.map(|page| format!("{SUMMARY}: {page} is not there")));
    if wrong.is_empty() { Ok(format!("{} pages", listed.len())) } else { Err(wrong.join("\n")) }
}

/// The pages of the book in their order, by their paths from the root.
///
/// # Errors
/// When the table of contents cannot be read.
pub(crate) fn listed(root: &Path) -> Outcome<Vec<String>> {
    let text = environment::read(&root.join(SUMMARY))?;
    Ok(text.lines().flat_map(targets).map(|path| beside(SUMMARY, path).to_string_lossy().into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_page_is_in_the_book() {
        check(&environment::root()).unwrap();
    }

    #[test]
    fn absent_and_doubled_pages_are_found() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("docs/a")).unwrap();
        fs::write(root.path().join("docs/a/b.md"), "").unwrap();
        fs::write(root.path().join(SUMMARY), "[c](../c.md)\n[c](../c.md)\n").unwrap();
        assert_eq!(
            check(root.path()).unwrap_err().lines().collect::<Vec<_>>(),
            ["docs/SUMMARY.md: c.md is there twice", "docs/SUMMARY.md: docs/a/b.md is not there"]
        );
        assert_eq!(listed(root.path()).unwrap(), ["c.md", "c.md"]);
    }
}
