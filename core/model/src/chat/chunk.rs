//! The chunks of a chat's stream, for the events of a server that speaks another API.

use std::fmt::Write as _;
use std::sync::LazyLock;

use memchr::memmem;
use serde_json::json;

use crate::Usage;
use crate::shape::{Join, Json, Reply, last};

/// The words of a server's event.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// These chunks of a chat; none: a sign of life, or something that a chat has no place for.
    Chunks(Vec<String>),
    /// These chunks, and the end of the stream.
    Over(Vec<String>),
    /// The end of the stream by an error, in a form that every reader of errors knows.
    Failed(String),
    /// No event of the API.
    Foreign,
}

/// The member of a chunk that holds the server's own event.
const EVENT: &str = "original_event";

/// The member of a whole answer that holds the server's own.
const ANSWER: &str = "original_answer";

/// The searches for them. Making one costs more than a search in a short chunk.
static FIND_EVENT: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(EVENT));
static FIND_ANSWER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(ANSWER));

/// The server's own event in a chunk, for callers of the API that the server speaks.
pub fn original_event(chunk: &[u8]) -> Option<Json<'_>> {
    original(chunk, EVENT, &FIND_EVENT)
}

/// The server's own answer in a whole one, or else its last event.
pub fn original_answer(answer: &[u8]) -> Option<Json<'_>> {
    original(answer, ANSWER, &FIND_ANSWER).or_else(|| original(answer, EVENT, &FIND_EVENT))
}

fn original<'a>(json: &'a [u8], name: &str, finder: &memmem::Finder<'_>) -> Option<Json<'a>> {
    // Nearly all chunks have none, which costs no reading of their members.
    finder.find(json)?;
    last(std::str::from_utf8(json).ok()?, name)
}

/// Writes chunks. Texts come as JSON and go out as they came, so that even half of a surrogate pair is kept.
#[derive(Debug)]
pub struct Chunks {
    /// The members that all chunks share.
    head: String,
    /// Whether the head names the answer, and its model.
    named: [bool; 2],
    /// Whether the server's own words stay beside the chat's.
    keeps: bool,
    begun: bool,
    ready: Vec<String>,
    /// The chunk with the usage, which comes behind those that are ready.
    usage: Option<String>,
}

impl Chunks {
    /// Chunks of an answer that was asked for at that Unix second.
    pub fn new(created: u64) -> Self {
        let head = format!(r#""object":"chat.completion.chunk","created":{created}"#);
        Self { head, named: [false; 2], keeps: false, begun: false, ready: Vec::new(), usage: None }
    }

    /// Keeps the server's own words beside the chat's, for a caller of the server's API.
    pub fn keep_originals(&mut self) {
        self.keeps = true;
    }

    /// Names the answer and its model in all further chunks. The first names stay.
    pub fn name(&mut self, id: Option<Json<'_>>, model: Option<Json<'_>>) {
        for ((name, value), named) in [("id", id), ("model", model)].into_iter().zip(&mut self.named) {
            if let Some(value) = value.filter(|value| value.is_string() && !std::mem::replace(named, true)) {
                // Writing to a text cannot fail.
                let _ = write!(self.head, r#","{name}":{}"#, value.get());
            }
        }
    }

    /// Adds a piece of the text member with that name, such as `content`.
    pub fn text(&mut self, name: &str, text: Json<'_>) {
        if text.is_string() && !text.is_blank() {
            self.delta(&format!(r#""{name}":{}"#, text.get()));
        }
    }

    /// Begins the call of a tool with that number.
    pub fn call(&mut self, number: u64, id: Option<Json<'_>>, name: Option<Json<'_>>) {
        let mut call = format!(r#"{{"index":{number},"type":"function""#);
        if let Some(id) = id.filter(|id| id.is_string()) {
            let _ = write!(call, r#","id":{}"#, id.get());
        }
        let name = name.filter(|name| name.is_string()).map_or("\"\"", Json::get);
        let _ = write!(call, r#","function":{{"name":{name},"arguments":""}}}}"#);
        self.delta(&format!(r#""tool_calls":[{call}]"#));
    }

    /// Adds a piece of the arguments of a call. `arguments` is a text in JSON.
    pub fn arguments(&mut self, number: u64, arguments: &str) {
        let call = format!(r#"{{"index":{number},"function":{{"arguments":{arguments}}}}}"#);
        self.delta(&format!(r#""tool_calls":[{call}]"#));
    }

    /// Adds members of the first choice beside its piece, such as log probabilities.
    pub fn beside(&mut self, members: &str) {
        self.choice("", members, None);
    }

    /// Says why the answer ends; `members` are further ones of the choice.
    pub fn end(&mut self, reason: &str, members: &str) {
        self.choice("", members, Some(reason));
    }

    /// Says how many tokens there were.
    pub fn usage(&mut self, usage: Usage) {
        let usage = usage.in_json();
        let usage = json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        });
        self.usage = Some(format!(r#"{{{},"choices":[],"usage":{usage}}}"#, self.head));
    }

    /// The chunks since the last call. They stand for the server's `event`.
    pub fn take(&mut self, event: &str) -> Vec<String> {
        if self.keeps {
            self.keep(event);
        }
        self.drained()
    }

    fn drained(&mut self) -> Vec<String> {
        self.ready.extend(self.usage.take());
        std::mem::take(&mut self.ready)
    }

    /// Puts the server's own event into the first chunk that is ready, or into one of its own.
    fn keep(&mut self, event: &str) {
        // A chunk stands on one line.
        let event = event.replace(['\n', '\r'], " ");
        let member = format!(r#","{EVENT}":{event}}}"#);
        match self.ready.first_mut() {
            Some(first) => {
                first.pop();
                first.push_str(&member);
            }
            None => self.ready.push(format!(r#"{{{},"choices":[]{member}"#, self.head)),
        }
    }

    /// The whole answer that all chunks since the last call make. They stand for the server's `answer`.
    pub fn whole(&mut self, answer: &str) -> String {
        let mut join = Join::new(usize::MAX);
        for chunk in self.drained() {
            if let Some(reply) = Reply::of(&chunk) {
                join.take(&reply);
            }
        }
        let mut chat = join.into_json("stop");
        if self.keeps {
            chat.pop();
            // Writing to a text cannot fail.
            let _ = write!(chat, r#","{ANSWER}":{answer}}}"#);
        }
        chat
    }

    fn delta(&mut self, members: &str) {
        self.choice(members, "", None);
    }

    fn choice(&mut self, delta: &str, members: &str, reason: Option<&str>) {
        let role = if std::mem::replace(&mut self.begun, true) { "" } else { r#""role":"assistant""# };
        let comma = if role.is_empty() || delta.is_empty() { "" } else { "," };
        let reason = reason.map_or_else(|| "null".to_owned(), |reason| json!(reason).to_string());
        let head = &self.head;
        self.ready.push(format!(
            r#"{{{head},"choices":[{{"index":0,"delta":{{{role}{comma}{delta}}}{members},"finish_reason":{reason}}}]}}"#
        ));
    }
}
