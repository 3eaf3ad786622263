//! The managed upstreams of routers that share a store: a change at one router comes to the others with their next beat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::shared::Shared;

/// The state of the look at managed upstreams.
pub(super) struct UpstreamLook {
    /// Whether the store may have other ones than the memory.
    due: AtomicBool,
    /// Whether they are being read. It is so until the router has opened, which reads them.
    busy: AtomicBool,
}

impl Default for UpstreamLook {
    fn default() -> Self {
        Self { due: AtomicBool::new(false), busy: AtomicBool::new(true) }
    }
}

impl UpstreamLook {
    /// Lets beats look at the upstreams from now on.
    pub(super) fn begin(&self) {
        self.busy.store(false, Ordering::Release);
    }
}

impl Shared {
    /// Reads the managed upstreams again if a beat says that they changed, or if the last time failed. It is done in the
    /// background, because a change of this router that is under way comes first.
    pub(super) fn follow_upstreams(self: &Arc<Self>, changed: bool) {
        let Some(membership) = &self.membership else { return };
        let look = &membership.upstreams;
        if changed {
            look.due.store(true, Ordering::Release);
        }
        if !look.due.load(Ordering::Acquire) || look.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.clone();
        self.attend(async move {
            let Some(membership) = &shared.membership else { return };
            let look = &membership.upstreams;
            let no_changes = shared.upstream_changes.lock().await;
            look.due.store(false, Ordering::Release);
            if let Err(error) = shared.reread_upstreams().await {
                look.due.store(true, Ordering::Release);
                tracing::warn!(%error, "the managed upstreams could not be read: they are read again");
            }
            drop(no_changes);
            look.busy.store(false, Ordering::Release);
        });
    }
}
