//! The OpenAPI document and the listener agree.

use cortensor_router::config::ListenConfig;
use cortensor_router::internals::{FIELDS, Goes};
use serde_json::{Value, json};

use super::{DEV, serve};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[tokio::test]
async fn every_described_operation_is_there_and_no_other() {
    let server = serve(ListenConfig::default()).await;
    let (status, document) = server.get_json("/openapi.json").await;
    assert_eq!(status, 200);
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{session_id}", "0").replace("{task_id}", "7").replace("{id}", "0");
        // Without a number of events the stream goes on.
        let concrete = if path == "/api/v1/events" { concrete + "?count=1" } else { concrete };
        for method in METHODS {
            let (status, head, body) = server.parts(method, &concrete, DEV, "").await;
            if item.get(method.to_ascii_lowercase()).is_some() {
                let absent = body.contains("route_not_found") || status == 405;
                assert!(!absent, "{method} {path}: {status} {body}");
            } else {
                assert_eq!(status, 405, "{method} {path}: {body}");
                assert!(head.contains("\r\nallow: "), "{method} {path}: {head}");
            }
        }
    }
    let (_, about) = server.get_json("/api/v1/about").await;
    let paths = document["paths"].as_object().unwrap().keys();
    assert_eq!(about["endpoints"], paths.map(|path| json!(path)).collect::<Value>());
}

#[tokio::test]
async fn what_cannot_be_read_of_a_path_or_a_query_is_an_error_of_this_api() {
    let server = serve(ListenConfig::default()).await;
    for path in ["/api/v1/sessions/%FF", "/api/v1/tasks/0/%ff", "/v1/models/%ff"] {
        let (status, head, body) = server.parts("GET", path, DEV, "").await;
        assert_eq!(status, 400, "{path}: {body}");
        assert!(head.contains("content-type: application/json"), "{path}: {head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let message = if path.starts_with("/v1") { &body["error"]["message"] } else { &body["error"] };
        assert!(message.is_string(), "{path}: {body}");
    }
    for query in ["limit=0", "limit=x", "offset=-1", "state=lost"] {
        let (status, body) = server.get_json(&format!("/api/v1/tasks/0?{query}")).await;
        assert_eq!((status, &body["param"]), (400, &json!(query.split('=').next().unwrap())), "{query}");
    }
}

#[tokio::test]
async fn every_named_field_of_a_request_is_described() {
    let server = serve(ListenConfig::default()).await;
    let (_, document) = server.get_json("/openapi.json").await;
    let text = |path: &str| {
        let schema = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        described(&document, schema)
    };
    let all = [text("/api/v1/completions"), text("/api/v1/chat/completions"), text("/v1/embeddings")].concat();
    // The route determines the kind.
    for field in FIELDS.iter().filter(|field| field.name != "kind" && field.goes != Goes::Kept) {
        assert!(all.iter().any(|name| name == field.name), "{} is not described", field.name);
    }
}

/// The names of the members of a schema, including those of the schemas that it is made of.
pub(crate) fn described(document: &Value, schema: &Value) -> Vec<String> {
    if let Some(path) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        return described(document, document.pointer(path).unwrap());
    }
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| described(document, part));
    own.chain(parts).collect()
}
