//! Routers of one database without links, for the tests of this directory.

use std::sync::Arc;
use std::time::Duration;

use crate::miner::Job;
use crate::model::Answer;
use crate::store::{MemberStore, SharedMemory};
use crate::{Config, Router, RouterBuilder};

/// A router of that name and its part of the database, before it opens.
pub(super) fn member(
    database: &SharedMemory,
    name: &str,
    lease: Duration,
    mut config: Config,
) -> (RouterBuilder, Arc<MemberStore>) {
    config.storage.lease_ms = lease.as_millis() as u64;
    config.fleet.links = false;
    let store = Arc::new(database.join(name).unwrap());
    (Router::builder().config(config).store(store.clone()), store)
}

/// A miner that answers with that text after that time.
pub(super) fn says(text: &'static str, pause: Duration) -> impl Fn(Job) + Send + Sync {
    move |job: Job| {
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            job.emit(text.to_owned());
            job.finish(Answer::default());
        });
    }
}
