//! The limits of a key.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

documented! {
/// The limits of a key. Each limit is at least 1; a limit that is missing does not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Requests in one minute, on any route, also those that only read.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, required = false, minimum = 1))]
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tasks that are submitted in one minute.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, required = false, minimum = 1))]
    pub tasks_per_minute: Option<NonZeroU64>,
    /// Tokens of prompts and answers in one minute.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, required = false, minimum = 1))]
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Tokens of prompts and answers on one day in UTC.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, required = false, minimum = 1))]
    pub tokens_per_day: Option<NonZeroU64>,
    /// Tokens of prompts and answers in one month in UTC.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, required = false, minimum = 1))]
    pub tokens_per_month: Option<NonZeroU64>,
    /// Tasks that have not ended.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, required = false, minimum = 1))]
    pub concurrent_tasks: Option<NonZeroU64>,
    /// Answers that are being streamed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, required = false, minimum = 1))]
    pub concurrent_streams: Option<NonZeroU64>,
}
}

impl KeyLimits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The limits with their names.
    #[cfg(feature = "listener")]
    pub(crate) fn named(&self) -> [(&'static str, Option<NonZeroU64>); 7] {
        [
            ("requests_per_minute", self.requests_per_minute),
            ("tasks_per_minute", self.tasks_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("tokens_per_day", self.tokens_per_day),
            ("tokens_per_month", self.tokens_per_month),
            ("concurrent_tasks", self.concurrent_tasks),
            ("concurrent_streams", self.concurrent_streams),
        ]
    }

    /// Fills in the limits of the other one where this one has none.
    #[cfg(feature = "listener")]
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(other.requests_per_minute),
            tasks_per_minute: self.tasks_per_minute.or(other.tasks_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(other.tokens_per_minute),
            tokens_per_day: self.tokens_per_day.or(other.tokens_per_day),
            tokens_per_month: self.tokens_per_month.or(other.tokens_per_month),
            concurrent_tasks: self.concurrent_tasks.or(other.concurrent_tasks),
            concurrent_streams: self.concurrent_streams.or(other.concurrent_streams),
        }
    }

    /// The first limit that is wider than the other's, with the other's value.
    #[cfg(feature = "listener")]
    pub(crate) fn wider_than(&self, other: &Self) -> Option<(&'static str, NonZeroU64)> {
        self.named().into_iter().zip(other.named()).find_map(|((name, own), (_, most))| {
            let most = most?;
            own.is_none_or(|own| own > most).then_some((name, most))
        })
    }
}

cortensor_router_model::limits_patch! {
    /// A change of limits: a missing member keeps its limit, and `null` lifts it.
    pub struct LimitsPatch of KeyLimits {
        requests_per_minute tasks_per_minute tokens_per_minute tokens_per_day tokens_per_month concurrent_tasks
        concurrent_streams
    }
    zero: "a limit is at least 1: leave it out for no limit; a key that may submit nothing has no scope `submit`"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<KeyLimits, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let error = read(r#"{"tokens_per_day":0}"#).unwrap_err();
        assert!(error.contains("at least 1"), "{error}");
        assert!(read(r#"{"tokens_per_year":1}"#).unwrap_err().contains("tokens_per_year"));
        assert!(read(r#"{"tokens_per_day":null}"#).unwrap().is_none());
        assert_eq!(read(r#"{"tokens_per_day":5.0}"#).unwrap().tokens_per_day, NonZeroU64::new(5));
        assert_eq!(serde_json::to_string(&KeyLimits::default()).unwrap(), "{}");
    }

    #[test]
    fn a_change_names_what_it_changes() {
        let limits = read(r#"{"tokens_per_day":5,"concurrent_tasks":2}"#).unwrap();
        let patch: LimitsPatch = serde_json::from_str(r#"{"tokens_per_day":null,"tasks_per_minute":7}"#).unwrap();
        assert_eq!(patch.applied_to(limits), read(r#"{"concurrent_tasks":2,"tasks_per_minute":7}"#).unwrap());
        assert!(serde_json::from_str::<LimitsPatch>(r#"{"tokens_per_day":0}"#).is_err());
    }

    #[test]
    fn only_narrower_limits_are_within_others() {
        let own = read(r#"{"tokens_per_day":5,"concurrent_tasks":2}"#).unwrap();
        for (text, wider) in [
            (r#"{"tokens_per_day":5,"concurrent_tasks":2,"tasks_per_minute":9}"#, None),
            (r#"{"tokens_per_day":6,"concurrent_tasks":2}"#, Some("tokens_per_day")),
            (r#"{"tokens_per_day":1}"#, Some("concurrent_tasks")),
        ] {
            assert_eq!(read(text).unwrap().wider_than(&own).map(|(name, _)| name), wider, "{text}");
        }
        assert_eq!(KeyLimits::default().or(own), own);
    }
}
