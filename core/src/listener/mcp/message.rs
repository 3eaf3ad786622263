//! Messages of clients: JSON-RPC taken apart, with errors that name the member at fault.

use std::borrow::Cow;

use rmcp::model::{ErrorData, ProgressToken, ProtocolVersion, RequestId, RequestMetaObject};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;

use super::fault::Fault;
use crate::model::told;

/// A message of a client.
pub(super) enum Message<'a> {
    Request {
        id: RequestId,
        method: Cow<'a, str>,
        params: Params<'a>,
    },
    Notification {
        method: Cow<'a, str>,
        params: Params<'a>,
    },
    /// The answer to a request. This server makes none, so there is nothing to answer.
    Answer,
}

/// The members of parameters that this server reads, of all methods.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params<'a> {
    #[serde(rename = "_meta", default)]
    pub(super) meta: Option<RequestMetaObject>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) uri: Option<String>,
    #[serde(default)]
    pub(super) cursor: Option<String>,
    #[serde(default, borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) protocol_version: Option<ProtocolVersion>,
    #[serde(default)]
    pub(super) request_id: Option<RequestId>,
}

impl Params<'_> {
    /// The token under which the client wants to hear of progress.
    pub(super) fn progress(&self) -> Option<ProgressToken> {
        self.meta.as_ref().and_then(RequestMetaObject::get_progress_token)
    }
}

/// The members of a message, none of which is checked.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow, deserialize_with = "given")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "given")]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "given")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "given")]
    error: Option<&'a RawValue>,
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// Reads a member that counts as given even if it is `null`.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl<'a> Message<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// The protocol's own error for a body that is no message.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let invalid = |id, words: String| Fault::bad_request(id, ErrorData::invalid_request(words, None));
        // A list would count as a message whose members stand in their order.
        if body.trim_ascii_start().starts_with(b"[") && is_json(body) {
            return Err(invalid(None, "a batch is not taken: send each message by itself".to_owned()));
        }
        let envelope: Envelope<'a> = match serde_json::from_slice(body) {
            Ok(envelope) => envelope,
            Err(error) if !is_json(body) => {
                let words = format!("the body is not JSON: {}", told(&error));
                return Err(Fault::bad_request(None, ErrorData::parse_error(words, None)));
            }
            Err(error) => return Err(invalid(None, format!("the body is no JSON-RPC message: {}", told(&error)))),
        };
        let id = match envelope.id.map(|id| serde_json::from_str::<RequestId>(id.get())) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_)) => return Err(invalid(None, "id must be a text or a whole number".to_owned())),
        };
        if envelope.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
            return Err(invalid(id, "jsonrpc must be \"2.0\"".to_owned()));
        }
        let Some(method) = envelope.method else {
            if id.is_some() && (envelope.result.is_some() || envelope.error.is_some()) {
                return Ok(Self::Answer);
            }
            return Err(invalid(id, "method is missing".to_owned()));
        };
        let params = match envelope.params {
            None => Params::default(),
            // A list would count as an object whose members stand in their order.
            Some(params) if !params.get().starts_with('{') => {
                let words = "params must be an object";
                return Err(Fault::bad_request(id, ErrorData::invalid_params(words, None)));
            }
            Some(params) => serde_json::from_str(params.get()).map_err(|error| {
                Fault::bad_request(id.clone(), ErrorData::invalid_params(format!("params: {}", told(&error)), None))
            })?,
        };
        Ok(match id {
            Some(id) => Self::Request { id, method, params },
            None => Self::Notification { method, params },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn kind(message: &Value) -> &'static str {
        match Message::read(message.to_string().as_bytes()) {
            Ok(Message::Request { .. }) => "request",
            Ok(Message::Notification { .. }) => "notification",
            Ok(Message::Answer) => "answer",
            Err(_) => "fault",
        }
    }

    #[test]
    fn the_members_tell_the_kind() {
        for (message, wanted) in [
            (json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}), "request"),
            (json!({"jsonrpc": "2.0", "id": "", "method": "ping", "params": {}}), "request"),
            (json!({"jsonrpc": "2.0", "method": "ping"}), "notification"),
            (json!({"jsonrpc": "2.0", "id": 1, "result": null}), "answer"),
            (json!({"jsonrpc": "2.0", "id": 1, "error": {}}), "answer"),
            (json!({"jsonrpc": "2.0", "result": {}}), "fault"),
            (json!({"jsonrpc": "2.0", "id": null, "method": "ping"}), "fault"),
            (json!({"jsonrpc": "2.0", "id": {}, "method": "ping"}), "fault"),
            (json!({"jsonrpc": "2.0", "id": 1, "method": null}), "fault"),
            (json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}), "fault"),
            (json!({"jsonrpc": 2.0, "id": 1, "method": "ping"}), "fault"),
            (json!([]), "fault"),
            (json!(["2.0", 1, "ping"]), "fault"),
        ] {
            assert_eq!(kind(&message), wanted, "{message}");
        }
    }

    fn some_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "2.0|ping|\\PC{0,8}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let names = "jsonrpc|id|method|params|result|error|_meta|name|uri|arguments|progressToken|x";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names, inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Message::read(&bytes);
        }

        #[test]
        fn any_json_is_a_message_or_a_fault(mut value in some_json(), is_versioned in any::<bool>()) {
            if let (Some(members), true) = (value.as_object_mut(), is_versioned) {
                members.insert("jsonrpc".to_owned(), json!("2.0"));
            }
            if let Ok(Message::Request { params, .. }) = Message::read(value.to_string().as_bytes()) {
                // A token that cannot be read counts as none.
                let _ = params.progress();
            }
        }
    }
}
