//! The orders of delegate: a request for work as a completion or a chat.

use serde_json::value::RawValue;

use super::body::{Bounds, Shared, members, needed, take_text, text_of};
use super::consensus::Replicas;
use super::tier::Rules;
use crate::chat::{Message, Role, into_raw, member};
use crate::{Error, RequestKind, Result, TaskRequest};

/// A request for work, with the rules by which it is done.
#[derive(Debug, Default)]
pub struct Order {
    /// The chat that a miner answers.
    pub chat: TaskRequest,
    /// The session that the caller names.
    pub session: Option<Box<RawValue>>,
    /// The rules of its policy.
    pub rules: Rules,
    /// The replicas that it wants; `None`: one task.
    pub replicas: Option<Replicas>,
    /// The caller's own data, given back as they came.
    pub metadata: Option<Box<RawValue>>,
}

/// Reads the body of a delegation of the second version, or with `replicas` of the third. At most `most` miners may be
/// asked.
///
/// # Errors
/// `InvalidArgument` names the member.
pub fn delegation(body: &[u8], replicas: bool, most: u32) -> Result<Order> {
    let bounds = Bounds { most, replicas };
    let mut shared = Shared::default();
    let (mut objective, mut input, mut workflow, mut tools) = (None, None, None, None);
    for (name, value) in members(body)? {
        match name.as_str() {
            "objective" => objective = text_of(&name, &value)?,
            "input" => input = text_of(&name, &value)?,
            "workflow" => workflow = text_of(&name, &value)?,
            "tools" => tools = offered(&name, &value)?,
            _ => shared.take(name, value, bounds)?,
        }
    }
    let mut text = needed("objective", objective)?;
    for (title, part) in [("Input", input), ("Steps to follow", workflow)] {
        if let Some(part) = part {
            text = format!("{text}\n\n{title}:\n{part}");
        }
    }
    let mut order = shared.into_order()?;
    order.chat.messages = Some(into_raw(&[Message::text(Role::User, text)])?);
    if let Some(tools) = tools {
        order.chat.extra.push(("tools".to_owned(), tools));
    }
    Ok(order)
}

/// The tools that the miner may call; `None` where there are none.
fn offered(name: &str, value: &RawValue) -> Result<Option<Box<RawValue>>> {
    let tools = member::<Vec<Box<RawValue>>>(name, value)?.unwrap_or_default();
    match tools.iter().position(|tool| !tool.get().starts_with('{')) {
        Some(index) => {
            let at = format!("{name}[{index}]");
            let words = format!("{at}: the router has no tools of its own: define a function as OpenAI's chats do");
            Err(Error::invalid(at, words))
        }
        None => Ok((!tools.is_empty()).then(|| value.to_owned())),
    }
}

/// Makes a completion of a delegation of the first version: its members in the older spelling become those of a
/// completion, and its policy, if it has one, the number of answers and their comparison. At most `most` miners may be
/// asked.
///
/// # Errors
/// `InvalidArgument` names the member.
pub fn prompt_of(mut request: TaskRequest, most: u32) -> Result<TaskRequest> {
    let older = take_text(&mut request, "task_request_input")?;
    for name in ["task_domain", "task_type", "evaluation_mode"] {
        request.take(name);
    }
    request.kind = RequestKind::Completion;
    request.prompt = request.prompt.filter(|prompt| !prompt.trim().is_empty()).or(older);
    if request.prompt.is_none() {
        let words = "prompt is missing: give a prompt, or a task_request_input";
        return Err(Error::invalid("prompt", words));
    }
    let Some(policy) = request.take("policy") else { return Ok(request) };
    Ok(Rules::read("policy", &policy, most)?.over(request))
}
