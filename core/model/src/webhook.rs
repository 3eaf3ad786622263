//! Webhooks: the address that a task's end is sent to, and what became of the sending.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::word::words;
use crate::{Timestamp, absent};

/// The address that the end of a task is sent to, and the secret of the signature.
///
/// In JSON it is an object with `url` and `secret`, or the URL alone. It may hold secrets, so that it is shown by
/// [`WebhookDelivery`] and [`WebhookRecord`] alone, and its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Webhook {
    /// The URL.
    pub url: String,
    /// The secret of the signature (`whsec_...`); `None`: the router's own, `webhooks.secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

crate::setters! { Webhook {
    url: impl Into<String> => url.into(),
    secret: impl Into<String> => Some(secret.into()),
} }

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Webhook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Webhook;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("webhook: an object with url and secret, or a URL")
            }

            fn visit_str<E: de::Error>(self, url: &str) -> Result<Webhook, E> {
                Ok(Webhook::default().url(url))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Webhook, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Members {
                    url: String,
                    #[serde(default, deserialize_with = "absent::text::deserialize")]
                    secret: Option<String>,
                }
                let Members { url, secret } = Members::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Webhook { url, secret })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

words! {
    /// Where the delivery of a webhook stands.
    #[derive(Default)]
    WebhookState in "state" {
        /// The task has not ended.
        #[default]
        Waiting = "waiting",
        /// The task has ended, and its end is being sent, or will be sent again.
        Pending = "pending",
        /// The receiver has taken it.
        Delivered = "delivered",
        /// It was given up: the receiver said that it is gone (410), or the tries or the time were used up.
        Failed = "failed",
    }
}

/// The delivery of a task's end to its webhook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[doc(hidden)]
pub struct WebhookDelivery {
    /// The id of the message, which is the same in every try.
    pub id: String,
    /// The receiver.
    pub webhook: Webhook,
    /// Where it stands.
    pub state: WebhookState,
    /// The tries so far.
    pub attempts: u32,
    /// The status of the last answer; `None`: there was none.
    pub last_status: Option<u16>,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// The time of the next try.
    pub next_at: Timestamp,
    /// The time of the task's end.
    pub ended_at: Timestamp,
}

/// The delivery of a task's end as it is shown: without the secret, and without the parts of the URL that may be one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[doc(hidden)]
pub struct WebhookRecord {
    /// The URL, without its query.
    url: String,
    /// `waiting` (the task has not ended), `pending`, `delivered` or `failed`.
    state: WebhookState,
    /// The tries so far.
    attempts: u32,
    /// The status of the last answer; null: there was none.
    last_status: Option<u16>,
    /// Why the last try failed; null: it did not.
    last_error: Option<String>,
    /// Unix seconds of the next try; null: there is none.
    next_at: Option<u64>,
}

impl WebhookRecord {
    /// The delivery as it is shown.
    pub fn of(delivery: &WebhookDelivery) -> Self {
        let url = &delivery.webhook.url;
        Self {
            url: url.split(['?', '#']).next().unwrap_or(url).to_owned(),
            state: delivery.state,
            attempts: delivery.attempts,
            last_status: delivery.last_status,
            last_error: delivery.last_error.clone(),
            next_at: (delivery.state == WebhookState::Pending).then_some(delivery.next_at.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskRequest;

    #[test]
    fn a_webhook_is_an_object_or_a_url() {
        let read = |text: &str| serde_json::from_str::<Webhook>(text);
        assert_eq!(read(r#""https://h/x""#).unwrap(), Webhook::default().url("https://h/x"));
        let both = read(r#"{"secret":"whsec_x","url":"https://h"}"#).unwrap();
        assert_eq!(both, Webhook::default().url("https://h").secret("whsec_x"));
        assert_eq!(read(&serde_json::to_string(&both).unwrap()).unwrap(), both);
        assert_eq!(read(r#"{"url":"https://h","secret":""}"#).unwrap().secret, None);
        for wrong in ["7", "[]", "{}", r#"{"url":7}"#, r#"{"url":"x","secrt":"y"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let request: TaskRequest = serde_json::from_str(r#"{"prompt":"x","webhook":null}"#).unwrap();
        assert!(request.webhook.is_none());
    }

    #[test]
    fn nothing_of_a_webhook_is_shown_that_may_be_secret() {
        let webhook = Webhook::default().url("https://h/path?token=hidden#hidden").secret("whsec_hidden");
        let delivery = WebhookDelivery { webhook, ..WebhookDelivery::default() };
        let shown = serde_json::to_string(&WebhookRecord::of(&delivery)).unwrap();
        assert!(shown.contains("https://h/path") && !shown.contains("hidden"), "{shown}");
        assert!(!format!("{delivery:?}").contains("hidden"));
    }
}
