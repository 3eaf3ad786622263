//! The REST reference as Markdown, made from the OpenAPI document, so that both always agree.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::document::{Document, name_of};
use super::example;
use super::json::Json;
use super::python::wrapped;

/// The order of a path's methods.
const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

/// The greatest length of a line of prose. Rows of tables are not broken.
const WIDTH: usize = 98;

/// An operation with its method and path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    json: &'a Json,
}

/// The content of `docs/rest-api.md`.
pub(super) fn markdown(document: &Document) -> String {
    let root = document.root();
    let info = root.get("info");
    let mut out = format!(
        "# {}\n\n<!-- Made from the OpenAPI document by `cargo xtask gen`; do not edit. -->\n\n",
        info.get("title").text()
    );
    prose(&mut out, info.get("description").text());
    let operations = operations(root);
    for tag in root.get("tags").items() {
        let name = tag.get("name").text();
        let _ = writeln!(out, "## {name}\n");
        prose(&mut out, tag.get("description").text());
        let tagged =
            |operation: &&Operation<'_>| operation.json.get("tags").items().iter().any(|tag| tag.text() == name);
        for operation in operations.iter().filter(tagged) {
            let aliases: Vec<_> = operations.iter().filter(|other| is_alias(operation, other)).collect();
            // The longest path is shown, because it tells most.
            if aliases.iter().all(|alias| alias.path.len() < operation.path.len()) {
                write_operation(&mut out, document, operation, &aliases);
            }
        }
    }
    write_failures(&mut out, document, &operations);
    let _ = writeln!(out, "## Records\n");
    for (name, schema) in document.schemas() {
        write_schema(&mut out, document, name, schema);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Every operation, in the order of the paths.
fn operations(root: &Json) -> Vec<Operation<'_>> {
    let of_path =
        |(path, item)| METHODS.iter().map(move |method| Operation { method, path, json: Json::get(item, method) });
    root.get("paths").members().flat_map(of_path).filter(|operation| operation.json.is_given()).collect()
}

/// Whether two operations under different paths are equal except for their ids.
fn is_alias(one: &Operation<'_>, other: &Operation<'_>) -> bool {
    let but_id = |json: &Json| {
        json.members()
            .filter(|(name, _)| *name != "operationId")
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect::<Vec<_>>()
    };
    one.path != other.path && one.method == other.method && but_id(one.json) == but_id(other.json)
}

fn write_operation(out: &mut String, document: &Document, operation: &Operation<'_>, aliases: &[&Operation<'_>]) {
    let Operation { method, path, json } = operation;
    let _ = writeln!(out, "### `{} {path}`\n", method.to_uppercase());
    prose(out, &format!("{}.", json.get("summary").text()));
    prose(out, json.get("description").text());
    let mut notes = Vec::new();
    if !aliases.is_empty() {
        let paths: Vec<_> = aliases.iter().map(|alias| format!("`{}`", alias.path)).collect();
        notes.push(format!("Also under {}.", paths.join(" and ")));
    }
    if json.get("security").items().iter().any(|scheme| *scheme == Json::Object(Vec::new())) {
        notes.push("Needs no token.".to_owned());
    }
    prose(out, &notes.join(" "));
    let parameters = json.get("parameters").items();
    if !parameters.is_empty() {
        let _ = writeln!(out, "| parameter | in | type | |\n|---|---|---|---|");
        for parameter in parameters {
            let _ = writeln!(
                out,
                "| `{}` | {}{} | {} | {} |",
                parameter.get("name").text(),
                parameter.get("in").text(),
                if *parameter.get("required") == Json::Bool(true) { ", required" } else { "" },
                kind(parameter.get("schema")),
                line(parameter.get("description").text()),
            );
        }
        out.push('\n');
    }
    for (media, body) in json.get("requestBody").get("content").members() {
        let _ = writeln!(out, "Body: `{media}`, {}\n", kind(body.get("schema")));
    }
    let _ = writeln!(out, "| status | body | |\n|---|---|---|");
    let (failures, answers): (Vec<_>, Vec<_>) =
        json.get("responses").members().partition(|(status, _)| is_failure(status));
    for (status, response) in &answers {
        let response = document.resolve(response);
        let bodies: Vec<_> = response
            .get("content")
            .members()
            .map(
                |(media, body)| {
                    if media == "application/json" { kind(body.get("schema")) } else { format!("`{media}`") }
                },
            )
            .collect();
        let _ = writeln!(out, "| {status} | {} | {} |", bodies.join(" or "), line(response.get("description").text()));
    }
    out.push('\n');
    if !failures.is_empty() {
        let statuses: Vec<_> = failures.iter().map(|(status, _)| *status).collect();
        prose(out, &format!("[Failures](#failures): {}", statuses.join(", ")));
    }
    write_example(
        out,
        document,
        operation,
        answers.first().map(|(status, response)| (*status, document.resolve(response))),
    );
}

/// Writes an example of a request and its answer.
fn write_example(out: &mut String, document: &Document, operation: &Operation<'_>, answer: Option<(&str, &Json)>) {
    let Operation { method, path, json } = operation;
    let _ = writeln!(out, "```text\n{} {}", method.to_uppercase(), example::path(path));
    for (_, body) in json.get("requestBody").get("content").members() {
        let name = name_of(body.get("schema").get("$ref").text());
        let _ = writeln!(out, "\n{}", example::body(name));
    }
    if let Some((status, response)) = answer {
        let _ = writeln!(out, "\n{status}");
        if let Some((media, body)) = response.get("content").members().next() {
            let text = match media {
                "text/event-stream" => example::STREAM.to_owned(),
                "application/openmetrics-text" => example::METRICS.to_owned(),
                "application/octet-stream" => example::BYTES.to_owned(),
                _ if *body.get("example") != Json::Null => body.get("example").to_string(),
                _ => example::of(document, "", body.get("schema")).to_string(),
            };
            let _ = writeln!(out, "{text}");
        }
    }
    let _ = writeln!(out, "```\n");
}

fn is_failure(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

/// Writes the meanings of the failure statuses, once for all operations.
fn write_failures(out: &mut String, document: &Document, operations: &[Operation<'_>]) {
    let mut meanings = BTreeMap::new();
    for (status, response) in operations.iter().flat_map(|operation| operation.json.get("responses").members()) {
        if is_failure(status) {
            meanings.entry(status).or_insert_with(|| line(document.resolve(response).get("description").text()));
        }
    }
    let _ = writeln!(out, "## Failures\n");
    prose(
        out,
        "The status says what to do, the body says what is wrong and how to mend it: [CortensorError](#cortensorerror) under \
         `/api` and elsewhere, [OpenAiError](#openaierror) under `/v1`.",
    );
    let _ = writeln!(out, "| status | |\n|---|---|");
    for (status, meaning) in meanings {
        let _ = writeln!(out, "| {status} | {meaning} |");
    }
    out.push('\n');
}

fn write_schema(out: &mut String, document: &Document, name: &str, schema: &Json) {
    let _ = writeln!(out, "### {name}\n");
    prose(out, schema.get("description").text());
    let parts: Vec<_> = std::iter::once(schema).chain(schema.get("allOf").items()).collect();
    let with: Vec<_> =
        parts.iter().map(|part| part.get("$ref").text()).filter(|name| !name.is_empty()).map(link).collect();
    if !with.is_empty() {
        let _ = writeln!(out, "The members of {}, and:\n", with.join(", "));
    }
    let mut members = parts.iter().flat_map(|part| {
        let required = part.get("required").items();
        part.get("properties").members().map(move |(name, member)| (name, member, required))
    });
    let Some(first) = members.next() else {
        if with.is_empty() {
            prose(out, &kind(schema));
        }
        return;
    };
    let _ = writeln!(out, "| member | type | |\n|---|---|---|");
    for (name, member, required) in std::iter::once(first).chain(members) {
        let is_required = required.iter().any(|item| item.text() == name);
        let _ = writeln!(
            out,
            "| `{name}`{} | {} | {} |",
            if is_required { " (required)" } else { "" },
            kind(member),
            line(document.says(member))
        );
    }
    out.push('\n');
}

/// A schema in a few words.
fn kind(schema: &Json) -> String {
    let reference = schema.get("$ref").text();
    if !reference.is_empty() {
        return link(reference);
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let choices = schema.get(key).items();
        if !choices.is_empty() {
            let mut words: Vec<_> = choices.iter().map(kind).collect();
            words.dedup();
            return words.join(" or ");
        }
    }
    let values = schema.get("enum").items();
    if !values.is_empty() {
        return values.iter().map(|value| format!("`{}`", value.text())).collect::<Vec<_>>().join(", ");
    }
    let mut words: Vec<String> = match schema.get("type") {
        Json::Text(word) => vec![word.clone()],
        Json::List(words) => words.iter().map(|word| word.text().to_owned()).collect(),
        _ => vec!["any JSON".to_owned()],
    };
    if let Some(word) = words.iter_mut().find(|word| *word == "array") {
        *word = format!("list of {}", kind(schema.get("items")));
    }
    let values = schema.get("additionalProperties");
    if let Some(word) = words.iter_mut().find(|word| *word == "object" && values.get("$ref").is_given()) {
        *word = format!("object of {}", kind(values));
    }
    let mut out = words.join(" or ");
    let bound = |key: &str| schema.get(key).number().map(|bound| bound.to_string());
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => {
            let _ = write!(out, ", {least} to {most}");
        }
        (Some(least), None) if least != "0" => {
            let _ = write!(out, ", at least {least}");
        }
        (None, Some(most)) => {
            let _ = write!(out, ", at most {most}");
        }
        _ => {}
    }
    if let Some(least) = bound("exclusiveMinimum") {
        let _ = write!(out, ", more than {least}");
    }
    if let Some(most) = bound("maxLength") {
        let _ = write!(out, ", up to {most} characters");
    }
    out
}

/// A link to the section of a record.
fn link(reference: &str) -> String {
    let name = name_of(reference);
    format!("[{name}](#{})", name.to_lowercase())
}

/// Puts a description on one line of a table.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Writes paragraphs, with long lines broken.
fn prose(out: &mut String, text: &str) {
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        for line in wrapped(paragraph, WIDTH) {
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
    }
}
