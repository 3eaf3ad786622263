//! Reading the bodies of these routes: the members that all of them share, and the members of a chat beside them.

use serde_json::value::RawValue;

use super::consensus::Replicas;
use super::order::Order;
use super::tier::Rules;
use crate::chat::{Members, member, missing, with_members};
use crate::json::from_json;
use crate::whole::Whole;
use crate::{Error, Result, TaskRequest};

/// The bounds of what a body may ask for.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// The most miners that answer.
    pub(super) most: u32,
    /// Whether the body may ask for replicas.
    pub(super) replicas: bool,
}

/// The members that the routes share.
#[derive(Default)]
pub(super) struct Shared {
    order: Order,
    /// The members that only a chat knows.
    others: Vec<(String, Box<RawValue>)>,
}

impl Shared {
    /// Reads one member.
    pub(super) fn take(&mut self, name: String, value: Box<RawValue>, bounds: Bounds) -> Result<()> {
        match name.as_str() {
            "session_id" | "sessionId" => self.order.session = Some(value),
            "policy" => self.order.rules = Rules::read(&name, &value, bounds.most)?,
            "consensus" if bounds.replicas => self.order.replicas = Some(Replicas::read(&name, &value, bounds.most)?),
            "metadata" => self.order.metadata = Some(value).filter(|value| value.get() != "null"),
            // These say how the caller understands its own request.
            "actor" | "task_domain" | "task_type" | "evaluation_mode" => {}
            "execution" => {
                for (name, value) in member::<Members>("execution", &value)?.map_or_else(Vec::new, |all| all.0) {
                    self.of_chat("execution.", name, value)?;
                }
            }
            _ => self.of_chat("", name, value)?,
        }
        Ok(())
    }

    /// Reads a member that says how the work is done.
    fn of_chat(&mut self, within: &str, name: String, value: Box<RawValue>) -> Result<()> {
        let at = format!("{within}{name}");
        let chat = &mut self.order.chat;
        match name.as_str() {
            "session_id" | "sessionId" => self.order.session = Some(value),
            "model" => chat.model = member(&at, &value)?.filter(|model: &String| !model.is_empty()),
            "max_tokens" => {
                chat.max_tokens = member::<Whole<u64>>(&at, &value)?.map(|most| most.0);
                if chat.max_tokens == Some(0) {
                    return Err(Error::invalid(&at, format!("{at} must be at least 1")));
                }
            }
            "n" => {
                if member::<Whole<u64>>(&at, &value)?.is_some_and(|count| count.0 != 1) {
                    let words =
                        format!("{at} must be 1: the answer has one result; policy says how many miners answer");
                    return Err(Error::invalid(at, words));
                }
            }
            "stream" => {
                if member::<bool>(&at, &value)?.unwrap_or_default() {
                    let words = format!("{at}: this route answers as a whole; /api/v1/delegate streams");
                    return Err(Error::invalid(at, words));
                }
            }
            _ => self.others.push((name, value)),
        }
        Ok(())
    }

    /// The order, without the words of its chat.
    pub(super) fn into_order(self) -> Result<Order> {
        let Self { mut order, others } = self;
        let asked = std::mem::take(&mut order.chat);
        order.chat = with_members(asked, &others)?;
        Ok(order)
    }
}

/// The members of a body.
pub(super) fn members(body: &[u8]) -> Result<Vec<(String, Box<RawValue>)>> {
    from_json("body", body).map(|Members(members)| members)
}

/// The words of a member that is a text or any other JSON; `None` for `null` and for a blank text.
pub(super) fn text_of(name: &str, value: &RawValue) -> Result<Option<String>> {
    let text = match value.get().trim() {
        "null" => return Ok(None),
        text if text.starts_with('"') => member::<String>(name, value)?.unwrap_or_default(),
        text => text.to_owned(),
    };
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// The words of a member that must be there.
pub(super) fn needed(name: &str, text: Option<String>) -> Result<String> {
    text.ok_or_else(|| missing(name))
}

/// Takes the member of that name out of a request, as words.
pub(super) fn take_text(request: &mut TaskRequest, name: &str) -> Result<Option<String>> {
    request.take(name).map_or(Ok(None), |value| text_of(name, &value))
}
