//! The words of an upstream that speaks another API than OpenAI's chats: a job goes out as a request of that API, and
//! what comes back is read as the chat's answer that it stands for. The readers behind see chunks and answers of a
//! chat alone. A caller of that same API is served with its own body, and the upstream's own words go back beside the
//! chat's.

use bytes::Bytes;
use serde_json::json;

use super::ask::{self, Route};
use super::assembly::{Assembly, Chunks};
use super::call::read_event;
use super::refusal;
use super::sse::Event;
use crate::config::{UpstreamApi, UpstreamConfig};
use crate::miner::{Failure, Job};
use crate::model::chat::{Heard, Members, Request, Written};
use crate::model::shape::{last, number, utf8};
use crate::model::{FIELDS, Goes, Timestamp, from_json, messages, responses};
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

/// The API in which a job is put to an upstream, other than OpenAI's chats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tongue<'a> {
    pub(super) api: UpstreamApi,
    /// The body that the caller of that API gave.
    original: Option<&'a str>,
}

impl<'a> Tongue<'a> {
    /// The API for a job at an upstream; `None`: OpenAI's chats.
    pub(super) fn of(config: &UpstreamConfig, job: &'a Job) -> Option<Self> {
        if config.api == UpstreamApi::OpenAi && config.also.is_empty() {
            return None;
        }
        // Only a chat can say that an answer goes on.
        let kept = Some(job.request()).filter(|_| job.info().partial.is_none());
        let original = |api: UpstreamApi| kept?.original_of(api.route());
        if config.api != UpstreamApi::OpenAi {
            return Some(Self { api: config.api, original: original(config.api) });
        }
        let also = config.also.iter().filter_map(|api| Some(Self { api: *api, original: Some(original(*api)?) }));
        also.into_iter().next()
    }

    /// Whether the caller reads the upstream's own words.
    pub(super) fn passes(self) -> bool {
        self.original.is_some()
    }

    /// The body of a job.
    ///
    /// # Errors
    /// The failure of a job that the API has no words for.
    pub(super) fn said(
        self,
        config: &UpstreamConfig,
        name: &str,
        job: &Job,
        model: Option<&str>,
    ) -> Result<Written, Failure> {
        let body = match self.original {
            Some(original) => passed(self.api, job, model, original),
            None => translated(self.api, config.default_max_tokens, job, model),
        };
        body.map_err(|error| refusal::unsayable(name, &error))
    }
}

/// Members of an original body that the router sets itself, or that only a router understands.
pub(super) fn is_the_routers(name: &str) -> bool {
    let of_the_table = FIELDS.iter().any(|field| field.name == name && field.goes == Goes::Router);
    matches!(name, "model" | "stream" | "background") || of_the_table || ask::is_own(name)
}

/// The fewest tokens that a model of Anthropic's may be given to think.
const LEAST_BUDGET: u64 = 1_024;

/// The caller's own body, for the model and in the way that the job wants.
fn passed(api: UpstreamApi, job: &Job, model: Option<&str>, original: &str) -> Result<Written> {
    let mut body = Written::default();
    if let Some(model) = model {
        body.set("model", model)?;
    }
    let Members(members) = from_json("body", original.as_bytes())?;
    let (mut budget, mut stores) = (None, false);
    for (name, value) in members {
        match name.as_str() {
            "thinking" => budget = last(value.get(), "budget_tokens").and_then(number),
            "store" => stores = true,
            _ => {}
        }
        if !is_the_routers(&name) {
            body.set_raw(&name, value);
        }
    }
    let limit = if api == UpstreamApi::Anthropic { "max_tokens" } else { "max_output_tokens" };
    // The configuration may have lowered it.
    if let Some(most) = job.request().token_limit() {
        body.set(limit, &most)?;
        if api == UpstreamApi::Anthropic && budget.is_some_and(|budget| budget >= most) {
            // The API wants more tokens than the model may think, and at least these to think.
            let thinking = if most > LEAST_BUDGET {
                json!({"type": "enabled", "budget_tokens": most - 1})
            } else {
                json!({"type": "disabled"})
            };
            body.set("thinking", &thinking)?;
        }
    }
    if api == UpstreamApi::Responses && !stores {
        // The router keeps the response, and deletes it when it is asked to.
        body.set("store", &false)?;
    }
    if job.stream() {
        body.set("stream", &true)?;
    }
    Ok(body)
}

/// The chat in the words of the API.
fn translated(api: UpstreamApi, most_tokens: u64, job: &Job, model: Option<&str>) -> Result<Written> {
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
    match api {
        UpstreamApi::Responses => responses::onward(chat, model, job.stream()),
        UpstreamApi::Anthropic | UpstreamApi::OpenAi => messages::onward(chat, model, job.stream(), most_tokens),
    }
}

impl Speech {
    /// The reader of an answer in that API; `None`: the answer is a chat's.
    pub(super) fn of(tongue: Option<Tongue<'_>>) -> Option<Self> {
        let tongue = tongue?;
        let created = Timestamp::wall_clock().as_secs();
        let returned = match tongue.api {
            UpstreamApi::OpenAi => return None,
            UpstreamApi::Anthropic => {
                let returned = messages::Returned::new(created);
                Returned::Message(if tongue.passes() { returned.keeping() } else { returned })
            }
            UpstreamApi::Responses => {
                let returned = responses::Returned::new(created);
                Returned::Response(if tongue.passes() { returned.keeping() } else { returned })
            }
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

    /// The body of a chat's answer that stands for a whole answer. A body that is none, such as an error, stays as it
    /// is.
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
