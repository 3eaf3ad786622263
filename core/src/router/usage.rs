//! Usage as callers see it: what the store counts, joined to one line for each part, with its cost.

use serde::Serialize;

use super::cost::{Cost, Prices, Sum};
use super::shared::Router;
#[cfg(feature = "listener")]
use crate::Error;
use crate::Result;
use crate::model::Day;
#[cfg(feature = "listener")]
use crate::store::{AuditPage, AuditQuery};
use crate::store::{UsageCounts, UsageQuery, UsageRow};

/// The usage of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct UsagePart {
    /// The part: a day, a key's id, a model, a session's number or a miner's address. Empty: the tasks have none.
    /// `other`: tasks whose day had no row left (`retention.max_usage_rows`).
    pub name: String,
    /// The counts.
    #[serde(flatten)]
    pub counts: UsageCounts,
    /// The sum of the tokens of prompts and answers.
    pub total_tokens: u64,
    /// The cost of the tokens of models that have a price (`prices.model`), as an exact decimal number in a text. `null`:
    /// no model of the part has a price.
    #[cfg_attr(feature = "listener", schema(value_type = Option<String>, required = true))]
    pub cost: Option<Cost>,
    /// The tokens of models without a price, which `cost` does not contain.
    pub unpriced_tokens: u64,
}

/// Usage, by parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct UsageReport {
    /// The parts by which usage is told apart: `day`, `key`, `model`, `session` or `miner`.
    pub by: &'static str,
    /// The first day.
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub from: Day,
    /// The last day.
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub to: Day,
    /// The number of parts on all pages.
    pub count: u64,
    /// The currency of every `cost` (`prices.currency`). `null`: no model has a price.
    #[cfg_attr(feature = "listener", schema(required = true))]
    pub currency: Option<String>,
    /// The parts of this page, in order.
    pub usage: Vec<UsagePart>,
}

impl Router {
    /// A page of usage. Tasks count on the day on which they end.
    ///
    /// # Errors
    /// The store's.
    #[doc(hidden)]
    pub async fn usage(&self, query: UsageQuery) -> Result<UsageReport> {
        let (by, from, to) = (query.by.as_str(), query.from, query.to);
        let page = self.shared.store.usage(query).await?;
        let settings = self.shared.settings.kept();
        let config = &settings.prices;
        Ok(UsageReport {
            by,
            from,
            to,
            count: page.total,
            currency: (!config.models.is_empty()).then(|| config.currency.clone()),
            usage: parts(page.rows, &Prices::of(config)),
        })
    }

    /// The days that a caller names, from the first of the month to today where it names none. `""` names none.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    #[cfg(feature = "listener")]
    pub(crate) fn days(&self, from: &str, to: &str) -> Result<(Day, Day)> {
        let today = self.today();
        let to = day("to", to)?.unwrap_or(today);
        let from = day("from", from)?.unwrap_or_else(|| to.min(today).first_of_month());
        if from > to {
            return Err(Error::invalid("from", format!("from is {from}, and that is after to, which is {to}")));
        }
        Ok((from, to))
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

/// Joins the rows of each part, which follow each other.
fn parts(rows: Vec<UsageRow>, prices: &Prices<'_>) -> Vec<UsagePart> {
    let mut parts: Vec<UsagePart> = Vec::new();
    let mut sum = Sum::default();
    for row in rows {
        let cost = prices.cost(&row.model, &row.counts);
        let is_next = parts.last().is_none_or(|part| part.name != row.name);
        if is_next {
            sum = Sum::default();
        }
        sum.add(cost, &row.counts);
        let Some(part) = parts.last_mut().filter(|_| !is_next) else {
            parts.push(UsagePart {
                name: row.name,
                total_tokens: row.counts.tokens(),
                counts: row.counts,
                cost: sum.cost,
                unpriced_tokens: sum.unpriced_tokens,
            });
            continue;
        };
        part.counts.add(&row.counts);
        part.total_tokens = part.counts.tokens();
        (part.cost, part.unpriced_tokens) = (sum.cost, sum.unpriced_tokens);
    }
    parts
}

#[cfg(feature = "listener")]
fn day(name: &str, text: &str) -> Result<Option<Day>> {
    let wrong = |error: Error| Error::invalid(name, error.message());
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}
