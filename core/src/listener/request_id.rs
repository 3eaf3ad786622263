//! The id that every answer carries in `x-request-id`, so that users and operators can speak of one request.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::reply::Failed;
use crate::router::Submission;

pub(in crate::listener) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The greatest length of a caller's own id.
const MAX_BYTES: usize = 128;

/// The caller's id, if it is valid: 1 to 128 visible ASCII characters. Anything else could break a log.
pub(in crate::listener) fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(HEADER)?;
    let sane = (1..=MAX_BYTES).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    sane.then(|| value.clone())
}

/// An answer about a task, with success or without; its id has the digits of the task's completion.
pub(in crate::listener) fn of_task(task: &Task, answer: Result<Response, Failed>) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    if let Ok(id) = HeaderValue::from_bytes(&digits(task)) {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

/// `req-`, eight hexadecimal digits of the second in which the task was made, and sixteen of its number.
fn digits(task: &Task) -> [u8; 28] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = *b"req-000000000000000000000000";
    for (at, digit) in out[4..12].iter_mut().enumerate() {
        *digit = HEX[(task.created >> (28 - 4 * at)) as usize & 15];
    }
    for (at, digit) in out[12..].iter_mut().enumerate() {
        *digit = HEX[(task.gid >> (60 - 4 * at)) as usize & 15];
    }
    out
}

/// Names the task for the id of its request.
#[derive(Debug, Clone, Copy)]
pub(in crate::listener) struct Task {
    created: u64,
    gid: u64,
}

impl From<&Submission> for Task {
    fn from(submission: &Submission) -> Self {
        Self { created: submission.created(), gid: submission.gid().0 }
    }
}

/// Makes ids for answers that belong to no task.
#[derive(Debug, Clone)]
pub(in crate::listener) struct Numbers {
    /// Distinguishes this start from others.
    start: u64,
    next: Arc<AtomicU64>,
}

impl Numbers {
    pub(in crate::listener) fn new() -> Self {
        // The standard library's seed is random at every start and cannot fail.
        Self { start: RandomState::new().hash_one(0) >> 16, next: Arc::new(AtomicU64::new(1)) }
    }

    /// Gives the answer the caller's id, or else that of its task, or else a new one.
    pub(in crate::listener) fn name(&self, response: &mut Response, given: Option<HeaderValue>) {
        let headers = response.headers_mut();
        if let Some(id) = given {
            headers.insert(HEADER, id);
        } else if !headers.contains_key(HEADER) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if let Ok(id) = HeaderValue::from_str(&format!("req-{:012x}-{number:x}", self.start)) {
                headers.insert(HEADER, id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tasks_id_has_the_digits_that_a_formatter_writes() {
        for (created, gid) in [(0, 0), (0x6543_21f0, 7), (0xffff_ffff, u64::MAX), (1_795_910_400, 0x1_0000_0001)] {
            let written = digits(&Task { created, gid });
            assert_eq!(std::str::from_utf8(&written).unwrap(), format!("req-{created:08x}{gid:016x}"));
        }
    }
}
