//! Makes the book: the pages of `docs/SUMMARY.md` as an HTML site with search.
//!
//! The pages lie in the checkout as a code host shows them, some of them outside of `docs/`. mdBook gets a copy of them
//! in which every path is the same, so that their relative links work in both places.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

use crate::lint::{list, listed};
use crate::step::Steps;
use crate::{Outcome, environment};

/// The version of mdBook that is installed below `target/` if none is there.
const VERSION: &str = "0.5.4";

/// The directories whose files the pages link to.
const LINKED: &[&str] = &["docs", "examples"];

/// The time between two looks at the pages while the book is served.
const LOOK: Duration = Duration::from_millis(500);

/// Makes the book, and serves or opens it.
///
/// # Errors
/// When mdBook does not install, or a page cannot be read.
pub(crate) fn run(steps: &mut Steps, serve: bool, open: bool) -> Outcome {
    let tool = tool(steps)?;
    let home = environment::target().join("book");
    let mut stage = Stage { root: environment::root(), source: home.join("source"), seen: BTreeMap::new() };
    let _ = fs::remove_dir_all(&home);
    stage.renew()?;
    // mdBook watches no file that the next `.gitignore` above it names, and that of the checkout names `target/`.
    fs::write(home.join(".gitignore"), "").map_err(|error| format!("{}: {error}", home.display()))?;
    let mut mdbook = Command::new(tool);
    mdbook.arg(if serve { "serve" } else { "build" }).arg(&home);
    if open {
        mdbook.arg("--open");
    }
    if !serve {
        steps.run("make the book", &mut mdbook)?;
        println!("\n{}", home.join("html/index.html").display());
        return Ok(());
    }
    let mut child = mdbook.spawn().map_err(|error| format!("mdbook: {error}"))?;
    let served = follow(&mut stage, &mut child);
    // It may have ended by itself.
    let _ = child.kill();
    served
}

/// Copies changed pages until mdBook ends.
fn follow(stage: &mut Stage, child: &mut Child) -> Outcome {
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("mdbook: {error}"))? {
            return if status.success() { Ok(()) } else { Err(format!("mdbook ended with {status}")) };
        }
        std::thread::sleep(LOOK);
        stage.renew()?;
    }
}

/// Finds mdBook below `target/`, or installs it.
fn tool(steps: &mut Steps) -> Outcome<PathBuf> {
    let home = environment::target().join("tools");
    let tool = home.join("bin/mdbook");
    let is_current = || {
        let output = Command::new(&tool).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim_end().ends_with(VERSION))
    };
    if !is_current() {
        let mut install = environment::cargo(&["install", "mdbook", "--version", VERSION, "--locked", "--quiet"]);
        install.arg("--force").arg("--root").arg(&home).env("CARGO_TARGET_DIR", home.join("build"));
        steps.run("install mdBook", &mut install)?;
        // The files that were built on the way are of no further use.
        let _ = fs::remove_dir_all(home.join("build"));
    }
    Ok(tool)
}

/// The copy of the pages for mdBook.
struct Stage {
    root: PathBuf,
    source: PathBuf,
    /// When each file was changed before it was copied.
    seen: BTreeMap<String, SystemTime>,
}

impl Stage {
    /// Copies every file that changed since the last call.
    fn renew(&mut self) -> Outcome {
        let mut files = std::collections::BTreeSet::new();
        for directory in LINKED {
            list(&self.root, Path::new(directory), &mut files)?;
        }
        files.extend(listed(&self.root)?);
        for file in files {
            let from = self.root.join(&file);
            let failed = |error: std::io::Error| format!("{}: {error}", from.display());
            let changed = fs::metadata(&from).and_then(|data| data.modified()).map_err(failed)?;
            if self.seen.insert(file.clone(), changed) == Some(changed) {
                continue;
            }
            let to = match file.as_str() {
                "docs/book.toml" => self.source.with_file_name("book.toml"),
                "docs/SUMMARY.md" => self.source.join("SUMMARY.md"),
                other => self.source.join(other),
            };
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            if file == "docs/SUMMARY.md" {
                fs::write(&to, from_the_root(&environment::read(&from)?)).map_err(failed)?;
            } else {
                fs::copy(&from, &to).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The table of contents with paths from the root, where its copy lies.
fn from_the_root(summary: &str) -> String {
    summary.replace("](", "](docs/").replace("](docs/../", "](")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_every_page_at_its_path() {
        let home = tempfile::tempdir().unwrap();
        let root = environment::root();
        let mut stage = Stage { root: root.clone(), source: home.path().join("source"), seen: BTreeMap::new() };
        stage.renew().unwrap();
        for page in listed(&root).unwrap() {
            assert!(stage.source.join(&page).exists(), "{page}");
        }
        let summary = fs::read_to_string(stage.source.join("SUMMARY.md")).unwrap();
        assert!(summary.contains("](docs/configuration.md)"), "{summary}");
        assert!(home.path().join("book.toml").exists());
    }

    #[test]
    fn paths_of_the_summary_begin_at_the_root() {
        assert_eq!(from_the_root("- [a](b.md)\n- [c](../D.md)\n"), "- [a](docs/b.md)\n- [c](D.md)\n");
    }
}
