//! The webhooks of routers that share a store. One router has each delivery and sends it: the one that ended its task.
//! When it is gone, another one claims the delivery.

use std::collections::HashSet;

use super::super::shared::Shared;
use crate::Result;
use crate::model::{Gid, WebhookState};
use crate::store::Deliveries;

/// The greatest number of deliveries of one claim.
const PORTION: u64 = 256;

impl Shared {
    /// Claims deliveries that no router sends, as many as this one may have.
    pub(super) async fn take_deliveries(&self) -> Result<()> {
        let Some((fleet, _)) = self.fleet() else { return Ok(()) };
        while self.takes_tasks() && self.outbox.pending() < self.settings.now().webhooks.max_pending {
            let claimed = fleet.claim_deliveries(PORTION).await?;
            let count = claimed.len();
            if count > 0 {
                tracing::info!(deliveries = count, "webhooks of a router that is gone are sent here");
            }
            for (gid, delivery) in claimed {
                self.outbox.find(gid, delivery);
            }
            if (count as u64) < PORTION {
                break;
            }
        }
        Ok(())
    }

    /// Compares the deliveries in memory with those that the store has as this router's. The former may be another
    /// router's by now, and of the latter the memory lacks those whose ends the store wrote without saying so.
    pub(super) async fn compare_deliveries(&self) -> Result<()> {
        // The look into memory comes first: what comes later is not missing in the store.
        let here = self.outbox.gids();
        let there = self.store.deliveries(Deliveries::Pending).await?;
        let own: HashSet<Gid> = there.iter().map(|(gid, _)| *gid).collect();
        for gid in here.difference(&own) {
            self.outbox.forget(*gid);
        }
        let here = self.outbox.gids();
        let strays: Vec<Gid> = own.difference(&here).copied().collect();
        if strays.is_empty() {
            return Ok(());
        }
        // Another look at the store leaves out those that were sent meanwhile.
        for (gid, delivery) in self.store.deliveries(Deliveries::Of(strays)).await? {
            if delivery.state == WebhookState::Pending {
                self.outbox.find(gid, delivery);
            }
        }
        Ok(())
    }
}
