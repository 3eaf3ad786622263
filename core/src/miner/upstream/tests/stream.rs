//! Streams.

use super::*;
use crate::miner::FailClass;
use crate::miner::recorder::within;
use crate::model::{FinishReason, RequestKind, Usage};
use cortensor_router_testkit::mock::{Step, chunk, json, sse_head};

const ROLE: &str = r#"{"id":"c","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
const ONE: &str = r#"{"choices":[{"index":0,"delta":{"content":"żółw"},"finish_reason":null}]}"#;
const TWO: &str = r#"{"choices":[{"index":0,"delta":{"content":" 🐢"},"finish_reason":null}],"usage":null}"#;
const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}"#;

fn events(events: &[&str]) -> String {
    events.iter().fold(String::new(), |text, event| text + "data: " + event + "\n\n")
}

fn whole() -> String {
    events(&[ROLE, ONE, TWO, END, USAGE, "[DONE]"])
}

#[tokio::test]
async fn pieces_pass_on_as_they_came() {
    let mut body = sse_head(true);
    body.extend(chunk(&whole()));
    body.extend(b"0\r\n\r\n");
    let mock = Mock::saying(&[&body]).await;
    let sink = offer(&miner(&mock), chat(), true);
    let answer = sink.end().await.unwrap();
    assert_eq!(sink.text(), "żółw 🐢");
    let chunks = sink.chunks();
    let raws: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.raw.as_deref().unwrap()).collect();
    assert_eq!(raws, [ROLE, ONE, TWO, END].map(str::as_bytes));
    assert_eq!(answer.text, "");
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert_eq!(answer.usage, Usage::new(4, 2));
    assert_eq!(answer.model.as_deref(), Some("m"));
    assert_eq!(answer.raw, None);
    let body = &mock.seen()[0].body;
    assert!(body.contains(r#""stream":true,"stream_options":{"include_usage":true}"#), "{body}");
}

#[tokio::test]
async fn usage_passes_on_where_the_client_asked_for_it() {
    let body = [sse_head(false), whole().into_bytes()].concat();
    let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Close]).await;
    let request: TaskRequest =
        serde_json::from_str(r#"{"messages":[],"stream_options":{"include_usage":true}}"#).unwrap();
    let sink = offer(&miner(&mock), request.kind(RequestKind::Chat), true);
    assert_eq!(sink.end().await.unwrap().usage, Usage::new(4, 2));
    assert_eq!(sink.chunks().last().unwrap().raw.as_deref(), Some(USAGE.as_bytes()));
}

#[tokio::test]
async fn a_byte_at_a_time_reads_the_same() {
    let mut steps = vec![Step::Send(sse_head(false))];
    steps.extend(whole().bytes().map(|byte| Step::Send(vec![byte])));
    steps.push(Step::Close);
    let mock = Mock::new(move |_| steps.clone()).await;
    let sink = offer(&miner(&mock), chat(), true);
    sink.end().await.unwrap();
    assert_eq!((sink.text().as_str(), sink.chunks().len()), ("żółw 🐢", 4));
}

#[tokio::test]
async fn a_piece_is_not_held_back_for_the_next() {
    let mock = Mock::new(|_| {
        let mut steps = vec![Step::Send(sse_head(true))];
        for event in [ONE, TWO] {
            steps.extend([Step::Send(chunk(&events(&[event]))), Step::Wait]);
        }
        steps.push(Step::Send(chunk(&events(&[END, "[DONE]"]))));
        steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
        steps
    })
    .await;
    let sink = offer(&miner(&mock), chat(), true);
    sink.pieces(1).await;
    assert_eq!(sink.text(), "żółw");
    mock.go_on();
    sink.pieces(2).await;
    assert_eq!(sink.text(), "żółw 🐢");
    assert!(!sink.has_ended());
    mock.go_on();
    sink.end().await.unwrap();
}

/// The end of a chunked body may come after `[DONE]`. The answer must not wait for it; the connection must.
#[tokio::test]
async fn a_stream_s_connection_is_used_again() {
    let mock = Mock::new(|seen| {
        if !seen.body.contains("stream") {
            return vec![Step::Send(json("200 OK", r#"{"choices":[{"message":{"content":"x"}}]}"#))];
        }
        vec![Step::Send(sse_head(true)), Step::Send(chunk(&whole())), Step::Wait, Step::Send(b"0\r\n\r\n".to_vec())]
    })
    .await;
    let miner = miner(&mock);
    offer(&miner, chat(), true).end().await.unwrap();
    assert_eq!(miner.shared.pool.idle(), 0);
    mock.go_on();
    within(async {
        while miner.shared.pool.idle() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    offer(&miner, chat(), false).end().await.unwrap();
    assert_eq!((mock.seen().len(), mock.connections()), (2, 1));
}

#[tokio::test]
async fn a_slow_reader_slows_the_upstream() {
    let mut body = sse_head(true);
    body.extend(chunk(&whole()));
    body.extend(b"0\r\n\r\n");
    let mock = Mock::saying(&[&body]).await;
    let sink = Recorder::with_room(2);
    miner(&mock).offer(sink.job(chat(), true));
    sink.pieces(2).await;
    tokio::task::yield_now().await;
    assert_eq!(sink.chunks().len(), 2);
    sink.read(usize::MAX);
    sink.end().await.unwrap();
    assert_eq!(sink.text(), "żółw 🐢");
}

#[tokio::test]
async fn an_end_without_a_blank_line_or_done_is_an_end() {
    for tail in [events(&[END]), events(&["[DONE]"]), format!("data: {END}"), "data: [DONE]".to_owned()] {
        let body = [sse_head(false), (events(&[ONE]) + &tail).into_bytes()].concat();
        let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Close]).await;
        let sink = offer(&miner(&mock), chat(), true);
        sink.end().await.unwrap();
        assert_eq!(sink.text(), "żółw", "{tail}");
    }
}

#[tokio::test]
async fn an_early_end_is_a_failure() {
    let cut = &ONE[..40];
    let cases = [
        [sse_head(false), events(&[ONE]).into_bytes()].concat(),
        [sse_head(true), chunk(&events(&[ONE]))].concat(),
        [sse_head(true), chunk(&events(&[ONE])), b"0\r\n\r\n".to_vec()].concat(),
        [sse_head(false), format!("{}data: {cut}", events(&[ONE])).into_bytes()].concat(),
    ];
    for body in cases {
        let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Close]).await;
        let sink = offer(&miner(&mock), chat(), true);
        let failure = sink.end().await.unwrap_err();
        assert_eq!(failure.class, FailClass::Internal);
        assert!(failure.message.contains("the upstream up ended before its finish_reason"), "{}", failure.message);
        assert_eq!(sink.text(), "żółw");
    }
}

#[tokio::test]
async fn an_error_in_the_stream_is_a_failure() {
    let error = r#"{"error":{"code":503,"message":"out of slots"}}"#;
    let body = [sse_head(false), events(&[ONE, error, "[DONE]"]).into_bytes()].concat();
    let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Close]).await;
    let failure = offer(&miner(&mock), chat(), true).end().await.unwrap_err();
    assert_eq!((failure.class, failure.raw.as_deref()), (FailClass::Overloaded, Some(error.as_bytes())));
}

#[tokio::test]
async fn garbage_in_the_stream_is_a_failure() {
    let body = [sse_head(false), b"data: <html>\n\n".to_vec()].concat();
    let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Hang]).await;
    let failure = offer(&miner(&mock), chat(), true).end().await.unwrap_err();
    assert_eq!(failure.class, FailClass::Unreadable);
    assert!(failure.message.contains("<html>"), "{}", failure.message);
    mock.hung_up().await;
}

#[tokio::test]
async fn streamed_tool_calls_are_kept_whole() {
    let first = r#"{"id":"c","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\""}}]}}]}"#;
    let second = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}"#;
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
    let body = [sse_head(false), events(&[first, second, end, "[DONE]"]).into_bytes()].concat();
    let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Close]).await;
    let answer = offer(&miner(&mock), chat(), true).end().await.unwrap();
    let raw: serde_json::Value = serde_json::from_slice(&answer.raw.unwrap()).unwrap();
    let call = &raw["choices"][0]["message"]["tool_calls"][0];
    assert_eq!((call["id"].as_str(), call["function"]["arguments"].as_str()), (Some("t"), Some(r#"{"a":1}"#)));
}

#[test]
fn a_stream_that_never_pauses_leaves_others_their_turn() {
    // The runtime polls sockets and the test's task only after this many polls of other tasks.
    const POLLS: usize = 4;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(POLLS as u32).build().unwrap();
    runtime.block_on(async {
        let flood = events(&vec![ONE; 20_000]) + &events(&[END, "[DONE]"]);
        let body = [sse_head(false), flood.into_bytes()].concat();
        let mock = Mock::new(move |_| vec![Step::Send(body.clone()), Step::Close]).await;
        let sink = offer(&miner(&mock), chat(), true);
        // Counts the pieces that pass between two turns of another task on the same thread.
        let (mut before, mut most) = (0, 0);
        while !sink.has_ended() {
            let now = sink.count();
            most = most.max(now - before);
            before = now;
            tokio::task::yield_now().await;
        }
        sink.end().await.unwrap();
        assert_eq!(sink.count(), 20_001);
        assert!(most <= 100 * POLLS, "{most} pieces passed while another task waited");
    });
}
