//! The stream of the Responses API.

use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Named, Resource, cut_by, passed};
use super::asked::Asked;
use super::output::{Item, Part, Place, Status, add};
use super::tools::Kind;
use crate::chat::{Piece, Said, original_event, write_event};
use crate::{Answer, Error};

/// Writes one stream: pieces of a chat's answer in, events of the Responses API out.
#[derive(Debug)]
pub struct Events {
    named: Named,
    asked: Asked,
    said: Said,
    items: Vec<Item>,
    /// The places of the items that may still grow.
    open: Vec<usize>,
    /// The number of the next event.
    number: u64,
    /// The number of the last event that the reader has; `None`: it has none.
    after: Option<u64>,
    /// Whether the pieces are not those of which the reader has the first.
    anew: bool,
    /// Whether the events are made from the whole answer alone.
    whole: bool,
    started: bool,
    /// Whether text of the answer is out.
    spoke: bool,
    /// Whether anything else of it is out.
    told: bool,
    /// Whether the server's own events go out.
    passes: bool,
    ended: bool,
}

/// A change of an item.
#[derive(Serialize)]
struct Change<'a> {
    r#type: &'static str,
    sequence_number: u64,
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

impl Events {
    /// A stream of that response, for a reader that has the events up to number `after`.
    pub fn new(named: Named, asked: Asked, after: Option<u64>) -> Self {
        Self {
            named,
            // No event shows the input, which may be long.
            asked: Asked { input: Vec::new(), ..asked },
            said: Said::default(),
            items: Vec::new(),
            open: Vec::new(),
            number: 0,
            after,
            anew: false,
            whole: false,
            started: false,
            spoke: false,
            told: false,
            passes: false,
            ended: false,
        }
    }

    /// A stream of a response whose pieces are not kept one by one any more: its events come from the whole answer.
    #[must_use]
    pub fn of_whole(mut self) -> Self {
        self.whole = true;
        self.anew = self.after.is_some();
        self
    }

    /// Whether the stream is over.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// Writes a piece: its text, and the chunk of the model's server.
    pub fn piece(&mut self, text: &str, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        if self.whole {
            return;
        }
        if let Some(event) = raw.and_then(original_event) {
            return self.pass(event.get(), out);
        }
        self.start(out);
        for piece in self.said.chunk(text, raw) {
            self.take(&piece, out);
        }
    }

    /// Writes an event of a server that speaks this API, as it came but for the id of the response and its number. The
    /// last event waits for the end of the task.
    fn pass(&mut self, event: &str, out: &mut Vec<u8>) {
        self.passes = true;
        let Ok(mut event) = serde_json::from_str::<Value>(event) else { return };
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.started = true;
                event["response"]["id"] = self.named.id().into();
            }
            "response.completed" | "response.incomplete" => return,
            _ => {
                self.start(out);
                self.told = true;
            }
        }
        self.event(&kind, event, out);
    }

    /// All pieces before are void. A reader that resumes then gets the end alone, because the numbers that it has do not
    /// belong to the pieces that follow.
    ///
    /// # Errors
    /// `MinerFailed` when a part of the answer is out.
    pub fn restart(&mut self) -> crate::Result<()> {
        if self.after.is_some() {
            self.anew = true;
        } else if self.spoke || self.told {
            let words = "the miner was lost after its first words, and a stream of this API cannot begin again";
            return Err(Error::new(crate::ErrorKind::MinerFailed, words));
        }
        (self.said, self.items, self.open) = (Said::default(), Vec::new(), Vec::new());
        self.passes = false;
        Ok(())
    }

    /// Writes the end.
    pub fn end(&mut self, answer: &Answer, ended_at: Option<u64>, out: &mut Vec<u8>) {
        self.start(out);
        if let Some(response) = passed(&self.named, answer) {
            return self.end_passed(&response, out);
        }
        if self.passes {
            // The server's own end did not come.
            for piece in Said::default().answer(answer) {
                let asked = &self.asked;
                add(&mut self.items, &piece, |name| asked.called(name));
            }
        } else if !self.told {
            // The miner gave its answer, or all of it but the text, in one piece.
            let spoke = self.spoke;
            for piece in self.said.answer(answer) {
                if !(spoke && matches!(piece, Piece::Text(_))) {
                    self.take(&piece, out);
                }
            }
        }
        let cut = cut_by(&answer.finish_reason);
        self.close(if cut.is_some() { Status::Cut } else { Status::Done }, out);
        let (last, number) = self.last();
        let mut response = Resource::begun(&self.named, &self.asked);
        response.end(&self.named, &self.asked, &self.items, answer, ended_at);
        let name = if cut.is_some() { "response.incomplete" } else { "response.completed" };
        snapshot(name, number, &response, out);
        self.done(last, out);
    }

    /// Writes the end of a server's own response.
    fn end_passed(&mut self, response: &Value, out: &mut Vec<u8>) {
        let name = if response["status"] == "incomplete" { "response.incomplete" } else { "response.completed" };
        let (last, number) = self.last();
        if let Some(number) = number {
            write_event(name, &json!({"type": name, "sequence_number": number, "response": response}), out);
        }
        self.done(last, out);
    }

    /// The number of the last event, and the same where the reader does not have the event.
    fn last(&mut self) -> (u64, Option<u64>) {
        if let Some(after) = self.after.filter(|_| self.anew) {
            self.number = after.saturating_add(1);
            self.anew = false;
        }
        (self.number, self.next())
    }

    /// Tells a reader that it cannot have the events that it says it has.
    fn beyond(&mut self, last: u64, out: &mut Vec<u8>) {
        let words = format!("starting_after must be the number of an event that was seen: the last one has {last}");
        let data = json!({
            "type": "error",
            "sequence_number": self.number,
            "code": "invalid_argument",
            "message": words,
            "param": "starting_after",
        });
        write_event("error", &data, out);
    }

    /// Writes the failure of the task, after which nothing comes.
    pub fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.start(out);
        let (last, number) = self.last();
        let mut response = Resource::begun(&self.named, &self.asked);
        response.output = (0..self.items.len()).map(|place| self.item(place, Status::Cut)).collect();
        response.fail(error);
        snapshot("response.failed", number, &response, out);
        self.done(last, out);
    }

    /// Ends the stream, whose last event has that number.
    fn done(&mut self, last: u64, out: &mut Vec<u8>) {
        if self.after.is_some_and(|after| after >= last) {
            self.beyond(last, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.ended = true;
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let numbers = [self.next(), self.next()];
        let response = Resource::begun(&self.named, &self.asked);
        for (name, number) in ["response.created", "response.in_progress"].into_iter().zip(numbers) {
            snapshot(name, number, &response, out);
        }
    }

    fn take(&mut self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(_) => self.spoke = true,
            Piece::Reasoning(_) | Piece::Refusal(_) | Piece::Call(_) => self.told = true,
        }
        let before = self.items.len();
        let asked = &self.asked;
        let place = add(&mut self.items, piece, |name| asked.called(name));
        if place.is_new {
            // Calls may take turns, so a call stays open while calls follow.
            let is_call = matches!(piece, Piece::Call(_));
            let follows = self.open.last().is_some_and(|last| matches!(self.items.get(*last), Some(Item::Call(_))));
            if !(is_call && follows) {
                self.close_up_to(before, Status::Done, out);
            }
            self.open.push(place.item);
            let item = self.item(place.item, Status::Begun);
            self.event("response.output_item.added", json!({"output_index": place.item, "item": item}), out);
        }
        if place.is_new_part {
            self.part("response.content_part.added", place, true, out);
        }
        self.change(place, piece, out);
    }

    /// Writes what the piece changes.
    fn change(&mut self, place: Place, piece: &Piece, out: &mut Vec<u8>) {
        let Some(item) = self.items.get(place.item) else { return };
        let id = item.id(&self.named.digits, place.item);
        let summary = self.asked.wants_summary();
        let (name, delta) = match (piece, item) {
            (Piece::Reasoning(text), _) if summary => ("response.reasoning_summary_text.delta", text.as_str()),
            (Piece::Reasoning(text), _) => ("response.reasoning_text.delta", text.as_str()),
            (Piece::Text(text), _) => ("response.output_text.delta", text.as_str()),
            (Piece::Refusal(text), _) => ("response.refusal.delta", text.as_str()),
            // The text of a tool that takes one is known when its JSON is whole; a search has no events of its own.
            (Piece::Call(_), Item::Call(call)) if call.tool.kind != Kind::Function => return,
            (Piece::Call(call), _) => {
                ("response.function_call_arguments.delta", call.function.arguments.as_deref().unwrap_or_default())
            }
        };
        if delta.is_empty() {
            return;
        }
        let is_summary = matches!(piece, Piece::Reasoning(_)) && summary;
        let has_content = !matches!(piece, Piece::Call(_)) && !is_summary;
        let (content_index, summary_index) = (has_content.then_some(place.part), is_summary.then_some(0));
        let logprobs = matches!(piece, Piece::Text(_)).then_some([]);
        let Some(sequence_number) = self.next() else { return };
        let output_index = place.item;
        let delta = Change {
            r#type: name,
            sequence_number,
            item_id: &id,
            output_index,
            content_index,
            summary_index,
            delta,
            logprobs,
        };
        write_event(name, &delta, out);
    }

    /// Writes that a part of an item begins or is whole.
    fn part(&mut self, name: &str, place: Place, is_begun: bool, out: &mut Vec<u8>) {
        let Some(item) = self.items.get(place.item) else { return };
        let id = item.id(&self.named.digits, place.item);
        let (part, summary) = match item {
            Item::Message(parts) => {
                let Some(part) = parts.get(place.part) else { return };
                (if is_begun { part.empty() } else { part.json() }, false)
            }
            Item::Reasoning(text) => {
                let text = if is_begun { "" } else { text.as_str() };
                let summary = self.asked.wants_summary();
                (json!({"type": if summary { "summary_text" } else { "reasoning_text" }, "text": text}), summary)
            }
            Item::Call(_) => return,
        };
        let mut data = json!({"item_id": id, "output_index": place.item, "part": part});
        data[if summary { "summary_index" } else { "content_index" }] = place.part.into();
        let name = if summary { name.replace("content_part", "reasoning_summary_part") } else { name.to_owned() };
        self.event(&name, data, out);
    }

    fn close(&mut self, status: Status, out: &mut Vec<u8>) {
        let items = self.items.len();
        self.close_up_to(items, status, out);
    }

    /// Closes the open items before that place. Only the last item of an answer can be cut off.
    fn close_up_to(&mut self, end: usize, status: Status, out: &mut Vec<u8>) {
        for place in std::mem::take(&mut self.open) {
            let status = if place + 1 == end { status } else { Status::Done };
            let Some(item) = self.items.get(place).cloned() else { continue };
            let id = item.id(&self.named.digits, place);
            match &item {
                Item::Message(parts) => {
                    for (index, part) in parts.iter().enumerate() {
                        let (name, member, text) = match part {
                            Part::Text(text) => ("response.output_text.done", "text", text),
                            Part::Refusal(text) => ("response.refusal.done", "refusal", text),
                        };
                        let mut data =
                            json!({"item_id": id, "output_index": place, "content_index": index, member: text});
                        if member == "text" {
                            data["logprobs"] = json!([]);
                        }
                        self.event(name, data, out);
                        let at = Place { item: place, is_new: false, part: index, is_new_part: false };
                        self.part("response.content_part.done", at, false, out);
                    }
                }
                Item::Reasoning(text) => {
                    let (name, index) = if self.asked.wants_summary() {
                        ("response.reasoning_summary_text.done", "summary_index")
                    } else {
                        ("response.reasoning_text.done", "content_index")
                    };
                    self.event(name, json!({"item_id": id, "output_index": place, index: 0, "text": text}), out);
                    let at = Place { item: place, is_new: false, part: 0, is_new_part: false };
                    self.part("response.content_part.done", at, false, out);
                }
                Item::Call(call) if call.tool.kind == Kind::Search => {}
                Item::Call(call) if call.tool.kind == Kind::Custom => {
                    let (input, at) = (call.input(), json!({"item_id": id, "output_index": place}));
                    for (name, member) in [("delta", "delta"), ("done", "input")] {
                        let mut data = at.clone();
                        data[member] = input.as_ref().into();
                        self.event(&format!("response.custom_tool_call_input.{name}"), data, out);
                    }
                }
                Item::Call(call) => {
                    let data = json!({"item_id": id, "output_index": place, "name": call.tool.name, "arguments": call.arguments()});
                    self.event("response.function_call_arguments.done", data, out);
                }
            }
            let item = self.item(place, status);
            self.event("response.output_item.done", json!({"output_index": place, "item": item}), out);
        }
    }

    fn item(&self, place: usize, status: Status) -> Value {
        let summary = self.asked.wants_summary();
        self.items.get(place).map_or(Value::Null, |item| item.json(&self.named.digits, place, status, summary))
    }

    /// The number of the next event; `None`: the reader has the event.
    fn next(&mut self) -> Option<u64> {
        let number = self.number;
        self.number += 1;
        (!self.anew && self.after.is_none_or(|after| number > after)).then_some(number)
    }

    fn event(&mut self, name: &str, mut data: Value, out: &mut Vec<u8>) {
        if let Some(number) = self.next() {
            data["type"] = name.into();
            data["sequence_number"] = number.into();
            write_event(name, &data, out);
        }
    }
}

/// Writes an event that shows the response, unless the reader has it.
fn snapshot(name: &str, number: Option<u64>, response: &Resource<'_>, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Snapshot<'a> {
        r#type: &'a str,
        sequence_number: u64,
        response: &'a Resource<'a>,
    }
    if let Some(sequence_number) = number {
        write_event(name, &Snapshot { r#type: name, sequence_number, response }, out);
    }
}
