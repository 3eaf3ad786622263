//! Streams in OpenAI's shapes: events of the router in, `data:` lines out.
//!
//! An upstream's chunks go out as its own bytes with one constant id. For other miners the chunks are written here,
//! from a head that is the same for all of them. All events that are ready together become one buffer, hence one write.

use std::io::Write as _;

use bytes::Bytes;

use super::answer;
use super::counts::TokenCounts;
use super::splice::{Outline, string, write_json};
use crate::listener::sse::Layout;
use crate::model::shape::{Words, split};
use crate::model::{Answer, Completion, Gid, RequestKind};
use crate::{Error, StreamEvent};

const DONE: &[u8] = b"data: [DONE]\n\n";

/// What a stream is made of, from its submission.
pub(super) struct StreamSpec<'a> {
    pub(super) kind: RequestKind,
    pub(super) gid: Gid,
    pub(super) created: u64,
    pub(super) model: &'a str,
    /// Whether the caller wants a last chunk with the usage (`stream_options.include_usage`).
    pub(super) include_usage: bool,
    /// What goes before the first piece of a text completion: the prompt, with `"echo":true`.
    pub(super) echo: Option<String>,
}

/// Writes one stream.
pub(super) struct ChunkWriter {
    id: String,
    kind: RequestKind,
    /// `data: {"id":...,"choices":[`
    head: Vec<u8>,
    /// How much of it stands before the choices.
    before_choices: usize,
    include_usage: bool,
    echo: Option<String>,
    /// Whether the role was told.
    started: bool,
    /// Whether a piece of the answer is out, so that starting over is no longer possible.
    spoken: bool,
    /// Whether a chunk of the miner's own is out.
    chunked: bool,
    /// Whether a chunk told why the text ends.
    finished: bool,
    /// The upstream's own chunk with the usage: it comes last, and only where it is wanted.
    usage: Option<(Bytes, Outline)>,
    /// Whether the usage went out within another chunk.
    usage_told: bool,
    ended: bool,
}

impl ChunkWriter {
    pub(super) fn new(spec: StreamSpec<'_>) -> Self {
        let id = answer::id_of(spec.kind, spec.gid, spec.created);
        let object = if spec.kind == RequestKind::Chat { "chat.completion.chunk" } else { "text_completion" };
        let mut head = Vec::with_capacity(160);
        head.extend_from_slice(b"data: {\"id\":");
        string(&mut head, &id);
        let _ = write!(head, ",\"object\":\"{object}\",\"created\":{},\"model\":", spec.created);
        string(&mut head, spec.model);
        head.push(b',');
        let before_choices = head.len();
        head.extend_from_slice(b"\"choices\":[");
        Self {
            id,
            kind: spec.kind,
            head,
            before_choices,
            include_usage: spec.include_usage,
            echo: spec.echo,
            started: false,
            spoken: false,
            chunked: false,
            finished: false,
            usage: None,
            usage_told: false,
            ended: false,
        }
    }

    /// An error after the first byte: the status is long gone, so it is told in the stream.
    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        super::failure::write(error, out);
        out.extend_from_slice(b"\n\n");
        self.done(out);
    }

    fn pass(&mut self, raw: Bytes, outline: Outline, out: &mut Vec<u8>) {
        if outline.choices == Some(0) && outline.usage {
            self.usage = Some((raw, outline));
            return;
        }
        if outline.is_headless() && outline.choices.is_some() && !outline.has_text() {
            return self.told(&raw, &outline, out);
        }
        // A chunk without choices is no part of the answer.
        if outline.choices.is_some_and(|count| count > 0) {
            self.started = true;
            self.spoken = true;
            self.chunked = true;
        }
        self.finished |= outline.finished;
        self.usage_told |= outline.usage;
        self.spliced(&raw, &outline, out);
    }

    /// A chat's chunk without a head, which the router makes of what is no text: a completion's stream has no place for it.
    fn told(&mut self, raw: &[u8], outline: &Outline, out: &mut Vec<u8>) {
        self.start(out);
        if self.kind != RequestKind::Chat {
            return;
        }
        self.spoken = true;
        self.chunked = true;
        self.finished |= outline.finished;
        out.extend_from_slice(&self.head[..self.before_choices]);
        let from = out.len();
        out.extend_from_slice(outline.members(raw));
        on_one_line(&mut out[from..]);
        out.extend_from_slice(if self.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" });
    }

    /// One event of an upstream's chunk, on one line whatever blanks the upstream wrote.
    fn spliced(&self, raw: &[u8], outline: &Outline, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        let from = out.len();
        outline.splice(raw, &self.id, out);
        on_one_line(&mut out[from..]);
        out.extend_from_slice(b"\n\n");
    }

    fn piece(&mut self, text: &str, out: &mut Vec<u8>) {
        self.start(out);
        if text.is_empty() {
            return;
        }
        self.spoken = true;
        out.extend_from_slice(&self.head);
        out.extend_from_slice(match self.kind {
            RequestKind::Chat => b"{\"index\":0,\"delta\":{\"content\":",
            _ => b"{\"text\":",
        });
        string(out, text);
        self.tail(None, out);
    }

    /// What comes before the first piece: the role of a chat, the prompt of a completion that repeats it.
    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        if self.kind == RequestKind::Chat {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"");
            self.tail(None, out);
        } else if let Some(prompt) = self.echo.take() {
            self.piece(&prompt, out);
        }
    }

    /// A chunk that says nothing but a field of the router's own. It has a choice without words, because clients look for one.
    fn aside(&self, field: &str, value: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(match self.kind {
            RequestKind::Chat => b"{\"index\":0,\"delta\":{",
            _ => b"{\"text\":\"\"",
        });
        self.choice(None, out);
        let _ = write!(out, "],\"{field}\":");
        out.extend_from_slice(value);
        out.extend_from_slice(if self.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" });
    }

    /// Closes a choice and its chunk.
    fn tail(&self, finish_reason: Option<&str>, out: &mut Vec<u8>) {
        self.choice(finish_reason, out);
        out.extend_from_slice(if self.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" });
    }

    /// Closes a choice.
    fn choice(&self, finish_reason: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.kind {
            RequestKind::Chat => b"},\"logprobs\":null,\"finish_reason\":",
            _ => b",\"index\":0,\"logprobs\":null,\"finish_reason\":",
        });
        match finish_reason {
            Some(word) => string(out, word),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }

    fn end(&mut self, completion: &Completion, out: &mut Vec<u8>) {
        self.rest(&completion.answer, out);
        if !self.finished {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(match self.kind {
                RequestKind::Chat => b"{\"index\":0,\"delta\":{",
                _ => b"{\"text\":\"\"",
            });
            self.tail(Some(completion.answer.finish_reason.as_str()), out);
        }
        if let Some(verdict) = completion.verdict.as_ref().and_then(|verdict| serde_json::to_vec(verdict).ok()) {
            self.aside("verdict", &verdict, out);
        }
        if self.include_usage && !self.usage_told {
            if let Some((raw, outline)) = self.usage.take() {
                self.spliced(&raw, &outline, out);
            } else {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b"],\"usage\":");
                write_json(out, &TokenCounts::from(completion.answer.usage));
                out.extend_from_slice(b"}\n\n");
            }
        }
        self.done(out);
    }

    /// What the answer holds and no event has told: all of it where the miner answered in one piece, and calls of tools and
    /// the like where only its text came in pieces.
    fn rest(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let whole = answer.raw.as_deref().filter(|_| !self.chunked).and_then(|raw| std::str::from_utf8(raw).ok());
        let has_place = |whole: &&str| {
            Outline::of(whole.as_bytes()).is_some_and(|outline| self.kind == RequestKind::Chat || !outline.is_chat())
        };
        let words = if self.spoken { Words::Said } else { Words::Unsaid };
        let chunks = whole.filter(has_place).map(|whole| split(whole, words)).unwrap_or_default();
        if chunks.is_empty() && !self.spoken {
            return self.piece(&answer.text, out);
        }
        for chunk in chunks {
            if let Some(outline) = Outline::of(chunk.as_bytes()) {
                self.pass(chunk.into(), outline, out);
            }
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(DONE);
        self.ended = true;
    }
}

/// Inside a JSON string a line break is escaped; a bare one can only be a blank between tokens.
fn on_one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

impl Layout for ChunkWriter {
    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>) {
        for event in events {
            if self.ended {
                return;
            }
            match event {
                StreamEvent::Token { raw: Some(raw), text, .. } => match Outline::of(&raw) {
                    Some(outline) => self.pass(raw, outline, out),
                    None => self.piece(&text, out),
                },
                StreamEvent::Token { text, .. } => self.piece(&text, out),
                // Comes only to those who asked for it. Where nothing is out yet nothing is void.
                StreamEvent::Restart { .. } => {
                    if std::mem::take(&mut self.spoken) {
                        self.aside("restart", b"true", out);
                    }
                    (self.chunked, self.finished, self.usage, self.usage_told) = (false, false, None, false);
                }
                StreamEvent::End(Ok(completion)) => self.end(&completion, out),
                StreamEvent::End(Err(error)) => self.fail(&error, out),
            }
        }
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::ErrorKind;
    use crate::model::{FinishReason, SessionId, TaskId, Usage};

    fn spec(kind: RequestKind, include_usage: bool) -> StreamSpec<'static> {
        StreamSpec { kind, gid: Gid(9), created: 1, model: "m", include_usage, echo: None }
    }

    fn token(text: &str, raw: Option<&str>) -> StreamEvent {
        StreamEvent::Token { seq: 0, text: text.into(), raw: raw.map(|raw| Bytes::from(raw.to_owned())) }
    }

    fn end(text: &str) -> StreamEvent {
        StreamEvent::End(Ok(Arc::new(Completion {
            session_id: SessionId(0),
            task_id: TaskId(1),
            gid: Gid(9),
            created: 1,
            model: "m".into(),
            answer: Answer {
                text: text.into(),
                usage: Usage::new(1, 2),
                finish_reason: FinishReason::Length,
                ..Answer::default()
            },
            miner_address: String::new(),
            alternatives: Vec::new(),
            verdict: None,
        })))
    }

    fn written(spec: StreamSpec<'_>, events: Vec<StreamEvent>) -> String {
        let mut writer = ChunkWriter::new(spec);
        let mut out = Vec::new();
        writer.write(events, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The JSON of each event; the last event must be `[DONE]`.
    fn chunks(stream: &str) -> Vec<Value> {
        let body = stream.strip_suffix("data: [DONE]\n\n").expect("the stream ends with [DONE]");
        body.split_terminator("\n\n")
            .map(|event| {
                let data = event.strip_prefix("data: ").expect("an event is one data line");
                assert!(!data.contains(['\n', '\r']), "{data:?}");
                serde_json::from_str(data).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_chat_of_a_local_miner_reads_like_openais() {
        let out = written(spec(RequestKind::Chat, false), vec![token("Hi", None), token("", None), end("Hi")]);
        let head = r#"data: {"id":"chatcmpl-000000010000000000000009","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":"#;
        assert_eq!(
            out,
            format!(
                "{head}{{\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
                 {head}{{\"content\":\"Hi\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
                 {head}{{}},\"logprobs\":null,\"finish_reason\":\"length\"}}]}}\n\n\
                 data: [DONE]\n\n"
            )
        );
    }

    #[test]
    fn a_completion_repeats_the_prompt_and_tells_the_usage_when_asked() {
        let spec = StreamSpec { echo: Some("P".into()), ..spec(RequestKind::Completion, true) };
        let out = chunks(&written(spec, vec![token("a", None), end("a")]));
        let texts: Vec<_> = out.iter().map(|chunk| chunk["choices"][0]["text"].clone()).collect();
        assert_eq!(texts, [json!("P"), json!("a"), json!(""), Value::Null]);
        assert_eq!(out[2]["choices"][0]["finish_reason"], "length");
        assert!(out[..3].iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
        assert_eq!(out[3]["choices"], json!([]));
        assert_eq!(out[3]["usage"], json!({"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}));
    }

    #[test]
    fn an_answer_without_pieces_is_one_piece() {
        let out = chunks(&written(spec(RequestKind::Chat, false), vec![end("all")]));
        assert_eq!(out[1]["choices"][0]["delta"]["content"], "all");
        assert_eq!(out.len(), 3);
    }

    const RAW: &str = "{\"id\":\"up\",\n \"choices\":[{\"delta\":{\"tool_calls\":[1]},\"finish_reason\":null}]}";
    const LAST: &str = r#"{"id":"up","choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    const USAGE: &str = r#"{"id":"up","choices":[],"usage":{"total_tokens":7,"own":true}}"#;

    #[test]
    fn an_upstreams_chunks_pass_with_one_id_and_no_second_end() {
        let events = || vec![token("", Some(RAW)), token("", Some(LAST)), token("", Some(USAGE)), end("")];
        let id = "chatcmpl-000000010000000000000009";
        let plain = written(spec(RequestKind::Chat, false), events());
        assert_eq!(
            plain,
            format!(
                "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
                RAW.replace("up", id).replace('\n', " "),
                LAST.replace("up", id)
            )
        );
        let counted = written(spec(RequestKind::Chat, true), events());
        assert_eq!(chunks(&counted)[2], json!({"id":id,"choices":[],"usage":{"total_tokens":7,"own":true}}));
        // An upstream that tells neither its end nor its usage: both are written for it.
        let cut = chunks(&written(spec(RequestKind::Chat, true), vec![token("x", Some(RAW)), end("x")]));
        assert_eq!(cut[1]["choices"][0]["finish_reason"], "length");
        assert_eq!(cut[2]["usage"]["total_tokens"], 3);
    }

    #[test]
    fn a_whole_answer_is_told_in_chunks_with_all_that_it_holds() {
        let raw = r#"{"id":"u","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"total_tokens":7,"own":1}}"#;
        let whole = |raw: &'static str| {
            let StreamEvent::End(Ok(completion)) = end("a") else { unreachable!() };
            let mut completion = Arc::unwrap_or_clone(completion);
            completion.answer.raw = Some(Bytes::from_static(raw.as_bytes()));
            StreamEvent::End(Ok(Arc::new(completion)))
        };
        for (before, said) in [(vec![], json!("a")), (vec![token("a", None)], Value::Null)] {
            let skip = before.len() * 2;
            let events = before.into_iter().chain([whole(raw)]).collect();
            let out = chunks(&written(spec(RequestKind::Chat, true), events)).split_off(skip);
            let delta = &out[0]["choices"][0]["delta"];
            assert_eq!((&delta["content"], &delta["tool_calls"][0]["index"]), (&said, &json!(0)), "{out:?}");
            assert_eq!(delta["tool_calls"][0]["function"]["name"], "f");
            assert_eq!(out[1]["choices"][0]["finish_reason"], "tool_calls");
            assert_eq!((&out[2]["usage"]["own"], out.len()), (&json!(1), 3));
        }
        // The miner's own chunks have told it.
        let out = chunks(&written(
            spec(RequestKind::Chat, false),
            vec![token("", Some(RAW)), token("", Some(LAST)), whole(raw)],
        ));
        assert_eq!(out.len(), 2);
        // An upstream's chunks without a head get one, on one line, and those of a completion are not lost.
        let bare = "{\n\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}";
        let out = chunks(&written(spec(RequestKind::Chat, false), vec![token("b", Some(bare)), end("b")]));
        assert_eq!((&out[1]["choices"][0]["delta"]["content"], out[1]["id"].is_string()), (&json!("b"), true));
        let text = r#"{"choices":[{"index":0,"text":"b","finish_reason":"stop"}]}"#;
        let out = chunks(&written(spec(RequestKind::Completion, false), vec![token("b", Some(text)), end("b")]));
        assert_eq!((&out[0]["choices"][0]["text"], out.len()), (&json!("b"), 1));
        // A text completion has no place for calls of tools.
        let out = chunks(&written(spec(RequestKind::Completion, false), vec![whole(raw)]));
        assert_eq!((&out[0]["choices"][0]["text"], out.len()), (&json!("a"), 2));
    }

    #[test]
    fn a_failure_after_the_first_byte_is_told_in_the_stream() {
        let failed = StreamEvent::End(Err(Error::new(ErrorKind::MinerFailed, "gone")));
        let out = chunks(&written(spec(RequestKind::Chat, false), vec![token("a", None), failed, token("late", None)]));
        assert_eq!(out.last().unwrap()["error"]["message"], "gone");
        assert_eq!(out.len(), 3);
    }

    #[test]
    fn a_verdict_comes_last_in_a_chunk_that_every_client_can_read() {
        let mut completion = match end("a") {
            StreamEvent::End(Ok(completion)) => Arc::unwrap_or_clone(completion),
            _ => unreachable!(),
        };
        completion.verdict = Some(crate::model::Verdict {
            verdict: "agreed".into(),
            score: 1.0,
            method: "exact".into(),
            policy: "quorum".into(),
            winner: "0x1".into(),
            per_miner: Vec::new(),
        });
        let events = vec![token("a", None), StreamEvent::End(Ok(Arc::new(completion)))];
        let out = chunks(&written(spec(RequestKind::Chat, true), events));
        let verdict = &out[out.len() - 2];
        assert_eq!((&verdict["verdict"]["verdict"], &verdict["choices"][0]["delta"]), (&json!("agreed"), &json!({})));
        assert_eq!(out.last().unwrap()["usage"]["total_tokens"], 3, "the usage stays the last chunk");
    }

    #[test]
    fn starting_over_is_silent_before_the_first_word_and_told_after_it() {
        let restart = || StreamEvent::Restart { seq: 1 };
        let out = chunks(&written(spec(RequestKind::Chat, false), vec![restart(), token("a", None), end("a")]));
        assert_eq!(out.len(), 3);
        let out = chunks(&written(
            spec(RequestKind::Chat, false),
            vec![token("a", None), restart(), token("b", None), end("b")],
        ));
        assert_eq!(out[2]["restart"], true);
        assert_eq!(out[2]["choices"][0]["delta"], json!({}));
        assert_eq!(out[3]["choices"][0]["delta"]["content"], "b");
        assert!(out.iter().filter(|chunk| chunk.get("restart").is_some()).count() == 1);
    }

    proptest! {
        /// However the events are dealt out in batches, the bytes are the same, and the text is what was said.
        #[test]
        fn batches_do_not_matter(
            texts in prop::collection::vec(any::<String>(), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            usage in any::<bool>(),
        ) {
            let whole = texts.concat();
            let events = || texts.iter().map(|text| token(text, None)).chain([end(&whole)]).collect::<Vec<_>>();
            let at_once = written(spec(RequestKind::Chat, usage), events());
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(texts.len() + 1)).collect();
            cuts.sort_unstable();
            let (mut writer, mut out, mut from) = (ChunkWriter::new(spec(RequestKind::Chat, usage)), Vec::new(), 0);
            let all = events();
            for cut in cuts.into_iter().chain([all.len()]) {
                writer.write(all[from..cut].to_vec(), &mut out);
                from = cut;
            }
            prop_assert!(writer.ended());
            prop_assert_eq!(&String::from_utf8(out).unwrap(), &at_once);
            let said: String = chunks(&at_once).iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect();
            prop_assert_eq!(said, whole);
        }
    }
}
