//! The counts of tasks and tokens of all models together, for those who watch a router live.
//!
//! They are read out of the metrics when somebody asks, so that no task pays for them.

use std::collections::BTreeMap;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Serialize;
use utoipa::ToSchema;

use super::metrics::{Metrics, OUTCOMES, Times};
use crate::model::Outcome;

/// Counts since the router was opened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Totals {
    /// Tasks that were accepted.
    submitted: u64,
    /// Attempts that were lost and queued again.
    retries: u64,
    /// Tasks that ended with an answer.
    ok: u64,
    /// Tasks whose answers differ.
    disputed: u64,
    /// Tasks that ended without an answer.
    failed: u64,
    /// Tasks that somebody cancelled.
    cancelled: u64,
    /// Tasks whose time was up.
    expired: u64,
    /// Tokens of the prompts of answered tasks.
    prompt_tokens: u64,
    /// Tokens of answers.
    answer_tokens: u64,
    /// The times from the submission to the first token, of tasks that have ended.
    first_tokens: Vec<FirstTokens>,
}

/// The tasks whose first token came within a time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct FirstTokens {
    /// Milliseconds; `null`: any time.
    #[schema(required)]
    within_ms: Option<u64>,
    /// The number of these tasks. Those of a shorter time count, too.
    count: u64,
}

/// The name in the registry below, and the beginning of each line about a bucket.
const NAME: &str = "first_token_seconds";
const BUCKET: &str = "first_token_seconds_bucket{le=\"";

/// A registry with these times alone: the library shows the buckets of a histogram only as text.
pub(super) fn registry(first_tokens: Times) -> Registry {
    let mut registry = Registry::default();
    registry.register(NAME, "From submit to the first token, by model", first_tokens);
    registry
}

impl Metrics {
    /// The counts at present.
    pub(super) fn totals(&self) -> Totals {
        let models = self.models.all();
        let ended = |outcome: Outcome| {
            let at = OUTCOMES.iter().position(|known| *known == outcome);
            at.map_or(0, |at| models.iter().map(|model| model.ended[at].get()).sum())
        };
        Totals {
            submitted: self.submitted.get(),
            retries: self.retries.get(),
            ok: ended(Outcome::Ok),
            disputed: ended(Outcome::Disputed),
            failed: ended(Outcome::Failed),
            cancelled: ended(Outcome::Cancelled),
            expired: ended(Outcome::Expired),
            prompt_tokens: models.iter().map(|model| model.prompt_tokens.get()).sum(),
            answer_tokens: models.iter().map(|model| model.answer_tokens.get()).sum(),
            first_tokens: {
                let mut text = String::new();
                // Writing to a string cannot fail.
                let _ = encode(&mut text, &self.first_tokens);
                first_tokens(&text)
            },
        }
    }
}

/// The buckets of all models together.
fn first_tokens(text: &str) -> Vec<FirstTokens> {
    let mut buckets = BTreeMap::<u64, u64>::new();
    for line in text.lines() {
        let Some((least, rest)) = line.strip_prefix(BUCKET).and_then(|line| line.split_once('"')) else { continue };
        let count = rest.rsplit_once("} ").and_then(|(_, count)| count.parse().ok()).unwrap_or(0);
        // The last bucket is without an end, which is `+Inf` in the text.
        let within_ms = least.parse::<f64>().ok().filter(|secs| secs.is_finite());
        let within_ms = within_ms.map_or(u64::MAX, |secs| (secs * 1_000.0).round() as u64);
        *buckets.entry(within_ms).or_default() += count;
    }
    let shown = |(within_ms, count)| FirstTokens { within_ms: Some(within_ms).filter(|ms| *ms != u64::MAX), count };
    buckets.into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Usage;
    use crate::router::metrics::Ended;

    fn end(outcome: Outcome, model: &str, first_token_ms: Option<u64>) -> Ended<'_> {
        Ended {
            outcome,
            took_ms: 900,
            queued_ms: Some(1),
            first_token_ms,
            answered_by: Some(model),
            asked_for: None,
            usage: Some(Usage::default().prompt_tokens(3).completion_tokens(2)),
        }
    }

    #[test]
    fn the_figures_of_all_models_are_counted_together() {
        let metrics = Metrics::new();
        assert_eq!(metrics.totals(), Totals::default());
        metrics.submitted();
        metrics.retried();
        // A name cannot forge a bucket.
        let hostile = "x\",le=\"1\"} 9\nfirst_token_seconds_bucket{le=\"0.002\"} 99";
        metrics.ended(&end(Outcome::Ok, "tiny", Some(2)));
        metrics.ended(&end(Outcome::Failed, hostile, Some(500)));
        metrics.ended(&end(Outcome::Cancelled, hostile, Some(3_600_000)));
        metrics.ended(&end(Outcome::Expired, "tiny", None));
        let totals = metrics.totals();
        assert_eq!((totals.submitted, totals.retries, totals.ok, totals.disputed), (1, 1, 1, 0));
        assert_eq!((totals.failed, totals.cancelled, totals.expired), (1, 1, 1));
        assert_eq!((totals.prompt_tokens, totals.answer_tokens), (12, 8));
        let within =
            |ms| totals.first_tokens.iter().find(|bucket| bucket.within_ms == ms).map(|bucket| bucket.count).unwrap();
        assert_eq!((within(Some(1)), within(Some(2)), within(Some(256)), within(Some(512))), (0, 1, 1, 2));
        assert_eq!((within(Some(131_072)), within(None)), (2, 3));
        assert_eq!(totals.first_tokens.last().map(|bucket| bucket.within_ms), Some(None));
    }
}
