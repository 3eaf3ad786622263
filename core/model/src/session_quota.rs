//! The limits of a session: how much its tasks may use together.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// The limits of a session, which hold for all keys that use it. Each limit is at least 1; a limit that is missing does
/// not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionQuota {
    /// Requests in one minute that submit a task to it, also those that are refused.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, required = false, minimum = 1))]
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tasks in one minute.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, required = false, minimum = 1))]
    pub tasks_per_minute: Option<NonZeroU64>,
    /// Tokens of prompts and answers in one minute.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, required = false, minimum = 1))]
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Tokens of prompts and answers on one day in UTC.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, required = false, minimum = 1))]
    pub tokens_per_day: Option<NonZeroU64>,
    /// Tokens of prompts and answers in one month in UTC.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, required = false, minimum = 1))]
    pub tokens_per_month: Option<NonZeroU64>,
    /// Tasks that have not ended.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, required = false, minimum = 1))]
    pub concurrent_tasks: Option<NonZeroU64>,
    /// Answers that a listener streams.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, required = false, minimum = 1))]
    pub concurrent_streams: Option<NonZeroU64>,
}

impl SessionQuota {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

crate::setters! { SessionQuota {
    requests_per_minute: Option<NonZeroU64> => requests_per_minute,
    tasks_per_minute: Option<NonZeroU64> => tasks_per_minute,
    tokens_per_minute: Option<NonZeroU64> => tokens_per_minute,
    tokens_per_day: Option<NonZeroU64> => tokens_per_day,
    tokens_per_month: Option<NonZeroU64> => tokens_per_month,
    concurrent_tasks: Option<NonZeroU64> => concurrent_tasks,
    concurrent_streams: Option<NonZeroU64> => concurrent_streams,
} }

crate::limits_patch! {
    /// A change of the limits of a session: a missing member keeps its limit, and `null` lifts it.
    #[non_exhaustive]
    pub struct SessionQuotaPatch of SessionQuota {
        requests_per_minute tasks_per_minute tokens_per_minute tokens_per_day tokens_per_month concurrent_tasks
        concurrent_streams
    }
    zero: "a limit is at least 1: leave it out for no limit, and close a session that may submit nothing"
}

/// The change that sets exactly these limits.
impl From<SessionQuota> for SessionQuotaPatch {
    fn from(limits: SessionQuota) -> Self {
        Self {
            requests_per_minute: Some(limits.requests_per_minute),
            tasks_per_minute: Some(limits.tasks_per_minute),
            tokens_per_minute: Some(limits.tokens_per_minute),
            tokens_per_day: Some(limits.tokens_per_day),
            tokens_per_month: Some(limits.tokens_per_month),
            concurrent_tasks: Some(limits.concurrent_tasks),
            concurrent_streams: Some(limits.concurrent_streams),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SessionPatch, SessionSpec};

    #[test]
    fn a_session_is_made_and_changed_with_limits() {
        let spec = |text: &str| serde_json::from_str::<SessionSpec>(text).map_err(|error| error.to_string());
        let made =
            spec(r#"{"name":"s","limits":{"tokens_per_day":5,"concurrent_tasks":2},"models":["a"],"expires_at":9}"#);
        let made = made.unwrap().validated().unwrap();
        let patch = |text: &str| serde_json::from_str::<SessionPatch>(text).unwrap();
        let changed = made.patched(patch(r#"{"limits":{"tokens_per_day":null,"tasks_per_minute":7}}"#)).unwrap();
        let wanted = SessionQuota::default().tasks_per_minute(NonZeroU64::new(7)).concurrent_tasks(NonZeroU64::new(2));
        assert_eq!(
            (changed.limits, &changed.models, changed.expires_at),
            (wanted, &vec!["a".into()], NonZeroU64::new(9))
        );
        let lifted = changed.patched(patch(r#"{"models":[],"expires_at":0}"#)).unwrap();
        assert_eq!((lifted.limits, lifted.models.len(), lifted.expires_at), (wanted, 0, None));
        let same = lifted.patched(patch(r#"{"limits":null}"#)).unwrap();
        assert_eq!(same, lifted);
        let all = SessionQuotaPatch::from(made.limits);
        assert_eq!(all.applied_to(wanted), made.limits);
        assert_eq!(serde_json::to_string(&SessionQuota::default()).unwrap(), "{}");
    }

    #[test]
    fn a_wrong_limit_names_itself_and_the_fix() {
        for (text, word) in [
            (r#"{"name":"s","limits":{"tokens_per_day":0}}"#, "at least 1"),
            (r#"{"name":"s","limits":{"tokens_per_year":1}}"#, "tokens_per_year"),
            (r#"{"name":"s","limits":5}"#, "SessionQuota"),
        ] {
            let error = serde_json::from_str::<SessionSpec>(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        let spec = SessionSpec::default().name("s").models(vec!["a b".repeat(400)]);
        assert!(spec.validated().is_err_and(|error| error.details().param.as_deref() == Some("models")));
    }
}
