//! Requests are checked alike by every way in: as the program's own, over OpenAI's API, and over the REST API.

use cortensor_router::embed::{HttpHandler, HttpRequest, Job, Router};
use serde_json::{Value, json};

fn answers(job: Job) {
    job.finish(r#"{"text": "x"}"#).unwrap();
}

fn send(handler: &HttpHandler, target: &str, body: &Value) -> (u16, Value) {
    send_with(handler, target, &[], body)
}

fn send_with(handler: &HttpHandler, target: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let own = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let response = handler
        .handle(HttpRequest {
            method: "POST".into(),
            target: target.into(),
            headers: own.chain([("authorization".into(), b"Bearer default-dev-token".to_vec())]).collect(),
            peer: Some(([127, 0, 0, 1], 1).into()),
            body: body.to_string().into(),
        })
        .wait()
        .unwrap();
    let mut body = Vec::new();
    while let Some(piece) = response.next_piece().wait().unwrap() {
        body.extend_from_slice(&piece);
    }
    (response.status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn a_job_names_the_trace_context_of_its_request() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let router = Router::open("", None).wait().unwrap();
    let (told, jobs) = std::sync::mpsc::channel();
    let keep = move |job: Job| {
        told.send(serde_json::from_str::<Value>(&job.info().unwrap()).unwrap()).unwrap();
        answers(job);
    };
    router.add_miner(r#"{"name": "local"}"#, keep).unwrap();
    let handler = router.http_handler("").wait().unwrap();
    for headers in [&[("traceparent", PARENT), ("tracestate", "a=1")][..], &[]] {
        assert_eq!(send_with(&handler, "/v1/completions", headers, &json!({"prompt": "x"})).0, 200);
        let job = jobs.recv().unwrap();
        for name in ["traceparent", "tracestate"] {
            let sent = headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value);
            assert_eq!(job.get(name).and_then(Value::as_str), sent, "{job}");
            assert_eq!(job.as_object().unwrap().contains_key(name), sent.is_some(), "{job}");
        }
    }
}

#[test]
fn a_job_that_goes_on_for_a_lost_miner_names_the_text_so_far() {
    let router = Router::open("", None).wait().unwrap();
    let (told, jobs) = std::sync::mpsc::channel();
    for name in ["one", "other"] {
        let told = told.clone();
        let spec = json!({"name": name, "features": ["continue"]}).to_string();
        router.add_miner(&spec, move |job: Job| told.send(job).unwrap()).unwrap();
    }
    let request = json!({"prompt": "count", "stream": true, "on_failure": "continue"}).to_string();
    let task = router.submit(0, &request).wait().unwrap();
    let stream = task.stream(0).unwrap();
    let partial_of = |job: &Job| serde_json::from_str::<Value>(&job.info().unwrap()).unwrap().get("partial").cloned();

    let lost = jobs.recv().unwrap();
    assert_eq!(partial_of(&lost), None);
    lost.emit(b"one ").unwrap();
    // A task whose reader has seen nothing would begin anew.
    stream.next(None).unwrap();
    lost.fail("unreachable", "gone").unwrap();

    let goes_on = jobs.recv().unwrap();
    assert_eq!(partial_of(&goes_on), Some(json!("one ")));
    goes_on.emit(b"two").unwrap();
    goes_on.finish("").unwrap();
    let whole: Value = serde_json::from_str(&task.result().wait().unwrap()).unwrap();
    assert_eq!(whole["choices"][0]["text"], "one two", "{whole}");
}

#[test]
fn every_way_in_refuses_the_same_requests_in_the_same_words() {
    let router = Router::open("", None).wait().unwrap();
    router.add_miner(r#"{"name": "local", "models": ["m"]}"#, answers).unwrap();
    let handler = router.http_handler("").wait().unwrap();
    let user = || json!([{"role": "user", "content": "x"}]);
    for (what, request) in [
        ("chat/completions", json!({"messages": []})),
        ("chat/completions", json!({"messages": "x"})),
        ("chat/completions", json!({"messages": ["x"]})),
        ("chat/completions", json!({"messages": [{"content": "x"}]})),
        ("chat/completions", json!({"messages": [{"role": 5}]})),
        ("chat/completions", json!({"messages": user(), "timeout": 0})),
        ("chat/completions", json!({"messages": user(), "precommit_timeout": -1})),
        ("chat/completions", json!({"messages": user(), "max_miners": 0})),
        ("chat/completions", json!({"messages": user(), "priority": 10})),
        ("chat/completions", json!({"messages": user(), "max_tokens": 0})),
        ("chat/completions", json!({"messages": user(), "on_failure": "weep"})),
        ("completions", json!({})),
        ("completions", json!({"prompt": []})),
        ("completions", json!({"prompt": ["a", "b"]})),
        ("completions", json!({"prompt": [1, 2]})),
        ("completions", json!({"prompt": "x", "model": "nobody's"})),
    ] {
        let own = match router.submit(0, &request.to_string()).wait() {
            Ok(task) => task.result().wait().unwrap_err(),
            Err(error) => error,
        };
        let (status, openai) = send(&handler, &format!("/v1/{what}"), &request);
        assert_eq!(status, own.kind().row().http_status, "{request}: {openai}");
        assert_eq!(openai["error"]["message"], own.message(), "{request}");
        assert_eq!(openai["error"]["param"].as_str(), own.details().param.as_deref(), "{request}");
        // On that route a model that no miner offers is accepted.
        if request.get("model").is_none() {
            let (status, rest) = send(&handler, &format!("/api/v1/{what}"), &request);
            assert_eq!((status, &rest["message"]), (own.kind().row().http_status, &json!(own.message())), "{request}");
        }
    }
    let (_, one) = send(&handler, "/api/v1/completions", &json!({"prompt": ["one"]}));
    assert_eq!(one["choices"][0]["text"], "x", "a list of one prompt is that prompt");
}
