//! The JSON of OpenAI's routes, with all that the router can put into it and with the least.

use bytes::Bytes;
use insta::assert_snapshot;

use super::{answer, failure, models};
use crate::model::{
    Answer, Completion, FinishReason, Gid, Matching, MinerVerdict, Policy, RequestKind, SessionId, Standing, TaskId,
    TaskRequest, Usage, Verdict,
};
use crate::{Error, ErrorKind, ModelInfo};

fn completion(text: &str) -> Completion {
    Completion::new(Answer::default().text(text))
        .session_id(SessionId(2))
        .task_id(TaskId(3))
        .gid(Gid(7))
        .created(1_767_225_600)
        .model("tiny".into())
        .miner_address("0xa".into())
        .alternatives(Vec::new())
        .verdict(None)
}

fn full(text: &str) -> Completion {
    let mut full = completion(text);
    full.answer.usage = Usage::new(12, 3);
    full.answer.finish_reason = FinishReason::from("content_filter");
    full.answer.model = Some("tiny \"q4\"".into());
    full.verdict = Some(
        Verdict::new(Standing::Agreed, Matching::Exact)
            .score(1.0)
            .policy(Some(Policy::Quorum))
            .winner(Some("0xa".into()))
            .per_miner(vec![MinerVerdict::default().miner("0xa".into()).score(1.0).agrees(true)]),
    );
    full
}

/// The bodies of those answers, each on a line.
fn bodies(kind: RequestKind, cases: &[(&str, &Completion)]) -> String {
    cases
        .iter()
        .map(|(request, completion)| {
            let mut request: TaskRequest = serde_json::from_str(request).unwrap();
            request.kind = kind;
            String::from_utf8(answer::render(&request, completion).unwrap().into()).unwrap() + "\n"
        })
        .collect()
}

#[test]
fn whole_answers_stay_as_they_are() {
    let mut made = full("");
    made.answer.raw = Some(Bytes::from_static(br#"{"choices":[{"index":0,"message":{"tool_calls":[1]}}]}"#));
    let chats = [("{}", &full("4 \"four\"\n")), ("{}", &completion("")), ("{}", &made)];
    assert_snapshot!("chat", bodies(RequestKind::Chat, &chats));
    let texts = [(r#"{"prompt":"2 + 2 = ","echo":true}"#, &full("4\t")), ("{}", &completion(""))];
    assert_snapshot!("text", bodies(RequestKind::Completion, &texts));
}

#[test]
fn vectors_stay_as_they_are() {
    let cases = [
        (r#"{"input":["a","b"]}"#, &full("[[0.5,-1],[1e-9,2]]")),
        (r#"{"input":"a","encoding_format":"base64"}"#, &full("[[0.5,-1]]")),
        ("{}", &completion("[[]]")),
    ];
    assert_snapshot!("embeddings", bodies(RequestKind::Embedding, &cases));
}

#[test]
fn models_stay_as_they_are() {
    let full = ModelInfo {
        id: "org/tiny".into(),
        created: 1_767_225_600,
        owned_by: "acme".into(),
        miners: 2,
        embeddings: true,
    };
    let json = |models: &[ModelInfo]| serde_json::to_string(&models::list_of(models)).unwrap();
    assert_snapshot!("models", [json(&[full, ModelInfo::default()]), json(&[])].join("\n"));
}

#[test]
fn errors_stay_as_they_are() {
    let said = crate::UpstreamError::read(br#"{"message":"no tools","type":"BadRequestError","code":422}"#).unwrap();
    let refused = Error::invalid("tools", "the upstream answered 422")
        .with_ids(SessionId(2), Some(TaskId(3)))
        .with_upstream(said);
    let finer = Error::new(ErrorKind::Unavailable, "no miner").with_code("no_miner").with_retry_after_ms(250);
    let lines = [refused, finer, Error::internal("odd")].map(|error| {
        let mut out = Vec::new();
        failure::write(&error, &mut out);
        String::from_utf8(out).unwrap()
    });
    assert_snapshot!("errors", lines.join("\n"));
}
