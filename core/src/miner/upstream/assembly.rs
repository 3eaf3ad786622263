//! Forwards the pieces of a stream as they come, and assembles the answer that a call without a stream would have
//! given.
//!
//! * An event with choices is forwarded unchanged, including the one with the finish reason.
//! * An event that holds a whole answer (`message` in the place of `delta`) is forwarded as chunks, because clients of a
//!   stream read `delta` alone.
//! * An event that carries only usage (`choices` is empty) is forwarded only if the client asked for it with
//!   `stream_options.include_usage`. The router always asks upstreams for usage and keeps it in [`Answer::usage`].
//! * An event with neither is forwarded, too, but is no proof of an answer. Before the first choice it is held back,
//!   so that a failure can still have an HTTP status of its own.
//!
//! A stream is a complete answer if it has given a finish reason, or has given content and then `[DONE]`.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::complaint::{is_complaint, is_list_of_complaints};
use super::packed::Packed;
use super::refusal;
use crate::miner::{Chunk, FailClass, Failure};
use crate::model::shape::{Choice, Envelope, Join, Joint, Reply, Said, Words, repaired, split, utf8};
use crate::model::{Answer, FinishReason, Usage};

/// The parts of one event that are passed on.
pub(super) type Chunks = SmallVec<[Chunk; 1]>;

/// The rules for reading an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    /// The maximum number of bytes of the answer.
    pub(super) most: usize,
    /// Whether the client asked for usage in the stream.
    pub(super) usage: bool,
    /// Whether the client asked for several choices. If so, the answer's text is that of choice 0; otherwise it is that
    /// of the first choice that comes.
    pub(super) several: bool,
    /// Whether the client wants the whole answer at once. If so, its JSON is made even if it holds only text.
    pub(super) whole: bool,
}

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    wish: Wish,
    size: usize,
    joined: Join,
    /// The last event, if it had words and nothing else that counts twice, and the choice and member of its words.
    last: Envelope,
    place: (u64, &'static str),
    /// The index of the choice whose text is the answer's text.
    first: Option<u64>,
    /// The text that is not forwarded yet: empty, or half of a surrogate pair.
    text: Joint,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
    model: Option<String>,
    /// Events without choices that are held back until the first event with choices.
    waiting: Vec<Bytes>,
    packed: Packed,
}

impl Assembly {
    /// An assembly without events.
    pub(super) fn new(wish: Wish) -> Self {
        let first = wish.several.then_some(0);
        Self { wish, first, joined: Join::new(wish.most), ..Self::default() }
    }

    /// Takes notice that so many bytes of events are there. The events among them share memory.
    pub(super) fn came(&mut self, bytes: usize) {
        self.packed.came(bytes);
    }

    /// Takes an event and returns the pieces to forward.
    pub(super) fn take(&mut self, name: &str, event: Bytes) -> Result<Chunks, Failure> {
        if let Some(chunk) = self.take_words(&event) {
            return Ok(smallvec![chunk]);
        }
        match read(event, |json, reply| self.take_reply(name, json, reply)) {
            Ok(taken) => taken,
            // Behind the end of every choice only an error says something: words like `[done]` are no part of an answer.
            Err(text) if self.is_finished() && !is_list_of_complaints(&text) => Ok(smallvec![]),
            Err(text) => no_chunk(name, text),
        }
    }

    /// Takes an event that differs from the one before in its words alone, and returns the piece to forward; `None`: it
    /// is another event. Nearly every event of a stream is taken in this way.
    pub(super) fn take_words(&mut self, event: &[u8]) -> Option<Chunk> {
        let words = self.last.words(event)?.said();
        let (index, name) = self.place;
        self.size += self.joined.take_words(index, name, words);
        let is_text = self.first == Some(index) && matches!(name, "content" | "text");
        let text = match words {
            Said::Plain(text) if is_text => self.text.take_with(text),
            Said::Escaped(json) if is_text => {
                self.text.add(json);
                self.text.take()
            }
            _ => self.text.take(),
        };
        Some(piece(text, self.packed.copy(event)))
    }

    /// Takes a whole answer that came as one event, as the chunks of a stream.
    fn take_whole(&mut self, name: &str, event: &Bytes) -> Result<Chunks, Failure> {
        let mut chunks = Chunks::new();
        for piece in split(std::str::from_utf8(event).unwrap_or_default(), Words::Unsaid) {
            chunks.extend(self.take(name, piece.into())?);
        }
        Ok(chunks)
    }

    fn take_reply(&mut self, name: &str, event: &Bytes, reply: &Reply<'_>) -> Result<Chunks, Failure> {
        if is_complaint(reply, reply.has_choices() || reply.usage.is_some()) {
            return Err(refusal::reported(name, event.clone()));
        }
        if reply.choices.iter().flatten().any(Choice::has_message_alone) {
            return self.take_whole(name, event);
        }
        if let Some(usage) = reply.usage() {
            self.usage = Some(usage);
        }
        if self.model.is_none() {
            self.model = reply.model();
        }
        self.size += self.joined.take(reply);
        let sole = reply.sole_words();
        self.last.keep(event, sole.and_then(|sole| sole.words.place_in(event)));
        self.place = sole.map(|sole| (sole.index, sole.name)).unwrap_or_default();
        let mut chunks = Chunks::new();
        if reply.has_choices() {
            self.take_first(reply.choices.as_deref().unwrap_or_default());
            chunks.extend(self.waiting.drain(..).map(|raw| piece(String::new(), raw)));
            chunks.push(piece(self.text.take(), self.packed.copy(event)));
        } else if reply.usage.is_some() && !self.wish.usage {
            return Ok(chunks);
        } else if self.joined.has_choices() {
            chunks.push(piece(String::new(), self.packed.copy(event)));
        } else {
            self.size += event.len();
            self.waiting.push(self.packed.copy(event));
        }
        Ok(chunks)
    }

    /// Whether the answer exceeds its maximum size.
    pub(super) fn is_full(&self) -> bool {
        self.size > self.wish.most
    }

    /// Ends the answer here because it is full. Its finish reason is `length`.
    ///
    /// # Errors
    /// `Unreadable` if no event had choices.
    pub(super) fn cut(mut self, name: &str) -> Result<Answer, Failure> {
        if !self.joined.has_choices() {
            return Err(too_large(name, self.wish.most));
        }
        self.finish_reason = Some(FinishReason::Length);
        let (usage, model) = (self.usage.take().unwrap_or_default(), self.model.take());
        Ok(Answer::default().finish_reason(FinishReason::Length).usage(usage).model(model))
    }

    /// Whether every choice has a finish reason.
    pub(super) fn is_finished(&self) -> bool {
        self.joined.is_finished()
    }

    /// The answer of a stream that has ended, as `[DONE]` or [`is_finished`](Self::is_finished) proves. Its text is
    /// empty, because the text was emitted already. `raw` is set if the answer holds more than text, or if the client
    /// wants the whole answer.
    ///
    /// # Errors
    /// `Unreadable` if the stream had no content.
    pub(super) fn into_answer(self, name: &str) -> Result<Answer, Failure> {
        if !self.joined.is_answer() {
            let words = self.waiting.last().map(Bytes::as_ref).unwrap_or_default();
            return Err(refusal::garbage(name, "ended its stream without an answer", words));
        }
        let finish_reason = self.finish_reason.unwrap_or_else(|| {
            let calls = self.first.is_some_and(|first| self.joined.calls_tools(first));
            if calls { FinishReason::ToolCalls } else { FinishReason::Stop }
        });
        let raw = (self.wish.whole || self.joined.is_more_than_text())
            .then(|| Bytes::from(self.joined.into_json(finish_reason.as_str())));
        Ok(Answer::default()
            .finish_reason(finish_reason)
            .usage(self.usage.unwrap_or_default())
            .model(self.model)
            .raw(raw))
    }

    /// Takes the text of the choice whose text is the answer's.
    fn take_first(&mut self, choices: &[Choice<'_>]) {
        let lowest = choices.iter().map(|choice| choice.index).min();
        let first = *self.first.get_or_insert(lowest.unwrap_or(0));
        for choice in choices.iter().filter(|choice| choice.index == first) {
            if let Some(text) = choice.words(choice.piece()) {
                self.text.add(text);
            }
            if let Some(reason) = choice.finish_reason() {
                self.finish_reason = Some(reason);
                self.text.end();
            }
        }
    }
}

fn piece(text: String, raw: Bytes) -> Chunk {
    Chunk { text, raw: Some(raw), ..Chunk::default() }
}

/// Reads an answer or a chunk: as it is, else with U+FFFD where it is no UTF-8 and without a byte order mark, else
/// with its small faults repaired. Only what is read first needs no other pass over the bytes.
///
/// # Errors
/// The text, if it is no JSON object in any of these ways.
pub(super) fn read<T>(json: Bytes, take: impl FnOnce(&Bytes, &Reply<'_>) -> T) -> Result<T, Bytes> {
    if let Some(reply) = reply_of(&json) {
        return Ok(take(&json, &reply));
    }
    let text = utf8(json);
    if let Some(reply) = reply_of(&text) {
        return Ok(take(&text, &reply));
    }
    let nearly = repaired(&text);
    match reply_of(&nearly) {
        Some(reply) => Ok(take(&nearly, &reply)),
        None => Err(text),
    }
}

/// Parses an answer or a chunk; `None`: the bytes are not a JSON object.
fn reply_of(json: &[u8]) -> Option<Reply<'_>> {
    Reply::of(std::str::from_utf8(json).ok()?)
}

/// Handles an event that is not an object: an empty value or a number is ignored, any other event is a failure.
fn no_chunk(name: &str, event: Bytes) -> Result<Chunks, Failure> {
    match event.trim_ascii() {
        b"null" | b"true" | b"false" | b"\"\"" | b"[]" => Ok(smallvec![]),
        number if serde_json::from_slice::<f64>(number).is_ok() => Ok(smallvec![]),
        list if is_list_of_complaints(list) => Err(refusal::reported(name, event)),
        _ => Err(refusal::garbage(name, "sent an event that is no chunk", &event)),
    }
}

/// The failure of an answer that exceeds the maximum size.
pub(super) fn too_large(name: &str, most: usize) -> Failure {
    let message = format!(
        "the upstream {name} answered more than {most} bytes: ask for fewer tokens or raise limits.max_output_bytes"
    );
    Failure::new(FailClass::Unreadable, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take_all(events: &[&'static str]) -> (String, Answer) {
        let mut assembly = Assembly::new(Wish { most: 1_000, ..Wish::default() });
        let mut text = String::new();
        for event in events {
            for chunk in assembly.take("up", Bytes::from_static(event.as_bytes())).unwrap() {
                assert_eq!(chunk.raw.as_deref(), Some(event.as_bytes()));
                text.push_str(&chunk.text);
            }
        }
        (text, assembly.into_answer("up").unwrap())
    }

    #[test]
    fn text_is_not_kept_twice() {
        let (text, answer) = take_all(&[
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#,
        ]);
        assert_eq!(text, "Hi");
        let wanted =
            Answer::default().finish_reason(FinishReason::Length).usage(Usage::new(2, 1)).model(Some("m".into()));
        assert_eq!(answer, wanted);
    }

    #[test]
    fn usage_passes_on_where_it_is_wanted() {
        let event = Bytes::from_static(br#"{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#);
        let end = Bytes::from_static(br#"{"choices":[{"finish_reason":"stop"}]}"#);
        for usage in [false, true] {
            let mut assembly = Assembly::new(Wish { most: 1_000, usage, ..Wish::default() });
            assert_eq!(assembly.take("up", end.clone()).unwrap().len(), 1);
            assert_eq!(!assembly.take("up", event.clone()).unwrap().is_empty(), usage);
            assert_eq!(assembly.into_answer("up").unwrap().usage, Usage::new(2, 1));
        }
    }

    #[test]
    fn tool_calls_come_together_by_their_index() {
        let (text, answer) = take_all(&[
            r#"{"id":"a","created":9,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"add","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c1","function":{"name":"sub","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"","function":{"arguments":"1}"}}]},"finish_reason":"tool_calls"}]}"#,
        ]);
        assert_eq!(text, "");
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
        assert_eq!(
            String::from_utf8(answer.raw.unwrap().to_vec()).unwrap(),
            r#"{"id":"a","object":"chat.completion","created":9,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c0","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}},{"id":"c1","type":"function","function":{"name":"sub","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#
        );
    }

    #[test]
    fn an_error_in_the_stream_is_a_failure() {
        let mut assembly = Assembly::new(Wish { most: 100, ..Wish::default() });
        let event = Bytes::from_static(br#"{"error":{"message":"out of memory","code":500}}"#);
        let failure = assembly.take("up", event.clone()).unwrap_err();
        assert_eq!(failure.class, FailClass::Internal);
        assert_eq!(failure.raw, Some(event));
        assert!(failure.message.contains("out of memory"));
    }

    #[test]
    fn an_answer_over_the_bound_is_cut() {
        let mut assembly = Assembly::new(Wish { most: 3, ..Wish::default() });
        let event = |text: &str| Bytes::from(format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#));
        assert!(assembly.take("up", event("abc")).is_ok());
        assert!(!assembly.is_full());
        assert!(assembly.take("up", event("d")).is_ok() && assembly.is_full());
        assert_eq!(assembly.cut("up").unwrap().finish_reason, FinishReason::Length);
        let mut assembly = Assembly::new(Wish { most: 3, ..Wish::default() });
        assert!(assembly.take("up", Bytes::from_static(br#"{"object":"a long event without choices"}"#)).is_ok());
        let failure = assembly.cut("up").unwrap_err();
        assert!(failure.message.contains("limits.max_output_bytes"), "{}", failure.message);
        assert_eq!(failure.class, FailClass::Unreadable);
    }

    fn said(events: &[&str], done: bool) -> Result<(String, Answer), Failure> {
        let mut assembly = Assembly::new(Wish { most: 10_000, ..Wish::default() });
        let mut text = String::new();
        for event in events {
            for chunk in assembly.take("up", Bytes::copy_from_slice(event.as_bytes()))? {
                text.push_str(&chunk.text);
            }
        }
        assert!(done || assembly.is_finished(), "the stream was cut");
        Ok((text, assembly.into_answer("up")?))
    }

    const A: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    #[test]
    fn an_end_needs_a_proof() {
        let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}"#;
        let call = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}}]}"#;
        for (events, reason) in [
            (&[A, STOP][..], FinishReason::Stop),
            (&[STOP], FinishReason::Stop),
            (&[A], FinishReason::Stop),
            (&[call], FinishReason::ToolCalls),
            (&[A, STOP, r#"{"choices":[{"finish_reason":"length"}]}"#], FinishReason::Length),
        ] {
            assert_eq!(said(events, true).unwrap().1.finish_reason, reason, "{events:?}");
        }
        for events in
            [&[][..], &[role], &[usage], &[role, usage], &["{}"], &[r#"{"choices":[]}"#], &["null", "5", "\"\""]]
        {
            let failure = said(events, true).unwrap_err();
            assert_eq!(failure.class, FailClass::Unreadable, "{events:?}");
            assert!(failure.message.contains("ended its stream without an answer"), "{}", failure.message);
        }
        let failure = said(&[r#"{"type":"status","message":"the model sleeps"}"#], true).unwrap_err();
        assert!(failure.message.contains("the model sleeps"), "{}", failure.message);
    }

    #[test]
    fn a_cut_is_an_end_once_every_choice_has_said_why() {
        let finished = |events: &[&str]| {
            let mut assembly = Assembly::new(Wish { most: 10_000, ..Wish::default() });
            for event in events {
                assembly.take("up", Bytes::copy_from_slice(event.as_bytes())).unwrap();
            }
            assembly.is_finished()
        };
        let empty = A.replace("null", "\"\"");
        let other = A.replace("\"index\":0", "\"index\":1");
        assert!(finished(&[A, STOP]) && finished(&[&empty, STOP, r#"{"choices":[],"usage":{}}"#]));
        assert!(!finished(&[A]) && !finished(&[&empty]) && !finished(&[]));
        assert!(!finished(&[A, &other, STOP]));
    }

    #[test]
    fn what_proves_nothing_waits_for_the_first_choice() {
        let mut assembly = Assembly::new(Wish { most: 1_000, ..Wish::default() });
        let mut take = |event: &str| -> Vec<Bytes> {
            let chunks = assembly.take("up", Bytes::copy_from_slice(event.as_bytes())).unwrap();
            chunks.into_iter().filter_map(|chunk| chunk.raw).collect()
        };
        let odd = r#"{"prompt_filter_results":[1],"choices":[]}"#;
        assert!(take(odd).is_empty());
        assert_eq!(take(A), [odd, A]);
        assert_eq!(take(odd), [odd]);
    }

    #[test]
    fn a_whole_answer_in_one_event_becomes_chunks() {
        let whole = r#"{"id":"u","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[{"id":"c","function":{"name":"f"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#;
        for (usage, count) in [(false, 2), (true, 3)] {
            let mut assembly = Assembly::new(Wish { most: 1_000, usage, ..Wish::default() });
            let chunks = assembly.take("up", Bytes::from_static(whole.as_bytes())).unwrap();
            let raws: Vec<_> =
                chunks.iter().filter_map(|chunk| std::str::from_utf8(chunk.raw.as_deref()?).ok()).collect();
            assert_eq!(raws.len(), count, "{raws:?}");
            assert!(
                raws[0].contains(r#""delta":{"role":"assistant","content":"a","tool_calls":[{"index":0,"#),
                "{raws:?}"
            );
            assert!(raws[1].contains(r#""finish_reason":"tool_calls""#), "{raws:?}");
            assert_eq!(chunks[0].text, "a");
            assert_eq!(assembly.into_answer("up").unwrap().usage, Usage::new(2, 1));
        }
    }

    #[test]
    fn words_behind_the_end_of_every_choice_are_no_fault() {
        for words in ["[done]", "<EOF>", "bye", "{"] {
            assert_eq!(said(&[A, STOP, words], true).unwrap().0, "a", "{words}");
            let failure = said(&[A, words, STOP], true).unwrap_err();
            assert_eq!(failure.class, FailClass::Unreadable, "{words}");
        }
        for error in [r#"{"error":{"message":"no"}}"#, r#"[{"error":{"message":"no"}}]"#] {
            assert_eq!(said(&[A, STOP, error], true).unwrap_err().message, "the upstream up reported: no");
        }
    }

    #[test]
    fn half_a_character_waits_for_the_other_half() {
        let high = A.replace("\"a\"", r#""\ud83d""#);
        let low = A.replace("\"a\"", r#""\ude00""#);
        let text = |events: &[&str]| said(events, true).unwrap().0;
        assert_eq!(text(&[&high, &low, STOP]), "😀");
        assert_eq!(text(&[A, &high, A, STOP]), "a\u{fffd}a");
        assert_eq!(text(&[&high, STOP]), "\u{fffd}");
    }

    #[test]
    fn what_is_nearly_json_is_passed_on_as_json() {
        let mut assembly = Assembly::new(Wish { most: 1_000, ..Wish::default() });
        let event = Bytes::from_static(b"{\"choices\":[{\"delta\":{\"content\":\"\xe6\xad\"},\"logprobs\":[NaN]}]}");
        let chunk = assembly.take("up", event).unwrap().remove(0);
        assert_eq!(chunk.text, "\u{fffd}");
        let wanted = "{\"choices\":[{\"delta\":{\"content\":\"\u{fffd}\"},\"logprobs\":[null]}]}";
        assert_eq!(chunk.raw.unwrap(), wanted);
    }

    #[test]
    fn the_whole_is_made_where_the_client_waits_for_it_and_where_it_is_more_than_text() {
        let raw = |whole: bool, event: &str| {
            let mut assembly = Assembly::new(Wish { most: 1_000, whole, ..Wish::default() });
            assembly.take("up", Bytes::copy_from_slice(event.as_bytes())).unwrap();
            assembly.into_answer("up").unwrap().raw.is_some()
        };
        let second = A.replace("\"index\":0", "\"index\":1");
        assert!(!raw(false, A) && raw(true, A) && !raw(false, &second));
        for more in [r#""logprobs":{"content":[1]}"#, r#""delta":{"content":"a","refusal":"no"}"#] {
            assert!(raw(false, &format!(r#"{{"choices":[{{"delta":{{"content":"a"}},{more}}}]}}"#)), "{more}");
        }
    }

    #[test]
    fn the_text_is_that_of_number_0_where_several_were_asked_for_and_else_of_the_first() {
        let second = r#"{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"length"}]}"#;
        let text = |several: bool| {
            let mut assembly = Assembly::new(Wish { most: 1_000, several, ..Wish::default() });
            let chunks = [second, A, STOP].map(|event| assembly.take("up", Bytes::from(event)).unwrap());
            let text: String = chunks.iter().flatten().map(|chunk| chunk.text.as_str()).collect();
            (text, assembly.into_answer("up").unwrap().finish_reason)
        };
        assert_eq!(text(true), ("a".to_owned(), FinishReason::Stop));
        assert_eq!(text(false), ("b".to_owned(), FinishReason::Length));
    }

    /// Chunks of one kind around words of every kind, with and without something that counts twice.
    fn alike() -> impl Strategy<Value = Vec<String>> {
        let shape = prop::sample::select(vec![
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":@},"finish_reason":null}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"role":"assistant","content":@,"tool_calls":null},"logprobs":null}],"usage":null}"#,
            r#"{"choices":[{"index":1,"delta":{"content":@}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            r#"{"choices":[{"delta":{"content":null,"reasoning_content":@}}],"provider":"p","x":[1]}"#,
            r#"{"choices":[{"delta":{"content":@,"content":null}}]}"#,
            r#"{"choices":[{"delta":{"content":null,"content":@}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":@,"content":@}}]}"#,
            r#"{"choices":[{"delta":{"role":@,"content":"a"}}]}"#,
            r#"{"choices":[{"delta":{"content":@},"message":{"content":"aa"}}]}"#,
            r#"{"choices":[{"delta":{"content":"b"},"text":@}]}"#,
            r#"{"choices":[{"index":0,"text":@,"logprobs":null,"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"content":@},"logprobs":{"content":[1]}}]}"#,
            r#"{"choices":[{"delta":{"content":@},"stop_reason":7}],"text":"t\u0041"}"#,
            r#"{"choices":[{"delta":{"content":@,"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"1"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":@}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":@}},{"index":1,"delta":{"content":"b"}}]}"#,
            r#"{"choices":[7,{"delta":{"content":@}}],"obfuscation":"x"}"#,
            r#"{"choices":[{"message":{"content":@},"finish_reason":"length"}]}"#,
            r#"{"choices":[{"delta":{"content":@},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"delta":{"content":@,"x":NaN}}]}"#,
            r#"{"choices":[],"usage":{"total_tokens":5},"timings":{"n":1}}"#,
        ]);
        let words = prop::sample::select(vec![
            r#""""#,
            r#""a""#,
            r#""\ud83d""#,
            r#""\ude00 b""#,
            r#""\"\n\u00e9é""#,
            "null",
            "5",
            r#"["a"]"#,
            r#"{"text":"a"}"#,
        ]);
        (shape, prop::collection::vec(words, 1..5))
            .prop_map(|(shape, words)| words.iter().map(|words| shape.replace('@', words)).collect())
    }

    proptest! {
        /// Whether a chunk differs from the one before in its words alone makes no difference.
        #[test]
        fn a_chunk_is_read_as_if_it_were_the_first_of_its_kind(
            chunks in prop::collection::vec(alike(), 1..6),
            several in any::<bool>(),
            usage in any::<bool>(),
        ) {
            let wish = Wish { most: 1_000, usage, several, whole: true };
            let (mut quick, mut slow) = (Assembly::new(wish), Assembly::new(wish));
            for chunk in chunks.iter().flatten() {
                let take = |assembly: &mut Assembly| {
                    let chunks = assembly.take("up", Bytes::copy_from_slice(chunk.as_bytes())).unwrap();
                    (chunks.into_iter().map(|chunk| (chunk.text, chunk.raw)).collect::<Vec<_>>(), assembly.size)
                };
                slow.last = Envelope::default();
                prop_assert_eq!(take(&mut quick), take(&mut slow), "{}", chunk);
            }
            prop_assert_eq!(quick.into_answer("up").ok(), slow.into_answer("up").ok());
        }
    }

    /// JSON values of every type.
    const ANY: &[&str] = &[
        "null",
        "0",
        "-1.5",
        "1e999",
        "\"\"",
        "\"x\"",
        "\"\\ud83d\"",
        "true",
        "false",
        "[]",
        "[1]",
        "[null]",
        "[[]]",
        "{}",
        r#"{"a":1}"#,
        r#"[{"a":{}}]"#,
    ];

    /// Gives one member of a chunk after the other a value of each type, a duplicate, or deep nesting. In every case
    /// the stream must end as the upstream says.
    #[test]
    fn no_member_of_a_chunk_can_break_a_stream() {
        let nested = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        let nested_objects = format!("{}1{}", "{\"a\":".repeat(300), "}".repeat(300));
        let values: Vec<&str> = ANY.iter().copied().chain([nested.as_str(), nested_objects.as_str()]).collect();
        let chunk = r#"{"id":1,"object":2,"created":3,"model":4,"system_fingerprint":5,"service_tier":6,"x":7,"usage":8,"choices":[{"index":0,"logprobs":9,"finish_reason":10,"text":11,"x":12,"delta":{"role":13,"content":14,"reasoning":15,"reasoning_content":16,"refusal":17,"function_call":18,"audio":19,"annotations":20,"tool_calls":[{"index":21,"id":22,"type":23,"function":{"name":24,"arguments":25}}]}}]}"#;
        let whole_ones = [
            r#"{"choices":@}"#,
            r#"{"choices":[@]}"#,
            r#"{"choices":[{"delta":@}]}"#,
            r#"{"choices":[{"message":@}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":@}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[@]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":@}]}}]}"#,
            r#"{"choices":[{"delta":{"content":[@]}}]}"#,
            r#"{"choices":[{"delta":{"content":{"text":@}}}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":@,"completion_tokens":@}}"#,
        ];
        let mut templates: Vec<String> = whole_ones.iter().map(|&one| one.to_owned()).collect();
        for member in 1..=25 {
            // The member in its turn; the others as they should be, or gone.
            let mut out = chunk.to_owned();
            for other in (1..=25).rev() {
                let with = if other == member { "@" } else { "null" };
                out = [",", "}"]
                    .iter()
                    .fold(out, |out, end| out.replace(&format!(":{other}{end}"), &format!(":{with}{end}")));
            }
            templates.push(out);
        }
        for template in &templates {
            for value in &values {
                let events = [
                    A.to_owned(),
                    template.replace('@', value),
                    // Twice, with another type before it.
                    template.replace("\"choices\":", "\"choices\":5,\"choices\":").replace('@', value),
                    STOP.replace("stop", "length"),
                ];
                let events: Vec<&str> = events.iter().map(String::as_str).collect();
                for events in [&events[..], &[events[1], events[3]]] {
                    let (_, answer) =
                        said(events, false).unwrap_or_else(|failure| panic!("{}: {events:?}", failure.message));
                    assert_eq!(answer.finish_reason, FinishReason::Length, "{events:?}");
                    if let Some(raw) = answer.raw {
                        assert!(reply_of(&raw).is_some_and(|whole| whole.has_choices()), "{raw:?}");
                    }
                }
            }
        }
    }
}
