//! Every field of a request reaches every kind of miner under the caller's own name.

use std::sync::{Arc, Mutex};

use cortensor_router::Config;
use cortensor_router::miner::Job;
use cortensor_router::miner::client::{MinerClient, MinerClientConfig};
use cortensor_router::model::{Answer, MinerSpec};
use serde_json::{Map, Value, json};

use crate::rig::before;
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};

/// Field, value.
fn fields() -> Vec<(&'static str, Value)> {
    vec![
        ("max_tokens", json!(7)),
        ("max_completion_tokens", json!(8)),
        ("stop", json!(["\n", "END"])),
        ("seed", json!(7)),
        ("seed", json!(18_446_744_073_709_551_615_u64)),
        ("n", json!(2)),
        ("tools", json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])),
        ("tool_choice", json!("auto")),
        ("parallel_tool_calls", json!(false)),
        ("response_format", json!({"type": "json_object"})),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(2)),
        ("logit_bias", json!({"50256": -100})),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.9)),
        ("presence_penalty", json!(-0.5)),
        ("reasoning_effort", json!("low")),
        ("user", json!("u")),
        ("metadata", json!({"a": "b"})),
        ("chat_template_kwargs", json!({"enable_thinking": false})),
        ("a_field_of_tomorrow", json!([1, {"x": null}])),
    ]
}

type Seen = Arc<Mutex<Vec<Value>>>;

/// Answers, and keeps the request as a host's callback reads it.
fn keeps(seen: &Seen) -> impl Fn(Job) + Send + Sync + 'static {
    let seen = seen.clone();
    move |job: Job| {
        seen.lock().unwrap().push(serde_json::to_value(job.request()).unwrap());
        job.finish(Answer { text: "x".into(), ..Answer::default() });
    }
}

/// What the miner sees of each field, alone in its request.
async fn drive(server: &Server, seen: impl Fn() -> Value) {
    for (name, value) in fields() {
        let mut body = Map::new();
        body.insert("messages".into(), json!([{"role": "user", "content": "x"}]));
        body.insert(name.into(), value.clone());
        let reply = server.post("/v1/chat/completions", &Value::from(body).to_string()).await;
        // Several choices are for upstreams alone, which the refusal says.
        if name == "n" && reply.status == 400 {
            continue;
        }
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let seen = seen();
        assert_eq!(seen[name], value, "{seen}");
        for other in ["max_tokens", "max_completion_tokens"] {
            assert!(other == name || seen.get(other).is_none(), "{other} was not given: {seen}");
        }
    }
}

#[tokio::test]
async fn a_miner_of_the_host_gets_every_field() {
    let (server, seen) = (Server::open(Config::default()).await, Seen::default());
    server.router.add_miner(MinerSpec::new("host", 1), keeps(&seen)).unwrap();
    drive(&server, || seen.lock().unwrap().pop().unwrap()).await;
}

#[tokio::test]
async fn an_upstream_gets_every_field() {
    let answer =
        r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;
    let upstream = Upstream::new(move |_, _| Say::Json(200, answer.into())).await;
    let server = before(&upstream).await;
    drive(&server, || serde_json::from_str(&upstream.bodies().pop().unwrap()).unwrap()).await;
}

#[tokio::test]
async fn a_miner_that_dials_in_gets_every_field() {
    let (server, seen) = (Server::open(Config::default()).await, Seen::default());
    let config = MinerClientConfig {
        routers: vec![format!("ws://{}", server.address)],
        name: "remote".into(),
        token: "default-dev-token".into(),
        capacity: 1,
        ..MinerClientConfig::default()
    };
    let client = MinerClient::start(config, keeps(&seen)).unwrap();
    while !server.router.miners().iter().any(|miner| miner.active) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    drive(&server, || seen.lock().unwrap().pop().unwrap()).await;
    drop(client);
}
