//! Answers to requests that make tasks, before they are written to one kind of connection or another.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::intake;
use super::reply::{self, Failed};
use super::request_id;
use super::sse::{self, Events, Layout};
use super::written::Written;
use crate::Submission;
use crate::model::{SessionId, TaskId};

/// The answer to a request that makes a task.
pub(in crate::listener) enum Answer {
    /// The whole answer, as JSON.
    Whole(Named, Written),
    /// The stream of the answer.
    Events(Named, Box<Events<dyn Layout>>),
    /// An error. It has the id of its task if there is one.
    Failed(Option<request_id::Task>, Failed),
}

/// The facts that the head of an answer tells about its task.
#[derive(Clone)]
pub(in crate::listener) struct Named {
    pub(in crate::listener) session: SessionId,
    pub(in crate::listener) task: TaskId,
    pub(in crate::listener) id: request_id::Task,
    /// The types of the tools that the model was not offered, if there are any.
    pub(in crate::listener) left_out: Option<HeaderValue>,
}

impl From<&Submission> for Named {
    fn from(submission: &Submission) -> Self {
        let (session, task) = (submission.session_id(), submission.task_id());
        Self { session, task, id: submission.into(), left_out: None }
    }
}

impl Named {
    /// The names of some task.
    #[cfg(test)]
    pub(in crate::listener) fn of_test() -> Self {
        Self { session: SessionId(2), task: TaskId(3), id: request_id::Task::of_test(), left_out: None }
    }

    /// Also names the tools of these types, which only the servers of an API run.
    #[must_use]
    pub(in crate::listener) fn leaving_out(mut self, kinds: &[String]) -> Self {
        self.left_out = if kinds.is_empty() { None } else { HeaderValue::try_from(kinds.join(", ")).ok() };
        self
    }

    /// Names the task in headers, because OpenAI's bodies have no member for it.
    pub(in crate::listener) fn tell(self, headers: &mut HeaderMap) {
        // Most programs use the first sessions alone.
        const FIRST: [&str; 4] = ["0", "1", "2", "3"];
        let known = usize::try_from(self.session.0).ok().and_then(|session| FIRST.get(session));
        let session = known.map_or_else(|| HeaderValue::from(self.session.0), |text| HeaderValue::from_static(text));
        headers.insert(intake::SESSION, session);
        headers.insert(intake::TASK, HeaderValue::from(self.task.0));
        if let Some(kinds) = self.left_out {
            headers.insert(intake::LEFT_OUT, kinds);
        }
        self.id.name(headers);
    }
}

impl Answer {
    /// The answer that is this stream.
    pub(in crate::listener) fn events(named: Named, events: Events<impl Layout>) -> Self {
        Self::Events(named, Box::new(events))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (named, mut response) = match self {
            Self::Whole(named, body) => (named, reply::bytes(StatusCode::OK, body.into())),
            Self::Events(named, events) => (named, sse::respond(events)),
            Self::Failed(task, failed) => {
                let mut response = failed.into_response();
                if let Some(task) = task {
                    task.name(response.headers_mut());
                }
                return response;
            }
        };
        named.tell(response.headers_mut());
        response
    }
}
