//! Ids and numbers in paths, queries and bodies.

use serde_json::value::RawValue;

use crate::listener::auth::Caller;
use crate::listener::state::AppState;
use crate::model::whole::digits;
use crate::model::{SessionId, TaskId, Whole};
use crate::router::Wish;
use crate::{Error, Result};

/// Reads a session's id from a path: a number, or `0x` and the session's 64 digits.
pub(super) async fn session(state: &AppState, caller: &Caller, text: &str) -> Result<SessionId> {
    let wish = Wish::Named(text.into());
    state.router.learn_session(&wish).await?;
    state.router.session_of(&wish, caller.sessions())
}

/// Reads the name of a session from a body, where it may be a JSON number or a string; `None` for `null`.
pub(super) fn session_in_body(value: &RawValue) -> Result<Option<String>> {
    Ok(match value.get().trim() {
        "null" => None,
        text if text.starts_with('"') => {
            let name: String = serde_json::from_str(text).map_err(|_| {
                Error::invalid("session_id", format!("session_id must be a text or a number, not {text}"))
            })?;
            Some(name.trim().to_owned())
        }
        text => Some(serde_json::from_str::<Whole<u64>>(text).map_or_else(|_| text.to_owned(), |id| id.0.to_string())),
    })
}

pub(super) fn task(text: &str) -> Result<TaskId> {
    digits("task_id", text).map(TaskId)
}

/// Reads a number from a query; `None` where the query has none.
pub(in crate::listener) fn number(name: &str, text: &str) -> Result<Option<u64>> {
    if text.is_empty() { Ok(None) } else { digits(name, text).map(Some) }
}
