//! Tasks for the tests of the stores.

use std::sync::Arc;

use bytes::Bytes;

use super::{Idempotency, TaskSpec};
use crate::model::{
    Answer, Fence, FinishReason, Gid, Matching, MinerResult, MinerVerdict, Outcome, Policy, SessionId, Standing, Task,
    TaskId, TaskRequest, TaskState, Timestamp, Usage, Verdict,
};
use crate::{Error, UpstreamError};

/// A new task of that session; its gid is made from both ids.
pub(super) fn new_task(session: u64, id: u64) -> TaskSpec {
    TaskSpec {
        gid: Gid(session * 1_000_000 + id),
        session_id: SessionId(session),
        id: TaskId(id),
        key: (!id.is_multiple_of(3)).then(|| format!("key {}", id % 3).into()),
        request: Arc::new(TaskRequest::completion(format!("prompt {id}"))),
        band: (id % 10) as u8,
        created_at: Timestamp(1_000 + id),
        deadline: Timestamp(61_000 + id),
        ..TaskSpec::default()
    }
}

/// A new task whose request fills most of a page of the file.
pub(super) fn bulky(session: u64, id: u64) -> TaskSpec {
    let request = Arc::new(TaskRequest::completion("bulk ".repeat(700)));
    TaskSpec { request, ..new_task(session, id) }
}

pub(super) fn keyed(mut new: TaskSpec, key: &str, fingerprint: u8) -> TaskSpec {
    new.idempotency =
        Some(Idempotency { scope: "token/completions".into(), key: key.into(), fingerprint: [fingerprint; 32] });
    new
}

/// An ended task, with that time and text.
pub(super) fn ended(new: &TaskSpec, at: u64, text: &str) -> Task {
    let answer = Answer::default().text(text).usage(Usage::new(3, 4));
    new.to_task()
        .state(TaskState::Ended)
        .outcome(Some(Outcome::Ok))
        .ended_at(Some(Timestamp(at)))
        .text(text.into())
        .results(vec![MinerResult::default().miner("0xa".into()).answer(answer).hash("ab".into())])
        .attempts(1)
        .fence(Fence(at))
}

/// An ended task with a value in every field.
pub(super) fn rich(new: &TaskSpec) -> Task {
    let raw = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let mut task = ended(new, 5_000, "the \"winner\"\u{0} says: ✓");
    task.outcome = Some(Outcome::Disputed);
    task.started_at = Some(Timestamp(1_100));
    task.first_token_at = Some(Timestamp(1_200));
    task.precommitted_at = Some(Timestamp(4_000));
    task.committed_at = Some(Timestamp(4_500));
    task.assigned_miners = vec!["0xa".into(), "0xb".into(), "0xc".into()];
    task.bytes = 12_345;
    task.attempts = 3;
    task.fence = Fence(u64::from(u32::MAX) << 20);
    task.verdict = Some(
        Verdict::new(Standing::Disputed, Matching::Lexical)
            .score(0.625)
            .policy(Some(Policy::Medoid))
            .winner(Some("0xa".into()))
            .per_miner(vec![MinerVerdict::default().miner("0xa".into()).score(1.0).agrees(true)]),
    );
    task.model = Some("the session's".into());
    let said = UpstreamError::read(br#"{"message":"no \"x\"","type":"odd","code":7,"param":"x"}"#);
    let error = Error::invalid("x", "the third one hung up").with_code("own_code").with_retry_after_ms(250);
    task.error = Some(error.with_upstream(said.unwrap()));
    task.results[0].answer.raw = raw("{\"choices\":[1]}");
    task.results[0].answer.model = Some("smol".into());
    let other = Answer::default().finish_reason(FinishReason::Other("odd".into()));
    task.results.push(MinerResult::default().miner("0xb".into()).answer(other));
    let third = Answer::default().text("else").raw(raw("{}")).finish_reason(FinishReason::Length);
    task.results.push(MinerResult::default().miner("0xc".into()).answer(third).hash("ff".into()));
    task
}
