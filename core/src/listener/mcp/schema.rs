//! The records of these routes in the OpenAPI document, and the schemas of tools, which are made from that document.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use rmcp::model::JsonObject;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, schema};
use utoipa::{IntoParams, ToSchema};

use crate::listener::openapi::DOCUMENT;

/// A message of JSON-RPC 2.0.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document alone needs it: messages are written by the protocol's own records")]
pub(super) struct McpMessage {
    /// `2.0`
    jsonrpc: String,
    /// The request's id, a text or a whole number, which its answer repeats. Missing: a notification.
    #[schema(required = false)]
    id: Value,
    /// `initialize`, `tools/list`, `tools/call`, `resources/list`, `resources/read` ...
    #[schema(required = false)]
    method: String,
    /// The parameters of the method.
    #[schema(required = false, value_type = Object)]
    params: Value,
    /// The answer to a request.
    #[schema(required = false, value_type = Object)]
    result: Value,
    /// The failure of a request: `code`, `message`, and `data` with the error as the routes under `/api` tell it.
    #[schema(required = false, value_type = Object)]
    error: Value,
}

/// Where the Model Context Protocol is spoken.
#[derive(Serialize, ToSchema)]
pub(super) struct Advertisement {
    /// `cortensor-router`
    pub(super) name: &'static str,
    /// The version of the product.
    pub(super) version: &'static str,
    /// `streamable-http`
    pub(super) transport: &'static str,
    /// The path to which clients send messages.
    pub(super) endpoint: &'static str,
    /// The versions of the protocol, oldest first.
    pub(super) protocol_versions: Vec<String>,
    /// The names of the tools.
    pub(super) tools: Vec<&'static str>,
}

/// The request header that names a session.
pub(super) enum SessionHeader {}

impl IntoParams for SessionHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let says = "The session, as the answer to `initialize` named it. Another token's session is answered with 404.";
        let text = ObjectBuilder::new().schema_type(schema::Type::String);
        let header = ParameterBuilder::new()
            .name("Mcp-Session-Id")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(says))
            .schema(Some(text))
            .build();
        vec![header]
    }
}

/// An operation of the document: its method and path.
pub(super) type Operation = (&'static str, &'static str);

const REFERENCE: &str = "#/components/schemas/";

/// The OpenAPI document as JSON, made once.
static JSON: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(&*DOCUMENT).unwrap_or_default());

/// The schema of a tool's arguments: the parameters and the body of its operations without some members. A member is
/// required if every operation requires it.
pub(super) fn input(operations: &[Operation], without: &[&str]) -> JsonObject {
    let mut properties = Map::new();
    let mut required: Option<BTreeSet<String>> = None;
    for operation in operations.iter().map(|at| described(*at)) {
        let mut wants = BTreeSet::new();
        for parameter in items(&operation["parameters"]).filter(|parameter| parameter["in"] != "header") {
            let name = parameter["name"].as_str().unwrap_or_default();
            let mut member = parameter["schema"].clone();
            member["description"] = parameter["description"].clone();
            properties.insert(name.to_owned(), member);
            if parameter["required"] == true {
                wants.insert(name.to_owned());
            }
        }
        for mut body in objects(&operation["requestBody"]["content"]["application/json"]["schema"]) {
            wants.extend(items(&body["required"]).filter_map(Value::as_str).map(str::to_owned));
            if let Some(Value::Object(members)) = body.get_mut("properties").map(Value::take) {
                properties.extend(members);
            }
        }
        required = Some(match required {
            None => wants,
            Some(so_far) => so_far.intersection(&wants).cloned().collect(),
        });
    }
    properties.retain(|name, _| !without.contains(&name.as_str()));
    let mut input =
        Map::from_iter([("type".to_owned(), json!("object")), ("properties".to_owned(), properties.into())]);
    if let Some(required) = required.filter(|required| !required.is_empty()) {
        input.insert("required".to_owned(), json!(required));
    }
    with_definitions(input)
}

/// The schema of a tool's result: the answers of its operations that are objects.
pub(super) fn output(operations: &[Operation]) -> JsonObject {
    let answers = operations.iter().flat_map(|at| {
        let responses = described(*at)["responses"].as_object();
        let good = responses.into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
        good.flat_map(|(_, response)| objects(&response["content"]["application/json"]["schema"]))
    });
    let mut answers: Vec<Value> = answers.collect();
    let output = match (answers.pop(), answers.is_empty()) {
        (Some(Value::Object(only)), true) => only,
        (last, _) => {
            answers.extend(last);
            Map::from_iter([("type".to_owned(), json!("object")), ("anyOf".to_owned(), answers.into())])
        }
    };
    with_definitions(output)
}

/// The first line of an operation's documentation.
pub(super) fn summary((method, path): Operation) -> &'static str {
    described((method, path))["summary"].as_str().unwrap_or_default()
}

fn described((method, path): Operation) -> &'static Value {
    &JSON["paths"][path][method]
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn resolved(reference: &str) -> &'static Value {
    &JSON["components"]["schemas"][reference.strip_prefix(REFERENCE).unwrap_or_default()]
}

/// The objects that a schema allows, each with all its members in one place, because many clients look no further.
fn objects(schema: &Value) -> Vec<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return objects(resolved(reference));
    }
    let choices: Vec<&Value> = items(&schema["oneOf"]).chain(items(&schema["anyOf"])).collect();
    if !choices.is_empty() {
        return choices.into_iter().flat_map(objects).collect();
    }
    let mut parts: Vec<Value> = items(&schema["allOf"]).flat_map(objects).collect();
    if schema["type"] == "object" {
        parts.push(schema.clone());
    }
    let Some(mut whole) = parts.pop() else { return Vec::new() };
    for part in parts.into_iter().rev() {
        let mut members = part["properties"].as_object().cloned().unwrap_or_default();
        members.extend(whole["properties"].as_object().cloned().unwrap_or_default());
        let required: Vec<&Value> = items(&part["required"]).chain(items(&whole["required"])).collect();
        let required = json!(required);
        whole["required"] = required;
        whole["properties"] = members.into();
    }
    if items(&whole["required"]).next().is_none()
        && let Some(whole) = whole.as_object_mut()
    {
        whole.remove("required");
    }
    vec![whole]
}

/// Adds the schemas that a schema refers to, because a tool's schema stands alone.
fn with_definitions(mut schema: JsonObject) -> JsonObject {
    let mut definitions = Map::new();
    let mut wanted = BTreeSet::new();
    schema.values_mut().for_each(|part| point_inside(part, &mut wanted));
    while let Some(name) = wanted.pop_first() {
        if definitions.contains_key(&name) {
            continue;
        }
        let mut definition = JSON["components"]["schemas"][&name].clone();
        point_inside(&mut definition, &mut wanted);
        definitions.insert(name, definition);
    }
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), definitions.into());
    }
    schema
}

/// Lets references point to the definitions of the schema itself, and collects their names.
fn point_inside(schema: &mut Value, wanted: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(REFERENCE).map(str::to_owned)
            {
                *reference = format!("#/$defs/{name}");
                wanted.insert(name);
            }
            members.values_mut().for_each(|member| point_inside(member, wanted));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point_inside(item, wanted)),
        _ => {}
    }
}
