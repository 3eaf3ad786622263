//! The changes at the router that a user of `top` may ask for, each after a question.

use http::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::Done;
use crate::output::text;
use crate::submit::path_segment;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Cancel {
        session: u64,
        task: u64,
    },
    /// Add a managed upstream.
    Add {
        name: String,
        url: String,
    },
    /// Give a managed upstream no new tasks, or give it tasks again.
    Drain {
        miner: String,
        drained: bool,
    },
    /// Remove a managed upstream.
    Remove {
        upstream: String,
    },
    /// Read the configuration again.
    Reload,
}

impl Act {
    /// The question before it.
    pub(super) fn question(&self) -> String {
        match self {
            Self::Cancel { session, task } => format!("cancel task {task} of session {session}?"),
            Self::Add { name, url } => format!("add the upstream {name} at {url}?"),
            Self::Drain { miner, drained: true } => format!("give {miner} no new tasks?"),
            Self::Drain { miner, drained: false } => format!("give {miner} tasks again?"),
            Self::Remove { upstream } => format!("remove {upstream}, once its tasks have ended?"),
            Self::Reload => "read the configuration again?".to_owned(),
        }
    }

    /// Does it, and gives the words for the user.
    pub(super) async fn done(&self, client: &Client) -> String {
        match self.call(client).await {
            Ok(answer) => match self {
                Self::Cancel { session, task } => format!("task {task} of session {session} is cancelled"),
                Self::Add { name, .. } => format!("{name} is added"),
                Self::Drain { miner, drained: true } => format!("{miner} finishes its tasks and gets no new ones"),
                Self::Drain { miner, drained: false } => format!("{miner} gets tasks again"),
                Self::Remove { upstream } => format!("{upstream} is removed"),
                Self::Reload => reloaded(&answer),
            },
            Err(exit) if *self == Self::Reload => format!("nothing has changed: {}", exit.message()),
            Err(exit) => exit.message().to_owned(),
        }
    }

    async fn call(&self, client: &Client) -> Done<Value> {
        let upstream = |name: &str| format!("/api/v1/upstreams/{}", path_segment(name));
        match self {
            Self::Cancel { session, task } => {
                client.send(Method::DELETE, &format!("/api/v1/tasks/{session}/{task}"), None).await
            }
            Self::Add { name, url } => {
                client.send(Method::POST, "/api/v1/upstreams", Some(&json!({"name": name, "url": url}))).await
            }
            Self::Drain { miner, drained } => {
                client.send(Method::PATCH, &upstream(miner), Some(&json!({"drained": drained}))).await
            }
            Self::Remove { upstream: name } => client.send(Method::DELETE, &upstream(name), None).await,
            Self::Reload => client.send(Method::POST, "/api/v1/reload", None).await,
        }
    }
}

/// The outcome of a reload in words.
fn reloaded(done: &Value) -> String {
    let upstreams = &done["upstreams"];
    let parts = [
        ("in force now", text(done, "changed")),
        ("needs a restart", text(done, "needs_restart")),
        ("upstreams added", text(upstreams, "added")),
        ("upstreams changed", text(upstreams, "changed")),
        ("upstreams removed", text(upstreams, "removed")),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| format!("{what}: {names}")).collect();
    if told.is_empty() { "nothing has changed".to_owned() } else { told.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_tells_what_it_changed_and_what_it_could_not() {
        let done = json!({"changed": ["log.filter", "upstream"], "needs_restart": ["storage.reader_threads"],
            "upstreams": {"added": ["gpu"], "changed": [], "removed": []}, "unchanged": false});
        assert_eq!(
            reloaded(&done),
            "in force now: log.filter, upstream; needs a restart: storage.reader_threads; upstreams added: gpu"
        );
        let none = json!({"changed": [], "needs_restart": [], "unchanged": true,
            "upstreams": {"added": [], "changed": [], "removed": []}});
        assert_eq!(reloaded(&none), "nothing has changed");
    }
}
