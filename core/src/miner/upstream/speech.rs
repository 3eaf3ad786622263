//! The words of an upstream that speaks another API than OpenAI's chats: a job goes out as a request of that API, and
//! what comes back is read as the chat's answer that it stands for. The readers behind see chunks and answers of a chat
//! alone.

use bytes::Bytes;

use super::ask::{self, Route};
use super::assembly::{Assembly, Chunks};
use super::call::read_event;
use super::refusal;
use super::sse::Event;
use crate::config::{UpstreamApi, UpstreamConfig};
use crate::miner::{Failure, Job};
use crate::model::chat::{Heard, Request, Written};
use crate::model::shape::utf8;
use crate::model::{Timestamp, messages, responses};
use crate::{Error, Result};

/// The reader of one answer.
#[derive(Debug)]
pub(super) struct Speech {
    returned: Returned,
    is_over: bool,
}

#[derive(Debug)]
enum Returned {
    Message(messages::Returned),
    Response(responses::Returned),
}

/// The body of a job in the words of the upstream's API; `None`: it speaks OpenAI's.
///
/// # Errors
/// The failure of a job that the API has no words for.
pub(super) fn said(
    config: &UpstreamConfig,
    name: &str,
    job: &Job,
    model: Option<&str>,
) -> Result<Option<Written>, Failure> {
    if config.api == UpstreamApi::OpenAi {
        return Ok(None);
    }
    body(config, job, model).map(Some).map_err(|error| refusal::unsayable(name, &error))
}

fn body(config: &UpstreamConfig, job: &Job, model: Option<&str>) -> Result<Written> {
    let request = job.request();
    match Route::of(request) {
        Route::Chat => {}
        Route::Completions => {
            let words = "prompt_type must be 0: the API of this model's server has chats alone";
            return Err(Error::invalid("prompt_type", words));
        }
        Route::Embeddings => {
            return Err(Error::invalid("input", "the API of this model's server has no embeddings"));
        }
    }
    let chat = Request::of(request, ask::forwarded(request), job.info().partial.as_deref())?;
    match config.api {
        UpstreamApi::Responses => responses::onward(chat, model, job.stream()),
        UpstreamApi::Anthropic | UpstreamApi::OpenAi => {
            messages::onward(chat, model, job.stream(), config.default_max_tokens)
        }
    }
}

impl Speech {
    /// The reader for an upstream; `None`: it speaks OpenAI's API, which needs none.
    pub(super) fn of(config: &UpstreamConfig) -> Option<Self> {
        let created = || Timestamp::wall_clock().as_secs();
        let returned = match config.api {
            UpstreamApi::OpenAi => return None,
            UpstreamApi::Anthropic => Returned::Message(messages::Returned::new(created())),
            UpstreamApi::Responses => Returned::Response(responses::Returned::new(created())),
        };
        Some(Self { returned, is_over: false })
    }

    /// Whether the stream has said that it is over.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The pieces of one event of a stream; `None`: it was the last one.
    ///
    /// # Errors
    /// The failure that the event reports or is.
    pub(super) fn read(
        &mut self,
        name: &str,
        assembly: &mut Assembly,
        event: Event,
    ) -> Result<Option<Chunks>, Failure> {
        let data = utf8(event.data.clone());
        let json = std::str::from_utf8(&data).unwrap_or_default();
        let heard = match &mut self.returned {
            Returned::Message(returned) => returned.event(json),
            Returned::Response(returned) => returned.event(json),
        };
        let chunks = match heard {
            Heard::Chunks(chunks) => chunks,
            Heard::Over(chunks) => {
                self.is_over = true;
                chunks
            }
            Heard::Failed(words) => return Err(refusal::reported(name, words.into())),
            Heard::Foreign => return read_event(name, assembly, event),
        };
        let mut pieces = Chunks::new();
        for chunk in chunks {
            pieces.extend(assembly.take(name, chunk.into())?);
        }
        Ok(Some(pieces))
    }

    /// The body of a chat's answer that stands for a whole answer. A body that is none, such as an error, stays as it is.
    pub(super) fn whole(self, body: Bytes) -> Bytes {
        let text = utf8(body.clone());
        let json = std::str::from_utf8(&text).unwrap_or_default();
        let chat = match self.returned {
            Returned::Message(returned) => returned.whole(json),
            Returned::Response(returned) => returned.whole(json),
        };
        chat.map_or(body, Bytes::from)
    }
}
