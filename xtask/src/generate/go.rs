//! The records, options and kinds of errors of the Go module.

use std::fmt::Write as _;

use cortensor_router_model::KINDS;

use super::document::{Document, Member};
use super::kinds::capital;
use super::layout::{Given, NESTED, OPTIONS, RECORDS, WORDS, is_id, record};
use super::python::wrapped;
use super::shape::Shape;
use crate::Outcome;

/// The first lines of each generated file.
const HEAD: &str = "// Code generated from the schema by `cargo xtask gen`; DO NOT EDIT.\n\npackage cortensor\n";

/// The longest line of a comment.
const WIDTH: usize = 115;

/// Members whose type the document cannot describe: the record, the member, the type.
const TYPED: &[(&str, &str, &str)] = &[
    ("Choice", "message", "Message"),
    ("TaskPage", "tasks", "[]TaskRow"),
    ("EmbeddingsRecord", "usage", "EmbeddingCounts"),
    ("JobInfo", "request", "json.RawMessage"),
    ("ErrorDetails", "kind", "Kind"),
];

/// Options in which an empty text or list means something else than an absent one.
const EXACT: &[&str] = &["Answer", "SessionChanges"];

/// Parts of names that Go writes in capitals.
const INITIALISMS: &[&str] = &["id", "url", "gid", "sid", "sla", "api", "json", "cpu", "gpu", "http", "ip"];

/// The content of `records.go`.
pub(super) fn records(document: &Document) -> Outcome<String> {
    let mut out = format!("{HEAD}\nimport \"encoding/json\"\n");
    for given in RECORDS {
        let record = document.record(document.schema(given.schema)?);
        let members = record.members.iter().filter(|member| given.shows(member));
        if given.name != "TaskRecord" {
            structure(&mut out, given.name, &record.says);
            members.for_each(|member| field(&mut out, given, member, None));
            close(&mut out);
            continue;
        }
        // A task by itself and a task in a list differ in their answers.
        let members: Vec<_> = members.collect();
        for (name, says, kind) in
            [("TaskRecord", record.says.as_str(), "TaskResults"), ("TaskRow", "A task in a list.", "[]string")]
        {
            structure(&mut out, name, says);
            for member in &members {
                field(&mut out, given, member, (member.name == "results").then_some(kind));
            }
            close(&mut out);
        }
    }
    Ok(out)
}

/// The content of `options.go`.
pub(super) fn options(document: &Document) -> Outcome<String> {
    let mut out = HEAD.to_owned();
    for name in WORDS {
        let schema = document.schema(name)?;
        let Shape::Words(words) = document.shape(schema) else { return Err(format!("{name} is no list of words")) };
        doc(&mut out, "", name, document.says(schema));
        let _ = writeln!(out, "type {name} string\n\n// The values of {name}.\nconst (");
        let longest = words.iter().map(String::len).max().unwrap_or_default();
        for word in words {
            let fill = " ".repeat(longest - word.len());
            let _ = writeln!(out, "\tFail{}{fill} {name} = \"{word}\"", pascal(&word));
        }
        out.push_str(")\n");
    }
    for (schema, name) in NESTED {
        let record = document.record(document.schema(schema)?);
        structure(&mut out, name, &record.says);
        record.members.iter().for_each(|member| option(&mut out, member, false));
        close(&mut out);
    }
    for taken in OPTIONS {
        let record = document.record(document.schema(taken.schema)?);
        // A request is an argument of its own here, with the text to read in it.
        let is_request = taken.name == "RequestOptions";
        structure(&mut out, if is_request { "Request" } else { taken.name }, &record.says);
        if is_request {
            out.push_str(
                "\t// SessionID is the session of the task, 0 by default. Session.Submit sets it.\n\tSessionID uint64 `json:\"-\"`\n\n\
                 \t// Prompt is the text to read. Exactly one of Prompt, Messages and Input must be given.\n\tPrompt string \
                 `json:\"prompt,omitempty\"`\n\n",
            );
        }
        for member in record.members.iter().filter(|member| member.name != "kind") {
            option(&mut out, member, EXACT.contains(&taken.name));
        }
        close(&mut out);
    }
    Ok(out)
}

/// The content of `kinds.go`.
pub(super) fn kinds() -> String {
    let mut out = HEAD.to_owned();
    out.push_str(
        "\n// Kind is the kind of an error: it says what the caller can do about it. A Kind is an error itself, so that\n\
         // errors.Is(err, cortensor.ErrNotFound) works.\ntype Kind string\n\n// The kinds of errors.\nconst (\n",
    );
    for row in KINDS {
        let name = format!("Kind{}", pascal(row.code));
        doc(&mut out, "\t", &name, row.says);
        let _ = writeln!(out, "\t{name} Kind = \"{}\"\n", row.code);
    }
    out.push_str(")\n\n// The errors to compare with by errors.Is, one for each kind.\nvar (\n");
    for row in KINDS {
        let name = pascal(row.code);
        doc(&mut out, "\t", &format!("Err{name}"), row.says);
        let _ = writeln!(out, "\tErr{name} error = Kind{name}\n");
    }
    out.push_str(")\n");
    out.replace("\n\n)\n", "\n)\n")
}

/// Ends a structure, without a blank line after its last field.
fn close(out: &mut String) {
    if out.ends_with("\n\n") {
        out.pop();
    }
    out.push_str("}\n");
}

fn structure(out: &mut String, name: &str, says: &str) {
    doc(out, "", name, says);
    let _ = writeln!(out, "type {name} struct {{");
}

fn field(out: &mut String, given: &Given, member: &Member, told: Option<&str>) {
    let name = member.name.as_str();
    let typed = TYPED.iter().find(|(of, member, _)| *of == given.name && *member == name).map(|(_, _, kind)| *kind);
    let is_optional = given.may_lack(member);
    let kind = told.or(typed).map_or_else(
        || {
            let kind = of_record(name, &member.shape.given());
            if is_optional { pointer(&kind) } else { kind }
        },
        str::to_owned,
    );
    let mark = if is_optional { ",omitempty" } else { "" };
    entry(out, member, &kind, mark);
}

fn option(out: &mut String, member: &Member, is_exact: bool) {
    if member.name == "extra" {
        doc(out, "\t", "Extra", &member.says);
        out.push_str("\tExtra map[string]any `json:\"-\"`\n\n");
        return;
    }
    let kind = of_option(&member.name, &member.shape.given());
    // A pointer tells 0 and false from an absent value. An absent text, list or object is empty, mostly.
    let is_plain = ["int64", "uint64", "float64", "bool"].contains(&kind.as_str());
    let is_record = NESTED.iter().any(|(_, name)| *name == kind);
    let is_told_apart = is_exact && (kind == "string" || kind.starts_with("[]"));
    let kind = if is_plain || is_record || is_told_apart { format!("*{kind}") } else { kind };
    entry(out, member, &kind, ",omitempty");
}

fn entry(out: &mut String, member: &Member, kind: &str, mark: &str) {
    let name = pascal(&member.name);
    doc(out, "\t", &name, &member.says);
    // A blank line after each field keeps gofmt from aligning it with the next one.
    let _ = writeln!(out, "\t{name} {kind} `json:\"{}{mark}\"`\n", member.name);
}

/// The type of a value that may be absent.
fn pointer(kind: &str) -> String {
    if kind.starts_with('[') || kind.starts_with("map[") || kind.starts_with("json.") || kind == "any" {
        kind.to_owned()
    } else {
        format!("*{kind}")
    }
}

/// The Go type of a value that the router gives.
fn of_record(name: &str, shape: &Shape) -> String {
    match shape {
        Shape::Flag => "bool".to_owned(),
        Shape::Whole if is_id(name) => "uint64".to_owned(),
        Shape::Whole => "int64".to_owned(),
        Shape::Number => "float64".to_owned(),
        Shape::Text | Shape::Words(_) => "string".to_owned(),
        Shape::List(item) => format!("[]{}", of_record("", item)),
        Shape::Map(value) => format!("map[string]{}", of_record("", value)),
        Shape::Object => "map[string]any".to_owned(),
        Shape::Record(name) => record(name).map_or_else(|| "map[string]any".to_owned(), str::to_owned),
        Shape::Null | Shape::Any | Shape::OneOf(_) => "any".to_owned(),
    }
}

/// The Go type of a value that the router takes.
fn of_option(name: &str, shape: &Shape) -> String {
    match shape {
        Shape::List(item) => format!("[]{}", of_option("", item)),
        Shape::Map(value) => format!("map[string]{}", of_option("", value)),
        Shape::Record(name) => NESTED
            .iter()
            .find(|(of, _)| of == name)
            .map_or_else(|| "map[string]any".to_owned(), |(_, name)| (*name).to_owned()),
        other => of_record(name, other),
    }
}

/// Writes the comment of a name, which Go wants at its beginning.
fn doc(out: &mut String, indent: &str, name: &str, says: &str) {
    if indent.is_empty() {
        out.push('\n');
    }
    let words = says.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = if words.is_empty() { format!("{name}.") } else { format!("{name}: {words}") };
    for line in wrapped(&words, WIDTH) {
        let _ = writeln!(out, "{indent}// {line}");
    }
}

/// A name as Go programs write it.
pub(super) fn pascal(name: &str) -> String {
    name.split('_')
        .map(|word| {
            if INITIALISMS.contains(&word) {
                return word.to_ascii_uppercase();
            }
            capital(word)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_programs_write_them() {
        assert_eq!(pascal("max_completion_tokens"), "MaxCompletionTokens");
        assert_eq!(pascal("session_id"), "SessionID");
        assert_eq!(pascal("sla"), "SLA");
    }
}
