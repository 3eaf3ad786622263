//! An idempotency key joins requests that ask for the same work, and no others, by every family's words.

use cortensor_router::Config;
use cortensor_router::config::{UpstreamApi, UpstreamConfig};
use cortensor_router::model::MinerSpec;
use cortensor_router_testkit::miners::words;
use cortensor_router_testkit::server::{DEV, Reply};
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};
use serde_json::{Value, json};

use super::servers::families;

/// A family's route, a body of it, members that make it other work, and members that only say how it is read.
struct Family {
    route: &'static str,
    body: Value,
    others: Vec<Value>,
    readings: Vec<Value>,
}

/// A body with these members in the place of its own.
fn with(body: &Value, members: &Value) -> String {
    let mut body = body.clone();
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body.to_string()
}

/// Bodies that differ from `body` in one value alone, at every depth.
fn changed(body: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                for other in changed(value) {
                    all.push(body.clone());
                    all.last_mut().unwrap()[name] = other;
                }
            }
        }
        Value::Array(elements) => {
            for (place, value) in elements.iter().enumerate() {
                for other in changed(value) {
                    all.push(body.clone());
                    all.last_mut().unwrap()[place] = other;
                }
            }
        }
        Value::String(text) => all.push(format!("{text}x").into()),
        Value::Number(_) => all.push(json!(77)),
        Value::Bool(value) => all.push((!value).into()),
        Value::Null => all.push("x".into()),
    }
    all
}

fn tables() -> Vec<Family> {
    let times = || vec![json!({"timeout": 50}), json!({"precommit_timeout": 50})];
    let streams = |more: &[Value]| [&times()[..], &[json!({"stream": true})], more].concat();
    let function = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    vec![
        Family {
            route: "/v1/chat/completions",
            body: json!({"model": "up-model", "messages": [{"role": "user", "content": "q"}], "tools": [function],
                         "temperature": 0.5, "max_tokens": 9, "a_newer_member": {"a": [1]}}),
            others: vec![json!({"n": 2}), json!({"seed": 1}), json!({"store": true}), json!({"priority": 3})],
            readings: streams(&[json!({"stream": true, "stream_options": {"include_usage": true}})]),
        },
        Family {
            route: "/v1/messages",
            body: json!({"model": "up-model", "max_tokens": 900, "thinking": {"type": "enabled", "budget_tokens": 99},
                         "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
                         "messages": [{"role": "user", "content": "q"},
                                      {"role": "assistant", "content": [
                                          {"type": "thinking", "thinking": "t", "signature": "s"},
                                          {"type": "text", "text": "a", "citations": [{"cited_text": "x"}]}]},
                                      {"role": "user", "content": "and?"}],
                         "tools": [{"name": "f", "input_schema": {"type": "object"}},
                                   {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
                         "betas": ["b"], "service_tier": "auto", "metadata": {"user_id": "u"}}),
            others: vec![
                json!({"container": "c"}),
                json!({"cache_control": {"type": "ephemeral"}}),
                json!({"context_management": {"edits": []}}),
                json!({"inference_geo": "eu"}),
                json!({"top_k": 3}),
                json!({"a_newer_member": 1}),
            ],
            readings: streams(&[]),
        },
        Family {
            route: "/v1/responses",
            body: json!({"model": "up-model", "instructions": "i", "include": ["web_search_call.action.sources"],
                         "input": [{"role": "user", "content": [{"type": "input_text", "text": "q"}]},
                                   {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "e"},
                                   {"type": "message", "role": "assistant", "phase": "p", "content": "a"}],
                         "tools": [{"type": "function", "name": "f"},
                                   {"type": "web_search", "search_context_size": "low", "filters": {"a": ["b"]}}],
                         "prompt_cache_retention": "24h", "client_metadata": {"a": "b"}, "metadata": {"a": "b"},
                         "text": {"verbosity": "low"}}),
            others: vec![
                json!({"prompt_cache_options": {"a": 1}}),
                json!({"context_management": [{"type": "compaction"}]}),
                json!({"store": false}),
                json!({"background": true}),
                json!({"temperature": 0.5}),
                json!({"a_newer_member": 1}),
            ],
            readings: streams(&[json!({"stream": true, "stream_options": {"include_obfuscation": false}})]),
        },
        Family {
            route: "/v1/rerank",
            body: json!({"model": "up-model", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}),
            others: vec![json!({"return_documents": true})],
            readings: times(),
        },
        Family {
            route: "/v1/audio/speech",
            body: json!({"model": "up-model", "input": "hi", "voice": "alloy"}),
            // The answer is the server's bytes, which are others where it streams them.
            others: vec![json!({"stream": true}), json!({"stream_options": {}}), json!({"speed": 2})],
            readings: times(),
        },
        Family {
            route: "/v1/images/generations",
            body: json!({"model": "up-model", "prompt": "a cat", "n": 2}),
            others: vec![json!({"stream": true}), json!({"size": "1x1"})],
            readings: times(),
        },
        Family {
            route: "/v1/moderations",
            body: json!({"model": "up-model", "input": ["a", {"type": "text", "text": "b"}]}),
            others: vec![json!({"a_newer_member": 1})],
            readings: times(),
        },
        Family {
            route: "/v1/responses/compact",
            body: json!({"model": "up-model", "input": [{"role": "user", "content": "q"}], "instructions": "i"}),
            others: vec![json!({"a_newer_member": 1})],
            readings: times(),
        },
        Family {
            route: "/api/v2/delegate",
            body: json!({"objective": "o", "input": "i", "policy": "fast", "metadata": {"a": "b"},
                         "execution": {"temperature": 0.5}}),
            others: vec![json!({"execution": {"temperature": 0.5, "max_tokens": 5}}), json!({"workflow": {"a": 1}})],
            readings: [&times()[..], &[json!({"execution": {"temperature": 0.5, "timeout": 50}})]].concat(),
        },
        Family {
            route: "/api/v3/delegate",
            body: json!({"objective": "o", "consensus": {"replicas": 1, "disagreement_policy": "return_all"}}),
            others: vec![json!({"consensus": {"replicas": 1, "disagreement_policy": "best_effort"}})],
            readings: times(),
        },
        Family {
            route: "/api/v2/validate",
            body: json!({"claim": "c", "context": "x", "metadata": {"a": "b"}}),
            others: vec![json!({"policy": "safe"})],
            readings: times(),
        },
        Family {
            route: "/api/v1/factcheck",
            body: json!({"claim": "c", "mode": "standard"}),
            others: vec![json!({"temperature": 0.5})],
            readings: times(),
        },
    ]
}

/// An upstream that answers every route, as a server of chats or of the API that it is asked by.
async fn upstream() -> Upstream {
    let chat = r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"VERDICT: VALID"},"finish_reason":"stop"}]}"#;
    let known = families();
    Upstream::new(move |path, _| match known.iter().find(|(_, route, ..)| *route == path) {
        Some((_, _, whole, _)) => Say::Json(200, whole.to_string()),
        None if path.ends_with("/chat/completions") => Say::Json(200, chat.to_owned()),
        None => Say::Json(200, r#"{"id":"x","results":[]}"#.to_owned()),
    })
    .await
}

/// A router whose upstream speaks these APIs beside chats, and whose other miners may work together on an order.
async fn before(upstream: &Upstream, also: &[UpstreamApi]) -> Server {
    let server = Server::open(Config::default()).await;
    let mut config = UpstreamConfig::new(&upstream.url).models(vec!["up-model".into()]);
    config.also = also.to_vec();
    server.router.add_upstream(config).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        server.router.add_miner(MinerSpec::new(name, 4), words).unwrap();
    }
    server
}

async fn keyed(server: &Server, route: &str, key: usize, body: &str) -> Reply {
    server.send("POST", route, &format!("{DEV}Idempotency-Key: k{key}\r\n"), body).await
}

#[tokio::test]
async fn a_key_joins_the_same_work_and_refuses_other_work() {
    let upstream = upstream().await;
    for also in [&[][..], &[UpstreamApi::Anthropic, UpstreamApi::Responses]] {
        let server = before(&upstream, also).await;
        for Family { route, body, others, readings } in tables() {
            if route == "/v1/responses/compact" && also.is_empty() {
                continue;
            }
            let first = keyed(&server, route, 0, &body.to_string()).await;
            assert_eq!(first.status, 200, "{route}: {}", first.body);
            let task = first.header("x-request-id").map(str::to_owned);
            for reading in readings.iter().chain([&json!({})]) {
                let again = keyed(&server, route, 0, &with(&body, reading)).await;
                assert_eq!((again.status, again.header("x-request-id")), (200, task.as_deref()), "{route} {reading}");
            }
            let members = others.iter().map(|members| with(&body, members));
            for other in members.chain(changed(&body).iter().map(Value::to_string)) {
                let refused = keyed(&server, route, 0, &other).await;
                // A change may also make the body wrong, or name a model that nobody has.
                assert!(matches!(refused.status, 400 | 404 | 422), "{route} {other}: {}", refused.body);
                let is_same = refused.status == 422 && refused.body.contains("idempotency");
                assert!(is_same || refused.status != 422, "{route} {other}: {}", refused.body);
                if refused.status == 422 {
                    // Under a key of its own it is work.
                    continue;
                }
                let alone = server.post(route, &other).await;
                assert_eq!(alone.status, refused.status, "{route} {other} is wrong in itself: {}", alone.body);
            }
            for members in others {
                let refused = keyed(&server, route, 0, &with(&body, &members)).await;
                assert_eq!(refused.status, 422, "{route} {members}: {}", refused.body);
            }
        }
        server.stop().await;
    }
}
