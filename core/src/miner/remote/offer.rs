//! Makes the frame that offers a job to a miner.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::miner::JobInfo;
use crate::miner::protocol::frame::TaskFrame;
use crate::model::{CONTINUE, RequestKind, Timestamp};

/// The offer of a job. The session fills in the number of the attempt.
pub(super) fn task_frame(info: &JobInfo, accept_ms: u64, features: &[String]) -> TaskFrame {
    let request = &info.request;
    let now = Timestamp::wall_clock().0;
    let seed: Option<i64> = request.extra("seed").and_then(|raw| serde_json::from_str(raw.get()).ok());
    TaskFrame {
        attempt: 0,
        fence: info.fence.0,
        task: info.gid.0,
        session: Some(info.session_id.0),
        model: info.model.clone().or_else(|| request.model.clone()),
        kind: request.kind.into(),
        prompt: request.prompt.as_ref().map(|_| request.prompt_text()),
        raw_prompt: request.kind == RequestKind::Completion && request.prompt_type == 1,
        messages: request.messages.clone(),
        input: request.input.clone(),
        max_tokens: request.max_tokens,
        seed,
        params: params_of(info, seed.is_some()),
        stream: info.stream,
        partial: info
            .partial
            .as_deref()
            .filter(|_| features.iter().any(|feature| feature == CONTINUE))
            .map(str::to_owned),
        deadline_ms: info.deadline.0.saturating_sub(now),
        accept_ms,
        trace: info.traceparent.as_deref().map(str::to_owned),
        tracestate: info.tracestate.as_deref().map(str::to_owned),
    }
}

/// The fields of the request for which the frame has no member, as one JSON object: first the limits that have another
/// name than the frame's, then the fields that the router does not know, unchanged and in their order.
fn params_of(info: &JobInfo, without_seed: bool) -> Option<Box<RawValue>> {
    let params = info.request.params();
    let mut out = String::from("{");
    for (name, most) in params.limits().filter(|(name, _)| *name != "max_tokens") {
        let comma = if out.len() > 1 { "," } else { "" };
        let _ = write!(out, "{comma}\"{name}\":{most}");
    }
    for (key, value) in params.others().filter(|(key, _)| !(without_seed && *key == "seed")) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&serde_json::to_string(key).ok()?);
        out.push(':');
        out.push_str(value.get());
    }
    out.push('}');
    if out.len() == 2 { None } else { RawValue::from_string(out).ok() }
}
