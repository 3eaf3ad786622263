//! Finds the task of a response by the response's id.

use std::sync::Arc;

use crate::listener::auth::Caller;
use crate::listener::request_id;
use crate::listener::state::AppState;
use crate::model::responses::{Asked, to_chat};
use crate::model::{Completion, Retention, SessionId, TaskState};
use crate::{Error, ErrorKind, Result, Submission};

/// A response that was found.
pub(super) struct Found {
    pub(super) submission: Submission,
    /// The part of its request that it repeats.
    pub(super) asked: Box<Asked>,
}

/// Finds a response that this caller made, or any response for a caller who administers the router. `param` names the
/// place of the id in an error.
///
/// # Errors
/// `NotFound` when there is no such response for this caller; the store's error.
pub(super) async fn find(state: &AppState, caller: &Caller, id: &str, param: &str) -> Result<Found> {
    let unknown =
        || Error::not_found(format!("there is no response {id:?}")).with_code("response_not_found").with_param(param);
    let (created, gid) = id.strip_prefix("resp_").and_then(request_id::task_of).ok_or_else(unknown)?;
    let allowed = caller.sessions();
    let may_use = |session: SessionId| {
        (allowed.is_empty() || allowed.contains(&session))
            // Some of it may still be in memory, but a caller must not depend on that.
            && state.router.session(session).is_ok_and(|session| session.spec.retention == Retention::All)
    };
    let submission = state.router.attach_gid(gid, may_use).await?.ok_or_else(unknown)?;
    let is_own = submission.state().key_id.as_deref() == Some(caller.id());
    if submission.created() != created || !(is_own || caller.administers().is_ok()) {
        return Err(unknown());
    }
    let kept = submission.request().responses.as_deref().ok_or_else(unknown)?;
    let asked: Box<Asked> = serde_json::from_str(kept.get()).map_err(Error::internal)?;
    if asked.is_stored() || asked.background { Ok(Found { submission, asked }) } else { Err(unknown()) }
}

/// The error for a response whose request is not kept any more.
pub(super) fn gone(param: &str) -> Error {
    let words = "the request of this response is not kept (the retention of its session)";
    Error::not_found(words).with_code("response_not_found").with_param(param)
}

/// The number of messages at the beginning of the chat that are rules of this turn alone.
pub(super) fn rules(asked: &Asked) -> usize {
    match &asked.instructions {
        Some(serde_json::Value::String(text)) => usize::from(!text.is_empty()),
        Some(serde_json::Value::Array(items)) => items.len(),
        _ => 0,
    }
}

impl Found {
    /// The words of the response's request that only a server of this API knows, as the error about them says it;
    /// `None`: the chat says all of it.
    pub(super) fn own_words(&self) -> Option<String> {
        let request = self.submission.request();
        let api = request.only_api()?;
        let own = request.original_of(api).and_then(|body| to_chat(body.as_bytes()).ok()?.own);
        Some(own.map_or_else(|| "only a server of this API knows them".to_owned(), |why| why.message().to_owned()))
    }

    /// The answer.
    ///
    /// # Errors
    /// `Conflict` while there is none yet, or where the task has none.
    pub(super) async fn answer(&self) -> Result<Arc<Completion>> {
        let wrong = |words: &str| Error::new(ErrorKind::Conflict, words).with_param("previous_response_id");
        if self.submission.state().state != TaskState::Ended {
            return Err(wrong("the response has no answer yet: wait for its end before you continue it"));
        }
        self.submission
            .shared_result()
            .await
            .map_err(|_| wrong("the response has no answer: it failed or was cancelled"))
    }
}
