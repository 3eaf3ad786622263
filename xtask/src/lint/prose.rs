//! The first words of sentences: a sentence in a comment or on a page names its subject.

use std::collections::BTreeSet;
use std::path::Path;

use super::pages;
use crate::{Outcome, environment};

/// Beginnings that hide the subject of a sentence.
const FORBIDDEN: &[&str] = &["What", "Who", "So", "The same"];

/// Endings of the names of files whose comments begin with slashes or a star.
const SLASHED: &[&str] =
    &["rs", "c", "h", "cpp", "hpp", "js", "mjs", "cjs", "mts", "cts", "ts", "go", "java", "kt", "swift"];
/// Endings of the names of files whose comments begin with a number sign.
const HASHED: &[&str] = &["py", "pyi", "rb"];

/// Files with comments of another author: `@napi-rs/cli` writes the loader, and UniFFI the others.
const FOREIGN: &[&str] = &[
    "bindings-node/native/loader.cjs",
    "core/uniffi/ruby/lib/cortensor_router/cortensor_router_native.rb",
    "core/uniffi/swift/Sources/CortensorRouterNative/CortensorRouterNative.swift",
    "core/uniffi/swift/Sources/cortensor_router_nativeFFI/cortensor_router_nativeFFI.h",
];

/// Characters that may stand after the last one of a sentence.
const CLOSING: [char; 5] = [')', '"', '\'', '*', '_'];

/// Checks every comment and every Markdown page below `root`. Questions, headings, tables and code may begin freely.
///
/// # Errors
/// A line for every sentence with a forbidden beginning.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let mut files = BTreeSet::new();
    pages::list(root, Path::new(""), &mut files)?;
    let (mut checked, mut wrong) = (0, Vec::new());
    for file in files.iter().filter(|file| !FOREIGN.contains(&file.as_str())) {
        let Some(kind) = Kind::of(file) else { continue };
        checked += 1;
        let text = environment::read(&root.join(file))?;
        for (number, beginning) in faults(kind, &text) {
            wrong.push(format!("{file}:{number}: a sentence begins with {beginning:?}; name its subject first"));
        }
    }
    if wrong.is_empty() { Ok(format!("{checked} files")) } else { Err(wrong.join("\n")) }
}

/// The place of prose in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every line of a Markdown page.
    Page,
    /// Comments that begin with slashes or a star.
    Slashed,
    /// Comments that begin with a number sign, and the first lines of docstrings.
    Hashed,
}

impl Kind {
    fn of(file: &str) -> Option<Self> {
        let ending = Path::new(file).extension()?.to_str()?;
        match ending {
            "md" => Some(Self::Page),
            _ if SLASHED.contains(&ending) => Some(Self::Slashed),
            _ => HASHED.contains(&ending).then_some(Self::Hashed),
        }
    }

    /// The prose of a line; `None` for a line without any.
    fn prose(self, line: &str) -> Option<&str> {
        let line = line.trim().trim_end_matches("*/").trim_end();
        let marks: &[&str] = match self {
            Self::Page => return Some(line),
            Self::Slashed => &["///", "//!", "//", "/**", "/*", "*"],
            Self::Hashed => &["#", "\"\"\""],
        };
        marks.iter().find_map(|mark| line.strip_prefix(mark)).map(str::trim_start)
    }
}

/// The sentences with a forbidden beginning: the number of the line on which each begins, and the beginning.
fn faults(kind: Kind, text: &str) -> Vec<(usize, &'static str)> {
    let (mut found, mut fenced) = (Vec::new(), false);
    let (mut sentence, mut first_line) = (Vec::new(), 0);
    for (index, line) in text.lines().enumerate() {
        let prose = kind.prose(line);
        let is_fence = prose.is_some_and(|prose| prose.starts_with("```"));
        // A fence ends with its comment at the latest.
        fenced = prose.is_some() && fenced != is_fence;
        let prose = prose.filter(|prose| !fenced && !is_fence && is_text(prose));
        let item = prose.and_then(list_item);
        if prose.is_none() || item.is_some() {
            found.extend(beginning(&sentence).map(|beginning| (first_line, beginning)));
            sentence.clear();
        }
        for word in item.or(prose).unwrap_or_default().split_whitespace() {
            if sentence.is_empty() {
                first_line = index + 1;
            }
            sentence.push(word);
            if word.trim_end_matches(CLOSING).ends_with(['.', '!', '?']) {
                found.extend(beginning(&sentence).map(|beginning| (first_line, beginning)));
                sentence.clear();
            }
        }
    }
    found.extend(beginning(&sentence).map(|beginning| (first_line, beginning)));
    found
}

/// Whether a line of prose belongs to a paragraph: it is not empty, a heading, a row of a table or an HTML comment.
fn is_text(prose: &str) -> bool {
    !prose.is_empty() && !prose.starts_with(['#', '|']) && !prose.starts_with("<!--")
}

/// The text of a list's item; `None` for other lines.
fn list_item(prose: &str) -> Option<&str> {
    let numbered = prose.trim_start_matches(|c: char| c.is_ascii_digit());
    prose
        .strip_prefix("- ")
        .or_else(|| prose.strip_prefix("* "))
        .or_else(|| numbered.strip_prefix(". ").filter(|_| numbered.len() < prose.len()))
}

/// The forbidden beginning of a sentence, if it has one and the sentence is no question.
fn beginning(sentence: &[&str]) -> Option<&'static str> {
    if sentence.last().is_some_and(|word| word.trim_end_matches(CLOSING).ends_with('?')) {
        return None;
    }
    let start: Vec<&str> = sentence
        .iter()
        .take(2)
        .map(|word| word.trim_start_matches(['*', '_']).trim_end_matches([',', '.', '*', '_']))
        .collect();
    FORBIDDEN.iter().copied().find(|bad| start.first() == Some(bad) || start.join(" ") == **bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_names_its_subject() {
        check(&environment::root()).unwrap();
    }

    #[test]
    fn forbidden_beginnings_are_found_where_prose_stands() {
        type Case = (Kind, &'static str, &'static [(usize, &'static str)]);
        let cases: [Case; 8] = [
            (Kind::Page, "It works. So\nit does.\n\nThe\nsame.\n", &[(1, "So"), (4, "The same")]),
            (Kind::Page, "- Who does it.\n- **What** it does.\n1. So what.\n", &[(1, "Who"), (2, "What"), (3, "So")]),
            (Kind::Page, "# What it is\n\n| What |\n\n```text\nSo it is.\n```\n<!-- So -->\n", &[]),
            (Kind::Page, "What does\nit do? Whatever you like. Sofas. (Who asks?)\n", &[]),
            (Kind::Slashed, "/// Reads it.\n/// What is read.\nfn What() {} // So\n", &[(2, "What")]),
            (
                Kind::Slashed,
                "//! So it is.\n/** Who. */\n * The same, again.\n",
                &[(1, "So"), (2, "Who"), (3, "The same")],
            ),
            (Kind::Slashed, "/// ```\n/// So it is.\nfn f() {}\n// So it is.\n", &[(4, "So")]),
            (
                Kind::Hashed,
                "# So it is.\ndef f():\n    \"\"\"What it does.\n    So.\"\"\"\n",
                &[(1, "So"), (3, "What")],
            ),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(faults(kind, text), expected, "{text}");
        }
    }

    #[test]
    fn a_fault_is_told_with_its_file_and_line() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.rs"), "fn f() {}\n// So it is.\n").unwrap();
        std::fs::write(root.path().join("b.json"), "// So it is.\n").unwrap();
        let wrong = check(root.path()).unwrap_err();
        assert_eq!(wrong, "a.rs:2: a sentence begins with \"So\"; name its subject first");
    }
}
