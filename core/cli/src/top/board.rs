//! The state of a router at one moment, as `top` shows it.

use std::time::Instant;

use serde_json::{Value, json};

use super::rates::{Rates, Reading, Readings};
use crate::client::Client;
use crate::exit::{Done, Exit};
use crate::overview::{self, Upstreams, number};

/// The tasks of one session that are read at most.
const TASKS: usize = 50;

/// The router's state at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    pub(super) status: Value,
    pub(super) miners: Vec<Value>,
    pub(super) sessions: Vec<Value>,
    pub(super) tasks: Vec<Value>,
    pub(super) upstreams: Upstreams,
    pub(super) rates: Rates,
}

impl Board {
    /// Reads it all. `ended` adds tasks that have ended.
    pub(super) async fn read(client: &Client, readings: &mut Readings, ended: bool) -> Done<Self> {
        let status = overview::status(client).await?;
        if status.get("queued_tasks").is_none() {
            let base = client.base();
            return Err(Exit::failed(format!("{base} does not answer like a cortensor-router: is the address right?")));
        }
        let at_work = number(&status, "queued_tasks") + number(&status, "running_tasks");
        let (miners, sessions, upstreams, metrics) = tokio::try_join!(
            overview::miners(client),
            overview::sessions(client, at_work),
            overview::upstreams(client),
            client.text("/metrics")
        )?;
        readings.add(Instant::now(), Reading::of(&metrics));
        let tasks = overview::tasks(client, &sessions, ended, TASKS).await?;
        Ok(Self { status, miners, sessions, tasks, upstreams, rates: readings.rates() })
    }

    /// All of it as one object.
    pub(super) fn json(&self) -> Value {
        let rates = &self.rates;
        let upstreams = self.upstreams.unseen.is_none().then_some(&self.upstreams.all);
        json!({
            "status": self.status, "miners": self.miners, "sessions": self.sessions, "tasks": self.tasks,
            "upstreams": upstreams,
            "first_token_p50_seconds": rates.first_token, "first_token_p95_seconds": rates.first_token_p95,
            "queue_p95_seconds": rates.waited_p95,
        })
    }
}
