//! Ids and numbers in paths, queries and bodies.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::config::UnknownSession;
use crate::listener::auth::Caller;
use crate::listener::state::AppState;
use crate::model::{SessionId, TaskId, Whole, page_rows};
use crate::{Error, Result};

/// A session's id out of a path or a body: a number, a numeric text, or the session's 0x + 64 digits.
pub(in crate::listener) fn session(state: &AppState, caller: &Caller, text: &str) -> Result<SessionId> {
    let id = match parse(state, text) {
        Ok(id) if state.router.session(id).is_ok() => id,
        other => match state.router.config().unknown_session {
            UnknownSession::Default => SessionId(0),
            UnknownSession::Reject => {
                let id = other?;
                state.router.session(id)?;
                id
            }
        },
    };
    caller.sees(id)?;
    Ok(id)
}

fn parse(state: &AppState, text: &str) -> Result<SessionId> {
    if text.len() == 66 && text.starts_with("0x") {
        return state.router.session_by_sid(text).ok_or_else(|| {
            Error::not_found(format!("there is no session {text}"))
                .with_code("session_not_found")
                .with_param("session_id")
        });
    }
    number("session_id", text).map(SessionId)
}

/// The same out of a body, where it may be a JSON number or text; `None` where it is null.
pub(super) fn session_in_body(state: &AppState, caller: &Caller, value: &RawValue) -> Result<Option<SessionId>> {
    match value.get().trim() {
        "null" => Ok(None),
        text if text.starts_with('"') => {
            let inner: String = serde_json::from_str(text).map_err(|_| wrong("session_id", text))?;
            session(state, caller, inner.trim()).map(Some)
        }
        text => match serde_json::from_str::<Whole<u64>>(text) {
            Ok(id) => session(state, caller, &id.0.to_string()).map(Some),
            Err(_) => session(state, caller, text).map(Some),
        },
    }
}

pub(super) fn task(text: &str) -> Result<TaskId> {
    number("task_id", text).map(TaskId)
}

fn wrong(name: &str, text: &str) -> Error {
    Error::invalid(name, format!("{name} must be a whole number from 0 to 9007199254740991, not {text}"))
}

fn number(name: &str, text: &str) -> Result<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u64>().ok().filter(|value| digits && *value < 1 << 53).ok_or_else(|| wrong(name, text))
}

/// What part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) limit: u64,
    pub(super) offset: u64,
}

/// A number of rows in a query: `limit` or `offset`.
pub(super) fn row(query: &HashMap<String, String>, name: &str) -> Result<Option<u64>> {
    query.get(name).filter(|text| !text.is_empty()).map(|text| number(name, text)).transpose()
}

/// The page that a query asks for; `most` is `listen.max_page_rows`.
pub(super) fn page(query: &HashMap<String, String>, most: u64) -> Result<Page> {
    Ok(Page { limit: page_rows(row(query, "limit")?, most)?, offset: row(query, "offset")?.unwrap_or(0) })
}
