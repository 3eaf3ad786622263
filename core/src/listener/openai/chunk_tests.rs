//! Streams in OpenAI's shapes: their bytes, and the order of their events.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ErrorKind;
use crate::model::{FinishReason, Matching, Policy, SessionId, Standing, TaskId, Usage};

fn spec(kind: RequestKind, include_usage: bool) -> StreamSpec {
    StreamSpec { kind, gid: Gid(9), created: 1, model: "m".into(), include_usage, echo: None }
}

fn token(text: &str, raw: Option<&str>) -> StreamEvent {
    StreamEvent::Token { seq: 0, text: text.into(), raw: raw.map(|raw| Bytes::from(raw.to_owned())) }
}

fn end(text: &str) -> StreamEvent {
    StreamEvent::End(Ok(Arc::new(
        Completion::new(Answer::default().text(text).usage(Usage::new(1, 2)).finish_reason(FinishReason::Length))
            .session_id(SessionId(0))
            .task_id(TaskId(1))
            .gid(Gid(9))
            .created(1)
            .model("m".into())
            .miner_address("".into())
            .alternatives(Vec::new())
            .verdict(None),
    )))
}

/// The end of an answer that was compared with others.
fn judged() -> StreamEvent {
    let StreamEvent::End(Ok(completion)) = end("a") else { unreachable!() };
    let verdict = Verdict::new(Standing::Agreed, Matching::Exact)
        .score(1.0)
        .policy(Some(Policy::Quorum))
        .winner(Some("0x1".into()))
        .per_miner(Vec::new());
    StreamEvent::End(Ok(Arc::new(Arc::unwrap_or_clone(completion).verdict(Some(verdict)))))
}

fn written(spec: StreamSpec, events: Vec<StreamEvent>) -> String {
    let mut writer = ChunkWriter::new(spec);
    let mut out = Vec::new();
    writer.write(events, &mut out);
    String::from_utf8(out).unwrap()
}

/// The JSON of each event; the last event must be `[DONE]`.
fn chunks(stream: &str) -> Vec<Value> {
    let body = stream.strip_suffix("data: [DONE]\n\n").expect("the stream ends with [DONE]");
    body.split_terminator("\n\n")
        .map(|event| {
            let data = event.strip_prefix("data: ").expect("an event is one data line");
            assert!(!data.contains(['\n', '\r']), "{data:?}");
            serde_json::from_str(data).unwrap()
        })
        .collect()
}

#[test]
fn a_chat_of_a_local_miner_reads_like_openais() {
    let out = written(spec(RequestKind::Chat, false), vec![token("Hi", None), token("", None), end("Hi")]);
    let head = r#"data: {"id":"chatcmpl-000000010000000000000009","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":"#;
    assert_eq!(
        out,
        format!(
            "{head}{{\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
             {head}{{\"content\":\"Hi\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
             {head}{{}},\"logprobs\":null,\"finish_reason\":\"length\"}}]}}\n\n\
             data: [DONE]\n\n"
        )
    );
}

/// Every event that the router writes itself, of both routes, with and without the usage. A change of a byte shows here.
#[test]
fn the_events_of_a_stream_stay_as_they_are() {
    let bare = r#"{"choices":[{"index":0,"delta":{"tool_calls":[1]},"finish_reason":null}]}"#;
    let mut out = String::new();
    for (kind, include_usage) in [
        (RequestKind::Chat, false),
        (RequestKind::Chat, true),
        (RequestKind::Completion, false),
        (RequestKind::Completion, true),
    ] {
        let echo = (kind == RequestKind::Completion).then(|| "say \"".to_owned());
        let spec = StreamSpec { model: "a \"model\"\",\"choices\":[\"\"]".into(), echo, ..spec(kind, include_usage) };
        let events = vec![
            token("a\n", None),
            token("", Some(bare)),
            StreamEvent::Restart { seq: 1 },
            token("a", None),
            judged(),
        ];
        let title = format!("{kind:?}, usage: {include_usage}\n");
        out += &[title, written(spec, events), "\n".to_owned()].concat();
    }
    let failed = StreamEvent::End(Err(Error::new(ErrorKind::MinerFailed, "gone")));
    out.push_str(&written(spec(RequestKind::Chat, true), vec![token("a", None), failed]));
    insta::assert_snapshot!(out);
}

#[test]
fn a_completion_repeats_the_prompt_and_tells_the_usage_when_asked() {
    let spec = StreamSpec { echo: Some("P".into()), ..spec(RequestKind::Completion, true) };
    let out = chunks(&written(spec, vec![token("a", None), end("a")]));
    let texts: Vec<_> = out.iter().map(|chunk| chunk["choices"][0]["text"].clone()).collect();
    assert_eq!(texts, [json!("P"), json!("a"), json!(""), Value::Null]);
    assert_eq!(out[2]["choices"][0]["finish_reason"], "length");
    assert!(out[..3].iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(out[3]["choices"], json!([]));
    assert_eq!(out[3]["usage"], json!({"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}));
}

#[test]
fn an_answer_without_pieces_is_one_piece() {
    let out = chunks(&written(spec(RequestKind::Chat, false), vec![end("all")]));
    assert_eq!(out[1]["choices"][0]["delta"]["content"], "all");
    assert_eq!(out.len(), 3);
}

const RAW: &str = "{\"id\":\"up\",\n \"choices\":[{\"delta\":{\"tool_calls\":[1]},\"finish_reason\":null}]}";
const LAST: &str = r#"{"id":"up","choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"id":"up","choices":[],"usage":{"total_tokens":7,"own":true}}"#;

#[test]
fn an_upstreams_chunks_pass_with_one_id_and_no_second_end() {
    let events = || vec![token("", Some(RAW)), token("", Some(LAST)), token("", Some(USAGE)), end("")];
    let id = "chatcmpl-000000010000000000000009";
    let plain = written(spec(RequestKind::Chat, false), events());
    assert_eq!(
        plain,
        format!(
            "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
            RAW.replace("up", id).replace('\n', " "),
            LAST.replace("up", id)
        )
    );
    let counted = written(spec(RequestKind::Chat, true), events());
    assert_eq!(chunks(&counted)[2], json!({"id":id,"choices":[],"usage":{"total_tokens":7,"own":true}}));
    // An upstream that tells neither its end nor its usage: both are written for it.
    let cut = chunks(&written(spec(RequestKind::Chat, true), vec![token("x", Some(RAW)), end("x")]));
    assert_eq!(cut[1]["choices"][0]["finish_reason"], "length");
    assert_eq!(cut[2]["usage"]["total_tokens"], 3);
}

#[test]
fn a_whole_answer_is_told_in_chunks_with_all_that_it_holds() {
    let raw = r#"{"id":"u","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"total_tokens":7,"own":1}}"#;
    let whole = |raw: &'static str| {
        let StreamEvent::End(Ok(completion)) = end("a") else { unreachable!() };
        let mut completion = Arc::unwrap_or_clone(completion);
        completion.answer.raw = Some(Bytes::from_static(raw.as_bytes()));
        StreamEvent::End(Ok(Arc::new(completion)))
    };
    for (before, said) in [(vec![], json!("a")), (vec![token("a", None)], Value::Null)] {
        let skip = before.len() * 2;
        let events = before.into_iter().chain([whole(raw)]).collect();
        let out = chunks(&written(spec(RequestKind::Chat, true), events)).split_off(skip);
        let delta = &out[0]["choices"][0]["delta"];
        assert_eq!((&delta["content"], &delta["tool_calls"][0]["index"]), (&said, &json!(0)), "{out:?}");
        assert_eq!(delta["tool_calls"][0]["function"]["name"], "f");
        assert_eq!(out[1]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!((&out[2]["usage"]["own"], out.len()), (&json!(1), 3));
    }
    // The miner's own chunks have told it.
    let out =
        chunks(&written(spec(RequestKind::Chat, false), vec![token("", Some(RAW)), token("", Some(LAST)), whole(raw)]));
    assert_eq!(out.len(), 2);
    // An upstream's chunks without a head get one, on one line, and those of a completion are not lost.
    let bare = "{\n\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}";
    let out = chunks(&written(spec(RequestKind::Chat, false), vec![token("b", Some(bare)), end("b")]));
    assert_eq!((&out[1]["choices"][0]["delta"]["content"], out[1]["id"].is_string()), (&json!("b"), true));
    let text = r#"{"choices":[{"index":0,"text":"b","finish_reason":"stop"}]}"#;
    let out = chunks(&written(spec(RequestKind::Completion, false), vec![token("b", Some(text)), end("b")]));
    assert_eq!((&out[0]["choices"][0]["text"], out.len()), (&json!("b"), 1));
    // A text completion has no place for calls of tools.
    let out = chunks(&written(spec(RequestKind::Completion, false), vec![whole(raw)]));
    assert_eq!((&out[0]["choices"][0]["text"], out.len()), (&json!("a"), 2));
}

#[test]
fn a_failure_after_the_first_byte_is_told_in_the_stream() {
    let failed = StreamEvent::End(Err(Error::new(ErrorKind::MinerFailed, "gone")));
    let out = chunks(&written(spec(RequestKind::Chat, false), vec![token("a", None), failed, token("late", None)]));
    assert_eq!(out.last().unwrap()["error"]["message"], "gone");
    assert_eq!(out.len(), 3);
}

#[test]
fn a_verdict_comes_last_in_a_chunk_that_every_client_can_read() {
    let events = vec![token("a", None), judged()];
    let out = chunks(&written(spec(RequestKind::Chat, true), events));
    let verdict = &out[out.len() - 2];
    assert_eq!((&verdict["verdict"]["verdict"], &verdict["choices"][0]["delta"]), (&json!("agreed"), &json!({})));
    assert_eq!(out.last().unwrap()["usage"]["total_tokens"], 3, "the usage stays the last chunk");
}

#[test]
fn starting_over_is_silent_before_the_first_word_and_told_after_it() {
    let restart = || StreamEvent::Restart { seq: 1 };
    let out = chunks(&written(spec(RequestKind::Chat, false), vec![restart(), token("a", None), end("a")]));
    assert_eq!(out.len(), 3);
    let out =
        chunks(&written(spec(RequestKind::Chat, false), vec![token("a", None), restart(), token("b", None), end("b")]));
    assert_eq!(out[2]["restart"], true);
    assert_eq!(out[2]["choices"][0]["delta"], json!({}));
    assert_eq!(out[3]["choices"][0]["delta"]["content"], "b");
    assert!(out.iter().filter(|chunk| chunk.get("restart").is_some()).count() == 1);
}

proptest! {
    /// However the events are dealt out in batches, the bytes are the same, and the text is what was said.
    #[test]
    fn batches_do_not_matter(
        texts in prop::collection::vec(any::<String>(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        usage in any::<bool>(),
    ) {
        let whole = texts.concat();
        let events = || texts.iter().map(|text| token(text, None)).chain([end(&whole)]).collect::<Vec<_>>();
        let at_once = written(spec(RequestKind::Chat, usage), events());
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(texts.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut writer, mut out, mut from) = (ChunkWriter::new(spec(RequestKind::Chat, usage)), Vec::new(), 0);
        let all = events();
        for cut in cuts.into_iter().chain([all.len()]) {
            writer.write(all[from..cut].to_vec(), &mut out);
            from = cut;
        }
        prop_assert!(writer.ended());
        prop_assert_eq!(&String::from_utf8(out).unwrap(), &at_once);
        let said: String = chunks(&at_once).iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect();
        prop_assert_eq!(said, whole);
    }
}

/// An upstream's chunks of one kind around words of every kind.
fn alike() -> impl Strategy<Value = Vec<String>> {
    let shape = prop::sample::select(vec![
        r#"{"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":@},"finish_reason":null}]}"#,
        "{\n \"choices\": [\n{\"delta\": {\"content\": @}}], \"id\": \"x\", \"id\":5,\r\n\"m\":1\n}",
        r#" {"model":"m","choices":[{"delta":{"role":"assistant","content":@}}]}"#,
        r#"{"choices":[{"delta":{"content":@}}]}"#,
        r#"{"choices":[{"text":@,"finish_reason":null}]}"#,
        r#"{"id":"x","choices":[{"delta":{"content":@}}],"usage":{"total_tokens":1}}"#,
        r#"{"id":"x","choices":[{"delta":{"content":@},"finish_reason":"stop"}]}"#,
        r#"{"id":"x","choices":[{"delta":{"content":"a"},"finish_reason":@}]}"#,
        r#"{"id":"x","choices":[{"delta":{"content":@}},{"delta":{"content":@}}]}"#,
        r#"{"id":@,"choices":[{"delta":{"content":"a"}}]}"#,
        r#"{"id":"x","choices":[{"delta":{"content":@}}],"choices":[]}"#,
        r#"{"id":"x","choices":[],"usage":{"total_tokens":1},"x":@}"#,
    ]);
    let words = prop::sample::select(vec![
        r#""""#,
        r#""a""#,
        r#""\n\u00e9é""#,
        r#""\ud83d""#,
        "null",
        "5",
        "\"\n\"",
        "\"\\x\"",
    ]);
    (shape, prop::collection::vec(words, 1..5))
        .prop_map(|(shape, words)| words.iter().map(|words| shape.replace('@', words)).collect())
}

proptest! {
    /// Whether an upstream's chunk differs from the one before in its words alone makes no difference.
    #[test]
    fn a_chunk_goes_out_as_if_it_were_the_first_of_its_kind(
        chunks in prop::collection::vec(alike(), 1..6),
        restart in any::<prop::sample::Index>(),
        is_chat in any::<bool>(),
        include_usage in any::<bool>(),
    ) {
        let kind = if is_chat { RequestKind::Chat } else { RequestKind::Completion };
        let mut events: Vec<_> = chunks.iter().flatten().map(|chunk| token("t", Some(chunk))).collect();
        events.insert(restart.index(events.len()), StreamEvent::Restart { seq: 0 });
        events.push(end("t"));
        let (mut quick, mut slow) = (ChunkWriter::new(spec(kind, include_usage)), ChunkWriter::new(spec(kind, include_usage)));
        let (mut out, mut wanted) = (Vec::new(), Vec::new());
        for event in events {
            quick.write(vec![event.clone()], &mut out);
            slow.repeat.forget();
            slow.write(vec![event], &mut wanted);
        }
        prop_assert_eq!(String::from_utf8(out), String::from_utf8(wanted));
    }
}
