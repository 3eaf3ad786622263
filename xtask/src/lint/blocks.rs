//! The fenced blocks of the pages: each is in a language that something checks, and runs or says why not.

use std::path::Path;

use super::summary::listed;
use crate::pages::{Block, Fate, blocks};
use crate::{Outcome, environment};

/// The languages of the blocks that the suite `docs` runs or parses.
const CHECKED: &[&str] = &["sh", "console", "python", "js", "json", "toml", "yaml", "ini"];
/// The languages of blocks that other suites run: documentation tests, and the suites of the languages.
const ELSEWHERE: &[&str] = &["rust", "c", "cpp", "go", "java", "ruby", "kotlin"];
/// The languages that are no code, or that no program here can check.
const SHOWN: &[&str] = &["text", "nginx", "cmake", "swift"];

/// The first words of commands, which belong into a shell block.
const COMMANDS: &[&str] =
    &["$", "cargo", "cc", "c++", "cortensor-router", "curl", "docker", "node", "npm", "npx", "pip", "python"];

/// The file that names the pages whose Rust blocks are documentation tests.
const TESTED: &str = "core/src/lib.rs";

/// Checks the blocks of every page of the book.
///
/// # Errors
/// A line for every block at fault.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let tested = environment::read(&root.join(TESTED))?;
    let (mut count, mut wrong) = (0, Vec::new());
    for page in listed(root)? {
        for block in blocks(&environment::read(&root.join(&page))?) {
            count += 1;
            let fault = fault(&block).or_else(|| {
                let untested = block.language == "rust" && block.fate == Fate::Run && !tested.contains(&page);
                untested.then(|| format!("{TESTED} must include a page with Rust blocks"))
            });
            wrong.extend(fault.map(|fault| format!("{page}:{}: {fault}", block.line)));
        }
    }
    if wrong.is_empty() { Ok(format!("{count} blocks")) } else { Err(wrong.join("\n")) }
}

/// The fault of a block.
fn fault(block: &Block) -> Option<String> {
    let language = block.language.as_str();
    if ![CHECKED, ELSEWHERE, SHOWN].iter().any(|known| known.contains(&language)) {
        return Some(format!("the language {language:?} of this block is not known"));
    }
    let first = block.text.split_whitespace().next().unwrap_or_default();
    let is_command = COMMANDS.contains(&first) || first.split_once('=').is_some_and(|(name, _)| is_variable(name));
    (language == "text" && is_command)
        .then(|| format!("a block with commands ({first}) is \"sh\"; if it does not run, a mark says why"))
}

/// Whether a word is the name of an environment variable.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_checked_somewhere() {
        check(&environment::root()).unwrap();
    }

    #[test]
    fn hidden_commands_and_unknown_languages_are_found() {
        let faults = |text: &str| blocks(text).iter().filter_map(fault).collect::<Vec<_>>();
        assert!(faults("```text\na picture\n```\n```sh\ncurl x\n```\n").is_empty());
        assert!(faults("```text\ncurl x\n```\n")[0].contains("(curl)"));
        assert!(faults("```text\nA_B=c claude\n```\n")[0].contains("a mark says why"));
        assert!(faults("```\nx\n```\n")[0].contains("\"\""));
    }
}
