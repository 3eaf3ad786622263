//! Reads from OpenAI's bodies which session a task goes to, and how its answer is read.

use serde::Deserialize;

use crate::model::TaskRequest;
use crate::{Error, Result};

/// Whether a stream ends with a chunk that carries the usage.
///
/// # Errors
/// `InvalidArgument` when `stream_options` is not an object, or its `include_usage` not a boolean.
pub(super) fn include_usage(request: &TaskRequest) -> Result<bool> {
    #[derive(Deserialize)]
    struct StreamOptions {
        #[serde(default)]
        include_usage: Option<bool>,
    }
    let Some(options) = request.extra("stream_options").filter(|value| value.get() != "null") else {
        return Ok(false);
    };
    let wrong = || Error::invalid("stream_options", "stream_options must be an object like {\"include_usage\":true}");
    if !options.get().starts_with('{') {
        return Err(wrong());
    }
    Ok(serde_json::from_str::<StreamOptions>(options.get()).map_err(|_| wrong())?.include_usage.unwrap_or(false))
}

/// The session that a model's name of the form `session-<id>` means.
pub(super) fn session_in_model(model: &str) -> Option<&str> {
    model.strip_prefix("session-").filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_a_stream_are_checked() {
        let chat = |rest: &str| format!(r#"{{"messages":[{{"role":"user"}}],{rest}}}"#);
        let read = |rest: &str| crate::model::from_json::<TaskRequest>("body", chat(rest).as_bytes()).unwrap();
        let usage = |rest: &str| include_usage(&read(rest)).unwrap();
        assert!(usage(r#""stream_options":{"include_usage":true}"#));
        assert!(!usage(r#""stream_options":{"include_usage":null,"x":1}"#));
        assert!(!usage(r#""stream_options":null"#));
        for bad in ["[true]", "true", r#"{"include_usage":"yes"}"#] {
            let error = include_usage(&read(&format!(r#""stream_options":{bad}"#))).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some("stream_options"), "{bad}");
        }
    }

    #[test]
    fn a_model_may_name_a_session() {
        assert_eq!(session_in_model("session-12"), Some("12"));
        for other in ["session-", "session-a", "session", "12", "session--1"] {
            assert_eq!(session_in_model(other), None, "{other}");
        }
    }
}
