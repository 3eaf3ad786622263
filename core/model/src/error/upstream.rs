//! A model server's own error, in any of the shapes that servers use.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest `type`, `code` or `param` that is passed on; a longer one is none.
const MAX_WORD: usize = 256;

/// The longest text that is passed on, in bytes; what is behind it is cut off.
const MAX_MESSAGE: usize = 16 << 10;

/// The members of a model server's own error (OpenAI's `error` object), as it sent them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpstreamError {
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its `type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Its `code`: a word, or a number where the server repeats the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Value>,
    /// Its `param`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl UpstreamError {
    /// Reads an error body: `{"error":{...}}`, `{"error":"..."}`, the object alone, or `{"detail":...}`. `None` where it says
    /// nothing.
    #[doc(hidden)]
    pub fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = value.as_object()?;
        let error = match object.get("error") {
            None | Some(Value::Null) => &value,
            Some(error) => error,
        };
        let word = |key: &str| {
            let word = error.get(key)?.as_str()?;
            (!word.is_empty() && word.len() <= MAX_WORD).then(|| word.to_owned())
        };
        let message = match error {
            Value::String(text) => Some(text.clone()),
            _ => ["message", "detail"].into_iter().find_map(|key| match error.get(key)? {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            }),
        };
        let code = match error.get("code") {
            Some(Value::Number(number)) => Some(Value::Number(number.clone())),
            _ => word("code").map(Value::String),
        };
        let said = Self {
            message: message.filter(|text| !text.is_empty()).map(cut),
            error_type: word("type"),
            code,
            param: word("param"),
        };
        (said != Self::default()).then_some(said)
    }
}

/// The text up to [`MAX_MESSAGE`].
fn cut(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &str) -> Option<Value> {
        UpstreamError::read(body.as_bytes()).map(|said| serde_json::to_value(said).unwrap())
    }

    #[test]
    fn every_shape_is_read_and_what_says_nothing_is_nothing() {
        let table = [
            (
                r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#,
                json!({"message":"m","type":"t","param":"p","code":"c"}),
            ),
            (
                r#"{"object":"error","message":"m","type":"t","param":null,"code":400}"#,
                json!({"message":"m","type":"t","code":400}),
            ),
            (r#"{"error":{"code":400,"message":"m","type":"t"}}"#, json!({"message":"m","type":"t","code":400})),
            (r#"{"error":"m","error_type":"generation"}"#, json!({"message":"m"})),
            (r#"{"detail":"m"}"#, json!({"message":"m"})),
            (r#"{"detail":[{"loc":["a"]}]}"#, json!({"message":r#"[{"loc":["a"]}]"#})),
            (r#"{"error":{"message":{"a":1},"type":""}}"#, json!({"message":r#"{"a":1}"#})),
        ];
        for (body, wanted) in table {
            assert_eq!(read(body), Some(wanted), "{body}");
        }
        for nothing in ["", "[]", "7", "{}", r#"{"error":null}"#, r#"{"error":{"message":"","code":null}}"#, "<html>"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let long = "é".repeat(MAX_MESSAGE);
        let said = UpstreamError::read(json!({"error":{"message":long,"code":long}}).to_string().as_bytes()).unwrap();
        assert_eq!((said.message.unwrap().len(), said.code), (MAX_MESSAGE, None));
    }
}
