//! The changes at the router that a user of `top` may ask for, each after a question.

use http::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::Done;
use crate::submit::path_segment;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Cancel {
        session: u64,
        task: u64,
    },
    /// Give a managed upstream no new tasks, or give it tasks again.
    Drain {
        miner: String,
        drained: bool,
    },
}

impl Act {
    /// The question before it.
    pub(super) fn question(&self) -> String {
        match self {
            Self::Cancel { session, task } => format!("cancel task {task} of session {session}?"),
            Self::Drain { miner, drained: true } => format!("give {miner} no new tasks?"),
            Self::Drain { miner, drained: false } => format!("give {miner} tasks again?"),
        }
    }

    /// Does it, and gives the words for the user.
    pub(super) async fn done(&self, client: &Client) -> String {
        match self.call(client).await {
            Ok(_) => match self {
                Self::Cancel { session, task } => format!("task {task} of session {session} is cancelled"),
                Self::Drain { miner, drained: true } => format!("{miner} finishes its tasks and gets no new ones"),
                Self::Drain { miner, drained: false } => format!("{miner} gets tasks again"),
            },
            Err(exit) => exit.message().to_owned(),
        }
    }

    async fn call(&self, client: &Client) -> Done<Value> {
        match self {
            Self::Cancel { session, task } => {
                client.send(Method::DELETE, &format!("/api/v1/tasks/{session}/{task}"), None).await
            }
            Self::Drain { miner, drained } => {
                let path = format!("/api/v1/upstreams/{}", path_segment(miner));
                client.send(Method::PATCH, &path, Some(&json!({"drained": drained}))).await
            }
        }
    }
}
