//! Usage, and who may see it.

use cortensor_router::Config;
use cortensor_router::config::ListenConfig;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, Usage};
use serde_json::{Value, json};

use super::{Server, serve_with, with_words};

/// Makes a key, and gives its id with its head line.
async fn key(server: &Server, body: Value) -> (String, String) {
    let (status, key) = server.post_json("/api/v1/keys", &body).await;
    assert_eq!(status, 201, "{key}");
    let line = format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap());
    (key["id"].as_str().unwrap().to_owned(), line)
}

async fn usage(server: &Server, header: &str, query: &str) -> Value {
    let reply = server.send("GET", &format!("/api/v1/usage{query}"), header, "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// The names and the numbers of requests.
fn names(report: &Value) -> Vec<(String, u64)> {
    let parts = report["usage"].as_array().unwrap().iter();
    parts.map(|part| (part["name"].as_str().unwrap().to_owned(), part["requests"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn a_task_carries_its_key_and_is_counted_under_it_once() {
    let server = with_words().await;
    let (id, header) = key(&server, json!({"name": "app"})).await;
    let once = format!("{header}Idempotency-Key: k\r\n");
    for _ in 0..3 {
        let body = r#"{"prompt":"one two","model":"tiny"}"#;
        assert_eq!(server.send("POST", "/api/v1/completions", &once, body).await.status, 200);
    }
    // The header of the token does not matter.
    let other = header.replace("Authorization: Bearer", "api-key:");
    let chat = r#"{"messages":[{"role":"user","content":"hi"}],"model":"tiny","stream":true}"#;
    assert_eq!(server.send("POST", "/v1/chat/completions", &other, chat).await.status, 200);
    let (_, task) = server.get_json("/api/v1/tasks/0/1").await;
    assert_eq!(task["key_id"], id);
    let (_, own) = server.get_json(&format!("/api/v1/tasks/0?key={id}&limit=1")).await;
    assert_eq!((&own["count"], own["tasks"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(server.get_json("/api/v1/tasks/0?key=dev").await.1["count"], 0);
    let report = usage(&server, super::DEV, "?by=key").await;
    assert_eq!(names(&report), [(id.clone(), 2)]);
    let part = &report["usage"][0];
    assert_eq!((&part["ok"], &part["failed"], &part["attempts"]), (&json!(2), &json!(0), &json!(2)));
    let (prompt, completion) = (part["prompt_tokens"].as_u64().unwrap(), part["completion_tokens"].as_u64().unwrap());
    assert!(prompt > 0 && completion > 0 && part["bytes"].as_u64().unwrap() > 0, "{part}");
    assert_eq!(part["total_tokens"], prompt + completion);
    assert_eq!(names(&usage(&server, super::DEV, "?by=model").await), [("tiny".to_owned(), 2)]);
    assert_eq!(names(&usage(&server, super::DEV, "?by=session").await), [("0".to_owned(), 2)]);
    let today = usage(&server, super::DEV, "").await;
    assert_eq!((&today["by"], &today["count"]), (&json!("day"), &json!(1)));
    assert_eq!(today["usage"][0]["name"], today["to"]);
}

#[tokio::test]
async fn models_with_a_price_have_an_exact_cost() {
    let prices = "[prices]\ncurrency = \"EUR\"\n[[prices.model]]\nname = \"tiny\"\ninput = 0.1\noutput = 0.2";
    let server = serve_with(Config::from_toml(prices).unwrap(), ListenConfig::default()).await;
    server
        .router
        .add_miner(MinerSpec::new("counts", 1), |job: Job| {
            job.finish(Answer::default().text("x").usage(Usage::new(3, 1)));
        })
        .unwrap();
    for model in ["tiny", "tiny", "big"] {
        let body = json!({"prompt": "hi", "model": model});
        assert_eq!(server.post_json("/api/v1/completions", &body).await.0, 200);
    }
    let models = usage(&server, super::DEV, "?by=model").await;
    assert_eq!(models["currency"], "EUR");
    let [big, tiny] = models["usage"].as_array().unwrap().as_slice() else { panic!("{models}") };
    let counted = big["total_tokens"].as_u64().unwrap();
    assert_eq!((&big["cost"], &big["unpriced_tokens"]), (&Value::Null, &json!(counted)));
    let cost = "0.000001";
    assert_eq!((&tiny["prompt_tokens"], &tiny["completion_tokens"]), (&json!(6), &json!(2)));
    assert_eq!((&tiny["cost"], &tiny["unpriced_tokens"]), (&json!(cost), &json!(0)));
    let day = &usage(&server, super::DEV, "").await["usage"][0];
    assert_eq!((&day["cost"], &day["unpriced_tokens"]), (&json!(cost), &json!(counted)));
    let free = usage(&with_words().await, super::DEV, "").await;
    assert_eq!(free["currency"], Value::Null);
}

#[tokio::test]
async fn a_reader_sees_its_own_key_and_its_sessions() {
    let server = with_words().await;
    let (one, first) = key(&server, json!({"name": "one"})).await;
    let (two, second) = key(&server, json!({"name": "two", "sessions": [1]})).await;
    let (_, submits) = key(&server, json!({"name": "three", "scopes": ["submit"]})).await;
    for (header, session) in [(&first, 0), (&first, 1), (&second, 1)] {
        let path = format!("/api/v1/completions/{session}");
        assert_eq!(server.send("POST", &path, header, r#"{"prompt":"hi","model":"tiny"}"#).await.status, 200);
    }
    let mut all = vec![(one.clone(), 2), (two.clone(), 1)];
    all.sort();
    assert_eq!(names(&usage(&server, super::DEV, "?by=key").await), all);
    assert_eq!(names(&usage(&server, &first, "?by=key").await), [(one.clone(), 2)]);
    let mut seen = vec![(one.clone(), 1), (two.clone(), 1)];
    seen.sort();
    assert_eq!(names(&usage(&server, &second, "?by=key").await), seen);
    assert_eq!(names(&usage(&server, &first, &format!("?by=key&key={two}")).await), []);
    assert_eq!(names(&usage(&server, super::DEV, "?by=key&limit=1&offset=1").await), all[1..]);
    assert_eq!(server.send("GET", "/api/v1/usage", &submits, "").await.status, 403);
}

#[tokio::test]
async fn what_cannot_be_selected_is_refused_by_name() {
    let server = super::serve(ListenConfig::default()).await;
    for (query, param) in [
        ("?by=year", "by"),
        ("?from=yesterday", "from"),
        ("?to=2026-02-30", "to"),
        ("?from=2026-02-02&to=2026-02-01", "from"),
        ("?session=x", "session"),
        ("?limit=-1", "limit"),
    ] {
        let (status, error) = server.get_json(&format!("/api/v1/usage{query}")).await;
        assert_eq!((status, error["param"].as_str()), (400, Some(param)), "{query}: {error}");
    }
    let old = usage(&server, super::DEV, "?from=1970-01-01&to=1970-01-02").await;
    assert_eq!((&old["from"], &old["count"]), (&json!("1970-01-01"), &json!(0)));
}
