//! Bodies as unusual clients write them: whole floats, byte order marks, codings.

use serde_json::{Value, json};

use super::{DEV, with_words};

#[tokio::test]
async fn a_whole_number_may_be_written_as_a_float() {
    let server = with_words().await;
    let chat =
        |field: &str, value: &str| format!(r#"{{"messages":[{{"role":"user","content":"hi"}}],"{field}":{value}}}"#);
    let prompt = |field: &str, value: &str| format!(r#"{{"prompt":"hi","{field}":{value}}}"#);
    let named = |field: &str, value: &str| format!(r#"{{"name":"n","{field}":{value}}}"#);
    let mut bodies: Vec<(&str, &str, String, String)> = Vec::new();
    for field in ["max_tokens", "max_completion_tokens", "priority", "max_miners", "n"] {
        for path in ["/v1/chat/completions", "/api/v1/chat"] {
            bodies.push((path, field, chat(field, "1.0"), chat(field, "1.5")));
        }
        for path in ["/v1/completions", "/api/v1/completions"] {
            bodies.push((path, field, prompt(field, "1.0"), prompt(field, "-1")));
        }
    }
    for (field, bad) in [("prompt_type", "1.5"), ("session_id", "0.5"), ("session_id", "-1.0")] {
        bodies.push(("/api/v1/completions", field, prompt(field, "1.0"), prompt(field, bad)));
    }
    for field in [
        "mode",
        "redundant",
        "min_num_of_nodes",
        "maxNumOfNodes",
        "numOfValidatorNodes",
        "reserve_period",
        "sla",
        "max_task_execution_count",
        "priority",
        "weight",
    ] {
        bodies.push(("/api/v1/sessions", field, named(field, "1.0"), named(field, "0.5")));
    }
    bodies.push(("/api/v1/keys", "ttl_secs", named("ttl_secs", "60.0"), named("ttl_secs", "60.5")));
    bodies.push(("/api/v1/keys", "sessions[0]", named("sessions", "[0.0]"), named("sessions", "[0.5]")));
    for (path, field, good, bad) in bodies {
        let (status, _, body) = server.parts("POST", path, DEV, &good).await;
        assert!(status == 200 || status == 201, "{path} {good}: {body}");
        let (status, _, body) = server.parts("POST", path, DEV, &bad).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let error = if body["error"].is_object() { &body["error"] } else { &body };
        assert_eq!((status, &error["param"]), (400, &json!(field)), "{path} {bad}: {body}");
    }
    for odd in ["NaN", "Infinity", "1e999", "-1", "6000.5", "\"100\"", "true", "0", "0.0"] {
        let (status, _, body) = server.parts("POST", "/v1/chat/completions", DEV, &chat("max_tokens", odd)).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let words = body["error"]["message"].as_str().unwrap();
        assert!(status == 400 && words.contains("max_tokens"), "{odd}: {body}");
    }
    let (_, _, body) = server.parts("PATCH", "/api/v1/sessions/1", DEV, r#"{"weight":5.0,"minNodes":2.0}"#).await;
    let changed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&changed["weight"], &changed["min_num_of_nodes"]), (&json!(5), &json!(2)));
}

#[tokio::test]
async fn a_session_is_created_with_every_short_name() {
    let server = with_words().await;
    for (long, names) in [
        ("min_num_of_nodes", &["minNumOfNodes", "min_nodes", "minNodes"][..]),
        ("max_num_of_nodes", &["maxNumOfNodes", "max_nodes", "maxNodes"]),
        ("num_of_validator_nodes", &["numOfValidatorNodes", "validator_nodes", "validatorNodes", "validators"]),
        ("reserve_ephemeral_nodes", &["reserveEphemeralNodes", "reserve_ephemeral"]),
        ("reserve_period", &["reservePeriod"]),
        ("max_task_execution_count", &["maxTaskExecutionCount", "max_tasks"]),
        ("redundant", &["redundancy"]),
    ] {
        for name in std::iter::once(&long).chain(names) {
            let (status, made) = server.post_json("/api/v1/create", &json!({"name": "s", *name: 1})).await;
            let kept = &made[long];
            assert!(status == 200 && (kept == &json!(1) || kept == &json!(true)), "{name}: {made}");
        }
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_ignored_and_a_coding_is_named() {
    let server = with_words().await;
    let body = r#"{"prompt":"hi","messages":[{"role":"user","content":"hi"}],"name":"n"}"#;
    for path in ["/v1/chat/completions", "/v1/completions", "/api/v1/completions", "/api/v1/chat", "/api/v1/sessions"] {
        let (status, _, answer) = server.parts("POST", path, DEV, &format!("\u{feff}{body}")).await;
        assert_eq!(status, 200, "{path}: {answer}");
        for plain in ["identity", "Identity", ""] {
            let headers = format!("{DEV}Content-Encoding: {plain}\r\n");
            assert_eq!(server.parts("POST", path, &headers, body).await.0, 200, "{path} {plain:?}");
        }
        for coding in ["gzip", "br", "zstd", "deflate", "identity, gzip", "GZIP"] {
            let headers = format!("{DEV}Content-Encoding: {coding}\r\n");
            let (status, head, text) = server.parts("POST", path, &headers, "\u{1f}whatever").await;
            assert_eq!(status, 415, "{path} {coding}: {text}");
            assert!(text.contains("Content-Encoding") && head.contains("accept-encoding: identity"), "{head} {text}");
        }
    }
    for kind in ["application/json; charset=utf-8", "APPLICATION/JSON;charset=\"UTF-8\"", "application/vnd.api+json"] {
        let length = body.len();
        let request = format!(
            "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{DEV}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{kind}: {answer}");
    }
}
