//! Values of the wrong type in bodies: the error names the field and the form that is wanted, in JSON's words.

use cortensor_router_testkit::wrong;
use serde_json::{Value, json};

use super::description::described;
use super::{DEV, with_words};

#[tokio::test]
async fn no_answer_about_a_wrong_type_speaks_of_rust() {
    let server = with_words().await;
    let (_, document) = server.get_json("/openapi.json").await;
    let (mut asked, mut named) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null() {
                continue;
            }
            let fields = described(&document, schema);
            assert!(!fields.is_empty(), "{method} {path} has a body");
            let target = path.replace("{session_id}", "0").replace("{id}", "0");
            for (field, value) in fields.iter().flat_map(|field| wrong::values().into_iter().map(move |v| (field, v))) {
                let body = json!({ field: value }).to_string();
                let (status, _, answer) = server.parts(&method.to_uppercase(), &target, DEV, &body).await;
                let case = format!("{method} {path} {body}: {status} {answer}");
                assert!(status < 500 || status == 503, "{case}");
                assert_eq!(wrong::rust_word(&answer), None, "{case}");
                asked += 1;
                let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
                let param = if path.starts_with("/v1") { &answer["error"]["param"] } else { &answer["param"] };
                named += usize::from(status == 400 && param.as_str().is_some_and(|param| param.starts_with(field)));
            }
        }
    }
    assert!(asked > 1_000 && named > asked / 4, "{named} of {asked} answers named the field");
}

#[tokio::test]
async fn a_time_is_a_number_of_seconds() {
    let server = with_words().await;
    let timeout = r#"timeout: invalid type: string "10", expected a number of seconds"#;
    for path in ["/api/v1/completions", "/api/v1/completions/0", "/api/v1/chat/completions"] {
        let (status, error) = server.post_json(path, &json!({"prompt": "x", "timeout": "10"})).await;
        assert_eq!((status, &error["error"], &error["param"]), (400, &json!(timeout), &json!("timeout")), "{path}");
    }
    for path in ["/v1/completions", "/v1/chat/completions", "/v1/embeddings"] {
        let (status, error) = server.post_json(path, &json!({"prompt": "x", "timeout": "10"})).await;
        assert_eq!((status, &error["error"]["message"]), (400, &json!(timeout)), "{path}");
    }
    let (_, error) = server.post_json("/api/v1/completions", &json!({"prompt": "x", "precommit_timeout": []})).await;
    assert_eq!(error["error"], "precommit_timeout: invalid type: a list, expected a number of seconds");
}

#[tokio::test]
async fn a_word_of_a_list_must_be_a_word() {
    let server = with_words().await;
    let (status, error) = server.post_json("/api/v1/completions", &json!({"prompt": "x", "on_failure": "stop"})).await;
    assert_eq!((status, &error["error"]), (400, &json!("on_failure must be fail, continue or restart")));
    let (status, error) = server.post_json("/api/v1/completions", &json!({"prompt": "x", "on_failure": 5})).await;
    assert_eq!((status, &error["code"], &error["param"]), (400, &json!("invalid_argument"), &json!("on_failure")));
}
