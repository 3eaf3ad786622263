//! The records, options and exceptions of the Java library.

use std::fmt::Write as _;

use cortensor_router_model::{KINDS, KindRow};

use super::document::{Document, Member};
use super::kinds::{self, SLASHES};
use super::layout::{Given, NESTED, OPTIONS, RECORDS, record};
use super::python::wrapped;
use super::shape::Shape;
use super::typescript;
use crate::Outcome;

/// The second line of each generated file.
const PACKAGE: &str = "package network.cortensor.java;\n\n";

/// The longest line of a comment.
const WIDTH: usize = 110;

/// Members whose type the document cannot describe: the record, the member, the type.
const TYPED: &[(&str, &str, &str)] = &[
    ("Choice", "message", "Message"),
    ("TaskPage", "tasks", "List<TaskRow>"),
    ("EmbeddingsRecord", "usage", "EmbeddingCounts"),
    ("JobInfo", "request", "JsonObject"),
];

/// Words of Java that a name must not be.
const KEYWORDS: &[&str] = &["continue", "default", "class", "object"];

/// The content of `Records.java`.
pub(super) fn records(document: &Document) -> Outcome<String> {
    let mut out = format!(
        "{SLASHES}{PACKAGE}import com.google.gson.JsonObject;\nimport com.google.gson.annotations.SerializedName;\n\
         import java.util.List;\nimport java.util.Map;\n\n/** The records of the router, with the names of the REST API in \
         Java's form. A member that may be absent is null then. */\npublic final class Records {{\n    private Records() \
         {{}}\n"
    );
    for given in RECORDS {
        let record = document.record(document.schema(given.schema)?);
        let members: Vec<_> = record.members.iter().filter(|member| given.shows(member)).collect();
        let shown = |member: &Member| component(given, member);
        if given.name == "TaskRecord" {
            // A task by itself and a task in a list differ in their answers.
            write_record(&mut out, "TaskRecord", &record.says, &members, shown);
            write_record(&mut out, "TaskRow", "A task in a list.", &members, |member| {
                if member.name == "results" { "List<String>".to_owned() } else { component(given, member) }
            });
        } else {
            write_record(&mut out, given.name, &record.says, &members, shown);
        }
    }
    out.push_str("}\n");
    Ok(out)
}

fn write_record(out: &mut String, name: &str, says: &str, members: &[&Member], kind: impl Fn(&Member) -> String) {
    let mut lines = vec![sentence(says)];
    lines.extend(members.iter().map(|member| format!("@param {} {}", camel(&member.name), sentence(&member.says))));
    doc(out, "    ", &lines);
    let _ = writeln!(out, "    public record {name}(");
    let parts: Vec<_> = members
        .iter()
        .map(|member| {
            format!("            @SerializedName(\"{}\") {} {}", member.name, kind(member), camel(&member.name))
        })
        .collect();
    let _ = writeln!(out, "{}) {{}}", parts.join(",\n"));
}

/// The type of a record's member.
fn component(given: &Given, member: &Member) -> String {
    let name = member.name.as_str();
    if let Some((_, _, kind)) = TYPED.iter().find(|(of, member, _)| *of == given.name && *member == name) {
        return (*kind).to_owned();
    }
    let is_optional = given.may_lack(member);
    let kind = of_record(&member.shape.given());
    if is_optional { boxed(&kind) } else { kind }
}

/// The content of `Options.java`.
pub(super) fn options(document: &Document) -> Outcome<String> {
    let mut out = format!(
        "{SLASHES}{PACKAGE}import java.util.List;\nimport java.util.Map;\n\n/** The options of tasks, sessions, miners \
         and queries, and the answers of miners. Every member may be left out. */\npublic final class Options {{\n    private Options() \
         {{}}\n"
    );
    for (schema, name) in NESTED {
        let record = document.record(document.schema(schema)?);
        class(&mut out, name, &record.says, record.members.iter());
    }
    for taken in OPTIONS {
        let record = document.record(document.schema(taken.schema)?);
        class(&mut out, taken.name, &record.says, record.members.iter().filter(|member| member.name != "kind"));
    }
    out.push_str("}\n");
    Ok(out)
}

fn class<'a>(out: &mut String, name: &str, says: &str, members: impl Iterator<Item = &'a Member>) {
    doc(out, "    ", &[sentence(says)]);
    // A request is an argument of its own here, with the text to read in it.
    let this = if name == "RequestOptions" {
        out.push_str(
            "    public abstract static sealed class RequestFields extends Fields<Request> permits Request {\n        \
             RequestFields() {}\n",
        );
        "Request"
    } else {
        let _ = writeln!(
            out,
            "    public static final class {name} extends Fields<{name}> {{\n        /** No member is given yet. */\n        \
             public {name}() {{}}"
        );
        name
    };
    for member in members {
        let kind = of_option(&member.shape.given());
        doc(
            out,
            "        ",
            &[sentence(&member.says), "@param value the value".to_owned(), "@return these options".to_owned()],
        );
        let _ = writeln!(
            out,
            "        public {this} {}({kind} value) {{\n            return set(\"{}\", value);\n        }}",
            camel(&member.name),
            member.name
        );
    }
    out.push_str("    }\n");
}

/// The content of `RouterException.java`.
pub(super) fn exceptions() -> String {
    let mut out = format!(
        "{SLASHES}{PACKAGE}/**\n * Everything that the router refuses or fails at. Each kind has a class of its own, so that a program \
         can catch it.\n */\npublic sealed class RouterException extends RuntimeException {{\n    private static final \
         long serialVersionUID = 1;\n\n    /** The kind of an error: it says what the caller can do about it. */\n    \
         public enum Kind {{\n"
    );
    for row in KINDS {
        doc(&mut out, "        ", &[sentence(row.says)]);
        let _ = writeln!(out, "        {},", row.code.to_uppercase());
    }
    out.push_str(
        "    }\n\n    private final Kind kind;\n    private final transient Records.ErrorDetails details;\n    private final String \
         code;\n\n    RouterException(Kind kind, Records.ErrorDetails details) {\n        super(details.message());\n        \
         this.kind = kind;\n        this.details = details;\n        this.code = details.code();\n    }\n\n    /**\n     * The \
         kind says what the caller can do about it.\n     *\n     * @return the kind\n     */\n    public final Kind kind() \
         {\n        return kind;\n    }\n\n    /**\n     * The finest code there is: {@code session_not_found}, {@code \
         no_miner}, {@code queue_full} ...\n     *\n     * @return the code\n     */\n    public final String code() {\n        \
         return code;\n    }\n\n    /**\n     * Whether the same call may succeed later, unchanged.\n     *\n     * @return \
         whether it may\n     */\n    public final boolean isRetryable() {\n        return details != null && \
         Boolean.TRUE.equals(details.retryable());\n    }\n\n    /**\n     * The field, the session and the task that the \
         error is about.\n     *\n     * @return the details; null in an exception that was serialized\n     */\n    public \
         final Records.ErrorDetails details() {\n        return details;\n    }\n\n    static RouterException \
         of(Records.ErrorDetails details) {\n        return switch (details.kind()) {\n",
    );
    for row in KINDS.iter().filter(|row| row.code != "internal") {
        let _ = writeln!(out, "            case \"{}\" -> new {}(details);", row.code, name(row));
    }
    out.push_str("            default -> new InternalException(details);\n        };\n    }\n");
    for row in KINDS {
        doc(&mut out, "    ", &[sentence(row.says)]);
        let _ = writeln!(
            out,
            "    public static final class {0} extends RouterException {{\n        private static final long \
             serialVersionUID = 1;\n\n        {0}(Records.ErrorDetails details) {{\n            super(Kind.{1}, \
             details);\n        }}\n    }}",
            name(row),
            row.code.to_uppercase()
        );
    }
    out.push_str("}\n");
    out
}

/// The name of a kind's exception.
pub(super) fn name(row: &KindRow) -> String {
    let class = kinds::class(row);
    let class = class.strip_prefix("Router").unwrap_or(&class);
    format!("{}Exception", class.strip_suffix("Error").unwrap_or(class))
}

/// The Java type of a value that the router gives.
fn of_record(shape: &Shape) -> String {
    match shape {
        Shape::Flag => "boolean".to_owned(),
        Shape::Whole => "long".to_owned(),
        Shape::Number => "double".to_owned(),
        Shape::Text | Shape::Words(_) => "String".to_owned(),
        Shape::List(item) => format!("List<{}>", boxed(&of_record(item))),
        Shape::Map(value) => format!("Map<String, {}>", boxed(&of_record(value))),
        Shape::Object => "Map<String, Object>".to_owned(),
        Shape::Record(name) => record(name).map_or_else(|| "Map<String, Object>".to_owned(), str::to_owned),
        Shape::Null | Shape::Any | Shape::OneOf(_) => "Object".to_owned(),
    }
}

/// The Java type of a value that the router takes.
fn of_option(shape: &Shape) -> String {
    match shape {
        Shape::List(item) => {
            let item = boxed(&of_option(item));
            // Lists of subtypes are welcome, too.
            if item == "Object" { "List<?>".to_owned() } else { format!("List<{item}>") }
        }
        Shape::Map(_) | Shape::Object => "Map<String, ?>".to_owned(),
        Shape::Record(name) => NESTED
            .iter()
            .find(|(of, _)| of == name)
            .map_or_else(|| "Map<String, ?>".to_owned(), |(_, name)| (*name).to_owned()),
        other => of_record(other),
    }
}

/// The type of a value that may be absent.
fn boxed(kind: &str) -> String {
    match kind {
        "boolean" => "Boolean",
        "long" => "Long",
        "double" => "Double",
        other => other,
    }
    .to_owned()
}

/// A sentence for a comment, with the names of the schema as code.
fn sentence(says: &str) -> String {
    let mut out = String::new();
    let plain = says.split_whitespace().collect::<Vec<_>>().join(" ");
    for (index, part) in plain.split('`').enumerate() {
        let part = part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace("*/", "*&#47;");
        if index % 2 == 1 {
            let _ = write!(out, "<code>{part}</code>");
        } else {
            out.push_str(&part.replace('@', "&#64;"));
        }
    }
    out
}

fn doc(out: &mut String, indent: &str, lines: &[String]) {
    let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{indent}/**");
    for (index, line) in lines.iter().enumerate() {
        if index == 1 {
            let _ = writeln!(out, "{indent} *");
        }
        for line in wrapped(line, WIDTH - indent.len()) {
            let _ = writeln!(out, "{indent} * {line}");
        }
    }
    let _ = writeln!(out, "{indent} */");
}

/// A name as Java programs write it.
fn camel(name: &str) -> String {
    let name = typescript::camel(name);
    if KEYWORDS.contains(&name.as_str()) { format!("{name}_") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_hold_no_marks_of_their_own() {
        assert_eq!(sentence("`a_b` < 1 & @x"), "<code>a_b</code> &lt; 1 &amp; &#64;x");
        assert_eq!(camel("session_id"), "sessionId");
    }
}
