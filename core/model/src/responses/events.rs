//! The stream of the Responses API.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::answer::{Named, Resource, cut_by, passed};
use super::asked::Asked;
use super::change::{Change, Growing, ShownPart, snapshot, tell};
use super::follow::Followed;
use super::output::{Item, Part, Place, Status, add};
use super::shown::{Output, Shown, Thought};
use super::tools::Kind;
use crate::chat::{Piece, Said, original_event, write_event};
use crate::{Answer, Error};

/// Writes one stream: pieces of a chat's answer in, events of the Responses API out.
#[derive(Debug)]
pub struct Events {
    named: Named,
    asked: Box<Asked>,
    said: Said,
    items: Vec<Item>,
    /// The places of the items that may still grow.
    open: Vec<usize>,
    /// The last item, while its last part is text.
    growing: Option<Growing>,
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
    /// The items of the server's own events, where those go out.
    followed: Option<Followed>,
    ended: bool,
}

impl Events {
    /// A stream of that response, for a reader that has the events up to number `after`.
    pub fn new(named: Named, asked: impl Into<Box<Asked>>, after: Option<u64>) -> Self {
        let mut asked = asked.into();
        // No event shows the input, which may be long.
        asked.input = None;
        Self {
            named,
            asked,
            said: Said::default(),
            items: Vec::new(),
            open: Vec::new(),
            growing: None,
            number: 0,
            after,
            anew: false,
            whole: false,
            started: false,
            spoke: false,
            told: false,
            followed: None,
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
        if self.said.repeats(raw) {
            self.start(out);
            return self.text(text, out);
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
        let Ok(mut event @ Value::Object(_)) = serde_json::from_str::<Value>(event) else { return };
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        self.followed.get_or_insert_default().take(&kind, &event);
        match (kind.as_str(), event.get_mut("response").and_then(Value::as_object_mut)) {
            ("response.created" | "response.in_progress" | "response.queued", Some(response)) => {
                self.started = true;
                response.insert("id".to_owned(), self.named.id().into());
                // Clients put the items in there.
                response.entry("output").or_insert_with(|| json!([]));
            }
            ("response.completed" | "response.incomplete", _) => return,
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
        if let Some(after) = self.after {
            // The events that went out since the reader came have numbers, too.
            self.after = Some(after.max(self.number.saturating_sub(1)));
            self.anew = true;
        } else if self.spoke || self.told {
            let words = "the miner was lost after its first words, and a stream of this API cannot begin again";
            return Err(Error::new(crate::ErrorKind::MinerFailed, words));
        }
        (self.said, self.items, self.open, self.growing) = (Said::default(), Vec::new(), Vec::new(), None);
        self.followed = None;
        (self.spoke, self.told) = (false, false);
        Ok(())
    }

    /// Writes the end.
    pub fn end(&mut self, answer: &Answer, ended_at: Option<u64>, out: &mut Vec<u8>) {
        self.start(out);
        // A server's own response has not come in the pieces of a chat.
        if (self.followed.is_some() || !self.spoke && !self.told)
            && let Some(response) = passed(&self.named, answer)
        {
            return self.end_passed(&response, out);
        }
        if self.followed.is_none() && !self.told {
            // The miner gave its answer, or all of it but the text, in one piece.
            let spoke = self.spoke;
            let more = if spoke && answer.is_text() { Vec::new() } else { self.said.answer(answer) };
            for piece in more {
                if !(spoke && matches!(piece, Piece::Text(_))) {
                    self.take(&piece, out);
                }
            }
        }
        let cut = cut_by(&answer.finish_reason);
        let status = if cut.is_some() { Status::Cut } else { Status::Done };
        let items = self.items.len();
        // Only the last item of an answer can be cut off.
        self.close(|place| if place + 1 == items { status } else { Status::Done }, out);
        let own = self.cut_followed(out);
        let (last, number) = self.last();
        let mut response = Resource::begun(&self.named, &self.asked);
        response.end(&self.named, &self.asked, Cow::Borrowed(&self.items), answer, ended_at);
        if let Some(own) = own {
            // The server's own end did not come.
            response.output = Output::of_server(own);
        }
        let name = if cut.is_some() { "response.incomplete" } else { "response.completed" };
        snapshot(name, number, out, |out| _ = response.write(out));
        self.done(last, out);
    }

    /// Ends the items of the server's own that are open, and gives all of its items, if its events went out.
    fn cut_followed(&mut self, out: &mut Vec<u8>) -> Option<Vec<Value>> {
        let mut followed = self.followed.take()?;
        for (name, event) in followed.cut() {
            self.event(&name, event, out);
        }
        Some(followed.items())
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
        let cut = self.open.clone();
        self.close(|_| Status::Cut, out);
        let own = self.cut_followed(out);
        let (last, number) = self.last();
        let mut response = Resource::begun(&self.named, &self.asked);
        response.output = if let Some(own) = own {
            Output::of_server(own)
        } else {
            let items = Cow::Borrowed(&self.items[..]);
            Output::new(items, &self.named.digits, cut, self.asked.wants_summary())
        };
        response.fail(error);
        snapshot("response.failed", number, out, |out| _ = response.write(out));
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
        if numbers == [None, None] {
            return;
        }
        // Both show the same.
        let mut shown = 0..0;
        for (name, number) in ["response.created", "response.in_progress"].into_iter().zip(numbers) {
            snapshot(name, number, out, |out| {
                if shown.is_empty() {
                    let from = out.len();
                    // Texts and numbers alone: there is nothing that has no JSON form.
                    let _ = Resource::begun(&self.named, &self.asked).write(out);
                    shown = from..out.len();
                } else {
                    out.extend_from_within(shown.clone());
                }
            });
        }
    }

    /// Writes a piece of the answer's text.
    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let parts = self.growing.as_ref().and_then(|growing| self.items.get_mut(growing.place));
        if let Some(Item::Message(parts)) = parts
            && let Some(Part::Text(so_far)) = parts.last_mut()
        {
            so_far.push_str(text);
            self.grow(text, out);
        } else {
            self.take(&Piece::Text(text.to_owned()), out);
        }
    }

    /// Writes the event of a piece that the growing text has taken.
    fn grow(&mut self, text: &str, out: &mut Vec<u8>) {
        let number = self.next();
        if let (Some(number), Some(growing)) = (number, &mut self.growing) {
            growing.write(number, text, out);
        }
    }

    fn take(&mut self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(_) => self.spoke = true,
            Piece::Reasoning(_) | Piece::Refusal(_) | Piece::Call(_) => self.told = true,
        }
        let asked = &self.asked;
        let place = add(&mut self.items, piece, |name| asked.called(name));
        if place.is_new {
            // Calls may take turns, so a call stays open while calls follow.
            let is_call = matches!(piece, Piece::Call(_));
            let follows = self.open.last().is_some_and(|last| matches!(self.items.get(*last), Some(Item::Call(_))));
            if !(is_call && follows) {
                self.close(|_| Status::Done, out);
            }
            self.open.push(place.item);
            let number = self.next();
            if let Some(item) = self.items.get(place.item) {
                let item = Some(self.shown(item, place.item, Status::Begun));
                let change = Change { output_index: place.item, item, ..Change::default() };
                tell("response.output_item.added", number, &change, out);
            }
        }
        if place.is_new_part && !matches!(piece, Piece::Call(_)) {
            let number = self.next();
            if let Some(item) = self.items.get(place.item) {
                self.part(true, number, (item, place.item, place.part), out);
            }
        }
        self.change(place, piece, out);
    }

    /// Writes what the piece changes.
    fn change(&mut self, place: Place, piece: &Piece, out: &mut Vec<u8>) {
        let Some(item) = self.items.get(place.item) else { return };
        let id = item.id(&self.named.digits, place.item);
        let summary = self.asked.wants_summary();
        let (name, delta) = match (piece, item) {
            (Piece::Text(text), _) => {
                self.growing = Some(Growing::new(place.item, place.part, &id));
                return self.grow(text, out);
            }
            (Piece::Reasoning(text), _) if summary => ("response.reasoning_summary_text.delta", text.as_str()),
            (Piece::Reasoning(text), _) => ("response.reasoning_text.delta", text.as_str()),
            (Piece::Refusal(text), _) => ("response.refusal.delta", text.as_str()),
            // The text of a tool that takes one is known when its JSON is whole; a search has no events of its own.
            (Piece::Call(_), Item::Call(call)) if call.tool.kind != Kind::Function => return,
            (Piece::Call(call), _) => {
                ("response.function_call_arguments.delta", call.function.arguments.as_deref().unwrap_or_default())
            }
        };
        self.growing = None;
        if delta.is_empty() {
            return;
        }
        let is_summary = matches!(piece, Piece::Reasoning(_)) && summary;
        let has_content = !matches!(piece, Piece::Call(_)) && !is_summary;
        let (content_index, summary_index) = (has_content.then_some(place.part), is_summary.then_some(0));
        let about = Change { output_index: place.item, content_index, summary_index, ..Change::default() };
        let number = self.next();
        tell(name, number, &Change { item_id: Some(&id), delta: Some(delta), ..about }, out);
    }

    /// Writes that a part of an item begins, or that it is whole.
    fn part(
        &self,
        is_begun: bool,
        number: Option<u64>,
        (item, place, index): (&Item, usize, usize),
        out: &mut Vec<u8>,
    ) {
        let (part, summary) = match item {
            Item::Message(parts) => {
                let Some(part) = parts.get(index) else { return };
                (if is_begun { ShownPart::Begun(part) } else { ShownPart::Words(part) }, false)
            }
            Item::Reasoning(text) => {
                let summary = self.asked.wants_summary();
                (ShownPart::Thought(Thought::new(if is_begun { "" } else { text }, summary)), summary)
            }
            Item::Call(_) => return,
        };
        let id = item.id(&self.named.digits, place);
        let about = Change { item_id: Some(&id), output_index: place, part: Some(part), ..Change::default() };
        let (content_index, summary_index) = if summary { (None, Some(index)) } else { (Some(index), None) };
        let name = match (summary, is_begun) {
            (true, true) => "response.reasoning_summary_part.added",
            (true, false) => "response.reasoning_summary_part.done",
            (false, true) => "response.content_part.added",
            (false, false) => "response.content_part.done",
        };
        tell(name, number, &Change { content_index, summary_index, ..about }, out);
    }

    /// Closes the open items, each with its status.
    fn close(&mut self, status: impl Fn(usize) -> Status, out: &mut Vec<u8>) {
        self.growing = None;
        // The items stand aside, while the events that show them are numbered.
        let items = std::mem::take(&mut self.items);
        for place in std::mem::take(&mut self.open) {
            if let Some(item) = items.get(place) {
                self.close_one(item, place, status(place), out);
            }
        }
        self.items = items;
    }

    /// Writes that an item is whole, and all of its parts before it.
    fn close_one(&mut self, item: &Item, place: usize, status: Status, out: &mut Vec<u8>) {
        let id = item.id(&self.named.digits, place);
        let about = || Change { item_id: Some(&id), output_index: place, ..Change::default() };
        match item {
            Item::Message(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    let about = Change { content_index: Some(index), ..about() };
                    let number = self.next();
                    match part {
                        Part::Text(text) => {
                            let whole = Change { text: Some(text), logprobs: true, ..about };
                            tell("response.output_text.done", number, &whole, out);
                        }
                        Part::Refusal(text) => {
                            tell("response.refusal.done", number, &Change { refusal: Some(text), ..about }, out);
                        }
                    }
                    let number = self.next();
                    self.part(false, number, (item, place, index), out);
                }
            }
            Item::Reasoning(text) => {
                let (number, whole) = (self.next(), Change { text: Some(text), ..about() });
                if self.asked.wants_summary() {
                    let whole = Change { summary_index: Some(0), ..whole };
                    tell("response.reasoning_summary_text.done", number, &whole, out);
                } else {
                    let whole = Change { content_index: Some(0), ..whole };
                    tell("response.reasoning_text.done", number, &whole, out);
                }
                let number = self.next();
                self.part(false, number, (item, place, 0), out);
            }
            Item::Call(call) if call.tool.kind == Kind::Search => {}
            Item::Call(call) if call.tool.kind == Kind::Custom => {
                let input = call.input();
                let (piece, whole) =
                    (Change { delta: Some(&input), ..about() }, Change { input: Some(&input), ..about() });
                tell("response.custom_tool_call_input.delta", self.next(), &piece, out);
                tell("response.custom_tool_call_input.done", self.next(), &whole, out);
            }
            Item::Call(call) => {
                let arguments = call.arguments(status);
                if arguments != call.arguments {
                    // The model gave none, and the pieces must make up the whole.
                    let piece = Change { delta: Some(arguments), ..about() };
                    tell("response.function_call_arguments.delta", self.next(), &piece, out);
                }
                let whole = Change { name: Some(&call.tool.name), arguments: Some(arguments), ..about() };
                tell("response.function_call_arguments.done", self.next(), &whole, out);
            }
        }
        let number = self.next();
        let change = Change { output_index: place, item: Some(self.shown(item, place, status)), ..Change::default() };
        tell("response.output_item.done", number, &change, out);
    }

    fn shown<'a>(&'a self, item: &'a Item, place: usize, status: Status) -> Shown<'a> {
        Shown { item, digits: &self.named.digits, place, status, summary: self.asked.wants_summary() }
    }

    /// The number of the next event; `None`: the reader has the event.
    fn next(&mut self) -> Option<u64> {
        let number = self.number;
        self.number = self.number.saturating_add(1);
        (!self.anew && self.after.is_none_or(|after| number > after)).then_some(number)
    }

    /// Writes an event of a server's own.
    fn event(&mut self, name: &str, mut data: Value, out: &mut Vec<u8>) {
        if let Some(number) = self.next() {
            data["type"] = name.into();
            data["sequence_number"] = number.into();
            write_event(name, &data, out);
        }
    }
}
