//! The parts of an answer beside its text, in OpenAI's shapes, from miners of the host program.

use cortensor_router::Config;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, Delta, FinishReason, MinerSpec, Parts, ToolCall};
use serde_json::{Value, json};

use cortensor_router_testkit::Server;

const CHAT: &str = r#"{"messages":[{"role":"user","content":"sum"}]}"#;

fn streamed(more: &str) -> String {
    CHAT.replace("\"messages\"", &format!("\"stream\":true,{more}\"messages\""))
}

async fn with_miner(work: impl Fn(Job) + Send + Sync + 'static) -> Server {
    let server = Server::open(Config::default()).await;
    server.router.add_miner(MinerSpec::new("agent", 8).models(["tiny"]), work).unwrap();
    server
}

fn called() -> Parts {
    Parts::default().reasoning("hm").tool_calls(vec![ToolCall::new("a", "add", r#"{"x":1}"#)])
}

/// Gives all parts at once.
fn whole(job: Job) {
    let finish_reason = FinishReason::ToolCalls;
    job.finish(Answer::default().text("So:").parts(Some(Box::new(called()))).finish_reason(finish_reason));
}

/// Gives the parts piece by piece.
fn pieces(job: Job) {
    let (thought, calls) = (
        Delta::default().reasoning("hm"),
        serde_json::from_value::<Vec<_>>(json!([
            {"index":0,"id":"a","type":"function","function":{"name":"add","arguments":"{\"x\""}},
            {"index":0,"function":{"arguments":":1}"}},
        ])),
    );
    job.emit(thought);
    job.emit("So:");
    for call in calls.unwrap() {
        job.emit(Delta::default().tool_calls(vec![call]));
    }
    job.finish(Answer::default().finish_reason(FinishReason::ToolCalls));
}

/// Puts the deltas of a stream together, as a client does. Every chunk must have OpenAI's head.
fn together(chunks: &[Value]) -> (String, String, String, Option<String>) {
    let (mut text, mut reasoning, mut arguments, mut reason) = (String::new(), String::new(), String::new(), None);
    let first = &chunks[0];
    for chunk in chunks {
        for name in ["id", "object", "created", "model"] {
            assert!(chunk[name] == first[name] && !chunk[name].is_null(), "{name} in {chunk}");
        }
        let Some(choice) = chunk["choices"].get(0) else { continue };
        let delta = &choice["delta"];
        text += delta["content"].as_str().unwrap_or_default();
        reasoning += delta["reasoning_content"].as_str().unwrap_or_default();
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            assert_eq!(call["index"], 0);
            arguments += call["function"]["arguments"].as_str().unwrap_or_default();
        }
        reason = choice["finish_reason"].as_str().map(str::to_owned).or(reason);
    }
    (text, reasoning, arguments, reason)
}

#[tokio::test]
async fn tools_and_reasoning_are_openais_whole_and_streamed() {
    for work in [whole as fn(Job), pieces] {
        let server = with_miner(work).await;
        let reply = server.post("/v1/chat/completions", CHAT).await.json();
        assert_eq!(
            reply["choices"],
            json!([{"index":0,"message":{"role":"assistant","content":"So:","refusal":null,"reasoning_content":"hm",
                "tool_calls":[{"id":"a","type":"function","function":{"name":"add","arguments":"{\"x\":1}"}}]},
                "logprobs":null,"finish_reason":"tool_calls"}])
        );
        assert_eq!(reply["object"], "chat.completion");
        assert!(reply["id"].as_str().unwrap().starts_with("chatcmpl-"), "{reply}");
        assert!(reply["created"].as_u64().unwrap() > 0 && !reply["model"].as_str().unwrap().is_empty(), "{reply}");
        assert!(reply["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{reply}");
        for usage in ["", r#""stream_options":{"include_usage":true},"#] {
            let chunks = server.post("/v1/chat/completions", &streamed(usage)).await.chunks();
            let (text, reasoning, arguments, reason) = together(&chunks);
            assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role":"assistant","content":""}));
            assert_eq!((text.as_str(), reasoning.as_str(), arguments.as_str()), ("So:", "hm", r#"{"x":1}"#));
            assert_eq!(reason.as_deref(), Some("tool_calls"));
            let told = chunks.iter().filter(|chunk| chunk["usage"].is_object()).count();
            assert_eq!(told, usize::from(!usage.is_empty()));
        }
    }
}

#[tokio::test]
async fn a_completion_and_the_routes_of_cortensor_have_the_text_alone() {
    for work in [whole as fn(Job), pieces] {
        let server = with_miner(work).await;
        let reply = server.post("/v1/completions", r#"{"prompt":"sum"}"#).await.json();
        assert_eq!(
            (&reply["object"], &reply["choices"][0]["text"]),
            (&json!("text_completion"), &json!("So:")),
            "{reply}"
        );
        let chunks = server.post("/v1/completions", r#"{"prompt":"sum","stream":true}"#).await.chunks();
        let texts: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
        assert_eq!(texts, "So:");
        assert!(chunks.iter().all(|chunk| chunk["choices"][0].get("delta").is_none()), "{chunks:?}");
        let reply = server.post("/api/v1/completions", r#"{"prompt":"sum","session_id":0}"#).await.json();
        assert_eq!(reply["choices"][0]["text"], "So:", "{reply}");
        assert!(reply["choices"][0]["message"].get("tool_calls").is_none(), "{reply}");
    }
}

#[tokio::test]
async fn a_call_without_a_word_has_null_for_its_content() {
    let server = with_miner(|job: Job| {
        let parts = called().reasoning(String::new());
        job.finish(Answer::default().parts(Some(Box::new(parts))));
    })
    .await;
    let message = &server.post("/v1/chat/completions", CHAT).await.json()["choices"][0]["message"];
    assert_eq!((&message["content"], &message["tool_calls"][0]["id"]), (&Value::Null, &json!("a")));
    assert!(message.get("reasoning_content").is_none(), "{message}");
}

#[tokio::test]
async fn an_embedding_that_is_no_vector_goes_to_another_miner() {
    let server = Server::open(Config::default()).await;
    let spec = |name: &str| MinerSpec::new(name, 1).embeddings(true);
    server.router.add_miner(spec("words"), |job: Job| job.finish(Answer::default().text("hello"))).unwrap();
    let reply = server.post("/v1/embeddings", r#"{"input":"a"}"#).await;
    let (status, _, code) = reply.error();
    assert_eq!((status, code.as_str()), (502, "miner_failed"), "{}", reply.body);
    assert!(reply.body.contains("answered an embedding with text"), "{}", reply.body);
    server.router.add_miner(spec("vectors"), |job: Job| job.finish(Answer::default().text("[1,2]"))).unwrap();
    for _ in 0..4 {
        let reply = server.post("/v1/embeddings", r#"{"input":"a"}"#).await.json();
        assert_eq!(reply["data"][0]["embedding"], json!([1.0, 2.0]), "{reply}");
    }
}
