//! Whole answers.

use super::*;
use crate::miner::FailClass;
use crate::model::{FinishReason, RequestKind, Usage};
use cortensor_router_testkit::mock::{Step, json};

const CHAT: &str = r#"{"id":"x","object":"chat.completion","model":"served","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},"finish_reason":"length"},{"index":1,"message":{"content":"Other"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

#[tokio::test]
async fn a_chat_is_answered_whole() {
    let mock = Mock::saying(&[&json("200 OK", CHAT)]).await;
    let config = UpstreamConfig {
        api_key: Some("sk-1".into()),
        aliases: [("small".to_owned(), "org/real".to_owned())].into(),
        ..UpstreamConfig::new(&mock.url)
    };
    let request = chat().model("small").max_tokens(9);
    let sink = offer(&miner_of(config), request, false);
    let answer = sink.end().await.unwrap();
    assert_eq!(answer.text, "Hello!");
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert_eq!(answer.usage, Usage::new(5, 2));
    assert_eq!(answer.model.as_deref(), Some("served"));
    assert_eq!(answer.raw.as_deref(), Some(CHAT.as_bytes()));
    assert!(sink.chunks().is_empty());

    let seen = &mock.seen()[0];
    assert!(seen.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", seen.head);
    for header in ["authorization: Bearer sk-1", "content-type: application/json", "host: 127.0.0.1:"] {
        assert!(seen.head.contains(header), "{header} in {}", seen.head);
    }
    assert_eq!(seen.body, r#"{"model":"org/real","messages":[{"role":"user","content":"Hi"}],"max_tokens":9}"#);
}

#[tokio::test]
async fn one_connection_serves_one_job_after_the_other() {
    let mock = Mock::saying(&[&json("200 OK", CHAT)]).await;
    let miner = miner(&mock);
    for _ in 0..5 {
        offer(&miner, chat(), false).end().await.unwrap();
    }
    assert_eq!((mock.seen().len(), mock.connections()), (5, 1));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let mock = Mock::new(|_| vec![Step::Send(json("200 OK", CHAT)), Step::Close]).await;
    let miner = miner(&mock);
    for _ in 0..5 {
        assert_eq!(offer(&miner, chat(), false).end().await.unwrap().text, "Hello!");
    }
    assert_eq!((mock.seen().len(), mock.connections()), (5, 5));
}

/// The server closes the idle connection at the moment at which the next request is sent.
#[tokio::test]
async fn a_request_that_meets_a_closing_connection_is_sent_again_once() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let mock = Mock::new(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        1 => vec![Step::Close],
        _ => vec![Step::Send(json("200 OK", CHAT))],
    })
    .await;
    let miner = miner(&mock);
    offer(&miner, chat(), false).end().await.unwrap();
    assert_eq!(offer(&miner, chat(), false).end().await.unwrap().text, "Hello!");
    assert_eq!((mock.seen().len(), mock.connections()), (3, 2));
}

#[tokio::test]
async fn a_body_in_many_frames_is_put_together() {
    let long = CHAT.replace("Hello!", &"wörld ".repeat(20_000));
    let mock = Mock::saying(&[&json("200 OK", &long)]).await;
    let answer = offer(&miner(&mock), chat(), false).end().await.unwrap();
    assert_eq!(answer.text, "wörld ".repeat(20_000));
    assert_eq!(answer.raw.as_deref(), Some(long.as_bytes()));
}

#[tokio::test]
async fn prompts_go_where_their_type_says() {
    let text = r#"{"choices":[{"index":0,"text":" 4","finish_reason":"stop"}]}"#;
    let mock = Mock::saying(&[&json("200 OK", text)]).await;
    let miner = miner(&mock);
    let raw = TaskRequest::completion("1 2 3").prompt_type(1);
    assert_eq!(offer(&miner, raw, false).end().await.unwrap().text, " 4");
    offer(&miner, TaskRequest::completion("count"), false).end().await.unwrap();
    let seen = mock.seen();
    assert!(seen[0].head.starts_with("POST /v1/completions "));
    assert_eq!(seen[0].body, r#"{"prompt":"1 2 3"}"#);
    assert!(seen[1].head.starts_with("POST /v1/chat/completions "));
    assert_eq!(seen[1].body, r#"{"messages":[{"role":"user","content":"count"}]}"#);
}

#[tokio::test]
async fn tool_calls_have_no_text_and_pass_in_the_raw_answer() {
    let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let mock = Mock::saying(&[&json("200 OK", body)]).await;
    let answer = offer(&miner(&mock), chat(), false).end().await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("", FinishReason::ToolCalls));
    assert_eq!(answer.raw.as_deref(), Some(body.as_bytes()));
}

#[tokio::test]
async fn embeddings_pass_whole() {
    let body = r#"{"object":"list","data":[{"embedding":[0.1,0.2],"index":0}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let mock = Mock::saying(&[&json("200 OK", body)]).await;
    let request = serde_json::from_str::<TaskRequest>(r#"{"input":"a"}"#).unwrap().kind(RequestKind::Embedding);
    let answer = offer(&miner(&mock), request, false).end().await.unwrap();
    assert_eq!(answer.raw.as_deref(), Some(body.as_bytes()));
    assert_eq!(answer.usage, Usage::default().prompt_tokens(3).completion_tokens(0).total_tokens(3));
    assert!(mock.seen()[0].head.starts_with("POST /v1/embeddings "));
}

#[tokio::test]
async fn an_answer_over_the_bound_is_cut_and_vectors_are_refused() {
    let limits = LimitsConfig { max_output_bytes: 100, ..LimitsConfig::default() };
    let text = "word ".repeat(40_000);
    let body = format!(r#"{{"choices":[{{"index":0,"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#);
    let mock = Mock::saying(&[&json("200 OK", &body)]).await;
    let miner = UpstreamMiner::new(UpstreamConfig::new(&mock.url), &limits).unwrap();
    let answer = offer(&miner, chat(), false).end().await.unwrap();
    assert_eq!((answer.finish_reason, answer.raw), (FinishReason::Length, None));
    assert!(answer.text.len() > 100 && text.starts_with(&*answer.text));

    let body = format!(r#"{{"data":[{{"embedding":[{}1]}}]}}"#, "0.5,".repeat(50_000));
    let mock = Mock::saying(&[&json("200 OK", &body)]).await;
    let miner = UpstreamMiner::new(UpstreamConfig::new(&mock.url), &limits).unwrap();
    let request = serde_json::from_str::<TaskRequest>(r#"{"input":"a"}"#).unwrap().kind(RequestKind::Embedding);
    let failure = offer(&miner, request, false).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Unreadable);
    assert!(failure.message.contains("limits.max_output_bytes"), "{}", failure.message);
}

#[tokio::test]
async fn a_server_that_does_not_stream_gives_one_piece() {
    let mock = Mock::saying(&[&json("200 OK", CHAT)]).await;
    let sink = offer(&miner(&mock), chat(), true);
    assert_eq!(sink.end().await.unwrap().text, "Hello!");
    assert_eq!(sink.text(), "Hello!");
}
