//! Requests and answers that pass as they are, within the frames of a link, which have places for chats alone: a request
//! goes as one field of an empty chat, and an answer as the text of its bytes, with their type before it.

use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::miner::{Chunk, Emit, FailClass, Failure, Job, JobSink, MinerEvent, Settled};
use crate::model::{Answer, RequestKind, TaskRequest};

/// The field of the empty chat.
const REQUEST: &str = "whole_request";

/// The bytes of an offer beside its request, at most.
const AROUND: usize = 16 << 10;

/// The code of the error for a request that no link carries.
const TOO_LARGE: &str = "too_large_for_link";

/// The greatest size of an answer as text, if its bytes are no more than that.
pub(super) fn text_limit(bytes: u64) -> u64 {
    bytes.div_ceil(3).saturating_mul(4).saturating_add(AROUND as u64)
}

/// Whether a request goes over a link as it is, because a frame has no place for all of it.
pub(super) fn goes_whole(request: &TaskRequest) -> bool {
    request.kind.passes() || request.only_api().is_some()
}

/// The job as it goes over a link whose offers have at most that size. `None`: its request is larger, and the job has
/// failed.
pub(super) fn packed(job: Job, most: usize) -> Option<Job> {
    let (mut info, sink) = job.into_parts();
    match around(&info.request, most) {
        Ok(request) => {
            info.request = Arc::new(request);
            Some(Job::new(info, Arc::new(Unpacking(sink))))
        }
        Err(failure) => {
            sink.event(MinerEvent::Fail(failure));
            None
        }
    }
}

/// The empty chat with that request in it.
fn around(request: &TaskRequest, most: usize) -> Result<TaskRequest, Failure> {
    let mut whole = request.clone();
    // They are the business of the router that has the task.
    (whole.webhook, whole.client_reference) = (None, None);
    let text = serde_json::to_string(&whole).unwrap_or_default();
    if text.len() + AROUND > most {
        let words = format!(
            "the request has {} bytes on its way to the router of its miner, and the link carries {}: raise \
             limits.max_request_bytes of both routers, or send it to the router of the miner",
            text.len(),
            most.saturating_sub(AROUND)
        );
        let said = serde_json::json!({"error": {"message": words, "code": TOO_LARGE}});
        return Err(Failure::new(FailClass::Refused, words).with_http_status(400).with_raw(said.to_string()));
    }
    let mut chat = TaskRequest::default().kind(RequestKind::Chat);
    if let Ok(text) = RawValue::from_string(text) {
        chat.extra.push((REQUEST.to_owned(), text));
    }
    Ok(chat)
}

/// The request in that chat.
pub(super) fn unpacked(chat: &TaskRequest) -> Option<TaskRequest> {
    serde_json::from_str(chat.extra(REQUEST)?.get()).ok()
}

/// The line before an answer's bytes.
#[derive(Serialize, Deserialize)]
struct Label {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    body: Body,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// There are no bytes.
    None,
    /// The bytes are a text.
    Text,
    /// The bytes are no text.
    Base64,
}

/// The answer as it goes over a link: its bytes are a text.
pub(super) fn packed_answer(mut answer: Answer) -> Answer {
    let raw = answer.raw.take();
    let text = raw.as_deref().map(std::str::from_utf8);
    let body = match text {
        None => Body::None,
        Some(Ok(_)) => Body::Text,
        Some(Err(_)) => Body::Base64,
    };
    let label = Label { r#type: answer.content_type.take(), body };
    let mut packed = serde_json::to_string(&label).unwrap_or_default();
    packed.push('\n');
    match text {
        Some(Ok(text)) => packed.push_str(text),
        Some(Err(_)) => BASE64_STANDARD.encode_string(raw.as_deref().unwrap_or_default(), &mut packed),
        None => {}
    }
    answer.raw(Some(Bytes::from(packed)))
}

/// The answer as the miner gave it.
///
/// # Errors
/// The failure of its attempt: not all of it has come.
fn unpacked_answer(mut answer: Answer) -> Result<Answer, Failure> {
    let lost = || {
        let words =
            "the answer did not come whole from the router of the miner: it is larger than limits.max_output_bytes";
        Failure::new(FailClass::Internal, words)
    };
    let packed = answer.raw.take().ok_or_else(lost)?;
    let end = memchr::memchr(b'\n', &packed).ok_or_else(lost)?;
    let label: Label = serde_json::from_slice(&packed[..end]).map_err(|_| lost())?;
    let body = packed.slice(end + 1..);
    let raw = match label.body {
        Body::None => None,
        Body::Text => Some(body),
        Body::Base64 => Some(Bytes::from(BASE64_STANDARD.decode(&body).map_err(|_| lost())?)),
    };
    Ok(answer.raw(raw).content_type(label.r#type))
}

/// Takes the answer of a job that went over a link as it is.
struct Unpacking(Arc<dyn JobSink>);

impl JobSink for Unpacking {
    fn emit(&self, chunk: Chunk) -> Emit {
        self.0.emit(chunk)
    }

    fn event(&self, event: MinerEvent) {
        self.0.event(match event {
            MinerEvent::Done(answer) => match unpacked_answer(answer) {
                Ok(answer) => MinerEvent::Done(answer),
                Err(failure) => MinerEvent::Fail(failure),
            },
            event => event,
        });
    }

    fn alive(&self) {
        self.0.alive();
    }

    fn may_try_again(&self) -> bool {
        self.0.may_try_again()
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_cancelled(cx)
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        self.0.cancelled()
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        self.0.writable()
    }

    fn settled(&self) -> BoxFuture<'static, Settled> {
        self.0.settled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FormPart;

    #[test]
    fn requests_and_answers_come_as_they_were_sent() {
        let form = [FormPart::file("file", "a.wav".into(), Some("audio/wav".into()), "UklGRg==")];
        let request = TaskRequest::default().kind(RequestKind::Transcription).model("m").with_form(&form).unwrap();
        let chat = around(&request, 1 << 20).unwrap();
        assert_eq!((chat.kind, chat.model.as_deref()), (RequestKind::Chat, None));
        let back = unpacked(&chat).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&request).unwrap());
        let every: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        for (raw, kind) in [
            (None, None),
            (Some(Bytes::new()), Some("text/plain".to_owned())),
            (Some(Bytes::from("{\n \"a\": \"\u{e4}\u{0}\"}\n")), Some("application/json".to_owned())),
            (Some(Bytes::from(every)), Some("audio/mpeg".to_owned())),
            (Some(Bytes::from_static(b"\xff\n")), None),
        ] {
            let answer = packed_answer(Answer::default().raw(raw.clone()).content_type(kind.clone()));
            let text = answer.raw.clone().unwrap();
            assert!(std::str::from_utf8(&text).is_ok() && answer.content_type.is_none());
            assert!(text.len() as u64 <= text_limit(raw.as_ref().map_or(0, Bytes::len) as u64));
            let back = unpacked_answer(answer).unwrap();
            assert_eq!((back.raw, back.content_type), (raw, kind));
        }
        assert!(unpacked_answer(Answer::default()).is_err(), "it was cut");
    }

    #[test]
    fn a_request_that_is_larger_than_a_frame_fails_with_the_name_of_the_setting() {
        let request = TaskRequest::completion("a".repeat(5_000)).kind(RequestKind::Image);
        let failure = around(&request, AROUND + 5_000).unwrap_err();
        assert_eq!((failure.class, failure.http_status), (FailClass::Refused, Some(400)));
        assert!(failure.message.contains("limits.max_request_bytes"), "{}", failure.message);
        assert!(around(&request, AROUND + 6_000).is_ok());
    }
}
