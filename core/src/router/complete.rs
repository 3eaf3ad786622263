//! [`Router::complete`]: the answer to a prompt, in one call.

use super::intake::Intake;
use super::shared::Router;
use crate::Result;
use crate::model::{Completion, TaskRequest};

impl Router {
    /// Submits a prompt and waits for its answer.
    ///
    /// The router takes the sessions of [`completion_sessions`](crate::Config::completion_sessions) in turn, or session
    /// 0 if that list is empty. Every option has its default; use [`submit`](Router::submit) to set options. Dropping
    /// the future cancels the task.
    ///
    /// ```
    /// # use cortensor_router::{Config, Router};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cortensor_router::Result<()> {
    /// let router = Router::open(Config::default().echo(true)).await?;
    /// assert!(router.complete("hi").await?.text().ends_with("hi"));
    /// # router.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`submit`](Router::submit) and of [`Submission::result`](crate::Submission::result).
    pub async fn complete(&self, prompt: impl Into<String>) -> Result<Completion> {
        let request = TaskRequest::completion(prompt);
        let intake = Intake { waits: true, ..Intake::exactly(self.next_completion_session(), request) };
        self.enter(self.checked(intake).await?).await?.result().await
    }
}
