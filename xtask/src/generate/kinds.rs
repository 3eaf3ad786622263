//! The exceptions of the packages, one for each kind of error.

use std::fmt::Write as _;

use cortensor_router_model::{KINDS, KindRow};

use super::python::{MARK, docstring};
use super::typescript::camel;

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

/// The content of the gem's `errors.rb`.
pub(super) fn ruby() -> String {
    let mut out = String::from("# frozen_string_literal: true\n\n");
    out.push_str(MARK);
    out.push_str("\nmodule CortensorRouter\n");
    for row in KINDS {
        let (class, code) = (class(row), row.code);
        let _ = writeln!(out, "  # {}\n  class {class} < RouterError\n    KIND = \"{code}\"", row.says);
        if row.retryable {
            out.push_str("    RETRYABLE = true\n");
        }
        out.push_str("  end\n\n");
    }
    out.push_str("  # The class of each kind.\n  KINDS = {\n");
    for row in KINDS {
        let _ = writeln!(out, "    \"{}\" => {},", row.code, class(row));
    }
    out.push_str("  }.freeze\nend\n");
    out
}

/// The first line of a generated file whose language has comments like Rust's.
pub(super) const SLASHES: &str = "// Made from the schema by `cargo xtask gen`; do not edit.\n";

/// The content of the Kotlin package's `Exceptions.kt`.
pub(super) fn kotlin() -> String {
    let mut out = format!("{SLASHES}package network.cortensor.router\n");
    for row in KINDS {
        let KindRow { code, retryable, says, .. } = row;
        let _ = write!(
            out,
            "\n/** {says} */\npublic class {}(\n    message: String,\n    code: String? = null,\n    param: String? = null,\n    \
             details: Map<String, Any?> = emptyMap(),\n) : RouterException(message, \"{code}\", code, {retryable}, param, \
             details)\n",
            exception(row)
        );
    }
    out.push_str(
        "\ninternal fun exceptionOf(\n    kind: String,\n    message: String,\n    code: String?,\n    param: String?,\n    \
         details: Map<String, Any?>,\n): RouterException = when (kind) {\n",
    );
    for row in KINDS {
        let _ = writeln!(out, "    \"{}\" -> {}(message, code, param, details)", row.code, exception(row));
    }
    out.push_str("    else -> RouterException(message, kind, code, false, param, details)\n}\n");
    out
}

/// The content of the Swift package's `Kind.swift`.
pub(super) fn swift() -> String {
    let mut out = format!("{SLASHES}\n/// The kind of an error, which says what to do.\n");
    out.push_str("public enum Kind: String, Sendable, CaseIterable {\n");
    for row in KINDS {
        let _ = writeln!(out, "    /// {}\n    case {} = \"{}\"", row.says, camel(row.code), row.code);
    }
    out.push_str("}\n");
    out
}

/// A word with a capital letter at its beginning.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The name of a kind's class in Kotlin.
pub(super) fn exception(row: &KindRow) -> String {
    class(row).replace("Error", "Exception")
}

/// The name of a kind's class in Python and Ruby.
pub(super) fn class(row: &KindRow) -> String {
    if let Some((_, name)) = OTHERWISE.iter().find(|(code, _)| *code == row.code) {
        return (*name).to_owned();
    }
    let words = row.code.split('_').map(capital);
    words.chain(["Error".to_owned()]).collect()
}
