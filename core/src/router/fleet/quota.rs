//! The limits of a day and of a month are the fleet's: what other routers counted comes from the store.

use std::sync::Arc;

use super::super::meters::spent;
use super::super::shared::Shared;
use crate::Result;
use crate::model::Day;
use crate::store::UsageBy;

impl Shared {
    /// Sets what keys and sessions with limits have used up to what the store has counted for all routers.
    pub(super) async fn refresh_quotas(self: &Arc<Self>) -> Result<()> {
        let today = Day::of(self.clock.now());
        if self.keys.has_quotas() {
            self.keys.set_spent(&spent(&*self.store, today, UsageBy::Key, None).await?, today);
        }
        if self.session_meters.has_quotas() {
            self.session_meters.set_spent(&spent(&*self.store, today, UsageBy::Session, None).await?, today);
        }
        Ok(())
    }
}
