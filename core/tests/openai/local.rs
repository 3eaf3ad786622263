//! Miners of the host program: the router writes their answers and streams in OpenAI's shapes.

use cortensor_router::Config;
use cortensor_router::model::{Answer, MinerSpec, SessionSpec};
use serde_json::{Value, json};

use crate::rig::with_words;
use cortensor_router_testkit::Server;
use cortensor_router_testkit::server::DEV;

const CHAT: &str = r#"{"model":"tiny","messages":[{"role":"user","content":"one two"}],"temperature":0.5}"#;

#[tokio::test]
async fn a_chat_and_a_completion_are_openais_and_name_their_task() {
    let server = with_words().await;
    let reply = server.post("/v1/chat/completions", CHAT).await;
    let chat = reply.json();
    assert_eq!(reply.status, 200, "{chat}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!((reply.header("x-cortensor-session"), reply.header("x-cortensor-task")), (Some("0"), Some("1")));
    assert_eq!((&chat["object"], &chat["model"]), (&json!("chat.completion"), &json!("tiny")));
    assert_eq!(
        chat["choices"],
        json!([{"index":0,"message":{"role":"assistant","content":"one two","refusal":null},"logprobs":null,"finish_reason":"length"}])
    );
    assert_eq!(chat["usage"], json!({"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}));
    let completion = server.post("/v1/completions", r#"{"prompt":["a b"],"echo":true}"#).await.json();
    assert_eq!(
        (&completion["object"], &completion["choices"][0]["text"]),
        (&json!("text_completion"), &json!("a ba b"))
    );
    let ids = [&chat["id"], &completion["id"]].map(|id| id.as_str().unwrap());
    assert!(ids[0].starts_with("chatcmpl-") && ids[1].starts_with("cmpl-"), "{ids:?}");
    assert_ne!(ids[0].trim_start_matches("chat"), ids[1]);
}

#[tokio::test]
async fn a_stream_begins_with_the_role_and_ends_with_the_usage_where_it_is_wanted() {
    let server = with_words().await;
    let with = |more: &str| CHAT.replace("\"temperature\":0.5", more);
    let reply = server.post("/v1/chat/completions", &with(r#""stream":true"#)).await;
    assert_eq!((reply.header("x-cortensor-task"), reply.header("x-accel-buffering")), (Some("1"), Some("no")));
    let deltas: Vec<_> = reply.chunks().iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
    assert_eq!(
        deltas,
        [json!({"role":"assistant","content":""}), json!({"content":"one "}), json!({"content":"two"}), json!({})]
    );
    let last = reply.chunks().pop().unwrap();
    assert_eq!((&last["choices"][0]["finish_reason"], last.get("usage")), (&json!("length"), None));
    let reply =
        server.post("/v1/chat/completions", &with(r#""stream":true,"stream_options":{"include_usage":true}"#)).await;
    let last = reply.chunks().pop().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(5)));
    let reply = server.post("/v1/completions", r#"{"prompt":"a b","stream":true}"#).await;
    let texts: Vec<_> = reply.chunks().iter().map(|chunk| chunk["choices"][0]["text"].clone()).collect();
    assert_eq!(texts, ["a ", "b", ""]);
}

#[tokio::test]
async fn the_session_is_the_headers_or_the_models() {
    let server = with_words().await;
    let spec = SessionSpec::default().name("mine").model(Some("tiny".into()));
    let session = server.router.create_session(spec).await.unwrap();
    let id = session.id.0.to_string();
    let sid = &session.sid;
    let chat = |model: &str| CHAT.replace("\"tiny\"", &format!("\"{model}\""));
    for header in [id.as_str(), sid] {
        let headers = format!("{DEV}X-Cortensor-Session: {header}\r\n");
        let reply = server.send("POST", "/v1/chat/completions", &headers, CHAT).await;
        assert_eq!(reply.header("x-cortensor-session"), Some(id.as_str()), "{}", reply.body);
    }
    let reply = server.post("/v1/chat/completions", &chat(&format!("session-{id}"))).await;
    assert_eq!(
        (reply.header("x-cortensor-session"), reply.json()["model"].as_str()),
        (Some(id.as_str()), Some("tiny"))
    );
    let reply = server.post("/v1/chat/completions", &chat("session-99")).await;
    assert_eq!(reply.error(), (404, "not_found_error".into(), "session_not_found".into()));
}

#[tokio::test]
async fn models_are_listed_and_shown_also_those_with_slashes() {
    let server = with_words().await;
    server.router.add_miner(MinerSpec::new("two", 1).models(["org/big model"]), |_| {}).unwrap();
    let list = server.get("/v1/models").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!((list["object"].as_str(), ids), (Some("list"), vec!["org/big model", "tiny"]));
    let one = server.get("/v1/models/org/big%20model").await;
    assert_eq!((one.status, &one.json()), (200, &list["data"][0]));
    assert_eq!(server.get("/v1/models/none").await.error(), (404, "not_found_error".into(), "model_not_found".into()));
    assert_eq!(server.get("/v1/models/%FF").await.status, 400);
    let empty = Server::open(Config::default()).await;
    assert_eq!(empty.get("/v1/models").await.json(), json!({"object":"list","data":[]}));
}

#[tokio::test]
async fn a_miner_that_embeds_answers_with_json() {
    let server = Server::open(Config::default()).await;
    let spec = MinerSpec::new("vectors", 1).embeddings(true);
    let embed = |job: cortensor_router::miner::Job| {
        let count = serde_json::from_str::<Vec<Value>>(job.request().input.as_ref().unwrap().get()).unwrap().len();
        job.finish(Answer::default().text(json!(vec![[0.25, 1.0]; count]).to_string()));
    };
    server.router.add_miner(spec, embed).unwrap();
    let reply = server.post("/v1/embeddings", r#"{"input":["a","b"],"stream":true}"#).await.json();
    assert_eq!(reply["data"][1], json!({"object":"embedding","index":1,"embedding":[0.25,1.0]}));
    let packed = server.post("/v1/embeddings", r#"{"input":["a"],"encoding_format":"base64"}"#).await.json();
    assert_eq!(packed["data"][0]["embedding"], "AACAPgAAgD8=");
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_answer_and_one_task() {
    let server = with_words().await;
    let headers = format!("{DEV}Idempotency-Key: k1\r\n");
    let send = |path: &'static str, body: &'static str| server.send("POST", path, &headers, body);
    let (first, again) = (send("/v1/chat/completions", CHAT).await, send("/v1/chat/completions", CHAT).await);
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("x-cortensor-task"), Some("1"));
    let other = send("/v1/chat/completions", r#"{"messages":[{"role":"user","content":"else"}]}"#).await;
    assert_eq!(other.error().0, 422);
    // An idempotency key belongs to its route.
    assert_eq!(send("/v1/completions", r#"{"prompt":"x"}"#).await.status, 200);
}

#[tokio::test]
async fn a_model_is_what_answered_whole_and_streamed_and_every_miner_can_be_picked() {
    let server = Server::open(Config::default().echo(true)).await;
    let listed = || async {
        let list = server.get("/v1/models").await.json();
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ["echo"]);
    assert_eq!(server.get("/v1/models/echo").await.json()["id"], "echo");
    let named = |asked: &'static str| {
        let server = &server;
        async move {
            let model = if asked.is_empty() { String::new() } else { format!(r#""model":"{asked}","#) };
            let body = |more: &str| format!(r#"{{{model}"messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
            let whole =
                server.post("/v1/chat/completions", &body("")).await.json()["model"].as_str().unwrap().to_owned();
            let stream = server.post("/v1/chat/completions", &body(r#","stream":true"#)).await;
            let events = stream.body.lines().filter_map(|line| line.strip_prefix("data: {"));
            for event in events {
                let event: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
                assert_eq!(event["model"], whole.as_str(), "{}", stream.body);
            }
            whole
        }
    };
    assert_eq!(
        (named("").await.as_str(), named("echo").await.as_str(), named("gpt").await.as_str()),
        ("echo", "echo", "echo")
    );
    server
        .router
        .add_miner(MinerSpec::new("words", 8).models(["tiny:latest"]), |job: cortensor_router::miner::Job| {
            job.emit("x");
            job.finish(Answer::default());
        })
        .unwrap();
    assert_eq!(listed().await, ["echo", "tiny:latest"]);
    assert_eq!(server.get("/v1/models/tiny").await.json()["id"], "tiny:latest");
    assert_eq!((named("tiny").await, named("tiny:latest").await), ("tiny:latest".to_owned(), "tiny:latest".to_owned()));
    let asked = server.post("/api/v1/completions", r#"{"prompt":"hi","model":"tiny"}"#).await.json();
    assert_eq!(asked["model"], "tiny", "/api repeats what was asked");
}
