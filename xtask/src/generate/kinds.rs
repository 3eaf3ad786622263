//! The exceptions of the Python package, one for each kind of error.

use std::fmt::Write as _;

use cortensor_router_model::{KINDS, KindRow};

use super::python::{MARK, docstring};

/// Kinds whose class would otherwise have the name of one of Python's own.
const OTHERWISE: &[(&str, &str)] = &[("timeout", "RouterTimeoutError"), ("cancelled", "TaskCancelledError")];

/// The content of `_errors.py`.
pub(super) fn python() -> String {
    let mut out = format!(
        "{MARK}\"\"\"The exceptions: one class a kind of error, each of which says what to do.\"\"\"\n\nfrom __future__ import \
         annotations\n\nfrom ._error import RouterError\n\n__all__ = [\n"
    );
    let mut names: Vec<_> = KINDS.iter().map(class).chain(["RouterError".to_owned()]).collect();
    names.sort();
    for name in names {
        let _ = writeln!(out, "    \"{name}\",");
    }
    out.push_str("]\n");
    for row in KINDS {
        let _ = writeln!(out, "\n\nclass {}(RouterError, {}):", class(row), row.python_base);
        docstring(&mut out, row.says);
        let _ = writeln!(out, "\n    kind = \"{}\"", row.code);
        if row.retryable {
            out.push_str("    retryable = True\n");
        }
    }
    out
}

/// The name of a kind's class.
pub(super) fn class(row: &KindRow) -> String {
    if let Some((_, name)) = OTHERWISE.iter().find(|(code, _)| *code == row.code) {
        return (*name).to_owned();
    }
    let words = row.code.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.chain(["Error".to_owned()]).collect()
}
