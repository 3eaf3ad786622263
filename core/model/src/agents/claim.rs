//! The claims that validate and factcheck examine, and the chats by which miners are asked for their opinions.

use serde_json::value::RawValue;

use super::body::{Bounds, Shared, members, needed, text_of};
use super::order::Order;
use super::tier::within;
use crate::chat::{Message, Role, into_raw, member, missing};
use crate::whole::{Whole, digits};
use crate::word::words;
use crate::{Error, Matching, Policy, Result, TaskId, ValidationSpec};

/// The fewest miners that check a fact.
const FEWEST: u32 = 3;

words! {
    /// The knowledge that a check of facts may use.
    #[derive(Default)]
    Mode in "mode" {
        /// The model's own.
        #[default]
        Standard = "standard",
        /// Also that of today: the miners are told the date, and those that can look things up are to do so.
        Realtime = "realtime",
    }
}

/// A request for opinions about a claim.
#[derive(Debug)]
pub struct Examination {
    /// The chat without its words, and the rules of the request.
    pub order: Order,
    /// The subject of the opinions.
    pub subject: Subject,
    /// The facts that the miners should know.
    pub context: Option<String>,
    /// The mode of a check of facts.
    pub mode: Option<Mode>,
}

/// The subject of opinions.
#[derive(Debug)]
pub enum Subject {
    /// A claim in the request.
    Claim(String),
    /// The answer to a task that the router has.
    Stored(Stored),
}

/// An answer to a task that the router has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The task, in the session that the request names.
    pub task: TaskId,
    /// The address of the miner that gave the answer; `None`: the one whose answer was taken.
    pub miner: Option<String>,
    /// The answer as the caller has it; `None`: as the router has it.
    pub result: Option<String>,
}

/// A claim with everything that a miner is told about it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The claim.
    pub text: &'a str,
    /// The facts beside it.
    pub context: Option<&'a str>,
    /// The prompt, with `{claim}` and `{context}` in it.
    pub prompt: &'a str,
}

impl Claim<'_> {
    /// The claim that a result answers a task.
    pub fn of_result(task: &str, result: &str) -> String {
        format!("The task:\n{task}\n\nThe result that is claimed to be right:\n{result}")
    }

    /// The prompt with the claim and its context in their places. A place inside of the claim stays as it is.
    pub fn told(&self) -> String {
        let context = self.context.map(|context| format!("What is known beside it:\n{context}\n")).unwrap_or_default();
        let mut out = String::with_capacity(self.prompt.len() + self.text.len() + context.len());
        let mut rest = self.prompt;
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let (place, words) = [("{claim}", self.text), ("{context}", context.as_str())]
                .into_iter()
                .find(|(place, _)| rest.starts_with(place))
                .unwrap_or(("{", "{"));
            out.push_str(words);
            rest = &rest[place.len()..];
        }
        out + rest
    }
}

impl Examination {
    /// The order whose miners give their opinions about the claim. `miners` are asked if the request does not say.
    ///
    /// # Errors
    /// `Internal` when a text has no JSON form, which none lacks.
    pub fn ask(self, claim: &Claim<'_>, miners: u32, max_tokens: u64) -> Result<Order> {
        let mut order = self.order;
        order.chat.messages = Some(into_raw(&[Message::text(Role::User, claim.told())])?);
        order.chat.max_tokens = order.chat.max_tokens.or(Some(max_tokens));
        // Opinions agree if they give the same verdict, whatever the words around it.
        let tie_break = order.rules.validation.tie_break;
        order.rules.validation = ValidationSpec::default()
            .validation_policy(Some(Policy::Quorum))
            .matching(Some(Matching::Verdict))
            .tie_break(tie_break);
        order.rules.miners = order.rules.miners.or(Some(miners));
        Ok(order)
    }
}

/// Reads the body of a validation. With `replicas` it is of the third version. At most `most` miners may be asked.
///
/// # Errors
/// `InvalidArgument` names the member.
pub fn examine(body: &[u8], replicas: bool, most: u32) -> Result<Examination> {
    let bounds = Bounds { most, replicas };
    let mut shared = Shared::default();
    let (mut claim, mut context, mut task, mut result) = (None, None, None, None);
    let (mut task_id, mut miner, mut data, mut hints) = (None, None, None, Vec::new());
    for (name, value) in members(body)? {
        match name.as_str() {
            "claim" => claim = text_of(&name, &value)?,
            "context" => context = text_of(&name, &value)?,
            "task_request_input" => task = text_of(&name, &value)?,
            "task_result_output" => result = text_of(&name, &value)?,
            "task_id" | "taskId" => task_id = number(&name, &value)?,
            "miner_address" | "minerAddress" => miner = text_of(&name, &value)?,
            "result_data" | "resultData" => data = text_of(&name, &value)?,
            "task_domain" | "task_type" | "evaluation_mode" => {
                if let Some(text) = text_of(&name, &value)? {
                    hints.push(format!("{}: {text}", name.replace('_', " ")));
                }
            }
            _ => shared.take(name, value, bounds)?,
        }
    }
    let subject = match (claim, task_id) {
        (Some(claim), _) => Subject::Claim(claim),
        (None, Some(task)) => Subject::Stored(Stored { task: TaskId(task), miner, result: data }),
        (None, None) if task.is_some() || result.is_some() => {
            let (task, result) = (needed("task_request_input", task)?, needed("task_result_output", result)?);
            Subject::Claim(Claim::of_result(&task, &result))
        }
        (None, None) => {
            let words = "claim is missing: give a claim, a task_request_input with its task_result_output, or a \
                         session_id with a task_id";
            return Err(Error::invalid("claim", words));
        }
    };
    let order = shared.into_order()?;
    if matches!(subject, Subject::Stored(_)) && order.session.is_none() {
        return Err(missing("session_id"));
    }
    hints.extend(context);
    let context = Some(hints.join("\n")).filter(|context| !context.is_empty());
    Ok(Examination { order, subject, context, mode: None })
}

/// Reads the body of a check of facts. At least three miners are asked, and at most `most`.
///
/// # Errors
/// `InvalidArgument` names the member.
pub fn factcheck(body: &[u8], most: u32) -> Result<Examination> {
    let bounds = Bounds { most, replicas: false };
    let mut shared = Shared::default();
    let (mut claim, mut context, mut mode, mut redundancy) = (None, None, Mode::default(), None);
    for (name, value) in members(body)? {
        match name.as_str() {
            "claim" => claim = text_of(&name, &value)?,
            "context" => context = text_of(&name, &value)?,
            "mode" => mode = member(&name, &value)?.unwrap_or_default(),
            "redundancy" => redundancy = member::<Whole<u32>>(&name, &value)?.map(|miners| miners.0),
            _ => shared.take(name, value, bounds)?,
        }
    }
    let subject = Subject::Claim(needed("claim", claim)?);
    let redundancy = redundancy.map(|miners| within("redundancy", miners, FEWEST, most.max(FEWEST))).transpose()?;
    let mut order = shared.into_order()?;
    order.rules.miners = redundancy.or(order.rules.miners.map(|miners| miners.max(FEWEST))).or(Some(FEWEST));
    Ok(Examination { order, subject, context, mode: Some(mode) })
}

/// A number that is written as one or as a text; `None` for `null`.
fn number(name: &str, value: &RawValue) -> Result<Option<u64>> {
    match text_of(name, value)? {
        Some(text) if value.get().trim_start().starts_with('"') => digits(name, text.trim()).map(Some),
        Some(_) => Ok(member::<Whole<u64>>(name, value)?.map(|number| number.0)),
        None => Ok(None),
    }
}
