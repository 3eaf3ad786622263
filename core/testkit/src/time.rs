//! Waits with a time limit, so that a test fails instead of hanging.

use std::future::Future;
use std::time::Duration;

/// The time limit of every wait in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a future for at most 20 seconds. Gives its value.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing happened for 20 s")
}

/// Lets other tasks run until the condition holds, for at most 20 seconds.
pub async fn until(what: impl Fn() -> bool) {
    within(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
