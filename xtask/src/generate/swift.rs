//! The records of the Swift package.

use std::fmt::Write as _;

use super::document::{Document, Member};
use super::kinds::{SLASHES, capital};
use super::layout::{Given, RECORDS, is_id, is_in_exceptions, page_of, record};
use super::python::wrapped;
use super::shape::Shape;
use crate::Outcome;

/// The longest line of a comment.
const WIDTH: usize = 115;

/// Parts of names that Swift writes in capitals, unless a name begins with them.
const INITIALISMS: &[&str] = &["id", "ip", "url", "cpu", "gpu"];

/// Structures that have the parts of an answer at hand, by functions written by hand: the record, and the name.
const NAMED: &[(&str, &str)] = &[("CompletionRecord", "Completion"), ("EmbeddingsRecord", "Embeddings")];

/// Members whose type the document cannot describe: the record, the member, the structure.
const TYPED: &[(&str, &str, &str)] = &[("Choice", "message", "Message"), ("TaskRecord", "results", "TaskResults")];

/// Words of Swift that a name must not be.
const KEYWORDS: &[&str] = &["default", "class", "in", "is", "as", "operator", "continue", "self", "init"];

/// The content of `Records.swift`.
pub(super) fn records(document: &Document) -> Outcome<String> {
    let mut out = SLASHES.to_owned();
    for given in RECORDS.iter().filter(|given| !is_in_exceptions(given)) {
        let record = document.record(document.schema(given.schema)?);
        let members: Vec<_> = record.members.iter().filter(|member| given.shows(member)).collect();
        if let Some((list, item)) = page_of(given) {
            doc(&mut out, "", &record.says);
            let _ = writeln!(out, "extension Page where Element == {item} {{");
            // A page counts its records itself.
            let others = members.iter().filter(|member| member.name != list && member.name != "count");
            others.for_each(|member| property(&mut out, member, &value(given, member)));
            close(&mut out);
            continue;
        }
        structure(&mut out, name(given.name), &record.says);
        for member in &members {
            property(&mut out, member, &value(given, member));
        }
        close(&mut out);
        if given.name == "TaskRecord" {
            // A task by itself and a task in a list differ in their answers.
            structure(&mut out, "TaskRow", "A task in a list.");
            for member in &members {
                let texts = Value { kind: "[String]".to_owned(), reader: "texts".to_owned(), is_optional: false };
                let value = if member.name == "results" { texts } else { value(given, member) };
                property(&mut out, member, &value);
            }
            close(&mut out);
        }
    }
    Ok(out)
}

/// The name of a record's structure.
fn name(record: &str) -> &str {
    NAMED.iter().find(|(of, _)| *of == record).map_or(record, |(_, name)| name)
}

fn structure(out: &mut String, name: &str, says: &str) {
    doc(out, "", says);
    let _ = writeln!(
        out,
        "public struct {name}: RouterRecord {{\n    /// The whole record.\n    public let json: JSON\n\n    /// Makes a \
         record of JSON.\n    public init(_ json: JSON) {{ self.json = json }}\n"
    );
}

/// Ends a structure, without a blank line after its last property.
fn close(out: &mut String) {
    if out.ends_with("\n\n") {
        out.pop();
    }
    out.push_str("}\n");
}

/// How a property reads its member.
struct Value {
    /// The type, without the question mark of one that may be absent.
    kind: String,
    /// The function of `JSON` that reads it.
    reader: String,
    is_optional: bool,
}

fn value(given: &Given, member: &Member) -> Value {
    let typed = TYPED.iter().find(|(of, name, _)| *of == given.name && *name == member.name);
    let (kind, reader) = typed.map_or_else(
        || read(&member.name, &member.shape.given()),
        |(_, _, structure)| ((*structure).to_owned(), "record".to_owned()),
    );
    Value { kind, reader, is_optional: given.may_lack(member) }
}

/// The type of a shape, and the property of `JSON` that reads it.
fn read(member: &str, shape: &Shape) -> (String, String) {
    let plain = |kind: &str, reader: &str| (kind.to_owned(), reader.to_owned());
    match shape {
        Shape::Flag => plain("Bool", "flag"),
        Shape::Whole if is_id(member) => plain("UInt64", "id"),
        Shape::Whole => plain("Int64", "whole"),
        Shape::Number => plain("Double", "decimal"),
        Shape::Text | Shape::Words(_) => plain("String", "text"),
        Shape::List(item) => match item.as_ref() {
            Shape::Text | Shape::Words(_) => plain("[String]", "texts"),
            // Lists of whole numbers are lists of ids.
            Shape::Whole => plain("[UInt64]", "ids"),
            Shape::Number => plain("[Double]", "decimals"),
            Shape::Record(of) => {
                let kind = record(of).map_or("Record", name);
                (format!("[{kind}]"), "records".to_owned())
            }
            _ => plain("[JSON]", "items"),
        },
        Shape::Record(of) => plain(record(of).map_or("Record", name), "record"),
        Shape::Null | Shape::Any | Shape::OneOf(_) | Shape::Object | Shape::Map(_) => plain("JSON", ""),
    }
}

fn property(out: &mut String, member: &Member, value: &Value) {
    doc(out, "    ", &member.says);
    let Value { kind, reader, is_optional } = value;
    let (name, camel) = (&member.name, camel(&member.name));
    // Any JSON may be null.
    let (mark, get) = match (reader.as_str(), is_optional) {
        ("", _) => ("", format!("json[\"{name}\"]")),
        (reader, true) => ("?", format!("json[\"{name}\"].given {{ {} }}", call("$0", reader, kind))),
        (reader, false) => ("", call(&format!("json[\"{name}\"]"), reader, kind)),
    };
    let _ = writeln!(out, "    public var {camel}: {kind}{mark} {{ {get} }}\n");
}

/// The expression that reads a value of a type.
fn call(json: &str, reader: &str, kind: &str) -> String {
    match reader {
        "record" => format!("{kind}({json})"),
        "records" => format!("{json}.items.map {{ {}($0) }}", kind.trim_matches(['[', ']'])),
        "items" => format!("{json}.items"),
        reader => format!("{json}.as{}", capital(reader)),
    }
}

/// A name as Swift programs write it.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        out.push_str(&if INITIALISMS.contains(&word) { word.to_ascii_uppercase() } else { capital(word) });
    }
    if KEYWORDS.contains(&out.as_str()) { format!("`{out}`") } else { out }
}

fn doc(out: &mut String, indent: &str, says: &str) {
    if indent.is_empty() {
        out.push('\n');
    }
    for line in wrapped(says, WIDTH - indent.len()).iter().filter(|line| !line.is_empty()) {
        let _ = writeln!(out, "{indent}/// {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_programs_write_them() {
        assert_eq!(camel("session_id"), "sessionID");
        assert_eq!(camel("ip_address"), "ipAddress");
        assert_eq!(camel("default"), "`default`");
    }

    #[test]
    fn members_that_may_be_absent_are_nil_then() {
        let given = RECORDS.iter().find(|given| given.name == "TaskRecord").unwrap();
        let usage = Shape::OneOf(vec![Shape::Record("Usage".to_owned()), Shape::Null]);
        let member = Member { name: "usage".to_owned(), shape: usage, required: false, says: "Counts.".to_owned() };
        let mut out = String::new();
        property(&mut out, &member, &value(given, &member));
        assert!(out.contains("public var usage: Usage? { json[\"usage\"].given { Usage($0) } }"), "{out}");
    }
}
