//! The id that every answer carries in `x-request-id`, so that users and operators can refer to one request.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::reply::Failed;
use crate::model::{Gid, push_hex};
use crate::router::Submission;

pub(in crate::listener) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The greatest length of a caller's own id, in bytes.
const MAX_BYTES: usize = 128;

/// The caller's id, if it is valid: 1 to 128 visible ASCII characters. Other characters could corrupt a log.
pub(in crate::listener) fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(HEADER)?;
    let sane = (1..=MAX_BYTES).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    sane.then(|| value.clone())
}

/// Makes the answer about a task, whether it succeeded or failed. Its request id has the digits of the task's
/// completion.
pub(in crate::listener) fn of_task(task: &Task, answer: Result<Response, Failed>) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    task.name(response.headers_mut());
    response
}

/// Appends the digits that stand for a task in every id: 8 for the second in which it was made (16 from the year 2106
/// on), and 16 for its number. The buffer has room for them.
pub(in crate::listener) fn push_task(out: &mut impl Write, created: u64, gid: Gid) {
    push_hex(out, created, if created >> 32 == 0 { 8 } else { 16 });
    push_hex(out, gid.0, 16);
}

/// The digits that stand for a task in every id.
pub(in crate::listener) fn digits(task: &Task) -> String {
    let mut digits = Vec::with_capacity(32);
    push_task(&mut digits, task.created, task.gid);
    String::from_utf8(digits).unwrap_or_default()
}

/// The second and the number of the task that such digits stand for.
pub(in crate::listener) fn task_of(digits: &str) -> Option<(u64, Gid)> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let at = digits.len().checked_sub(16).filter(|at| matches!(at, 8 | 16))?;
    let (created, gid) = digits.split_at_checked(at).filter(|_| digits.bytes().all(is_hex))?;
    Some((u64::from_str_radix(created, 16).ok()?, Gid(u64::from_str_radix(gid, 16).ok()?)))
}

/// The facts about a task that its request id is made of.
#[derive(Debug, Clone, Copy)]
pub(in crate::listener) struct Task {
    created: u64,
    gid: Gid,
}

impl Task {
    /// Some task.
    #[cfg(test)]
    pub(in crate::listener) fn of_test() -> Self {
        Self { created: 1_767_225_600, gid: Gid(7) }
    }

    /// The request id.
    pub(in crate::listener) fn id(&self) -> String {
        // With its exact length a text becomes a header's value without another allocation.
        let mut id = Vec::with_capacity(if self.created >> 32 == 0 { 28 } else { 36 });
        self.push_id(&mut id);
        // Digits are always text.
        String::from_utf8(id).unwrap_or_default()
    }

    /// Appends the request id.
    pub(in crate::listener) fn push_id(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"req-");
        push_task(out, self.created, self.gid);
    }

    /// Adds the request id to the headers of an answer.
    pub(in crate::listener) fn name(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::try_from(self.id()) {
            headers.insert(HEADER, id);
        }
    }
}

impl From<&Submission> for Task {
    fn from(submission: &Submission) -> Self {
        Self { created: submission.created(), gid: submission.gid() }
    }
}

/// Makes ids for answers that belong to no task.
#[derive(Debug, Clone)]
pub(in crate::listener) struct Numbers {
    /// Random bits that differ at every start.
    start: u64,
    next: Arc<AtomicU64>,
}

impl Numbers {
    pub(in crate::listener) fn new() -> Self {
        // The standard library's seed is random at every start, and reading it cannot fail.
        Self { start: RandomState::new().hash_one(0) >> 16, next: Arc::new(AtomicU64::new(1)) }
    }

    /// Gives the answer an id: the caller's own, else its task's, else a new one.
    pub(in crate::listener) fn name(&self, headers: &mut HeaderMap, given: Option<HeaderValue>) {
        if let Some(id) = given {
            headers.insert(HEADER, id);
        } else if !headers.contains_key(HEADER)
            && let Ok(id) = HeaderValue::try_from(self.make())
        {
            headers.insert(HEADER, id);
        }
    }

    /// A new id.
    fn make(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("req-{:012x}-{number:x}", self.start)
    }
}
