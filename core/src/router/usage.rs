//! Usage as callers see it: what the store counts, joined to one line for each part.

use super::shared::Router;
use crate::Result;
use crate::model::Day;
#[cfg(feature = "listener")]
use crate::store::{AuditPage, AuditQuery};
use crate::store::{UsageCounts, UsageQuery};

/// The usage of one part: of a day, a key, a model, a session or a miner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsagePart {
    /// The name of the part: a day as `2026-01-31`, a session's number, a key, a model or a miner's address.
    pub name: String,
    /// The counts.
    pub counts: UsageCounts,
}

impl Router {
    /// A page of usage, and the number of parts on all pages. Tasks count on the day on which they end.
    ///
    /// # Errors
    /// The store's.
    #[doc(hidden)]
    pub async fn usage(&self, query: UsageQuery) -> Result<(Vec<UsagePart>, u64)> {
        let page = self.shared.store.usage(query).await?;
        let mut parts: Vec<UsagePart> = Vec::new();
        for row in page.rows {
            match parts.last_mut().filter(|part| part.name == row.name) {
                Some(part) => part.counts.add(&row.counts),
                None => parts.push(UsagePart { name: row.name, counts: row.counts }),
            }
        }
        Ok((parts, page.total))
    }

    /// A page of the audit log.
    ///
    /// # Errors
    /// The store's.
    #[cfg(feature = "listener")]
    pub(crate) async fn audit(&self, query: AuditQuery) -> Result<AuditPage> {
        self.shared.store.audit(query).await
    }

    /// The present day in UTC, by the router's clock.
    pub fn today(&self) -> Day {
        Day::of(self.shared.clock.now())
    }
}
