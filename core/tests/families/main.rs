//! The Responses API and the Messages API over real sockets: answers of host miners, who may see a response, what
//! outlives a restart, and repeats.

#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

mod agents;
mod mcp;
mod own;
mod repeats;
mod servers;
mod trials;

mod passed;

use std::path::Path;

use cortensor_router::config::{Durability, StorageConfig};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, Delta, FinishReason, MinerSpec, Parts, Retention, SessionSpec, ToolCall, Usage};
use cortensor_router::{Config, KeySpec};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::miners::{Hand, words};
use serde_json::{Value, json};

/// A miner that reasons, speaks and calls a tool, in pieces or at once.
#[allow(clippy::needless_pass_by_value, reason = "a miner is given its job")]
fn agent(job: Job) {
    let call = ToolCall::new("call_1", "add", r#"{"a":1}"#);
    let mut parts = Parts::default();
    parts.reasoning = "hm".into();
    parts.tool_calls = vec![call];
    if job.stream() {
        job.emit(Delta::default().reasoning("h"));
        job.emit(Delta::default().reasoning("m"));
        job.emit("I ");
        job.emit("add.");
        parts.reasoning = String::new();
    }
    let answer = Answer::default().text("I add.").parts(Some(Box::new(parts)));
    job.finish(answer.finish_reason(FinishReason::ToolCalls).usage(Usage::new(7, 5)));
}

async fn with(miner: fn(Job)) -> Server {
    let server = Server::open(Config::default()).await;
    server.router.add_miner(MinerSpec::new("host", 8).models(["tiny"]), miner).unwrap();
    server
}

/// The last event of that name in a stream.
fn last(body: &str, name: &str) -> Value {
    let event = body.rsplit("\n\n").find(|event| event.starts_with(&format!("event: {name}\n")));
    let event = event.unwrap_or_else(|| panic!("no {name} in {body}"));
    serde_json::from_str(event.split_once("\ndata: ").unwrap().1).unwrap()
}

#[tokio::test]
async fn a_host_miner_says_all_it_can_by_every_api() {
    let server = with(agent).await;
    let body = json!({"model": "tiny", "max_tokens": 9, "thinking": {"type": "adaptive"},
                      "messages": [{"role": "user", "content": "1 + 1?"}]});
    let (status, message) = server.post_json("/v1/messages", &body).await;
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "I add."},
        {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
    ]);
    assert_eq!((status, &message["content"], &message["stop_reason"]), (200, &content, &json!("tool_use")));
    let mut streamed = body.clone();
    streamed["stream"] = true.into();
    let reply = server.post("/v1/messages", &streamed.to_string()).await;
    assert_eq!(last(&reply.body, "message_delta")["delta"]["stop_reason"], "tool_use");
    for piece in [
        "\"thinking\":\"h\"",
        "\"thinking\":\"m\"",
        "\"text\":\"I \"",
        "\"text\":\"add.\"",
        "\"partial_json\":\"{\\\"a\\\":1}\"",
    ] {
        assert!(reply.body.contains(piece), "{piece} in {}", reply.body);
    }

    let body = json!({"model": "tiny", "input": "1 + 1?"});
    let (status, response) = server.post_json("/v1/responses", &body).await;
    let kinds: Vec<&Value> = response["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!((status, kinds), (200, vec![&json!("reasoning"), &json!("message"), &json!("function_call")]));
    let reply = server.post("/v1/responses", r#"{"model":"tiny","input":"1 + 1?","stream":true}"#).await;
    let done = last(&reply.body, "response.completed");
    for (index, item) in response["output"].as_array().unwrap().iter().enumerate() {
        let (mut wanted, mut found) = (item.clone(), done["response"]["output"][index].clone());
        (wanted["id"], found["id"]) = (Value::Null, Value::Null);
        assert_eq!(found, wanted);
    }
    // All of them are tasks like any other, and none shows what only the Responses API repeats.
    let (_, tasks) = server.get_json("/api/v1/tasks/0").await;
    assert_eq!(tasks["count"], 4);
    server.stop().await;
}

#[tokio::test]
async fn a_miner_sees_a_chat_whichever_api_it_came_by() {
    let server = Server::open(Config::default()).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("hand", 8).models(["tiny"]));
    for (path, body) in [
        ("/v1/messages", r#"{"model":"tiny","max_tokens":9,"system":"s","messages":[{"role":"user","content":"q"}]}"#),
        ("/v1/responses", r#"{"model":"tiny","max_output_tokens":9,"instructions":"s","input":"q"}"#),
        (
            "/v1/chat/completions",
            r#"{"model":"tiny","max_tokens":9,"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]}"#,
        ),
    ] {
        let asked = server.ask("POST", path, cortensor_router_testkit::server::DEV, body).await;
        let job = hand.take().await;
        let messages = job.request().messages.as_ref().unwrap().get().to_owned();
        assert_eq!(messages, r#"[{"role":"system","content":"s"},{"role":"user","content":"q"}]"#, "{path}");
        assert_eq!((job.prompt().as_ref(), job.request().token_limit()), ("s\nq", Some(9)));
        assert!(job.request().extra.is_empty());
        job.finish(Answer::default().text("a"));
        drop(asked);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_response_is_seen_by_those_who_made_it() {
    let server = with(words).await;
    let mut keys = Vec::new();
    for name in ["one", "two"] {
        let made = server.router.create_key(&KeySpec::new(name)).await.unwrap();
        keys.push(format!("Authorization: Bearer {}\r\n", made.token.reveal()));
    }
    let body = r#"{"model":"tiny","input":"a b"}"#;
    let response = server.send("POST", "/v1/responses", &keys[0], body).await.json();
    let id = response["id"].as_str().unwrap();
    let again = json!({"model": "tiny", "input": "c", "previous_response_id": id}).to_string();
    for (method, path, body) in [
        ("GET", format!("/v1/responses/{id}"), String::new()),
        ("GET", format!("/v1/responses/{id}?stream=true"), String::new()),
        ("GET", format!("/v1/responses/{id}/input_items"), String::new()),
        ("POST", format!("/v1/responses/{id}/cancel"), String::new()),
        ("POST", "/v1/responses".to_owned(), again),
        ("DELETE", format!("/v1/responses/{id}"), String::new()),
    ] {
        let refused = server.send(method, &path, &keys[1], &body).await;
        assert_eq!((refused.status, refused.error().2.as_str()), (404, "response_not_found"), "{method} {path}");
        assert_eq!(server.send(method, &path, &keys[0], &body).await.status, 200, "{method} {path}");
    }
    assert_eq!(server.send("GET", &format!("/v1/responses/{id}"), &keys[0], "").await.status, 404, "it was deleted");
    // The development token administers the router.
    let other = server.send("POST", "/v1/responses", &keys[0], body).await.json();
    assert_eq!(server.get(&format!("/v1/responses/{}", other["id"].as_str().unwrap())).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_response_is_gone_everywhere_once_it_has_ended() {
    for durability in [Durability::Memory, Durability::Full] {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageConfig::default().data_dir(Some(dir.path().to_owned())).durability(durability);
        let server = Server::open(Config::default().storage(storage)).await;
        let mut hand = Hand::join(&server.router, MinerSpec::new("hand", 1).models(["tiny"]));
        let body = json!({"model": "tiny", "input": "a", "background": true});
        let (_, made) = server.post_json("/v1/responses", &body).await;
        let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
        let delete = async || server.send("DELETE", &path, cortensor_router_testkit::server::DEV, "").await;
        let job = hand.take().await;
        let early = delete().await;
        assert_eq!((early.status, early.error().2.as_str()), (409, "task_running"));
        job.finish(Answer::default().text("b"));
        while server.get_json(&path).await.1["status"] != "completed" {}
        let gone = delete().await.json();
        assert_eq!(gone, json!({"id": made["id"], "object": "response", "deleted": true}));
        assert_eq!((delete().await.status, server.get(&path).await.status), (404, 404));
        let (_, tasks) = server.get_json("/api/v1/tasks/0").await;
        assert_eq!(tasks["tasks"], json!([]), "{durability:?}");
        assert_eq!(server.get("/api/v1/tasks/0/1").await.status, 404);
        let next = json!({"model": "tiny", "input": "c", "previous_response_id": made["id"]});
        let (status, refused) = server.post_json("/v1/responses", &next).await;
        assert_eq!((status, &refused["error"]["param"]), (404, &json!("previous_response_id")));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_keeps_nothing_has_no_responses() {
    let server = with(words).await;
    let session = server
        .router
        .create_session(SessionSpec::default().name("brief").retention(Retention::Nothing))
        .await
        .unwrap()
        .id;
    let headers = format!("{}X-Cortensor-Session: {session}\r\n", cortensor_router_testkit::server::DEV);
    let made = server.send("POST", "/v1/responses", &headers, r#"{"model":"tiny","input":"a"}"#).await.json();
    assert_eq!(made["output"][0]["content"][0]["text"], "a");
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.status, 404);
    server.stop().await;
}

/// A router on that directory.
async fn on_disk(dir: &Path) -> Server {
    let storage = StorageConfig::default().data_dir(Some(dir.to_owned())).durability(Durability::Full);
    let server = Server::open(Config::default().storage(storage)).await;
    server.router.add_miner(MinerSpec::new("host", 8).models(["tiny"]), agent).unwrap();
    server
}

#[tokio::test]
async fn a_response_outlives_the_router() {
    let dir = tempfile::tempdir().unwrap();
    let server = on_disk(dir.path()).await;
    let body = json!({"model": "tiny", "input": "1 + 1?", "metadata": {"a": "b"}, "instructions": "Add."});
    let (_, made) = server.post_json("/v1/responses", &body).await;
    let streamed = server.post("/v1/responses", r#"{"model":"tiny","input":"x","stream":true}"#).await;
    server.stop().await;

    let server = on_disk(dir.path()).await;
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get_json(&path).await, (200, made.clone()));
    let again = json!({"model": "tiny", "input": "more", "previous_response_id": made["id"]});
    let (status, next) = server.post_json("/v1/responses", &again).await;
    assert_eq!((status, &next["previous_response_id"]), (200, &made["id"]));
    let (_, tasks) = server.get_json("/api/v1/tasks/0").await;
    let newest = tasks["tasks"].as_array().unwrap().last().unwrap()["id"].as_u64().unwrap();
    let task = server.router.task(cortensor_router::model::SessionId(0), cortensor_router::model::TaskId(newest)).await;
    let messages: Value = serde_json::from_str(task.unwrap().request.messages.as_ref().unwrap().get()).unwrap();
    let roles: Vec<&Value> = messages.as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(messages[1]["tool_calls"][0]["id"], "call_1");

    // The pieces are gone with the old router: a reader in the middle gets the end alone, under the next number.
    let done = last(&streamed.body, "response.completed");
    let id = done["response"]["id"].as_str().unwrap();
    let rest = server.get(&format!("/v1/responses/{id}?stream=true&starting_after=4")).await;
    let end = last(&rest.body, "response.completed");
    assert_eq!((&end["sequence_number"], &end["response"]["output"]), (&json!(5), &done["response"]["output"]));
    assert_eq!(rest.body.matches("event: ").count(), 1, "{}", rest.body);
    // From the beginning the events are those of the whole answer.
    let anew = server.get(&format!("/v1/responses/{id}?stream=true")).await;
    assert_eq!(last(&anew.body, "response.completed")["response"]["output"], done["response"]["output"]);
    let beyond = server.get(&format!("/v1/responses/{id}?stream=true&starting_after=soon")).await;
    assert_eq!((beyond.status, beyond.json()["error"]["param"].clone()), (400, json!("starting_after")));
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_is_the_same_task() {
    let server = with(words).await;
    for (path, body) in [
        ("/v1/messages", r#"{"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"q"}]}"#),
        ("/v1/responses", r#"{"model":"tiny","input":"q"}"#),
    ] {
        let headers = format!("{}Idempotency-Key: k\r\n", cortensor_router_testkit::server::DEV);
        let first = server.send("POST", path, &headers, body).await.json();
        let second = server.send("POST", path, &headers, body).await.json();
        assert_eq!(first["id"], second["id"], "{path}");
        let other = body.replace("\"q\"", "\"other\"");
        assert_eq!(server.send("POST", path, &headers, &other).await.status, 422, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn errors_have_the_shape_of_their_api() {
    let server = with(words).await;
    for (path, body, shape) in [
        (
            "/v1/messages",
            r#"{"max_tokens":9,"messages":[]}"#,
            json!({"type": "invalid_request_error", "param": "messages"}),
        ),
        ("/v1/messages/count_tokens", "{}", json!({"type": "invalid_request_error", "param": "messages"})),
        ("/v1/messages", "{", json!({"type": "invalid_request_error", "param": "body"})),
        ("/v1/responses", "{}", json!({"type": "invalid_request_error", "param": "input"})),
        ("/v1/responses", "[1]", json!({"type": "invalid_request_error", "param": "body"})),
    ] {
        let reply = server.post(path, body).await;
        let error = reply.json();
        assert_eq!(
            (reply.status, &error["error"]["type"], &error["error"]["param"]),
            (400, &shape["type"], &shape["param"]),
            "{path} {body}"
        );
        assert_eq!(error["type"] == "error", path.starts_with("/v1/messages"), "{path}");
    }
    for path in ["/v1/messages", "/v1/responses"] {
        let reply = server.send("POST", path, "Authorization: Bearer nobody\r\n", "{}").await;
        assert_eq!(reply.status, 401);
    }
    server.stop().await;
}
