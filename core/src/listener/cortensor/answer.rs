//! Completions in Cortensor's shape, whole and streamed. Published parsers work with exactly this layout.

use std::io::Write as _;

use serde::Serialize;

use crate::listener::reply::cortensor_error;
use crate::listener::sse::Layout;
use crate::model::{Completion, Usage, Verdict};
use crate::router::{StreamEvent, Submission};

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Choice<'a> {
    finish_reason: Option<&'a str>,
    index: usize,
    logprobs: Option<()>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    miner_address: Option<&'a str>,
}

#[derive(Serialize)]
struct Aliases<'a> {
    text: &'a str,
    output: &'a str,
    result: &'a str,
    response: &'a str,
    content: &'a str,
}

#[derive(Serialize)]
struct Answer<'a> {
    choices: Vec<Choice<'a>>,
    created: u64,
    id: String,
    model: &'a str,
    object: &'static str,
    session_id: u64,
    task_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    miner_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(flatten)]
    aliases: Option<Aliases<'a>>,
}

/// The id of a task's completion: unique among all tasks of all starts, because the time of its submission is in it.
pub(super) fn id_of(gid: u64, created: u64) -> String {
    format!("cmpl-{created:08x}{gid:016x}")
}

/// A whole completion.
pub(super) fn whole(completion: &Completion, aliases: bool) -> Vec<u8> {
    let text = completion.answer.text.as_str();
    let choice = |index, text, reason, miner| Choice {
        finish_reason: Some(reason),
        index,
        logprobs: None,
        text,
        message: Some(Message { role: "assistant", content: text }),
        miner_address: miner,
    };
    let choices = if completion.alternatives.is_empty() {
        vec![choice(0, text, completion.answer.finish_reason.as_str(), None)]
    } else {
        let each = completion.alternatives.iter().enumerate();
        each.map(|(index, (miner, answer))| {
            choice(index, answer.text.as_str(), answer.finish_reason.as_str(), Some(miner.as_str()))
        })
        .collect()
    };
    let answer = Answer {
        choices,
        created: completion.created,
        id: id_of(completion.gid.0, completion.created),
        model: &completion.model,
        object: "text_completion",
        session_id: completion.session_id.0,
        task_id: completion.task_id.0,
        usage: Some(completion.answer.usage),
        gid: Some(completion.gid.0),
        miner_address: Some(&completion.miner_address),
        verdict: completion.verdict.as_ref(),
        text: None,
        aliases: aliases.then_some(Aliases { text, output: text, result: text, response: text, content: text }),
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}

/// A completion as events: constant ids, the new piece in `choices[0].text`, and the whole answer in the last event.
pub(super) struct CortensorStream {
    id: String,
    created: u64,
    model: String,
    session_id: u64,
    task_id: u64,
    gid: u64,
    last_seq: u64,
}

impl CortensorStream {
    pub(super) fn new(submission: &Submission) -> Self {
        Self {
            id: id_of(submission.gid().0, submission.created()),
            created: submission.created(),
            model: submission.model(),
            session_id: submission.session_id().0,
            task_id: submission.task_id().0,
            gid: submission.gid().0,
            last_seq: 0,
        }
    }

    fn event(&self, seq: u64, piece: &str, end: Option<&Completion>, out: &mut Vec<u8>) {
        let answer = Answer {
            choices: vec![Choice {
                finish_reason: end.map(|end| end.answer.finish_reason.as_str()),
                index: 0,
                logprobs: None,
                text: piece,
                message: None,
                miner_address: None,
            }],
            created: self.created,
            id: self.id.clone(),
            model: &self.model,
            object: "text_completion",
            session_id: self.session_id,
            task_id: self.task_id,
            usage: end.map(|end| end.answer.usage),
            gid: end.map(|_| self.gid),
            miner_address: end.map(|end| end.miner_address.as_str()),
            verdict: end.and_then(|end| end.verdict.as_ref()),
            text: end.map(|end| end.answer.text.as_str()),
            aliases: None,
        };
        // Writing to a vector does not fail, and the record has no map with keys that are not text.
        let _ = write!(out, "id: {seq}\ndata: ");
        let _ = serde_json::to_writer(&mut *out, &answer);
        out.extend_from_slice(b"\n\n");
    }
}

impl Layout for CortensorStream {
    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>) {
        for event in events {
            match event {
                // A piece without text carries something that only OpenAI's clients can read.
                StreamEvent::Token { seq, text, .. } => {
                    self.last_seq = seq;
                    if !text.is_empty() {
                        self.event(seq, &text, None, out);
                    }
                }
                StreamEvent::Restart { .. } => {
                    self.last_seq = 0;
                    out.extend_from_slice(b"event: restart\ndata: {\"restart\":true}\n\n");
                }
                StreamEvent::End(Ok(completion)) => {
                    self.event(self.last_seq + 1, "", Some(&completion), out);
                    out.extend_from_slice(b"data: [DONE]\n\n");
                }
                StreamEvent::End(Err(error)) => {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(&cortensor_error(&error));
                    out.extend_from_slice(b"\n\ndata: [DONE]\n\n");
                }
            }
        }
    }
}
