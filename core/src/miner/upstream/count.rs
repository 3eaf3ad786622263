//! Counts the tokens of a request by the tokenizer of an upstream.
//!
//! | the upstream | is asked at | answers |
//! |---|---|---|
//! | speaks the Messages API | `/messages/count_tokens`, with the caller's body | `{"input_tokens"}` |
//! | vLLM | `/tokenize`, with the messages | `{"count"}` |
//! | llama.cpp | `/tokenize`, with the text | `{"tokens": [...]}` |

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::call::{Reading, refused, whole};
use super::passed::{LACKED_FOR, is_lacked};
use super::request::Outgoing;
use super::speech::is_the_routers;
use super::{UpstreamMiner, upstream_name};
use crate::Result;
use crate::config::UpstreamApi;
use crate::model::chat::{Members, Written};
use crate::model::{TaskRequest, from_json};

impl UpstreamMiner {
    /// The tokens of a body of the Messages API, which the chat stands for; `None`: the upstream does not count them.
    pub(crate) async fn count_tokens(&self, chat: &TaskRequest, body: &[u8]) -> Option<u64> {
        let shared = &self.shared;
        if shared.counts_again.lock().is_some_and(|at| Instant::now() < at) {
            return None;
        }
        let own = shared.default_model.read().clone();
        let model = chat.model.as_deref().map(|model| upstream_name(&shared.config, model)).or(own.as_deref());
        let speaks = [shared.config.api].iter().chain(&shared.config.also).any(|api| *api == UpstreamApi::Anthropic);
        let endpoint = shared.pool.endpoint();
        let (head, written) = if speaks {
            (&endpoint.count, of_messages(model, body).ok()?)
        } else {
            (&endpoint.tokenize, of_chat(model, chat).ok()?)
        };
        let asked = Outgoing::post(head, &[], body.len(), |bytes| written.write(bytes));
        let by = Instant::now() + Duration::from_millis(shared.config.connect_timeout_ms);
        let (link, head) = timeout_at(by, shared.pool.send(asked, &|| true)).await.ok()?.ok()?;
        if !head.status.is_success() {
            let status = head.status;
            let (_, words) = timeout_at(by, refused(shared, link, head)).await.ok()?;
            if is_lacked(status, &words) {
                *shared.counts_again.lock() = Some(Instant::now() + LACKED_FOR);
            }
            return None;
        }
        if head.status != StatusCode::OK || head.coding.is_some() {
            return None;
        }
        let most = shared.config.max_models_bytes as usize;
        let (answer, _) = timeout_at(by, whole(shared, Reading::new(link), most, None)).await.ok()?.ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        let tokens = || answer["tokens"].as_array().map(|tokens| tokens.len() as u64);
        answer["input_tokens"].as_u64().or_else(|| answer["count"].as_u64()).or_else(tokens)
    }
}

fn of_messages(model: Option<&str>, body: &[u8]) -> Result<Written> {
    let Members(members) = from_json("body", body)?;
    let mut written = Written::default();
    if let Some(model) = model {
        written.set("model", model)?;
    }
    for (name, value) in members.into_iter().filter(|(name, _)| !is_the_routers(name)) {
        written.set_raw(&name, value);
    }
    Ok(written)
}

/// Both kinds of servers skip the members of the other.
fn of_chat(model: Option<&str>, chat: &TaskRequest) -> Result<Written> {
    let mut written = Written::default();
    if let Some(model) = model {
        written.set("model", model)?;
    }
    if let Some(messages) = &chat.messages {
        written.set_raw("messages", messages.clone());
    }
    if let Some(tools) = chat.extra("tools") {
        written.set_raw("tools", tools.to_owned());
    }
    written.set("add_generation_prompt", &true)?;
    written.set("content", &chat.prompt_text())?;
    Ok(written)
}
