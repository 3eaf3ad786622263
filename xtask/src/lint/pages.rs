//! Checks the Markdown pages: their lines are short, and the files, links and headings that they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::links::{Headings, targets};
use crate::{Outcome, environment};

/// A line of prose must have fewer characters than this.
const WIDTH: usize = 100;

/// Pages whose file names in code spans must exist. Every page of the second directory is one of them too.
const MAPS: &[&str] = &["CONTRIBUTING.md", "RELEASE-CHECKLIST.md", "docs/ARCHITECTURE.md", "docs/testing.md"];
const MAPS_UNDER: &str = "docs/adr/";

/// Directories without pages of the project.
const FOREIGN: &[&str] = &["target", "node_modules", ".git"];

/// Checks every Markdown page below `root`.
///
/// # Errors
/// A line for every line of prose that is too long, and for every path that does not exist.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let mut files = BTreeSet::new();
    list(root, Path::new(""), &mut files)?;
    let (mut pages, mut wrong, mut headings) = (0, Vec::new(), Headings::of(root));
    for page in files.iter().filter(|file| Path::new(file).extension().is_some_and(|end| end == "md")) {
        pages += 1;
        let text = environment::read(&root.join(page))?;
        let is_map = MAPS.contains(&page.as_str()) || page.starts_with(MAPS_UNDER);
        for (number, line) in prose(&text) {
            let mut complain = |what: String| wrong.push(format!("{page}:{number}: {what}"));
            let width = columns(line);
            if width >= WIDTH {
                complain(format!("{width} columns; a line of prose has fewer than {WIDTH}"));
            }
            if is_map {
                for path in paths(line).filter(|path| !exists(root, &files, path)) {
                    complain(format!("{path} does not exist"));
                }
            }
        }
        for (number, line) in unfenced(&text) {
            let faults = targets(line).filter_map(|target| headings.fault(page, target));
            wrong.extend(faults.map(|fault| format!("{page}:{number}: {fault}")));
        }
    }
    if wrong.is_empty() { Ok(format!("{pages} pages")) } else { Err(wrong.join("\n")) }
}

/// Lists every file of the project below `root`, by its path from there.
pub(crate) fn list(root: &Path, under: &Path, files: &mut BTreeSet<String>) -> Outcome {
    let directory = root.join(under);
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path: PathBuf = under.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            if !FOREIGN.iter().any(|name| entry.file_name() == *name) {
                list(root, &path, files)?;
            }
        } else {
            files.insert(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// The numbered lines of a page outside of fenced blocks.
pub(super) fn unfenced(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((index + 1, line))
    })
}

/// The numbered lines of a page outside of fenced blocks and tables.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    unfenced(text).filter(|(_, line)| !line.trim_start().starts_with('|'))
}

/// The width of a line without HTML comments and the targets of links, which no line break can shorten.
fn columns(line: &str) -> usize {
    if line.trim_start().starts_with("<!--") {
        return 0;
    }
    let targets: usize = targets(line).map(|target| target.chars().count()).sum();
    line.chars().count() - targets
}

/// The code spans of a line that look like files of the project: below one of its directories, or the name of a source
/// file.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    const DIRECTORIES: &[&str] =
        &["core/", "docs/", "xtask/", "examples/", "include/", "bindings-node/", "bindings-python/", ".ci/", ".cargo/"];
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter(|span| {
        let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        let is_source =
            Path::new(span).extension().is_some_and(|end| ["rs", "md", "toml"].iter().any(|known| end == *known));
        is_plain && (is_source || DIRECTORIES.iter().any(|directory| span.starts_with(directory)))
    })
}

/// Whether a path exists below the root, or any file with that name.
fn exists(root: &Path, files: &BTreeSet<String>, path: &str) -> bool {
    if path.contains('/') {
        return root.join(path).exists() || files.iter().any(|file| file.ends_with(&format!("/{path}")));
    }
    files.iter().any(|file| file.rsplit('/').next() == Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_in_order() {
        check(&environment::root()).unwrap();
    }

    #[test]
    fn long_lines_and_dead_paths_are_found() {
        let root = tempfile::tempdir().unwrap();
        let long = "word ".repeat(20);
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("docs/here.rs", "");
        write("README.md", &format!("| {long} |\n\n```text\n{long}\n```\n\n[far]({}://x)\n", "h".repeat(120)));
        check(root.path()).unwrap();
        write(
            "docs/testing.md",
            &format!(
                "{long}\n[x](gone.md#a) [y](../README.md)\n`docs/gone.rs`, `here.rs`, `lost.rs`\n\
                 | ![z](gone.svg) | [q](#b) |\n"
            ),
        );
        assert_eq!(
            check(root.path()).unwrap_err().lines().collect::<Vec<_>>(),
            [
                "docs/testing.md:1: 100 columns; a line of prose has fewer than 100",
                "docs/testing.md:3: docs/gone.rs does not exist",
                "docs/testing.md:3: lost.rs does not exist",
                "docs/testing.md:2: the link to gone.md#a leads nowhere",
                "docs/testing.md:4: the link to gone.svg leads nowhere",
                "docs/testing.md:4: the link to #b leads nowhere: docs/testing.md has no such heading",
            ]
        );
    }
}
