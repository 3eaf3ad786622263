//! The end of a task: one value that is made once, stored whole and shown everywhere. This is also the one place where
//! the cause of an end becomes an error.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::keep;
use crate::engine::EndCause;
use crate::miner::{FailClass, Failure};
use crate::model::shape::Outlined;
use crate::model::{Completion, Outcome, Retention, Task, hex};
use crate::{Error, ErrorKind, Result, UpstreamError};

/// The end of a task.
#[derive(Debug)]
pub(crate) struct TaskEnd {
    /// The ended task, as the store gets it. Readers get it with [all hashes](add_hashes).
    pub(crate) row: Arc<Task>,
    /// The result that waiting callers get.
    pub(crate) result: Result<Arc<Completion>>,
}

impl TaskEnd {
    /// The end of a task. `retention` says which parts the row keeps; the result has all of them.
    pub(crate) fn new(mut row: Task, retention: Retention) -> Self {
        let result = result_of(&row);
        keep(retention, &mut row);
        // Only the callers that get the result now read the outlines. A row would keep their memory for long.
        row.results.iter_mut().for_each(|result| result.answer.outline = Outlined::default());
        Self { result, row: Arc::new(row) }
    }

    /// The end of a task that was read from the store.
    pub(crate) fn stored(task: Task) -> Self {
        Self::new(task, Retention::All)
    }
}

/// The result of an ended task. It depends on the record alone, so that every interface shows the same at any time.
fn result_of(task: &Task) -> Result<Arc<Completion>> {
    let answered = matches!(task.outcome, Some(Outcome::Ok | Outcome::Disputed));
    let Some(first) = task.results.first().filter(|_| answered) else {
        let error = task.error.clone().unwrap_or_else(|| error_of(EndCause::Done, None));
        return Err(error.with_ids(task.session_id, Some(task.id)));
    };
    let alternatives = if task.results.len() > 1 {
        task.results.iter().map(|result| (result.miner.clone(), result.answer.clone())).collect()
    } else {
        Vec::new()
    };
    let model = task.request.model.as_deref().or(task.model.as_deref()).or(first.answer.model.as_deref());
    let mut completion = Completion::new(first.answer.clone());
    completion.session_id = task.session_id;
    completion.task_id = task.id;
    completion.gid = task.gid;
    completion.created = task.created_at.as_secs();
    completion.model = String::from(model.unwrap_or("default"));
    completion.miner_address.clone_from(&first.miner);
    completion.alternatives = alternatives;
    completion.verdict.clone_from(&task.verdict);
    Ok(Arc::new(completion))
}

/// The longest wait that a caller is told, in milliseconds. A server whose clock is wrong names a date in years, and its
/// clients would be gone for good. It is no setting, because no rate limit is longer.
const MOST_RETRY_AFTER_MS: u64 = 24 * 3_600 * 1_000;

/// The error of a task that ended for this cause. It is made once, when the task ends, and kept with the end.
pub(crate) fn error_of(cause: EndCause, failure: Option<&Failure>) -> Error {
    let words = || failure.map_or("it gave no reason", |f| f.message.as_str());
    let retry_after_ms = failure.and_then(|f| f.retry_after_ms).unwrap_or(1_000).min(MOST_RETRY_AFTER_MS);
    let error = match cause {
        EndCause::Done => Error::internal("the task ended without an answer"),
        EndCause::Cancelled => Error::new(ErrorKind::Cancelled, "the task was cancelled"),
        EndCause::Deadline => Error::new(
            ErrorKind::Timeout,
            match failure {
                Some(failure) => {
                    format!("the task was not done before its deadline; the last miner said: {}", failure.message)
                }
                None => "the task was not done before its deadline; give it a longer timeout".to_owned(),
            },
        ),
        EndCause::NoMiner => Error::new(
            ErrorKind::Unavailable,
            match failure.filter(|failure| !failure.message.is_empty()) {
                Some(failure) => format!("no miner that could serve the task is up; {}", failure.message),
                None => "no miner that could serve the task is connected: add a miner or an upstream to the router, or start it with --upstream URL".to_owned(),
            },
        )
        .with_code("no_miner")
        .with_retry_after_ms(retry_after_ms),
        EndCause::Request => {
            let error = Error::new(ErrorKind::InvalidArgument, words());
            if failure.is_some_and(|f| f.class == FailClass::Context) {
                error.with_code("context_length_exceeded")
            } else {
                error
            }
        }
        EndCause::Broken => {
            Error::new(ErrorKind::MinerFailed, format!("the miner broke off after its first token: {}", words()))
        }
        EndCause::Attempts => match failure.map(|f| f.class) {
            Some(FailClass::Overloaded) => {
                Error::new(ErrorKind::Overloaded, format!("every miner has too much to do: {}", words()))
                    .with_retry_after_ms(retry_after_ms)
            }
            // The API of the miners' servers has no word for something in the request.
            Some(FailClass::Refused) if failure.is_some_and(|f| f.http_status == Some(400)) => {
                Error::new(ErrorKind::InvalidArgument, words())
            }
            Some(FailClass::Refused) => Error::new(ErrorKind::PermissionDenied, words()).with_code("upstream_refused"),
            Some(FailClass::Model) => Error::new(ErrorKind::NotFound, words()).with_code("model_not_found"),
            _ => Error::new(
                ErrorKind::MinerFailed,
                format!("every miner that was tried failed; the last one said: {}", words()),
            ),
        },
    };
    match (cause, failure) {
        (EndCause::Request | EndCause::Broken | EndCause::Attempts, Some(failure)) => in_its_words(error, failure),
        _ => error,
    }
}

/// Adds the error of the model's server. Its code and its param replace the router's, because they are more precise.
fn in_its_words(mut error: Error, failure: &Failure) -> Error {
    // Errors with these statuses are about the router's own credentials, which clients must not see.
    let own = matches!(failure.http_status, Some(401 | 402 | 403 | 407));
    let Some(said) = failure.raw.as_deref().filter(|_| !own).and_then(UpstreamError::read) else { return error };
    if let Some(code) = said.code.as_ref().and_then(serde_json::Value::as_str) {
        error = error.with_code(code.to_owned());
    }
    if let Some(param) = &said.param {
        error = error.with_param(param.clone());
    }
    error.with_upstream(said)
}

/// The SHA-256 hash of a text, in hexadecimal digits.
pub(crate) fn hash_of(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Adds the hashes that the results of an ended task lack.
///
/// A store in memory holds tasks without the hashes, because they follow from the texts, and making one costs as much as
/// admitting a task. Each reader gets them.
pub(crate) fn add_hashes(task: &mut Task) {
    for result in task.results.iter_mut().filter(|result| result.hash.is_empty()) {
        result.hash = hash_of(&result.answer.text);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Config, Router, TaskQuery};

    #[test]
    fn a_wait_of_years_is_told_as_a_day() {
        for (said, told) in [(None, 1_000), (Some(7_000), 7_000), (Some(u64::MAX), 86_400_000)] {
            let failure = Failure { retry_after_ms: said, ..Failure::new(FailClass::Overloaded, "no") };
            for cause in [EndCause::Attempts, EndCause::NoMiner] {
                let error = error_of(cause, Some(&failure));
                assert_eq!(error.details().retry_after_ms, Some(told), "{said:?} {cause:?}");
            }
        }
    }

    #[tokio::test]
    async fn readers_get_the_hash_of_every_answer() {
        let router = Router::open(Config::default().echo(true)).await.unwrap();
        let done = router.complete("hi").await.unwrap();
        let (session, id) = (done.session_id, done.task_id);
        let wanted = hash_of(&done.answer.text);
        assert_eq!(wanted.len(), 64);
        let query = TaskQuery { session_id: session, limit: 9, ..TaskQuery::default() };
        let page = router.tasks(query).await.unwrap();
        for task in page.tasks.into_iter().chain([router.task(session, id).await.unwrap()]) {
            assert_eq!(task.results.iter().map(|result| result.hash.as_str()).collect::<Vec<_>>(), [&wanted]);
        }
        router.close().await;
    }

    #[test]
    fn words_on_the_routers_own_key_are_kept_inside() {
        let mut failure = Failure::new(FailClass::Invalid, "no");
        failure.raw = Some(Bytes::from_static(br#"{"error":{"message":"bad key","code":"invalid_api_key"}}"#));
        for (status, own) in [(400, false), (401, true), (402, true), (403, true), (407, true), (422, false)] {
            failure.http_status = Some(status);
            let error = error_of(EndCause::Request, Some(&failure));
            assert_eq!(error.details().upstream.is_none(), own, "{status}");
            assert_eq!(error.code() == "invalid_argument", own, "{status}");
        }
    }
}
