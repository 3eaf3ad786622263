//! One line in the log for each request: who asked for what, how long it took, and how it ended.
//!
//! The line is written when the answer's body has ended or its caller has gone. While the filter of the log leaves the
//! lines out, a request costs one look at a flag.

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::MatchedPath;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::Level;

use super::auth::Caller;
use super::peer::Connection;
use super::request_id;
use super::traffic::method_word;
use crate::Submission;
use crate::config::LogConfig;
use crate::model::Outcome;
use crate::router::{Facts, Observed};

/// The target of the lines, by which the filter of a log selects them.
const TARGET: &str = "cortensor_router::access";

/// The routes that machines ask for again and again. Their lines are at the level `debug`.
const ROUTINE: [&str; 4] = ["/healthz", "/health", "/readyz", "/metrics"];

/// The maximum number of bytes of a text that a caller or a miner chose.
const MAX_WORD: usize = 256;

tokio::task_local! {
    /// The notes on the request that the task at hand answers. There are none while no line is to be written.
    static NOTES: Notes;
}

type Notes = Arc<Mutex<Noted>>;

/// The facts about a request that come to light while it is answered.
#[derive(Default)]
struct Noted {
    route: Option<Cow<'static, str>>,
    caller: Option<Caller>,
    task: Option<Observed>,
    /// The code of the error with which the request was answered.
    code: Option<String>,
}

fn note(with: impl FnOnce(&mut Noted)) {
    // Without notes there is no line to write.
    let _ = NOTES.try_with(|notes| with(&mut notes.lock()));
}

/// Notes the route of the present request.
pub(super) fn on(route: &MatchedPath) {
    note(|noted| noted.route = Some(route.as_str().to_owned().into()));
}

/// Notes the route of the present request, whose template is fixed.
pub(super) fn on_fixed(route: &'static str) {
    note(|noted| noted.route = Some(route.into()));
}

/// Notes the sender of the present request.
pub(super) fn by(caller: &Caller) {
    note(|noted| noted.caller = Some(caller.clone()));
}

/// Notes the task that the present request is about.
pub(super) fn about(submission: &Submission) {
    note(|noted| noted.task = Some(submission.observed()));
}

/// Notes the code of the error with which the present request is answered.
pub(super) fn failed(code: &str) {
    note(|noted| noted.code = Some(code.to_owned()));
}

/// Writes the line of a request whose head was refused; `method`: none could be read.
pub(super) fn head_refused(peer: IpAddr, method: Option<&Method>, status: StatusCode, code: &str) {
    tracing::info!(
        target: TARGET,
        method = method.map_or("unknown", method_word),
        route = "unknown",
        status = status.as_u16(),
        outcome = "refused",
        code,
        %peer,
        "request"
    );
}

/// How far the answer has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The answer is not complete. If nothing more comes, its caller has gone.
    Underway,
    Complete,
    /// The answer's body failed.
    Broken,
}

/// The line of one request. Dropping it writes it.
pub(super) struct Line {
    since: Instant,
    method: Method,
    peer: IpAddr,
    id: Option<HeaderValue>,
    status: Option<StatusCode>,
    progress: Progress,
    notes: Notes,
    /// The maximum number of bytes of a prompt and of an answer that the line shows; `None`: it shows neither.
    words: Option<usize>,
}

impl Line {
    /// Begins the line of a request, if the log wants one; `id` is the request's id that its caller gave.
    pub(super) fn begin(
        method: &Method,
        id: Option<&HeaderValue>,
        connection: &Connection,
        log: &LogConfig,
    ) -> Option<Box<Self>> {
        if !tracing::enabled!(target: TARGET, Level::INFO) {
            return None;
        }
        Some(Box::new(Self {
            since: Instant::now(),
            method: method.clone(),
            peer: connection.peer.ip(),
            id: id.cloned(),
            status: None,
            progress: Progress::Underway,
            notes: Notes::default(),
            words: log.prompts.then_some(log.prompt_bytes),
        }))
    }

    /// Answers a request and lets its parts note what they know for the line.
    pub(super) async fn during<T>(line: Option<&Self>, answer: impl Future<Output = T>) -> T {
        let answer = pin!(answer);
        match line {
            Some(line) => NOTES.scope(line.notes.clone(), answer).await,
            None => answer.await,
        }
    }

    /// Notes how the answer begins.
    pub(super) fn answered(&mut self, status: StatusCode, id: Option<&HeaderValue>) {
        self.status = Some(status);
        self.id = id.cloned().or(self.id.take());
    }

    /// Writes the line of an answer that is complete.
    pub(super) fn complete(mut self) {
        self.progress = Progress::Complete;
    }

    /// Follows the answer to its end.
    pub(super) fn follow(mut self: Box<Self>, response: Response) -> Response {
        self.answered(response.status(), response.headers().get(request_id::HEADER));
        if self.method == Method::HEAD || http_body::Body::is_end_stream(response.body()) {
            self.complete();
            return response;
        }
        response.map(|body| Body::new(Followed { body, line: Some(self) }))
    }

    /// The word for the request's end.
    fn outcome(&self, task: Option<&Facts>) -> &'static str {
        let refused = self.status.is_some_and(|status| status.is_client_error() || status.is_server_error());
        match (self.progress, task.map(|task| task.outcome)) {
            _ if std::thread::panicking() => "panicked",
            (Progress::Underway, _) => "hung_up",
            (Progress::Broken, _) => Outcome::Failed.as_str(),
            (_, Some(Some(outcome))) => outcome.as_str(),
            _ if self.status == Some(StatusCode::INTERNAL_SERVER_ERROR) => Outcome::Failed.as_str(),
            _ if refused => "refused",
            (_, Some(None)) => "accepted",
            (_, None) => Outcome::Ok.as_str(),
        }
    }
}

/// The beginning of a text of someone else.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_WORD)]
}

impl Drop for Line {
    fn drop(&mut self) {
        // Nothing is locked while the line is written.
        let Noted { route, caller, task: observed, code } = std::mem::take(&mut *self.notes.lock());
        let task = observed.as_ref().map(Observed::facts);
        let words = observed.as_ref().zip(self.words).map(|(observed, most)| observed.words(most));
        let route = route.as_deref().unwrap_or("unknown");
        let outcome = self.outcome(task.as_ref());
        let of_task = task.as_ref();
        let code = code.as_deref().or(of_task.and_then(|task| task.code.as_deref())).map(beginning);
        let usage = of_task.and_then(|task| task.usage);
        // The level is a part of what the macro fixes at compile time.
        macro_rules! write {
            ($level:ident) => {
                tracing::event!(
                    target: TARGET,
                    Level::$level,
                    method = method_word(&self.method),
                    route,
                    status = self.status.map(|status| status.as_u16()),
                    outcome,
                    code,
                    ms = self.since.elapsed().as_millis() as u64,
                    first_token_ms = of_task.and_then(|task| task.first_token_ms),
                    tokens_in = usage.map(|usage| usage.prompt_tokens),
                    tokens_out = usage.map(|usage| usage.completion_tokens),
                    key = caller.as_ref().map(Caller::id),
                    key_name = caller.as_ref().and_then(Caller::name),
                    session = of_task.map(|task| task.session.0),
                    task = of_task.map(|task| task.task.0),
                    model = of_task.and_then(|task| task.model.as_deref()).map(beginning),
                    miner = of_task.and_then(|task| task.miner.as_deref()),
                    attempts = of_task.map(|task| task.attempts as u64),
                    prompt = words.as_ref().map(|(prompt, _)| prompt.as_str()),
                    answer = words.as_ref().map(|(_, answer)| answer.as_str()),
                    request_id = self.id.as_ref().and_then(|id| id.to_str().ok()),
                    peer = %self.peer,
                    "request"
                )
            };
        }
        if ROUTINE.contains(&route) { write!(DEBUG) } else { write!(INFO) }
    }
}

/// A body whose end completes its request's line.
struct Followed {
    body: Body,
    line: Option<Box<Line>>,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let progress = match &frame {
            None => Progress::Complete,
            Some(Err(_)) => Progress::Broken,
            Some(Ok(_)) if self.body.is_end_stream() => Progress::Complete,
            Some(Ok(_)) => Progress::Underway,
        };
        if progress != Progress::Underway
            && let Some(mut line) = self.line.take()
        {
            line.progress = progress;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
