//! Drives each field of a request through each kind of miner. A parameter of the model's server must arrive under the
//! caller's own name, the input in its place, and a field that the router itself acts on must not leave the router.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use cortensor_router::Config;
use cortensor_router::internals::{FIELDS, Goes};
use cortensor_router::miner::Job;
use cortensor_router::miner::client::{MinerClient, MinerClientConfig};
use cortensor_router::model::{Answer, MinerSpec, ModelDetails};
use serde_json::{Map, Value, json};

use crate::rig::before;
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};

/// Parameters of the model's server, each with a value.
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

/// Fields that the router itself acts on, each with a value.
fn own() -> Vec<(&'static str, Value)> {
    vec![
        ("timeout", json!(9.5)),
        ("precommit_timeout", json!(8.5)),
        ("client_reference", json!("mine")),
        ("max_miners", json!(1)),
        ("priority", json!(3)),
        ("on_failure", json!("continue")),
        ("validation_policy", json!("all")),
        ("match", json!("json")),
        ("min_score", json!(0.5)),
        ("tie_break", json!(true)),
        ("match_tolerance", json!(0.25)),
        ("match_pointers", json!(["/a"])),
        ("match_model", json!("e")),
        ("raw", json!(true)),
    ]
}

/// A field of the input: the route, the body, and the members that a job and an upstream's request get from it.
struct Input {
    field: &'static str,
    route: &'static str,
    body: Value,
    job: Value,
    upstream: Value,
}

fn inputs() -> Vec<Input> {
    let user = |text: &str| json!([{"role": "user", "content": text}]);
    let chat = "/v1/chat/completions";
    let input = |field, route, body: Value, job, upstream| Input { field, route, body, job, upstream };
    vec![
        input("kind", chat, json!({"messages": user("x")}), json!({"kind": "chat"}), json!({"messages": user("x")})),
        input(
            "messages",
            chat,
            json!({"messages": user("y")}),
            json!({"messages": user("y")}),
            json!({"messages": user("y")}),
        ),
        input("prompt", "/v1/completions", json!({"prompt": "p"}), json!({"prompt": "p"}), json!({"prompt": "p"})),
        input("input", "/v1/embeddings", json!({"input": "i"}), json!({"input": "i"}), json!({"input": "i"})),
        input(
            "model",
            chat,
            json!({"messages": user("x"), "model": "up-model"}),
            json!({"model": "up-model"}),
            json!({"model": "up-model"}),
        ),
        input(
            "stream",
            chat,
            json!({"messages": user("x"), "stream": true}),
            json!({"stream": true}),
            json!({"stream": true}),
        ),
        input(
            "prompt_type",
            "/api/v1/completions",
            json!({"prompt": "p", "prompt_type": 1}),
            json!({"prompt": "p", "prompt_type": 1}),
            json!({"prompt": "p"}),
        ),
        input(
            "prompt_template",
            "/api/v1/completions",
            json!({"prompt": "p", "prompt_template": "<{prompt}>"}),
            // An offer on the wire carries the prompt in its template.
            json!({"text": "<p>"}),
            json!({"messages": user("<p>")}),
        ),
    ]
}

/// The kind of miner that works.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Local,
    Upstream,
    Remote,
}

type Seen = Arc<Mutex<Vec<Value>>>;

/// Answers, and records the request as the callback of a host reads it.
fn keeps(seen: &Seen) -> impl Fn(Job) + Send + Sync + 'static {
    let seen = seen.clone();
    move |job: Job| {
        let mut request = serde_json::to_value(job.request()).unwrap();
        request["text"] = job.prompt().into();
        seen.lock().unwrap().push(request);
        job.finish(Answer::default().text("[1.5]"));
    }
}

/// Sends each field alone in a request, and compares it with the record of the miner.
async fn drive(server: &Server, kind: Kind, seen: impl Fn() -> Value) {
    for (name, value) in fields() {
        let mut body = Map::new();
        body.insert("messages".into(), json!([{"role": "user", "content": "x"}]));
        body.insert(name.into(), value.clone());
        let reply = server.post("/v1/chat/completions", &Value::from(body).to_string()).await;
        // Only upstreams support several choices, and the refusal says so.
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
    for (name, value) in own() {
        let body = json!({"messages": [{"role": "user", "content": "x"}], name: value.clone()});
        let reply = server.post("/v1/chat/completions", &body.to_string()).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let wanted = if kind == Kind::Local { Some(&value) } else { None };
        assert_eq!(seen().get(name), wanted, "{name}");
    }
    for Input { field, route, body, job, upstream } in inputs() {
        let reply = server.post(route, &body.to_string()).await;
        assert_eq!(reply.status, 200, "{field}: {}", reply.body);
        let (seen, wanted) = (seen(), if kind == Kind::Upstream { upstream } else { job });
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&seen[name], value, "{field}: {seen}");
        }
    }
}

#[test]
fn every_named_field_is_driven() {
    let of =
        |goes| FIELDS.iter().filter(move |field| field.goes == goes).map(|field| field.name).collect::<BTreeSet<_>>();
    // The tests of webhooks drive theirs, which makes the router call somebody.
    let own: BTreeSet<_> = own().iter().map(|(name, _)| *name).chain(["webhook"]).collect();
    assert_eq!(own, of(Goes::Router));
    assert_eq!(inputs().iter().map(|input| input.field).collect::<BTreeSet<_>>(), of(Goes::Input));
    let parameters: BTreeSet<_> = fields().iter().map(|(name, _)| *name).collect();
    assert!(parameters.is_superset(&of(Goes::Limit)));
}

#[tokio::test]
async fn a_miner_of_the_host_gets_every_field() {
    let (server, seen) = (Server::open(Config::default()).await, Seen::default());
    let spec = MinerSpec::new("host", 1).embeddings(true);
    server.router.add_miner(spec, keeps(&seen)).unwrap();
    drive(&server, Kind::Local, || seen.lock().unwrap().pop().unwrap()).await;
}

#[tokio::test]
async fn an_upstream_gets_every_field() {
    let upstream = Upstream::new(move |path, _| {
        let answer = if path.ends_with("/embeddings") {
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.5]}],"model":"up-model"}"#
        } else {
            r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"text":"x","finish_reason":"stop"}]}"#
        };
        Say::Json(200, answer.into())
    })
    .await;
    let server = before(&upstream).await;
    drive(&server, Kind::Upstream, || serde_json::from_str(&upstream.bodies().pop().unwrap()).unwrap()).await;
}

#[tokio::test]
async fn a_miner_that_dials_in_gets_every_field() {
    let (server, seen) = (Server::open(Config::default()).await, Seen::default());
    let config = MinerClientConfig::default()
        .routers([format!("ws://{}", server.address)])
        .name("remote")
        .token("default-dev-token")
        .capacity(1)
        .models(["up-model"])
        .model_details(vec![ModelDetails::default().id("up-model").embeddings(true)]);
    let client = MinerClient::start(config, keeps(&seen)).unwrap();
    while !server.router.miners().iter().any(|miner| miner.active) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    drive(&server, Kind::Remote, || seen.lock().unwrap().pop().unwrap()).await;
    drop(client);
}
