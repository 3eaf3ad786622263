//! The records and options of the Python package.

use std::fmt::Write as _;

use super::document::{Document, Member};
use super::kinds::capital;
use super::layout::{Given, OPTIONS, RECORDS, WORDS, record};
use super::shape::Shape;
use crate::Outcome;

/// The longest line of the package.
const WIDTH: usize = 120;

/// The first line of each generated file.
pub(super) const MARK: &str = "# Made from the schema by `cargo xtask gen`; do not edit.\n";

/// The content of `_records.py`.
pub(super) fn records(document: &Document) -> Outcome<String> {
    let mut out = format!(
        "{MARK}\"\"\"The records of the router, as dataclasses: the same names as in the REST API.\"\"\"\n\n\
         from __future__ import annotations\n\nfrom collections.abc import Mapping\nfrom dataclasses import dataclass, \
         field\nfrom typing import Any, ClassVar, TypedDict\n\nfrom ._record import Record\n"
    );
    for given in RECORDS.iter().filter(|given| given.in_python) {
        let record = document.record(document.schema(given.schema)?);
        let shown = || record.members.iter().filter(|member| given.shows(member));
        out.push_str("\n\n");
        if given.plain {
            let is_total = given.absent.is_empty();
            let total = if is_total { "" } else { ", total=False" };
            let _ = writeln!(out, "class {}(TypedDict{total}):", given.name);
        } else {
            let _ = writeln!(out, "@dataclass(slots=True, kw_only=True)\nclass {}(Record):", given.name);
        }
        docstring(&mut out, &record.says);
        out.push('\n');
        if !given.plain {
            parts(&mut out, shown());
        }
        for member in shown() {
            field(&mut out, given, member);
        }
    }
    Ok(out)
}

/// Writes the members of a record that are records themselves.
fn parts<'a>(out: &mut String, members: impl Iterator<Item = &'a Member>) {
    let held: Vec<_> =
        members.filter_map(|member| Some(format!("\"{}\": {}", member.name, held(&member.shape)?))).collect();
    if !held.is_empty() {
        let _ = writeln!(out, "    _parts: ClassVar[Mapping[str, type[Record]]] = {{{}}}\n", held.join(", "));
    }
}

/// The dataclass that a member holds, alone or in a list.
fn held(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Record(name) => {
            RECORDS.iter().find(|given| given.schema == name && !given.plain).map(|given| given.name)
        }
        Shape::List(item) => held(item),
        Shape::OneOf(choices) => choices.iter().find_map(held),
        _ => None,
    }
}

fn field(out: &mut String, given: &Given, member: &Member) {
    let name = member.name.as_str();
    let told = given.typed.iter().find(|(of, _, _)| *of == name).map(|(_, python, _)| (*python).to_owned());
    let is_filled = given.filled.contains(&name) && told.is_none();
    let shape = member.shape.given();
    let is_nullable = member.shape.is_nullable() || given.absent.contains(&name);
    let kind = told.unwrap_or_else(|| {
        let kind = of_record(&shape);
        if is_nullable && !is_filled && !given.plain { format!("{kind} | None") } else { kind }
    });
    let default = if given.plain || is_filled || (member.required && !is_nullable) {
        String::new()
    } else if kind.ends_with("None") {
        " = None".to_owned()
    } else {
        default_of(&shape, &kind)
    };
    let _ = writeln!(out, "    {name}: {kind}{default}");
    docstring(out, &member.says);
}

fn default_of(shape: &Shape, kind: &str) -> String {
    match shape {
        Shape::Text | Shape::Words(_) => " = \"\"".to_owned(),
        Shape::Whole => " = 0".to_owned(),
        Shape::Number => " = 0.0".to_owned(),
        Shape::Flag => " = False".to_owned(),
        Shape::List(_) => format!(" = field(default_factory={kind})"),
        _ => String::new(),
    }
}

/// The Python type of a value that the router gives.
fn of_record(shape: &Shape) -> String {
    match shape {
        Shape::Null => "None".to_owned(),
        Shape::Flag => "bool".to_owned(),
        Shape::Whole => "int".to_owned(),
        Shape::Number => "float".to_owned(),
        Shape::Text | Shape::Words(_) => "str".to_owned(),
        Shape::List(item) => format!("list[{}]", of_record(item)),
        Shape::Map(value) => format!("dict[str, {}]", of_record(value)),
        Shape::Object => "dict[str, Any]".to_owned(),
        Shape::Record(name) => record(name).map_or_else(|| "dict[str, Any]".to_owned(), str::to_owned),
        Shape::Any => "Any".to_owned(),
        Shape::OneOf(choices) => joined(choices, of_record),
    }
}

/// The content of `_options.py`.
pub(super) fn options(document: &Document) -> Outcome<String> {
    let mut out = format!(
        "{MARK}\"\"\"The options of a task, a session or a miner, and the answers of miners. All members may be absent.\"\"\"\n\nfrom __future__ \
         import annotations\n\nfrom collections.abc import Mapping, Sequence\nfrom typing import Any, Literal, TypedDict\n"
    );
    for name in WORDS {
        let schema = document.schema(name)?;
        let Shape::Words(words) = document.shape(schema) else { return Err(format!("{name} is no list of words")) };
        let _ = writeln!(out, "\n{name} = Literal[");
        for word in words {
            let _ = writeln!(out, "    \"{word}\",");
        }
        out.push_str("]\n");
        let mut says = String::new();
        docstring(&mut says, document.says(schema));
        out.push_str(&says.replace("\n    ", "\n").replacen("    ", "", 1));
    }
    for taken in OPTIONS.iter().filter(|taken| taken.in_python) {
        let record = document.record(document.schema(taken.schema)?);
        let _ = writeln!(out, "\n\nclass {}(TypedDict, total=False):", taken.name);
        docstring(&mut out, &record.says);
        out.push('\n');
        let elsewhere = [taken.elsewhere, taken.elsewhere_in_python].concat();
        for member in record.members.iter().filter(|member| !elsewhere.contains(&member.name.as_str())) {
            let _ = writeln!(out, "    {}: {}", member.name, of_option(&member.shape.given()));
            docstring(&mut out, &member.says);
        }
    }
    Ok(out)
}

/// The Python type of a value that the router takes.
fn of_option(shape: &Shape) -> String {
    match shape {
        Shape::List(item) => format!("Sequence[{}]", of_option(item)),
        Shape::Map(_) | Shape::Object | Shape::Record(_) => "Mapping[str, Any]".to_owned(),
        Shape::OneOf(choices) => joined(choices, of_option),
        other => of_record(other),
    }
}

fn joined(choices: &[Shape], name: fn(&Shape) -> String) -> String {
    let mut names: Vec<_> = Vec::new();
    for choice in choices.iter().map(name) {
        if !names.contains(&choice) {
            names.push(choice);
        }
    }
    names.join(" | ")
}

/// Writes a docstring, with long lines broken.
pub(super) fn docstring(out: &mut String, says: &str) {
    let words = says.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "\\\\");
    if words.is_empty() {
        return;
    }
    if words.len() + 10 <= WIDTH {
        let _ = writeln!(out, "    \"\"\"{words}\"\"\"");
        return;
    }
    // The first line must be a sentence of its own, because tools show it.
    let end = words.find(". ").map_or(words.len(), |end| end + 1);
    let (first, rest) = words.split_at(end);
    // A first sentence that is too long ends before its colon.
    let colon = first.find(": ").filter(|_| first.len() + 7 > WIDTH);
    let cut = colon.map(|at| (format!("{}.", &first[..at]), format!("{}{rest}", capital(&first[at + 2..]))));
    let (first, rest) = cut.as_ref().map_or((first, rest), |(first, rest)| (first.as_str(), rest.as_str()));
    let lines: Vec<_> = if first.len() + 7 <= WIDTH && !rest.is_empty() {
        std::iter::once(first.to_owned()).chain([String::new()]).chain(wrapped(rest.trim(), WIDTH - 4)).collect()
    } else {
        wrapped(&words, WIDTH - 7)
    };
    let _ = write!(out, "    \"\"\"{}", lines.first().map(String::as_str).unwrap_or_default());
    for line in lines.iter().skip(1) {
        let indent = if line.is_empty() { "" } else { "    " };
        let _ = write!(out, "\n{indent}{line}");
    }
    out.push_str("\n    \"\"\"\n");
}

/// Breaks words into lines of at most `width` characters.
pub(super) fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let line =
            lines.last_mut().filter(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width);
        if let Some(line) = line {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
