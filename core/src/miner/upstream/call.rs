//! One job at an upstream: the request goes out, the answer comes back, piece by piece or whole.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use hyper::body::Incoming;
use serde::de::IgnoredAny;

use super::ask::{self, Route};
use super::assembly::{Assembly, too_large};
use super::pool::{Link, SendError, chain, coding_of};
use super::sse::{self, Event, SseReader};
use super::wire::Reply;
use super::{Shared, refusal, upstream_name};
use crate::miner::{Emit, FailClass, Failure, Job};
use crate::model::{Answer, FinishReason, from_bytes};

/// How long the end of a body may take after `[DONE]` for its connection to be used again.
const SETTLE: Duration = Duration::from_secs(1);

/// A connection whose body may have a last frame to give.
type Tail = (Box<Link>, Incoming);

/// Works on a job and answers it. Where the work is cancelled, the connection is dropped at once.
pub(super) async fn run(shared: Arc<Shared>, job: Job) {
    let cuts = shared.cuts();
    let outcome = {
        let mut work = pin!(answer(&shared, &job));
        let mut cancelled = pin!(job.cancelled());
        tokio::select! {
            // The answer first: where both are ready, the work is done and paid for.
            biased;
            outcome = &mut work => outcome,
            () = &mut cancelled => Err(cancelled_failure()),
        }
    };
    match outcome {
        Ok((answer, tail)) => {
            shared.succeeded();
            job.finish(answer);
            if let Some(tail) = tail {
                settle(&shared, tail).await;
            }
        }
        Err(failure) => {
            if failure.class == FailClass::Overloaded {
                shared.overloaded(cuts);
            }
            job.fail(failure);
        }
    }
}

async fn answer(shared: &Shared, job: &Job) -> Result<(Answer, Option<Tail>), Failure> {
    let request = job.request();
    let route = Route::of(request);
    let asked = job.info().model.as_deref().or(request.model.as_deref());
    let default_model = if asked.is_none() { shared.default_model.read().clone() } else { None };
    let model = asked.map(|model| upstream_name(&shared.config, model)).or(default_model.as_deref());
    let partial = job.info().partial.as_deref();
    let mut own = shared.refused_fields.allowed(shared.config.stream_usage);
    let mut refused_before = false;
    let (link, response) = loop {
        let body = ask::body(request, model, job.stream(), partial, own);
        let sent = shared.pool.send(&|endpoint| endpoint.post(route.path(endpoint), body.clone())).await;
        let (link, response) = sent.map_err(|e| unanswered(shared, e))?;
        let status = response.status();
        if status.is_success() {
            break (link, response);
        }
        let (failure, words) = refused(shared, link, response).await;
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
    if let Some(coding) = coding_of(response.headers()) {
        return Err(Failure::new(FailClass::Internal, coded(shared, &coding)));
    }
    let is_declared = is_event_stream(&response);
    let mut reply = Reading { link, body: response.into_body(), start: Bytes::new() };
    if route != Route::Embeddings && reply.is_stream(shared, is_declared).await? {
        stream(shared, job, reply).await.map(|(answer, tail)| (answer, Some(tail)))
    } else {
        let body = whole(shared, reply, shared.max_output).await?;
        let answer = if route == Route::Embeddings { embedded(shared, body) } else { unary(shared, body) }?;
        if job.stream() && !answer.text.is_empty() && job.emit(answer.text.clone()) == Emit::Cancelled {
            // The upstream does not stream: the whole is one piece.
            return Err(cancelled_failure());
        }
        Ok((answer, None))
    }
}

/// An answer's body as it comes in.
struct Reading {
    link: Box<Link>,
    body: Incoming,
    /// What was read to find out what it is.
    start: Bytes,
}

impl Reading {
    /// Whether the body is a stream of events. Its first bytes decide, because servers send streams under other types
    /// (`text/plain`, `application/json`) and whole answers under that of a stream; the type does where they could be either.
    async fn is_stream(&mut self, shared: &Shared, is_declared: bool) -> Result<bool, Failure> {
        loop {
            match sse::is_stream(&self.start) {
                Some(true) => return Ok(true),
                Some(false) => return Ok(is_declared && !is_json(&self.start)),
                None => {}
            }
            match self.link.frame(&mut self.body).await {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.start =
                        if self.start.is_empty() { data } else { [&self.start[..], &data[..]].concat().into() };
                }
                Some(Err(e)) => return Err(cut_off(shared, &e)),
                None => return Ok(is_declared),
            }
        }
    }
}

/// Reads a stream and passes its pieces on as they come.
async fn stream(shared: &Shared, job: &Job, reading: Reading) -> Result<(Answer, Tail), Failure> {
    let Reading { mut link, mut body, start } = reading;
    let mut reader = SseReader::new(shared.max_output);
    reader.push(start);
    let mut assembly = Assembly::new(shared.max_output, ask::wants_usage(job.request()));
    let mut end = None;
    loop {
        loop {
            let event = reader.next().map_err(|_| too_large(&shared.name, shared.max_output))?;
            let Some(event) = event else { break };
            if pass_on(shared, job, &mut assembly, event).await? {
                return Ok((assembly.into_answer(), (link, body)));
            }
        }
        if let Some(why) = end {
            // Some servers leave out the blank line after their last event.
            let mut done = false;
            if let Some(event) = reader.rest()
                && (event.is_error || is_done(&event) || serde_json::from_slice::<IgnoredAny>(&event.data).is_ok())
            {
                done = pass_on(shared, job, &mut assembly, event).await?;
            }
            if done || assembly.is_finished() {
                return Ok((assembly.into_answer(), (link, body)));
            }
            let message = format!("the upstream {} ended before its finish_reason: {why}", shared.name);
            return Err(Failure::new(FailClass::Internal, message));
        }
        match link.frame(&mut body).await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    reader.push(data);
                }
            }
            Some(Err(e)) => end = Some(chain(&e)),
            None => end = Some("the connection ended".to_owned()),
        }
    }
}

/// Passes an event on, at the reader's pace. Answers whether it was the last.
async fn pass_on(shared: &Shared, job: &Job, assembly: &mut Assembly, event: Event) -> Result<bool, Failure> {
    if is_done(&event) {
        return Ok(true);
    }
    if event.is_error {
        return Err(refusal::reported(&shared.name, event.data));
    }
    let Some(chunk) = assembly.take(&shared.name, event.data)? else { return Ok(false) };
    match job.emit(chunk) {
        Emit::Ok => {}
        Emit::Full => job.writable().await,
        Emit::Cancelled => return Err(cancelled_failure()),
    }
    Ok(false)
}

fn is_done(event: &Event) -> bool {
    event.data.trim_ascii() == b"[DONE]"
}

/// Reads a body to its end and gives the connection back.
async fn whole(shared: &Shared, reading: Reading, most: usize) -> Result<Bytes, Failure> {
    let Reading { mut link, mut body, start } = reading;
    let least = body.size_hint().lower().saturating_add(start.len() as u64);
    if least > most as u64 {
        return Err(too_large(&shared.name, most));
    }
    // Not slices of read buffers, which an answer that is kept for days would keep too.
    let mut bytes = Vec::with_capacity(least as usize);
    bytes.extend_from_slice(&start);
    while let Some(frame) = link.frame(&mut body).await {
        let frame = frame.map_err(|e| cut_off(shared, &e))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(too_large(&shared.name, most));
        }
        bytes.extend_from_slice(&data);
        if body.is_end_stream() {
            break;
        }
    }
    shared.pool.put(link).await;
    Ok(bytes.into())
}

/// A whole chat or completion.
fn unary(shared: &Shared, body: Bytes) -> Result<Answer, Failure> {
    let reply: Reply<'_> = match from_bytes(&body) {
        Ok(reply) => reply,
        Err(e) => {
            return Err(refusal::garbage(&shared.name, &format!("did not answer with a completion ({e})"), &body));
        }
    };
    if reply.error.is_some() {
        return Err(refusal::reported(&shared.name, body));
    }
    let (usage, model) = (reply.usage().unwrap_or_default(), reply.model());
    let Some(choice) = reply.choices.first else {
        return Err(refusal::garbage(&shared.name, "answered without choices", &body));
    };
    let finish_reason = choice.finish_reason().unwrap_or_default();
    let (text, _) = choice.into_text();
    Ok(Answer { text, finish_reason, usage, model, raw: Some(body), ..Answer::default() })
}

/// A whole list of vectors: passed on as it is.
fn embedded(shared: &Shared, body: Bytes) -> Result<Answer, Failure> {
    let reply: Reply<'_> = match from_bytes(&body) {
        Ok(reply) => reply,
        Err(e) => return Err(refusal::garbage(&shared.name, &format!("did not answer with embeddings ({e})"), &body)),
    };
    if reply.error.is_some() {
        return Err(refusal::reported(&shared.name, body));
    }
    if reply.data.is_none() {
        return Err(refusal::garbage(&shared.name, "answered without data", &body));
    }
    let (usage, model) = (reply.usage().unwrap_or_default(), reply.model());
    Ok(Answer { finish_reason: FinishReason::Stop, usage, model, raw: Some(body), ..Answer::default() })
}

/// The failure that a refusal stands for, and its words.
async fn refused(shared: &Shared, link: Box<Link>, response: Response<Incoming>) -> (Failure, Bytes) {
    let (head, body) = response.into_parts();
    let reading = Reading { link, body, start: Bytes::new() };
    let body = whole(shared, reading, shared.config.max_error_bytes as usize).await.unwrap_or_default();
    if let Some(coding) = coding_of(&head.headers) {
        let mut failure = refusal::refused(&shared.name, head.status, &head.headers, Bytes::new());
        failure.message = format!("{}; {}", failure.message, coded(shared, &coding));
        return (failure, Bytes::new());
    }
    (refusal::refused(&shared.name, head.status, &head.headers, body.clone()), body)
}

fn coded(shared: &Shared, coding: &str) -> String {
    format!(
        "the upstream {} answered in the coding {coding:?} although the request said Accept-Encoding: identity: switch compression off there, or in the proxy before it",
        shared.name
    )
}

fn unanswered(shared: &Shared, error: SendError) -> Failure {
    let (class, why) = match error {
        SendError::Unreachable(why) => (FailClass::Unreachable, why),
        SendError::Garbage(why) => (FailClass::Internal, why),
    };
    Failure::new(class, format!("the upstream {}: {why}", shared.name))
}

fn cut_off(shared: &Shared, error: &hyper::Error) -> Failure {
    let message = format!("the upstream {} ended before its answer did: {}", shared.name, chain(error));
    Failure::new(FailClass::Internal, message)
}

fn cancelled_failure() -> Failure {
    Failure::new(FailClass::Cancelled, "cancelled")
}

fn is_event_stream(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    kind.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Whether a body that begins with these bytes can be JSON of the kind that an answer is.
fn is_json(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    matches!(start.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Reads what comes behind the last event, so that the connection can be used again.
async fn settle(shared: &Shared, (mut link, mut body): Tail) {
    let read_to_end = async {
        while !body.is_end_stream() {
            match link.frame(&mut body).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => break,
            }
        }
        true
    };
    if tokio::time::timeout(SETTLE, read_to_end).await == Ok(true) {
        shared.pool.put(link).await;
    }
}
