//! The end of a task as a store keeps it: one JSON value for each task, from which every later answer is made.
//!
//! The winner's text and the miners' raw answers are kept outside of that value, because they are long.

use std::borrow::Cow;
use std::num::NonZeroU64;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{Answer, FinishReason, MinerResult, Outcome, SharedText, Task, Usage, Verdict};
use crate::{Error, Result, UpstreamError};

/// The end of a task.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredEnd<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// The error, if there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<TaskError<'a>>,
    /// The model that the session asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    answers: Vec<MinerAnswer<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verdict: Option<Cow<'a, Verdict>>,
    /// The bytes of the request and of the answers, also of those parts that are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<NonZeroU64>,
}

/// An error without the task's ids.
#[derive(Debug, Serialize, Deserialize)]
struct TaskError<'a> {
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'a, str>>,
    message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    param: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upstream: Option<Cow<'a, UpstreamError>>,
}

/// The answer of one miner. The raw answers of all miners are kept one after the other in a separate value.
#[derive(Debug, Serialize, Deserialize)]
struct MinerAnswer<'a> {
    miner: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty", default)]
    hash: Cow<'a, str>,
    /// The answer's text; `None` if it equals the task's text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<Cow<'a, str>>,
    finish_reason: Cow<'a, str>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    model: Option<Cow<'a, str>>,
    /// The type of the raw answer, if it is no answer to a chat, a completion or an embedding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    content_type: Option<Cow<'a, str>>,
    /// The length of the raw answer in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    raw: Option<usize>,
}

impl<'a> StoredEnd<'a> {
    /// Makes the end of an ended task, and joins its miners' raw answers.
    pub(super) fn of(task: &'a Task) -> (Self, Option<Vec<u8>>) {
        let mut raw: Option<Vec<u8>> = None;
        let answers = task
            .results
            .iter()
            .map(|result| {
                let answer = &result.answer;
                if let Some(bytes) = &answer.raw {
                    raw.get_or_insert_default().extend_from_slice(bytes);
                }
                MinerAnswer {
                    miner: Cow::Borrowed(&result.miner),
                    hash: Cow::Borrowed(&result.hash),
                    text: (answer.text != task.text).then_some(Cow::Borrowed(answer.text.as_str())),
                    finish_reason: Cow::Borrowed(answer.finish_reason.as_str()),
                    usage: answer.usage,
                    model: answer.model.as_deref().map(Cow::Borrowed),
                    content_type: answer.content_type.as_deref().map(Cow::Borrowed),
                    raw: answer.raw.as_ref().map(Bytes::len),
                }
            })
            .collect();
        let verdict = task.verdict.as_ref().map(|verdict| {
            if verdict.score.is_finite() {
                return Cow::Borrowed(verdict);
            }
            // JSON has no NaN. NaN would become null and make the row unreadable.
            Cow::Owned(verdict.clone().score(0.0))
        });
        let end = Self {
            outcome: task.outcome,
            error: task.error.as_ref().map(TaskError::of),
            model: task.model.as_deref().map(Cow::Borrowed),
            answers,
            verdict,
            bytes: NonZeroU64::new(task.bytes),
        };
        (end, raw)
    }

    /// Restores the end of a task whose text is restored already.
    ///
    /// # Errors
    /// A message if the raw answers are shorter than the end says, or if this version does not know the kind of the
    /// error.
    pub(super) fn put_into(self, task: &mut Task, raw: Option<&[u8]>) -> Result<(), String> {
        let mut rest = raw.unwrap_or_default();
        for answer in self.answers {
            let raw = match answer.raw {
                None => None,
                Some(length) => {
                    let (own, others) = rest.split_at_checked(length).ok_or("raw is shorter than the answers say")?;
                    rest = others;
                    Some(Bytes::copy_from_slice(own))
                }
            };
            task.results.push(
                MinerResult::default().miner(answer.miner.into()).hash(answer.hash.into_owned()).answer(
                    Answer::default()
                        .text(answer.text.map_or_else(|| task.text.clone(), SharedText::from))
                        .finish_reason(FinishReason::from(answer.finish_reason.as_ref()))
                        .usage(answer.usage)
                        .model(answer.model.map(Cow::into_owned))
                        .content_type(answer.content_type.map(Cow::into_owned))
                        .raw(raw),
                ),
            );
        }
        task.outcome = self.outcome;
        task.error = self.error.map(TaskError::into_error).transpose()?;
        task.model = self.model.map(Cow::into_owned);
        task.verdict = self.verdict.map(Cow::into_owned);
        task.bytes = self.bytes.map_or(0, NonZeroU64::get);
        Ok(())
    }
}

impl<'a> TaskError<'a> {
    fn of(error: &'a Error) -> Self {
        let details = error.details();
        Self {
            kind: Cow::Borrowed(error.kind().code()),
            code: details.code.as_deref().map(Cow::Borrowed),
            message: Cow::Borrowed(error.message()),
            param: details.param.as_deref().map(Cow::Borrowed),
            retry_after_ms: details.retry_after_ms,
            upstream: details.upstream.as_ref().map(Cow::Borrowed),
        }
    }

    fn into_error(self) -> Result<Error, String> {
        let kind = self.kind.parse().map_err(|_| format!("{:?} is no kind of error", self.kind))?;
        let mut error = Error::new(kind, self.message);
        if let Some(code) = self.code {
            error = error.with_code(code.into_owned());
        }
        if let Some(param) = self.param {
            error = error.with_param(param);
        }
        if let Some(millis) = self.retry_after_ms {
            error = error.with_retry_after_ms(millis);
        }
        if let Some(upstream) = self.upstream {
            error = error.with_upstream(upstream.into_owned());
        }
        Ok(error)
    }
}
