//! Runs the pages of the book as tests: every command and snippet, in order, against a real router.
//!
//! - Shell blocks run in bash. A command that starts `cortensor-router serve` keeps running for the blocks after it.
//! - Python blocks that import the package run in its environment, the others in that of the client tests. JavaScript
//!   blocks have the packages of the client tests, and the project's own.
//! - TOML must be a configuration of the router. JSON and YAML must parse.
//! - Rust blocks are documentation tests of the crate, and C and C++ blocks run in the suite `c`.
//! - A block after `<!-- file: name -->` is written into the directory where the blocks of its page run.
//! - A block after `<!-- not run: why -->` is only parsed, and the log says why. `<!-- not run on this page: why -->`
//!   does the same for every block of a page without a mark of its own.
//!
//! Commands that build are left out, as is `cargo xtask`, because it runs this. Each page begins with an empty
//! directory.

mod block;
mod shell;
mod stage;
mod syntax;

use crate::lint::listed;
use crate::step::Steps;
use crate::{Outcome, environment};

pub(crate) use block::{Block, Fate, blocks, blocks_of_package};
use stage::Stage;

/// The blocks of these languages that run, of the whole book, each with its page.
///
/// # Errors
/// When a page cannot be read.
pub(crate) fn programs(languages: &[&str]) -> Outcome<Vec<(String, Block)>> {
    let root = environment::root();
    let mut programs = Vec::new();
    for page in listed(&root)? {
        let blocks = blocks(&environment::read(&root.join(&page))?).into_iter();
        let wanted = |block: &Block| block.fate == Fate::Run && languages.contains(&block.language.as_str());
        programs.extend(blocks.filter(wanted).map(|block| (page.clone(), block)));
    }
    Ok(programs)
}

/// Runs every block of the book, or of these pages alone.
///
/// # Errors
/// When one fails.
pub(crate) fn run(steps: &mut Steps, only: &[String]) -> Outcome {
    let root = environment::root();
    let pages = listed(&root)?;
    let mut stage = Stage::new(steps)?;
    let mut failures = Vec::new();
    for page in pages.iter().filter(|page| only.is_empty() || only.contains(page)) {
        stage.clear()?;
        for block in &blocks(&environment::read(&root.join(page))?) {
            let title = format!("{page}:{} {}", block.line, block.language);
            failures.extend(stage.run(steps, &title, block).err());
        }
    }
    stage.clear()?;
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}
