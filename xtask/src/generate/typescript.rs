//! The records and options of the Node package, as TypeScript.

use std::fmt::Write as _;

use cortensor_router_model::KINDS;

use super::document::{Document, Member, Record};
use super::kinds::{SLASHES, capital};
use super::layout::{self, Given, OPTIONS, RECORDS, WORDS};
use super::shape::Shape;
use crate::Outcome;

/// Records inside options. Programs write their members in camelCase.
const NESTED: &[(&str, &str)] = &[
    ("Hardware", "HardwareOptions"),
    ("ModelDetails", "ModelOptions"),
    ("Usage", "UsageOptions"),
    ("GivenToolCall", "GivenToolCall"),
    ("GivenFunction", "GivenFunction"),
    ("ToolCallPiece", "ToolCallPiece"),
    ("FunctionPiece", "FunctionPiece"),
];

/// Types that `index.d.ts` declares.
const IMPORTED: &[&str] = &["Message", "Vector"];

/// The content of `records.d.ts`.
pub(super) fn records(document: &Document) -> Outcome<String> {
    let record = |name: &str| document.schema(name).map(|schema| document.record(schema));
    let mut out = format!("{SLASHES}\n");
    let _ = writeln!(out, "import type {{ {} }} from './index.js';\n", IMPORTED.join(", "));
    let _ = writeln!(out, "/** The {} kinds of error: each says what the caller can do about it. */", KINDS.len());
    out.push_str("export type ErrorKind =");
    for row in KINDS {
        let _ = write!(out, "\n  /** {} */\n  | '{}'", row.says, row.code);
    }
    out.push_str(";\n");
    for name in WORDS {
        let schema = document.schema(name)?;
        doc(&mut out, "", document.says(schema));
        let _ = writeln!(out, "export type {name} = {};", of_record(&document.shape(schema)));
    }
    for given in RECORDS {
        let record = record(given.schema)?;
        let members = record.members.iter().filter(|member| given.shows(member));
        if given.name == "TaskRecord" {
            task(&mut out, given, &record.says, members);
            continue;
        }
        interface(&mut out, given.name, &record.says);
        members.for_each(|member| field(&mut out, given, member));
        out.push_str("}\n");
    }
    for (of, name) in NESTED {
        let record = record(of)?;
        interface(&mut out, name, &record.says);
        for member in &record.members {
            option(&mut out, member, member.required, &[]);
        }
        out.push_str("}\n");
    }
    for taken in OPTIONS {
        let record = record(taken.schema)?;
        interface(&mut out, taken.name, &record.says);
        for member in &record.members {
            let name = member.name.as_str();
            let is_required = taken.required_in_typescript.contains(&name);
            if is_required || ![taken.elsewhere, taken.elsewhere_in_typescript].concat().contains(&name) {
                option(&mut out, member, is_required, taken.typed_in_typescript);
            }
        }
        out.push_str("}\n");
    }
    request(&mut out, &record("RequestOptions")?);
    Ok(out)
}

/// Writes a task by itself and a task in a list, which differ in their answers.
fn task<'a>(out: &mut String, given: &Given, says: &str, members: impl Iterator<Item = &'a Member>) {
    interface(out, "TaskFields", "The fields that a task has everywhere.");
    let mut results = "";
    for member in members {
        if member.name == "results" {
            results = &member.says;
        } else {
            field(out, given, member);
        }
    }
    out.push_str("}\n");
    for (name, says, kind, told) in [
        ("TaskRecord", says, "TaskResults", "The miners' answers."),
        ("TaskRow", "A task in a list.", "string[]", results),
    ] {
        doc(out, "", says);
        let _ = writeln!(out, "export interface {name} extends TaskFields {{");
        doc_of_member(out, told);
        let _ = writeln!(out, "  results: {kind};\n}}");
    }
}

/// Writes the request of a job, which a miner reads with the names of the REST API.
fn request(out: &mut String, record: &Record) {
    interface(
        out,
        "JobRequest",
        "A caller's request, with the names of the REST API. Fields for the miner alone stand beside these: read them as `Record<string, unknown>`.",
    );
    out.push_str("  /** The kind of answer that the caller wants. */\n  kind: 'completion' | 'chat' | 'embedding';\n  prompt?: string | unknown[];\n");
    let own = ["extra", "idempotency_key", "key_id", "detach"];
    for member in record.members.iter().filter(|member| !own.contains(&member.name.as_str())) {
        doc_of_member(out, &member.says);
        let _ = writeln!(out, "  {}?: {};", member.name, of_option(&member.shape.given()));
    }
    out.push_str("}\n");
}

fn interface(out: &mut String, name: &str, says: &str) {
    doc(out, "", says);
    let _ = writeln!(out, "export interface {name} {{");
}

fn field(out: &mut String, given: &Given, member: &Member) {
    let name = member.name.as_str();
    doc_of_member(out, &member.says);
    let told = given.typed.iter().find(|(of, _, _)| *of == name).map(|(_, _, typescript)| (*typescript).to_owned());
    let is_filled = given.filled.contains(&name);
    let is_nullable = member.shape.is_nullable() && !is_filled;
    // The router fills in every member that cannot be null, except a few.
    let mark = if given.absent.contains(&name) || (is_nullable && !member.required) { "?" } else { "" };
    let kind = told.unwrap_or_else(|| {
        let kind = of_record(&member.shape.given());
        if is_nullable { format!("{kind} | null") } else { kind }
    });
    let _ = writeln!(out, "  {name}{mark}: {kind};");
}

fn option(out: &mut String, member: &Member, is_required: bool, typed: &[(&str, &str)]) {
    doc_of_member(out, &member.says);
    let mark = if is_required { "" } else { "?" };
    let told = typed.iter().find(|(name, _)| *name == member.name).map(|(_, kind)| (*kind).to_owned());
    let kind = told.unwrap_or_else(|| of_option(&member.shape.given()));
    let _ = writeln!(out, "  {}{mark}: {kind};", camel(&member.name));
}

/// The TypeScript type of a value that the router gives.
fn of_record(shape: &Shape) -> String {
    match shape {
        Shape::Null => "null".to_owned(),
        Shape::Flag => "boolean".to_owned(),
        Shape::Whole | Shape::Number => "number".to_owned(),
        Shape::Text => "string".to_owned(),
        Shape::Words(words) => words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" | "),
        Shape::List(item) => list(&of_record(item)),
        Shape::Map(value) => format!("Record<string, {}>", of_record(value)),
        Shape::Object => "object".to_owned(),
        Shape::Record(name) => layout::record(name).map_or_else(|| "object".to_owned(), str::to_owned),
        Shape::Any => "unknown".to_owned(),
        Shape::OneOf(choices) => joined(choices, of_record),
    }
}

/// The TypeScript type of a value that the router takes.
fn of_option(shape: &Shape) -> String {
    match shape {
        Shape::List(item) => list(&of_option(item)),
        Shape::Record(name) => {
            NESTED.iter().find(|(of, _)| of == name).map_or_else(|| "object".to_owned(), |(_, name)| (*name).to_owned())
        }
        Shape::OneOf(choices) => joined(choices, of_option),
        other => of_record(other),
    }
}

fn list(item: &str) -> String {
    if item.contains(' ') { format!("({item})[]") } else { format!("{item}[]") }
}

fn joined(choices: &[Shape], name: fn(&Shape) -> String) -> String {
    choices.iter().map(name).collect::<Vec<_>>().join(" | ")
}

fn doc(out: &mut String, indent: &str, says: &str) {
    let words = says.split_whitespace().collect::<Vec<_>>().join(" ");
    if !words.is_empty() {
        if indent.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "{indent}/** {words} */");
    }
}

fn doc_of_member(out: &mut String, says: &str) {
    doc(out, "  ", says);
}

/// A name as JavaScript programs write it.
pub(super) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        out.push_str(&capital(word));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_programs_write_them() {
        assert_eq!(camel("max_completion_tokens"), "maxCompletionTokens");
        assert_eq!(camel("sla"), "sla");
    }
}
