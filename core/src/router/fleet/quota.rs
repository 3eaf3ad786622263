//! The limits of a day and of a month are the fleet's: what other routers counted comes from the store.

use std::sync::Arc;

use super::super::meters::spent;
use super::super::shared::Shared;
use crate::Result;
use crate::model::Day;

impl Shared {
    /// Sets what keys with limits have used up to what the store has counted for all routers.
    pub(super) async fn refresh_quotas(self: &Arc<Self>) -> Result<()> {
        if !self.keys.has_quotas() {
            return Ok(());
        }
        let today = Day::of(self.clock.now());
        self.keys.set_spent(&spent(&*self.store, today, None).await?, today);
        Ok(())
    }
}
