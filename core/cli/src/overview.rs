//! Reads the work of a running router: its state, its miners, its sessions and the tasks that have not ended.
//!
//! A router may have very many sessions and tasks, so each reading has bounds: at most [`PAGES`] pages of sessions, and
//! the tasks of at most [`SESSIONS`] of them.

use serde_json::Value;

use crate::client::Client;
use crate::exit::Done;
#[cfg(feature = "terminal")]
use crate::exit::Exit;

/// The pages of sessions that are read to find those with tasks.
const PAGES: u64 = 5;

/// The sessions on a page.
const PAGE: u64 = 200;

/// The most sessions whose tasks are read.
const SESSIONS: usize = 8;

/// The router's state.
#[cfg(feature = "terminal")]
pub(crate) async fn status(client: &Client) -> Done<Value> {
    client.get("/api/v1/status").await
}

/// The miners.
pub(crate) async fn miners(client: &Client) -> Done<Vec<Value>> {
    Ok(list(client.get("/api/v1/miners").await?, "miners"))
}

/// The sessions with the most work first: all that have tasks at work, if they are found within the bounds, and others.
/// `at_work` is the number of tasks that have not ended; the search ends when their sessions are found.
pub(crate) async fn sessions(client: &Client, at_work: u64) -> Done<Vec<Value>> {
    let mut found = Vec::new();
    for page in 0..PAGES {
        let answer = client.get(&format!("/api/v1/sessions?limit={PAGE}&offset={}", page * PAGE)).await?;
        let count = number(&answer, "count");
        found.extend(list(answer, "sessions"));
        let active: u64 = found.iter().map(|session| number(session, "active_tasks")).sum();
        if active >= at_work || found.len() as u64 >= count {
            break;
        }
    }
    found.sort_by_key(|session| std::cmp::Reverse((number(session, "active_tasks"), number(session, "total_tasks"))));
    Ok(found)
}

/// The upstreams of a router, as far as the caller may see them.
#[cfg(feature = "terminal")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Upstreams {
    pub(crate) all: Vec<Value>,
    /// Why the caller may not see them.
    pub(crate) unseen: Option<String>,
    /// Why the caller may change none of them.
    pub(crate) read_only: Option<String>,
}

/// The upstreams. A token without the scope is no error, because the rest of the router can still be seen.
#[cfg(feature = "terminal")]
pub(crate) async fn upstreams(client: &Client) -> Done<Upstreams> {
    match client.get("/api/v1/upstreams").await {
        Ok(answer) => {
            let read_only = answer.get("read_only").and_then(Value::as_str).map(str::to_owned);
            Ok(Upstreams { all: list(answer, "upstreams"), unseen: None, read_only })
        }
        Err(exit) if exit.status() == Exit::REFUSED => {
            Ok(Upstreams { unseen: Some(exit.message().to_owned()), ..Upstreams::default() })
        }
        Err(exit) => Err(exit),
    }
}

/// The newest tasks of the sessions with the most work, at most `each` of a session. Without `ended` only those that
/// have not ended.
pub(crate) async fn tasks(client: &Client, sessions: &[Value], ended: bool, each: usize) -> Done<Vec<Value>> {
    let state = if ended { "" } else { "&state=active" };
    let wanted = |session: &&Value| number(session, if ended { "total_tasks" } else { "active_tasks" }) > 0;
    let mut tasks = Vec::new();
    for session in sessions.iter().filter(wanted).take(SESSIONS) {
        let path = format!("/api/v1/tasks/{}?limit={each}{state}", number(session, "id"));
        tasks.extend(list(client.get(&path).await?, "tasks"));
    }
    Ok(tasks)
}

/// Finds the task that the caller made with that reference, among the newest ones of the sessions with the most work.
pub(crate) async fn task_by_reference(client: &Client, reference: &str) -> Done<Option<Value>> {
    let sessions = sessions(client, u64::MAX).await?;
    let tasks = tasks(client, &sessions, false, 20).await?;
    Ok(tasks.into_iter().find(|task| task.get("client_reference").and_then(Value::as_str) == Some(reference)))
}

/// The names of the miners that work on a task; a miner that is gone has its address.
pub(crate) fn miners_of(task: &Value, miners: &[Value]) -> Vec<String> {
    let addresses = task.get("assigned_miners").and_then(Value::as_array).into_iter().flatten();
    let name = |address: &str| {
        let miner = miners.iter().find(|miner| miner.get("address").and_then(Value::as_str) == Some(address));
        miner.and_then(|miner| miner.get("id")?.as_str()).unwrap_or(address).to_owned()
    };
    addresses.filter_map(Value::as_str).map(name).collect()
}

/// A member that is a count; 0 if it is missing.
pub(crate) fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn list(mut answer: Value, name: &str) -> Vec<Value> {
    match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_miner_is_shown_by_its_name_while_it_is_there() {
        let miners = [json!({"id": "rack", "address": "0x1"})];
        let task = json!({"assigned_miners": ["0x1", "0x2"]});
        assert_eq!(miners_of(&task, &miners), ["rack", "0x2"]);
    }

    #[test]
    fn a_list_that_is_missing_is_empty() {
        assert!(list(json!({"a": 1}), "miners").is_empty());
        assert_eq!(list(json!({"miners": [1]}), "miners"), [json!(1)]);
    }
}
