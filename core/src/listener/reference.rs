//! The REST reference as Markdown, made from the OpenAPI document, so that it cannot say anything else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The order in which a path's methods are shown.
const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

/// Writes the reference of an OpenAPI document.
pub(super) fn markdown(document: &Value) -> String {
    let mut out = String::new();
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let _ = writeln!(
        out,
        "# {}\n\n<!-- Made from the OpenAPI document by `UPDATE_DOCS=1 cargo test --test docs`; do not edit. -->\n\n{}\n",
        text("/info/title"),
        text("/info/description").trim()
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = writeln!(out, "## {name}\n\n{}\n", tag["description"].as_str().unwrap_or_default().trim());
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                let operation = &item[*method];
                let tagged = operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name));
                if tagged {
                    write_operation(&mut out, document, method, path, operation);
                }
            }
        }
    }
    write_failures(&mut out, document);
    let _ = writeln!(out, "## Records\n");
    for (name, schema) in document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten() {
        write_schema(&mut out, name, schema);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn write_operation(out: &mut String, document: &Value, method: &str, path: &str, operation: &Value) {
    let _ = writeln!(out, "### `{} {path}`\n", method.to_uppercase());
    for key in ["summary", "description"] {
        if let Some(text) = operation[key].as_str().filter(|text| !text.trim().is_empty()) {
            let _ = writeln!(out, "{}\n", text.trim());
        }
    }
    if operation["security"]
        .as_array()
        .is_some_and(|schemes| schemes.iter().any(|s| s.as_object().is_some_and(Map::is_empty)))
    {
        let _ = writeln!(out, "Needs no token.\n");
    }
    let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        let _ = writeln!(out, "| parameter | in | type | |\n|---|---|---|---|");
        for parameter in parameters {
            let _ = writeln!(
                out,
                "| `{}` | {}{} | {} | {} |",
                parameter["name"].as_str().unwrap_or_default(),
                parameter["in"].as_str().unwrap_or_default(),
                if parameter["required"] == true { ", required" } else { "" },
                kind(&parameter["schema"]),
                line(&parameter["description"]),
            );
        }
        out.push('\n');
    }
    if let Some(content) = operation.pointer("/requestBody/content").and_then(Value::as_object) {
        for (media, body) in content {
            let _ = writeln!(out, "Body: `{media}`, {}\n", kind(&body["schema"]));
        }
    }
    let _ = writeln!(out, "| status | body | |\n|---|---|---|");
    let (failures, answers): (Vec<_>, Vec<_>) =
        operation["responses"].as_object().into_iter().flatten().partition(|(status, _)| is_failure(status));
    for (status, response) in answers {
        let response = resolve(document, response);
        let bodies: Vec<_> = response["content"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(media, body)| {
                let kind = kind(&body["schema"]);
                if media == "application/json" { kind } else { format!("`{media}`") }
            })
            .collect();
        let _ = writeln!(out, "| {status} | {} | {} |", bodies.join(" or "), line(&response["description"]));
    }
    out.push('\n');
    if !failures.is_empty() {
        let statuses: Vec<_> = failures.iter().map(|(status, _)| status.as_str()).collect();
        let _ = writeln!(out, "[Failures](#failures): {}\n", statuses.join(", "));
    }
}

fn is_failure(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

/// What the statuses of failures mean, once for all operations.
fn write_failures(out: &mut String, document: &Value) {
    let mut meanings = BTreeMap::new();
    let operations = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, item)| METHODS.iter().map(|method| &item[*method]));
    for (status, response) in operations.flat_map(|operation| operation["responses"].as_object().into_iter().flatten())
    {
        if is_failure(status) {
            meanings.entry(status).or_insert_with(|| line(&resolve(document, response)["description"]));
        }
    }
    let _ = writeln!(
        out,
        "## Failures\n\nThe status says what to do, the body says what is wrong and how to mend it: [CortensorError](#cortensorerror) under `/api` and elsewhere, [OpenAiError](#openaierror) under `/v1`.\n\n| status | |\n|---|---|"
    );
    for (status, meaning) in meanings {
        let _ = writeln!(out, "| {status} | {meaning} |");
    }
    out.push('\n');
}

fn write_schema(out: &mut String, name: &str, schema: &Value) {
    let _ = writeln!(out, "### {name}\n");
    if let Some(description) = schema["description"].as_str() {
        let _ = writeln!(out, "{}\n", description.trim());
    }
    let parts: Vec<_> = std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten()).collect();
    let with = parts.iter().filter_map(|part| part["$ref"].as_str()).map(link).collect::<Vec<_>>();
    if !with.is_empty() {
        let _ = writeln!(out, "The members of {}, and:\n", with.join(", "));
    }
    let members: Vec<_> = parts
        .iter()
        .filter_map(|part| part["properties"].as_object().map(|members| (members, &part["required"])))
        .flat_map(|(members, required)| members.iter().map(move |(name, member)| (name, member, required)))
        .collect();
    if members.is_empty() {
        if with.is_empty() {
            let _ = writeln!(out, "{}\n", kind(schema));
        }
        return;
    }
    let _ = writeln!(out, "| member | type | |\n|---|---|---|");
    for (name, member, required) in members {
        let is_required = required.as_array().is_some_and(|list| list.iter().any(|item| item == name));
        let _ = writeln!(
            out,
            "| `{name}`{} | {} | {} |",
            if is_required { " (required)" } else { "" },
            kind(member),
            line(&member["description"])
        );
    }
    out.push('\n');
}

/// What a schema takes, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return link(name);
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[key].as_array() {
            let mut words: Vec<_> = choices.iter().map(kind).collect();
            words.dedup();
            return words.join(" or ");
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let mut words: Vec<String> = match &schema["type"] {
        Value::String(word) => vec![word.clone()],
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => vec!["any JSON".to_owned()],
    };
    if let Some(word) = words.iter_mut().find(|word| *word == "array") {
        *word = format!("list of {}", kind(&schema["items"]));
    }
    let mut out = words.join(" or ");
    match (bound(schema, "minimum"), bound(schema, "maximum")) {
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
    if let Some(least) = bound(schema, "exclusiveMinimum") {
        let _ = write!(out, ", more than {least}");
    }
    if let Some(most) = bound(schema, "maxLength") {
        let _ = write!(out, ", up to {most} characters");
    }
    out
}

fn bound(schema: &Value, key: &str) -> Option<String> {
    schema[key].as_f64().map(|bound| bound.to_string())
}

/// A link to the record's section.
fn link(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    format!("[{name}](#{})", name.to_lowercase())
}

/// A description on one line of a table.
fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The response itself where the operation only names it.
fn resolve<'a>(document: &'a Value, response: &'a Value) -> &'a Value {
    response["$ref"].as_str().and_then(|name| document.pointer(name.trim_start_matches('#'))).unwrap_or(response)
}
