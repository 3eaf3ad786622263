//! The records of the Kotlin package.

use std::fmt::Write as _;

use super::document::{Document, Member};
use super::kinds::SLASHES;
use super::layout::{Given, RECORDS, is_in_exceptions, page_of, record};
use super::python::wrapped;
use super::shape::Shape;
use super::typescript;
use crate::Outcome;

/// The longest line of a comment.
const WIDTH: usize = 110;

/// Records that have a class below them, written by hand.
const OPEN: &[&str] = &["CompletionRecord", "EmbeddingsRecord"];

/// Members whose type the document cannot describe: the record, the member, the class.
const TYPED: &[(&str, &str, &str)] = &[("Choice", "message", "Message"), ("TaskRecord", "results", "TaskResults")];

/// Words of Kotlin that a name must not be.
const KEYWORDS: &[&str] = &["object", "in", "is", "as", "class", "interface", "val", "var", "when", "continue"];

/// The content of `Records.kt`.
pub(super) fn records(document: &Document) -> Outcome<String> {
    let mut out = format!("{SLASHES}package network.cortensor.router\n");
    for given in RECORDS.iter().filter(|given| !is_in_exceptions(given)) {
        let record = document.record(document.schema(given.schema)?);
        let members: Vec<_> = record.members.iter().filter(|member| given.shows(member)).collect();
        if let Some((list, item)) = page_of(given) {
            doc(&mut out, "", &record.says);
            let _ = writeln!(
                out,
                "public class {} internal constructor(record: Record) :\n    Page<{item}>(record, record.records(\"{list}\", \
                 ::{item})) {{",
                given.name
            );
            // A page counts its records itself.
            let others = members.iter().filter(|member| member.name != list && member.name != "count");
            others.for_each(|member| property(&mut out, "record.", member, &value(given, member)));
            close(&mut out);
            continue;
        }
        class(&mut out, given.name, &record.says);
        for member in &members {
            property(&mut out, "", member, &value(given, member));
        }
        close(&mut out);
        if given.name == "TaskRecord" {
            // A task by itself and a task in a list differ in their answers.
            class(&mut out, "TaskRow", "A task in a list.");
            for member in &members {
                let texts = Value { kind: "List<String>".to_owned(), reader: "texts".to_owned(), is_optional: false };
                let value = if member.name == "results" { texts } else { value(given, member) };
                property(&mut out, "", member, &value);
            }
            close(&mut out);
        }
    }
    Ok(out)
}

fn class(out: &mut String, name: &str, says: &str) {
    doc(out, "", says);
    let open = if OPEN.contains(&name) { "open " } else { "" };
    let _ = writeln!(out, "public {open}class {name}(fields: Map<String, Any?>) : Record(fields) {{");
}

/// Ends a class, without a blank line after its last property.
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
    /// The function of `Record` that reads it; an argument beside the name stands behind a comma.
    reader: String,
    is_optional: bool,
}

fn value(given: &Given, member: &Member) -> Value {
    let typed = TYPED.iter().find(|(of, name, _)| *of == given.name && *name == member.name);
    let shape = typed.map_or_else(|| member.shape.given(), |(_, _, class)| Shape::Record((*class).to_owned()));
    let (kind, reader) = if let Some((_, _, class)) = typed {
        ((*class).to_owned(), format!("record, ::{class}"))
    } else {
        read(&shape)
    };
    Value { kind, reader, is_optional: given.may_lack(member) }
}

/// The type of a shape, and the function that reads it.
fn read(shape: &Shape) -> (String, String) {
    let plain = |kind: &str, reader: &str| (kind.to_owned(), reader.to_owned());
    match shape {
        Shape::Flag => plain("Boolean", "flag"),
        Shape::Whole => plain("Long", "number"),
        Shape::Number => plain("Double", "decimal"),
        Shape::Text | Shape::Words(_) => plain("String", "text"),
        Shape::List(item) => match item.as_ref() {
            Shape::Text | Shape::Words(_) => plain("List<String>", "texts"),
            Shape::Whole => plain("List<Long>", "numbers"),
            Shape::Number => plain("List<Double>", "decimals"),
            Shape::Record(name) if record(name).is_some() => {
                let class = record(name).unwrap_or_default();
                (format!("List<{class}>"), format!("records, ::{class}"))
            }
            _ => plain("List<Record>", "records"),
        },
        Shape::Record(name) if record(name).is_some() => {
            let class = record(name).unwrap_or_default();
            (class.to_owned(), format!("record, ::{class}"))
        }
        Shape::Record(_) | Shape::Object | Shape::Map(_) => plain("Record", "record"),
        Shape::Null | Shape::Any | Shape::OneOf(_) => plain("Any?", "get"),
    }
}

fn property(out: &mut String, from: &str, member: &Member, value: &Value) {
    doc(out, "    ", &member.says);
    let (reader, more) = value.reader.split_once(',').map_or((value.reader.as_str(), ""), |(name, more)| (name, more));
    let more = if more.is_empty() { String::new() } else { format!(",{more}") };
    let name = &member.name;
    // A value of any type may be null in any case.
    let is_optional = value.is_optional && reader != "get";
    let (mark, get) = if is_optional {
        ("?", format!("{from}given(\"{name}\") {{ {from}{reader}(it{more}) }}"))
    } else {
        ("", format!("{from}{reader}(\"{name}\"{more})"))
    };
    let _ = writeln!(out, "    public val {}: {}{mark} get() = {get}\n", camel(name), value.kind);
}

/// A name as Kotlin programs write it.
fn camel(name: &str) -> String {
    let name = typescript::camel(name);
    if KEYWORDS.contains(&name.as_str()) { format!("`{name}`") } else { name }
}

fn doc(out: &mut String, indent: &str, says: &str) {
    if indent.is_empty() {
        out.push('\n');
    }
    // The marks of comments nest in Kotlin.
    let words = says.replace("*/", "*&#47;").replace("/*", "/&#42;");
    let lines = wrapped(&words, WIDTH - indent.len());
    match lines.as_slice() {
        [line] if line.is_empty() => {}
        [line] => {
            let _ = writeln!(out, "{indent}/** {line} */");
        }
        lines => {
            let _ = writeln!(out, "{indent}/**");
            for line in lines {
                let _ = writeln!(out, "{indent} * {line}");
            }
            let _ = writeln!(out, "{indent} */");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, shape: Shape) -> Member {
        Member { name: name.to_owned(), shape, required: true, says: "Words.".to_owned() }
    }

    #[test]
    fn members_that_may_be_absent_are_null_then() {
        let given = RECORDS.iter().find(|given| given.name == "TaskRecord").unwrap();
        let mut out = String::new();
        let usage = Shape::OneOf(vec![Shape::Record("Usage".to_owned()), Shape::Null]);
        for member in [member("usage", usage), member("object", Shape::Text)] {
            property(&mut out, "", &member, &value(given, &member));
        }
        assert!(out.contains("val usage: Usage? get() = given(\"usage\") { record(it, ::Usage) }"), "{out}");
        assert!(out.contains("val `object`: String get() = text(\"object\")"), "{out}");
    }

    #[test]
    fn comments_hold_no_marks_of_their_own() {
        let mut out = String::new();
        doc(&mut out, "    ", "as `/api/*` and `*/*`");
        assert_eq!(out.matches("*/").count(), 1, "{out}");
    }
}
