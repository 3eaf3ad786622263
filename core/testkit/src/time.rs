//! Waiting that fails a test instead of hanging it.

use std::future::Future;
use std::time::Duration;

/// The longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the future gives, within 20 seconds.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing happened for 20 s")
}

/// Lets other tasks run until it is so, for at most 20 seconds.
pub async fn until(what: impl Fn() -> bool) {
    within(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
