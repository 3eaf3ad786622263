//! The resources: sessions and tasks, as far as the caller's key sees them.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use rmcp::model::{
    CacheScope, ErrorData, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};

use super::exchange::{Request, STABLE_MS};
use super::fault::{Fault, of_resource};
use super::outcome;
use super::version::Form;
use crate::listener::auth::Caller;
use crate::listener::cortensor::schema::{TaskPath, TaskQuery};
use crate::listener::cortensor::{sessions, tasks};
use crate::listener::extract::{InPath, InQuery};
use crate::listener::reply::Failed;
use crate::listener::state::AppState;
use crate::model::whole::digits;
use crate::model::{Scope, Session};
use crate::router::SessionFilter;
use crate::{Error, Result};

const SCHEME: &str = "cortensor://sessions/";

const JSON: &str = "application/json";

/// The sessions on a page of the list.
const SESSIONS: u64 = 50;

/// A page of the sessions, each with the list of its tasks. Single tasks would cost a question to the store for each
/// session; their list and the template lead to them.
pub(super) fn list(state: &AppState, caller: &Caller, request: &Request<'_>, form: Form) -> Result<Response, Fault> {
    let fault = |error: Error| of_resource(&request.id, &error.into(), form.is_single());
    caller.may(Scope::Read).map_err(fault)?;
    let offset = request.params.cursor.as_deref().map_or(Ok(0), |cursor| digits("cursor", cursor)).map_err(fault)?;
    let limit = SESSIONS.min(state.config.max_page_rows);
    let filter = SessionFilter { state: None, limit: Some(limit), offset, only: caller.sessions().to_vec() };
    let (found, count) = state.router.sessions(&filter);
    let next = offset.saturating_add(found.len() as u64);
    let mut page = ListResourcesResult::with_all_items(found.iter().flat_map(of_session).collect());
    page.next_cursor = (next < count && !found.is_empty()).then(|| next.to_string());
    page.result_type = form.result_type();
    (page.ttl_ms, page.cache_scope) = form.freshness(0, CacheScope::Private);
    Ok(outcome::response(&request.id, &page))
}

/// A session and its tasks.
fn of_session(session: &Session) -> [Resource; 2] {
    let id = session.id.0;
    let tasks = Resource::new(format!("{SCHEME}{id}/tasks"), format!("tasks of session {id}"));
    [
        Resource::new(format!("{SCHEME}{id}"), format!("session {id}"))
            .with_title(session.spec.name.clone())
            .with_mime_type(JSON),
        tasks.with_description("The newest tasks of the session").with_mime_type(JSON),
    ]
}

/// The forms of all addresses.
pub(super) fn templates(form: Form) -> ListResourceTemplatesResult {
    let row = |rest: &str, name: &str, says: &str| {
        ResourceTemplate::new(format!("{SCHEME}{rest}"), name).with_description(says).with_mime_type(JSON)
    };
    let mut page = ListResourceTemplatesResult::with_all_items(vec![
        row("{session_id}", "session", "A session, by its number"),
        row("{session_id}/tasks", "tasks", "The newest tasks of a session"),
        row("{session_id}/tasks/{task_id}", "task", "A task with its answer, by its number in its session"),
    ]);
    page.result_type = form.result_type();
    (page.ttl_ms, page.cache_scope) = form.freshness(STABLE_MS, CacheScope::Public);
    page
}

/// Reads one resource, as the route of its record does.
pub(super) async fn read(
    state: &AppState,
    caller: &Caller,
    request: &Request<'_>,
    form: Form,
) -> Result<Response, Fault> {
    let invalid = |words| Fault::of_request(&request.id, ErrorData::invalid_params(words, None));
    let uri = request.params.uri.as_deref().ok_or_else(|| invalid("params.uri is missing".to_owned()))?;
    let fault = |failed: Failed| of_resource(&request.id, &failed, form.is_single());
    let answer = record(state, caller, uri).await.map_err(fault)?;
    let body = answer.into_body().collect().await.map_err(|error| fault(Error::internal(error).into()))?;
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap_or_default();
    let mut read = ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]);
    read.result_type = form.result_type();
    (read.ttl_ms, read.cache_scope) = form.freshness(0, CacheScope::Private);
    Ok(outcome::response(&request.id, &read))
}

async fn record(state: &AppState, caller: &Caller, uri: &str) -> Result<Response, Failed> {
    let (state, caller) = (State(state.clone()), Extension(caller.clone()));
    let parts: Vec<&str> = uri.strip_prefix(SCHEME).into_iter().flat_map(|rest| rest.split('/')).collect();
    match parts[..] {
        [session] => Ok(sessions::show(state, caller, InPath(session.to_owned())).await?.into_response()),
        [session, "tasks"] => {
            tasks::list(state, caller, InPath(session.to_owned()), InQuery(TaskQuery::default())).await
        }
        [session, "tasks", task] => {
            let path = TaskPath { session_id: session.to_owned(), task_id: task.to_owned() };
            tasks::show(state, caller, InPath(path)).await
        }
        _ => {
            let words = format!("there is no resource {uri:?}: resources/templates/list has the forms of addresses");
            Err(Error::not_found(words).with_param("uri").into())
        }
    }
}
