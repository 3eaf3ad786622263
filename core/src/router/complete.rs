//! The shortest way through the router: a prompt in, its answer out.

use super::shared::Router;
use super::submission::SubmitOptions;
use crate::Result;
use crate::model::{Completion, TaskRequest};

impl Router {
    /// Submits a prompt and waits for its answer.
    ///
    /// The router chooses the session: those of [`completion_sessions`](crate::Config::completion_sessions) take turns,
    /// and session 0 serves where that list is empty. Every option has its default; [`submit`](Router::submit) takes all
    /// of them. The task is cancelled when the future is dropped.
    ///
    /// ```
    /// # use cortensor_router::{Config, Router};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cortensor_router::Result<()> {
    /// let router = Router::open(Config { echo: true, ..Config::default() }).await?;
    /// assert!(router.complete("hi").await?.text().ends_with("hi"));
    /// # router.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`submit`](Router::submit) and of [`Submission::result`](crate::Submission::result).
    pub async fn complete(&self, prompt: impl Into<String>) -> Result<Completion> {
        self.submit(self.next_completion_session(), TaskRequest::completion(prompt), SubmitOptions::default())
            .await?
            .result()
            .await
    }
}
