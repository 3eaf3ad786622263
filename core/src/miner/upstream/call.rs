//! Runs one job at an upstream: sends the request and reads the answer, as a stream or whole.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

use super::ask::{self, OwnFields, Route};
use super::assembly::{Assembly, Chunks, Wish, read, too_large};
use super::complaint::{is_complaint, is_list_of_complaints};
use super::cut::closed;
use super::endpoint::is_line;
use super::head::Head;
use super::link::{BodyError, Link, Part};
use super::pool::SendError;
use super::request::Outgoing;
use super::speech::{Speech, Tongue};
use super::sse::{self, Event, SseReader};
use super::{Shared, passed, refusal, upstream_name};
use crate::config::UpstreamApi;
use crate::miner::{Chunk, Emit, FailClass, Failure, Job, JobInfo, Turn};
use crate::model::chat::Written;
use crate::model::shape::{Json, Outlined, Reply, Words, split, utf8};
use crate::model::{Answer, FinishReason, TaskRequest};

/// The time within which a body must end after `[DONE]`. A connection that takes longer is not used again.
const SETTLE: Duration = Duration::from_secs(1);

/// The number of blank bytes after which the form of an answer is decided without its first character. Servers send
/// blanks while the model thinks.
const MOST_BLANK: usize = 1_024;

/// Works on a job and answers it. If the work is cancelled, the connection is dropped at once.
pub(super) async fn run(shared: Arc<Shared>, job: Job) {
    let cuts = shared.cuts();
    let outcome = {
        let mut work = pin!(answer(&shared, &job));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            // If both are ready, the answer wins, because the work is already done.
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => job.poll_cancelled(cx).map(|()| Err(cancelled_failure())),
        })
        .await
    };
    match outcome {
        Ok((answer, tail)) => {
            shared.succeeded();
            job.finish(answer);
            if let Some(link) = tail {
                settle(&shared, link).await;
            }
        }
        Err(failure) => {
            if failure.class == FailClass::Overloaded {
                shared.overloaded(cuts);
            }
            job.fail(shared.discreet(failure));
        }
    }
}

/// An answer, and the connection on which its stream may still end.
pub(super) type Served = (Answer, Option<Box<Link>>);

async fn answer(shared: &Shared, job: &Job) -> Result<Served, Failure> {
    let request = job.request();
    if request.kind.passes() {
        return passed::answer(shared, job).await;
    }
    let route = Route::of(request);
    let asked = job.info().model.as_deref();
    let default_model = if asked.is_none() { shared.default_model.read().clone() } else { None };
    let model = asked.map(|model| upstream_name(&shared.config, model)).or(default_model.as_deref());
    let partial = job.info().partial.as_deref();
    let tongue = Tongue::of(&shared.config, job);
    let said = tongue.map(|tongue| tongue.said(&shared.config, &shared.name, job, model)).transpose()?;
    let said = tongue.map(|tongue| tongue.api).zip(said.as_ref());
    let mut own = match said {
        None => shared.refused_fields.allowed(shared.config.stream_usage),
        Some(_) => OwnFields::default(),
    };
    let mut refused_before = false;
    let (link, head) = loop {
        let asked = asked_for(shared, job, model, own, said);
        let sent = shared.pool.send(asked, &|| job.may_try_again()).await;
        let (link, head) = sent.map_err(|e| unanswered(shared, e))?;
        job.alive();
        let status = head.status;
        if status.is_success() {
            break (link, head);
        }
        let (failure, words) = refused(shared, link, head).await;
        let left = own.without_refused(request, job.stream(), partial.is_some(), &words);
        match left.filter(|_| !refused_before && matches!(status.as_u16(), 400 | 422) && shared.may_leave_out()) {
            Some(less) => (own, refused_before) = (less, true),
            None => return Err(failure),
        }
    };
    if refused_before {
        tracing::info!(upstream = %shared.name, ?own, "the upstream refuses a field of the router's own: it gets it no more");
        shared.refused_fields.remember(own);
    }
    if let Some(coding) = &head.coding {
        return Err(Failure::new(FailClass::Internal, coded(shared, coding)));
    }
    let mut reply = Reading::new(link);
    if route != Route::Embeddings && reply.is_stream(shared, head.is_event_stream).await? {
        stream(shared, job, tongue, reply).await
    } else {
        let (body, complete) = whole(shared, reply, shared.max_output(), Some(job)).await?;
        if !complete {
            return Ok((cut(shared, job, (route, tongue), &body)?, None));
        }
        let read = if route == Route::Embeddings { embedded } else { unary };
        let answer = read_body(&shared.name, as_a_chat(tongue, body), read)?;
        match &answer.raw {
            Some(raw) if job.stream() && route != Route::Embeddings => {
                let pieced = in_pieces(shared, job, tongue, raw).await?;
                Ok((pieced.text(answer.text), None))
            }
            _ => Ok((answer, None)),
        }
    }
}

/// The request of a job, with the headers of the trace context that it belongs to. `said`: its body in another API than
/// OpenAI's.
fn asked_for(
    shared: &Shared,
    job: &Job,
    model: Option<&str>,
    own: OwnFields,
    said: Option<(UpstreamApi, &Written)>,
) -> Outgoing {
    let (request, info) = (job.request(), job.info());
    let lines = context(info);
    let head = match said {
        None => Route::of(request).head(shared.pool.endpoint()),
        Some((api, _)) => shared.pool.endpoint().chat_of(api),
    };
    Outgoing::post(head, &lines, ask::size(request), |bytes| match said {
        None => ask::write(bytes, request, model, job.stream(), info.partial.as_deref(), own),
        Some((_, said)) => said.write(bytes),
    })
}

/// The lines of the trace context that a job belongs to.
pub(super) fn context(info: &JobInfo) -> SmallVec<[(&'static str, &str); 3]> {
    let context = [("traceparent", &info.traceparent), ("tracestate", &info.tracestate)];
    let lines = context.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    lines.filter(|(_, value)| is_line(value)).collect()
}

/// The form of the answer that a job expects.
fn wish(shared: &Shared, job: &Job, tongue: Option<Tongue<'_>>) -> Wish {
    let request: &TaskRequest = job.request();
    Wish {
        most: shared.max_output(),
        usage: ask::wants_usage(request),
        several: ["n", "prompt"].iter().any(|name| request.extra(name).is_some()),
        whole: !job.stream() || tongue.is_some_and(Tongue::passes),
    }
}

/// The answer of a body that is too long: its beginning, with the finish reason `length`.
fn cut(
    shared: &Shared,
    job: &Job,
    (route, tongue): (Route, Option<Tongue<'_>>),
    body: &[u8],
) -> Result<Answer, Failure> {
    let too_large = || too_large(&shared.name, shared.max_output());
    if route == Route::Embeddings {
        return Err(too_large());
    }
    let answer = read_body(&shared.name, as_a_chat(tongue, closed(body).into()), unary).map_err(|_| too_large())?;
    let mut answer = answer.finish_reason(FinishReason::Length).raw(None);
    if job.stream() && job.emit(String::from(std::mem::take(&mut answer.text))) == Emit::Cancelled {
        return Err(cancelled_failure());
    }
    Ok(answer)
}

/// The body of an answer in the words of a chat.
fn as_a_chat(tongue: Option<Tongue<'_>>, body: Bytes) -> Bytes {
    match Speech::of(tongue) {
        None => body,
        Some(speech) => speech.whole(body),
    }
}

/// Emits a whole answer as the pieces of a stream.
async fn in_pieces(shared: &Shared, job: &Job, tongue: Option<Tongue<'_>>, whole: &[u8]) -> Result<Answer, Failure> {
    let mut assembly = Assembly::new(wish(shared, job, tongue));
    for piece in split(std::str::from_utf8(whole).unwrap_or_default(), Words::Unsaid) {
        pass_on(job, assembly.take(&shared.name, piece.into())?).await?;
    }
    assembly.into_answer(&shared.name)
}

/// The body of an answer that is being read.
pub(super) struct Reading {
    link: Box<Link>,
    /// The first bytes, which were read in order to find out the form of the answer.
    start: Bytes,
}

impl Reading {
    /// The body of which nothing was read.
    pub(super) fn new(link: Box<Link>) -> Self {
        Self { link, start: Bytes::new() }
    }

    /// Whether the body is a stream of events. The first bytes decide, because some servers send streams with another
    /// content type (`text/plain`, `application/json`), or whole answers with the type of a stream. The declared type
    /// decides only if the first bytes do not.
    async fn is_stream(&mut self, shared: &Shared, is_declared: bool) -> Result<bool, Failure> {
        loop {
            match sse::is_stream(&self.start) {
                Some(true) => return Ok(true),
                Some(false) => return Ok(is_declared && !is_page(&self.start)),
                None if self.start.len() > MOST_BLANK => return Ok(is_declared),
                None => {}
            }
            let Some(data) = self.link.data().await.transpose().map_err(|e| cut_off(shared, &e))? else {
                return Ok(is_declared);
            };
            self.start = if self.start.is_empty() { data } else { [&self.start[..], &data[..]].concat().into() };
        }
    }
}

/// Reads a stream and emits its pieces as they come.
async fn stream(shared: &Shared, job: &Job, tongue: Option<Tongue<'_>>, reading: Reading) -> Result<Served, Failure> {
    let Reading { mut link, start } = reading;
    let mut reader = SseReader::new(shared.max_output());
    let mut assembly = Assembly::new(wish(shared, job, tongue));
    assembly.came(start.len() + link.left());
    reader.push(start);
    let mut speech = Speech::of(tongue);
    let mut end = None;
    let mut turn = Turn::default();
    loop {
        let mut spoke = false;
        loop {
            let Ok(event) = reader.next() else { return Ok((assembly.cut(&shared.name)?, None)) };
            let Some(event) = event else { break };
            if turn.is_over(event.data.len()) {
                tokio::task::yield_now().await;
            }
            spoke = true;
            // An error is no chunk, even where it has the form of one.
            let words = if event.is_error { None } else { assembly.take_words(&event.data) };
            let is_full = if let Some(chunk) = words {
                drop(event);
                emit(job, chunk)?
            } else {
                let Some(chunks) = hear(shared, &mut assembly, speech.as_mut(), event)? else {
                    return Ok((assembly.into_answer(&shared.name)?, Some(link)));
                };
                let is_full = emit_all(job, chunks)?;
                if speech.as_ref().is_some_and(Speech::is_over) {
                    return Ok((assembly.into_answer(&shared.name)?, Some(link)));
                }
                is_full
            };
            if is_full {
                // The reader is slow, so that these bytes may wait for long.
                reader.own();
                link.own();
                job.writable().await;
            }
            if assembly.is_full() {
                // Dropping the connection ends the upstream's work.
                return Ok((assembly.cut(&shared.name)?, None));
            }
        }
        if !spoke {
            // Servers send comments as signs of life while the model reads or thinks.
            job.alive();
        }
        if let Some(why) = end {
            // Some servers leave out the blank line after their last event.
            let mut done = false;
            if let Some(event) = reader.rest()
                && (event.is_error || is_done(&event) || serde_json::from_slice::<IgnoredAny>(&event.data).is_ok())
            {
                match hear(shared, &mut assembly, speech.as_mut(), event)? {
                    Some(chunks) => pass_on(job, chunks).await?,
                    None => done = true,
                }
            }
            if done || assembly.is_finished() {
                return Ok((assembly.into_answer(&shared.name)?, Some(link)));
            }
            let message = format!("the upstream {} ended before its finish_reason: {why}", shared.name);
            return Err(Failure::new(FailClass::Internal, message));
        }
        match link.data().await {
            Some(Ok(data)) => {
                assembly.came(data.len() + link.left());
                reader.push(data);
            }
            Some(Err(e)) => end = Some(e.to_string()),
            None => end = Some("the connection ended".to_owned()),
        }
    }
}

/// The pieces of one event of a stream in the words of the upstream's API; `None`: it was the last one.
fn hear(
    shared: &Shared,
    assembly: &mut Assembly,
    speech: Option<&mut Speech>,
    event: Event,
) -> Result<Option<Chunks>, Failure> {
    match speech {
        None => read_event(&shared.name, assembly, event),
        Some(_) if is_done(&event) => Ok(None),
        Some(speech) => speech.read(&shared.name, assembly, event),
    }
}

/// The pieces of one event of a stream; `None`: it was the last one.
///
/// # Errors
/// The failure that the event reports or is.
pub(super) fn read_event(name: &str, assembly: &mut Assembly, event: Event) -> Result<Option<Chunks>, Failure> {
    if is_done(&event) {
        return Ok(None);
    }
    if event.is_error {
        return Err(refusal::reported(name, utf8(event.data)));
    }
    assembly.take(name, event.data).map(Some)
}

/// Emits pieces, and waits while the reader lags behind.
async fn pass_on(job: &Job, chunks: Chunks) -> Result<(), Failure> {
    if emit_all(job, chunks)? {
        job.writable().await;
    }
    Ok(())
}

/// Emits the pieces of one event. `true`: the reader lags behind.
fn emit_all(job: &Job, chunks: Chunks) -> Result<bool, Failure> {
    chunks.into_iter().try_fold(false, |is_full, chunk| Ok(emit(job, chunk)? || is_full))
}

fn emit(job: &Job, chunk: Chunk) -> Result<bool, Failure> {
    match job.emit(chunk) {
        Emit::Ok => Ok(false),
        Emit::Full => Ok(true),
        Emit::Cancelled => Err(cancelled_failure()),
    }
}

fn is_done(event: &Event) -> bool {
    matches!(event.data.trim_ascii(), b"[DONE]" | b"\"[DONE]\"")
}

/// The bytes that the JSON of an answer may have in addition to the maximum size of its text.
const JSON: usize = 64 << 10;

/// Reads a body to its end and returns the connection to the pool. `false`: the body is too long, and the bytes are its
/// beginning.
pub(super) async fn whole(
    shared: &Shared,
    reading: Reading,
    most: usize,
    job: Option<&Job>,
) -> Result<(Bytes, bool), Failure> {
    let Reading { mut link, start } = reading;
    let most = most.saturating_add(JSON);
    // The bytes are copied out of the buffer that the thread reads into, because an answer may be kept for days.
    let mut bytes = Vec::with_capacity(most.min(start.len().saturating_add(link.expected())));
    bytes.extend_from_slice(&start[..start.len().min(most)]);
    if start.len() > most {
        return Ok((bytes.into(), false));
    }
    drop(start);
    loop {
        match link.append(&mut bytes, most).await.map_err(|e| cut_off(shared, &e))? {
            Part::Data => {
                if let Some(job) = job {
                    job.alive();
                }
            }
            Part::End => break,
            Part::TooLong => return Ok((bytes.into(), false)),
        }
    }
    shared.pool.put(link);
    Ok((bytes.into(), true))
}

/// Reads a whole answer. Valid JSON is kept unchanged; JSON with small faults is repaired.
fn read_body(
    name: &str,
    body: Bytes,
    answer: fn(&str, &Bytes, &Reply<'_>) -> Result<Answer, Failure>,
) -> Result<Answer, Failure> {
    match read(body, |json, reply| answer(name, json, reply)) {
        Ok(answer) => answer,
        Err(text) if is_list_of_complaints(&text) => Err(refusal::reported(name, text)),
        Err(text) => Err(refusal::garbage(name, "did not answer with a JSON object", &text)),
    }
}

/// Reads the answer to a chat or a completion.
fn unary(name: &str, body: &Bytes, reply: &Reply<'_>) -> Result<Answer, Failure> {
    if is_complaint(reply, reply.has_choices()) {
        return Err(refusal::reported(name, body.clone()));
    }
    let choices = reply.choices.iter().flatten();
    let Some(first) = choices.clone().min_by_key(|choice| choice.index) else {
        return Err(refusal::garbage(name, "answered without choices", body));
    };
    let message = first.whole();
    if choices.clone().all(|choice| choice.finish_reason().is_none() && !choice.says(choice.whole())) {
        return Err(refusal::garbage(name, "answered with nothing, and without a finish_reason", body));
    }
    let calls = message.and_then(|message| message.last("tool_calls")).is_some_and(|calls| !calls.is_blank());
    let unsaid = if calls { FinishReason::ToolCalls } else { FinishReason::Stop };
    let answer = Answer::default()
        .text(first.words(message).map(Json::text).unwrap_or_default())
        .finish_reason(first.finish_reason().unwrap_or(unsaid))
        .usage(reply.usage().unwrap_or_default())
        .model(reply.model())
        .raw(Some(body.clone()));
    Ok(outlined(answer, body, reply))
}

/// The answer with the outline of its JSON, which the listener would otherwise make by a scan of its own.
fn outlined(mut answer: Answer, body: &Bytes, reply: &Reply<'_>) -> Answer {
    let mut outline = reply.outline.clone();
    if reply.is_text() {
        outline.note_text();
    }
    answer.outline = Outlined::new(body.clone(), outline);
    answer
}

/// Reads the answer to a request for embeddings. The vectors are forwarded unchanged.
fn embedded(name: &str, body: &Bytes, reply: &Reply<'_>) -> Result<Answer, Failure> {
    let data = reply.get("data").filter(|data| data.is_list());
    if is_complaint(reply, data.is_some()) {
        return Err(refusal::reported(name, body.clone()));
    }
    if data.is_none() {
        return Err(refusal::garbage(name, "answered without data", body));
    }
    let (usage, model) = (reply.usage().unwrap_or_default(), reply.model());
    let answer = Answer::default().finish_reason(FinishReason::Stop).usage(usage).model(model).raw(Some(body.clone()));
    Ok(outlined(answer, body, reply))
}

/// The failure of an answer with an error status, and the body of that answer.
pub(super) async fn refused(shared: &Shared, link: Box<Link>, head: Head) -> (Failure, Bytes) {
    let reading = Reading::new(link);
    let most = shared.config.max_error_bytes as usize;
    let (body, _) = whole(shared, reading, most, None).await.unwrap_or_default();
    if let Some(coding) = &head.coding {
        let mut failure = refusal::refused(&shared.name, head.status, &head.retry, Bytes::new());
        failure.message = format!("{}; {}", failure.message, coded(shared, coding));
        return (failure, Bytes::new());
    }
    (refusal::refused(&shared.name, head.status, &head.retry, body.clone()), body)
}

pub(super) fn coded(shared: &Shared, coding: &str) -> String {
    format!(
        "the upstream {} answered in the coding {coding:?} although the request said Accept-Encoding: identity: switch compression off there, or in the proxy before it",
        shared.name
    )
}

pub(super) fn unanswered(shared: &Shared, error: SendError) -> Failure {
    let (class, why) = match error {
        SendError::Unreachable(why) => (FailClass::Unreachable, why),
        SendError::Garbage(why) => (FailClass::Internal, why),
    };
    Failure::new(class, format!("the upstream {}: {why}", shared.name))
}

fn cut_off(shared: &Shared, error: &BodyError) -> Failure {
    let message = format!("the upstream {} ended before its answer did: {error}", shared.name);
    Failure::new(FailClass::Internal, message)
}

fn cancelled_failure() -> Failure {
    Failure::new(FailClass::Cancelled, "cancelled")
}

/// Whether a body with these first bytes looks like a JSON object, a JSON list or HTML.
fn is_page(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    matches!(start.trim_ascii_start().first(), Some(b'{' | b'[' | b'<'))
}

/// Reads the rest of a body after the last event, so that the connection can be used again.
async fn settle(shared: &Shared, mut link: Box<Link>) {
    if !link.ends_here() {
        let read_to_end = async { while let Some(Ok(_)) = link.data().await {} };
        if tokio::time::timeout(SETTLE, read_to_end).await.is_err() {
            return;
        }
    }
    shared.pool.put(link);
}
