//! Cancels a task that another router owns: the wish is written down, and its owner, whoever that is or will be, finds it
//! with its next beat.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::shared::Shared;
use crate::model::{Gid, SessionId, TaskId, TaskState};
use crate::task::TaskSpec;
use crate::{Error, Result};

/// The time between two looks at the row.
const LOOK: Duration = Duration::from_millis(200);

impl Shared {
    /// Asks the owner of a task to cancel it, in the background.
    pub(in crate::router) fn ask_cancel_of(self: &Arc<Self>, spec: &TaskSpec) {
        let (shared, gid, ids) = (self.clone(), spec.gid, (spec.session_id, spec.id));
        self.attend(async move {
            if let Err(error) = shared.cancel_elsewhere(gid, ids).await {
                tracing::warn!(%gid, %error, "a task of another router is not cancelled yet");
            }
        });
    }

    /// Asks the owner to cancel a task, and waits for the task's end, at most for `storage.lease_ms`.
    ///
    /// # Errors
    /// The store's; `Unavailable` if the task has not ended by then. It is never said to be cancelled before it is.
    pub(in crate::router) async fn cancel_elsewhere(
        self: &Arc<Self>,
        gid: Gid,
        (session, id): (SessionId, TaskId),
    ) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        fleet.ask_cancel(gid).await?;
        membership.hurry();
        self.tell_others();
        let until = Instant::now() + membership.lease;
        loop {
            match fleet.place(gid).await? {
                Some(placed) if placed.task.state != TaskState::Ended => {}
                _ => return Ok(()),
            }
            if Instant::now() >= until {
                return Err(Error::store(
                    "the router that has the task was asked to cancel it and has not done so yet: ask again later",
                )
                .with_ids(session, Some(id)));
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Self::closed_error()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
