//! The built-in miner `echo`, with which people can try a router before they have a model.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;

use super::{Emit, FailClass, Failure, Job, Miner};
use crate::model::{Answer, FinishReason, RequestKind, Usage};

/// The beginning of every echo, so that no user takes it for a model's answer.
const NOTICE: &str = "echo (built-in demo miner, no model): ";

/// A miner that repeats the prompt word by word, after a notice that no model has answered.
///
/// A chat gets its last user message as the answer. Each word counts as one token, in `max_tokens` and in usage.
/// Requests for embeddings are refused. Without a delay, the miner answers inside [`offer`](Miner::offer).
#[derive(Debug, Clone, Copy, Default)]
pub struct EchoMiner {
    delay: Duration,
}

impl EchoMiner {
    /// An echo that answers at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// An echo with a pause before each word, so that its streams look like a model's. Default: no pause.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        Self { delay }
    }
}

impl Miner for EchoMiner {
    fn offer(&self, job: Job) {
        if job.request().kind == RequestKind::Embedding {
            job.fail(Failure::new(
                FailClass::Invalid,
                "the built-in miner echo makes no embeddings: add an upstream or a miner with an embedding model",
            ));
            return;
        }
        let mut echo = Echo::of(&job);
        if !self.delay.is_zero() {
            tokio::spawn(echo.say_slowly(job, self.delay));
        } else if !job.stream() {
            let end = echo.end();
            let mut text = std::mem::take(&mut echo.text);
            text.truncate(end);
            job.finish(echo.answer(text));
        } else {
            match echo.say(&job) {
                Emit::Ok => job.finish(echo.answer(String::new())),
                Emit::Full => drop(tokio::spawn(async move {
                    job.writable().await;
                    echo.say_slowly(job, Duration::ZERO).await;
                })),
                Emit::Cancelled => give_up(job),
            }
        }
    }
}

/// The words to give, and the number of words given so far.
struct Echo {
    text: String,
    words: Vec<Range<usize>>,
    said: usize,
    finish_reason: FinishReason,
    usage: Usage,
}

impl Echo {
    fn of(job: &Job) -> Self {
        let prompt = job.prompt();
        let spoken = job.request().messages.as_deref().and_then(|messages| last_user_text(messages.get()));
        let text = format!("{NOTICE}{}", spoken.as_deref().unwrap_or(&prompt));
        let mut words = words(&text);
        let most = job.request().token_limit().map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let finish_reason = if words.len() > most { FinishReason::Length } else { FinishReason::Stop };
        words.truncate(most);
        let usage = Usage::new(prompt.split_whitespace().count() as u64, words.len() as u64);
        Self { text, words, said: 0, finish_reason, usage }
    }

    fn end(&self) -> usize {
        self.words.last().map_or(0, |word| word.end)
    }

    fn answer(self, text: String) -> Answer {
        Answer::default().text(text).finish_reason(self.finish_reason).usage(self.usage).model(Some("echo".to_owned()))
    }

    fn say_word(&mut self, job: &Job) -> Option<Emit> {
        let word = self.words.get(self.said)?.clone();
        self.said += 1;
        let emit = job.emit(&self.text[word]);
        // After the last word there is no need to wait for the reader.
        Some(if emit == Emit::Full && self.said == self.words.len() { Emit::Ok } else { emit })
    }

    /// Gives words until the reader is slow or the job is cancelled.
    fn say(&mut self, job: &Job) -> Emit {
        while let Some(emit) = self.say_word(job) {
            if emit != Emit::Ok {
                return emit;
            }
        }
        Emit::Ok
    }

    /// Gives the rest at the reader's pace, with a pause before each word.
    async fn say_slowly(mut self, job: Job, delay: Duration) {
        loop {
            if !delay.is_zero() {
                tokio::select! {
                    biased;
                    () = job.cancelled() => {}
                    () = tokio::time::sleep(delay) => {}
                }
            }
            if job.is_cancelled() {
                return give_up(job);
            }
            let emit = if delay.is_zero() { Some(self.say(&job)) } else { self.say_word(&job) };
            match emit {
                Some(Emit::Cancelled) => return give_up(job),
                Some(Emit::Full) => job.writable().await,
                Some(Emit::Ok) => {}
                None => break,
            }
            if self.said == self.words.len() {
                break;
            }
        }
        job.finish(self.answer(String::new()));
    }
}

fn give_up(job: Job) {
    job.fail(Failure::new(FailClass::Cancelled, "cancelled"));
}

/// The range of each word with the blanks before it. Blanks at the end belong to the last word.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() && in_word {
            words.push(start..at);
            start = at;
        }
        in_word = !c.is_whitespace();
    }
    match words.last_mut() {
        Some(last) if !in_word => last.end = text.len(),
        _ if start < text.len() => words.push(start..text.len()),
        _ => {}
    }
    words
}

/// The text of the last message of role `user`.
fn last_user_text(messages: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        role: String,
        #[serde(default)]
        content: serde_json::Value,
    }
    let messages: Vec<Message> = serde_json::from_str(messages).ok()?;
    let last = messages.into_iter().rev().find(|message| message.role == "user")?;
    Some(match last.content {
        serde_json::Value::String(text) => text,
        serde_json::Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::recorder::Recorder;
    use super::*;
    use crate::model::TaskRequest;

    fn pieces(text: &str) -> Vec<&str> {
        words(text).into_iter().map(|word| &text[word]).collect()
    }

    #[test]
    fn words_keep_their_blanks() {
        assert_eq!(pieces("a bc\n\n d  "), ["a", " bc", "\n\n d  "]);
        assert_eq!(pieces("  x"), ["  x"]);
        assert_eq!(pieces("   "), ["   "]);
        assert!(pieces("").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn words_are_the_whole_text(text in "(a|ż| |\n|\u{3000}){0,40}") {
            proptest::prop_assert_eq!(pieces(&text).concat(), text.clone());
            proptest::prop_assert_eq!(words(&text).len(), text.split_whitespace().count().max(usize::from(!text.is_empty())));
        }
    }

    #[test]
    fn it_answers_at_once_without_a_runtime() {
        let sink = Recorder::new();
        EchoMiner::new().offer(sink.job(TaskRequest::completion("one  two"), true));
        assert_eq!(sink.text(), "echo (built-in demo miner, no model): one  two");
        assert_eq!(sink.chunks().last().unwrap().text, "  two");
        assert!(sink.has_ended());
    }

    #[tokio::test]
    async fn a_unary_job_gets_the_text_in_its_answer() {
        let sink = Recorder::new();
        EchoMiner::new().offer(sink.job(TaskRequest::completion("one"), false));
        let answer = sink.end().await.unwrap();
        assert_eq!(answer.text, "echo (built-in demo miner, no model): one");
        assert_eq!(answer.usage, Usage::new(1, 7));
        assert_eq!(answer.finish_reason, FinishReason::Stop);
        assert!(sink.chunks().is_empty());
    }

    #[tokio::test]
    async fn max_tokens_cuts_words() {
        for stream in [false, true] {
            let sink = Recorder::new();
            let request = TaskRequest::completion("one").max_tokens(2);
            EchoMiner::new().offer(sink.job(request, stream));
            let answer = sink.end().await.unwrap();
            assert_eq!(sink.text() + &answer.text, "echo (built-in");
            assert_eq!(answer.finish_reason, FinishReason::Length);
            assert_eq!(answer.usage.completion_tokens, 2);
        }
    }

    #[tokio::test]
    async fn a_chat_is_answered_with_its_last_user_message() {
        let sink = Recorder::new();
        let messages = r#"[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b c"}]},{"role":"assistant","content":"d"}]"#;
        EchoMiner::new().offer(sink.job(TaskRequest::chat(messages).unwrap(), false));
        assert_eq!(sink.end().await.unwrap().text, "echo (built-in demo miner, no model): b c");
    }

    #[tokio::test]
    async fn embeddings_are_refused() {
        let sink = Recorder::new();
        let request = TaskRequest::completion("x").kind(RequestKind::Embedding);
        EchoMiner::new().offer(sink.job(request, false));
        assert_eq!(sink.end().await.unwrap_err().class, FailClass::Invalid);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_comes_before_every_word() {
        let sink = Recorder::new();
        let start = tokio::time::Instant::now();
        EchoMiner::new().with_delay(Duration::from_millis(15)).offer(sink.job(TaskRequest::completion("x"), true));
        let answer = sink.end().await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(15 * 7));
        assert_eq!((sink.chunks().len(), answer.usage.completion_tokens), (7, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_echo_falls_silent() {
        let sink = Recorder::new();
        EchoMiner::new().with_delay(Duration::from_millis(15)).offer(sink.job(TaskRequest::completion("x"), true));
        sink.pieces(2).await;
        sink.cancel();
        assert_eq!(sink.end().await.unwrap_err().class, FailClass::Cancelled);
        assert_eq!(sink.chunks().len(), 2);
    }

    #[tokio::test]
    async fn a_slow_reader_is_waited_for() {
        let sink = Recorder::with_room(3);
        EchoMiner::new().offer(sink.job(TaskRequest::completion("x"), true));
        assert_eq!(sink.chunks().len(), 3);
        sink.read(2);
        sink.pieces(5).await;
        assert!(!sink.has_ended());
        sink.read(usize::MAX);
        sink.end().await.unwrap();
        assert_eq!(sink.text(), "echo (built-in demo miner, no model): x");
    }
}
