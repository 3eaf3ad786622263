//! The names of the options of prompts and sessions. The router refuses unknown names, because a mistyped option would
//! have no effect, or would reach the miner as an unknown field.

use serde_json::{Map, Value};

use super::json;
use crate::miner::FailClass;
use crate::{Error, Result};

/// The options of a prompt, with the names of the REST API. Other fields for a miner go into `extra`.
pub const REQUEST: &[&str] = &[
    "client_reference",
    "detach",
    "dimensions",
    "extra",
    "frequency_penalty",
    "idempotency_key",
    "input",
    "key_id",
    "logit_bias",
    "logprobs",
    "match",
    "match_model",
    "match_pointers",
    "match_tolerance",
    "max_completion_tokens",
    "max_miners",
    "max_tokens",
    "messages",
    "min_p",
    "min_score",
    "model",
    "on_failure",
    "parallel_tool_calls",
    "precommit_timeout",
    "presence_penalty",
    "priority",
    "prompt",
    "prompt_template",
    "prompt_type",
    "raw",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "seed",
    "stop",
    "stream",
    "temperature",
    "tie_break",
    "timeout",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "validation_policy",
    "webhook",
];

/// The options of a session, with the names of the REST API.
pub const SESSION: &[&str] = &[
    "affinity",
    "expires_at",
    "limits",
    "match",
    "match_model",
    "match_pointers",
    "match_tolerance",
    "max_num_of_nodes",
    "max_task_execution_count",
    "metadata",
    "min_num_of_nodes",
    "min_score",
    "mode",
    "model",
    "model_identifier",
    "models",
    "name",
    "num_of_validator_nodes",
    "owner",
    "priority",
    "redundant",
    "reserve_ephemeral_nodes",
    "reserve_period",
    "retention",
    "sla",
    "tie_break",
    "validation_policy",
    "weight",
];

/// The codes with which a miner's failure may be reported.
pub fn fail_codes() -> impl Iterator<Item = &'static str> {
    FailClass::ALL.into_iter().map(FailClass::as_str)
}

/// The known name that is closest to an unknown one; `None`: none is similar.
pub fn meant(known: &[&'static str], unknown: &str) -> Option<&'static str> {
    let close = |name: &'static str| (strsim::jaro_winkler(unknown, name), name);
    let best = known.iter().map(|name| close(name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.85).then_some(best.1)
}

/// Makes a request from options. Every name must be known; the fields of `extra` are added to the request.
pub(super) fn checked(options: &str) -> Result<String> {
    let given: Map<String, Value> = json::parse("options", options)?;
    let mut out = Map::new();
    for (name, value) in given {
        if !REQUEST.contains(&name.as_str()) {
            let near = meant(REQUEST, &name).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
            let message = format!("{name} is no option of a request: {near}what is only for the miner goes into extra");
            return Err(Error::invalid(name, message));
        }
        match (name.as_str(), value) {
            ("extra", Value::Object(extra)) => {
                if let Some(name) = extra.keys().find(|name| REQUEST.contains(&name.as_str())) {
                    let message = format!("extra: {name} is an option of a request: give it beside extra");
                    return Err(Error::invalid("extra", message));
                }
                out.extend(extra);
            }
            ("extra", Value::Null) => {}
            ("extra", _) => return Err(Error::invalid("extra", "extra must be an object with fields for the miner")),
            (_, value) => {
                out.insert(name, value);
            }
        }
    }
    json::text(&out)
}

#[cfg(test)]
mod tests {
    use cortensor_router_model::internals::{FIELDS, Goes};

    use super::*;

    #[test]
    fn a_mistyped_name_is_refused_with_the_one_that_was_meant() {
        for (wrong, right) in [
            ("max_token", "max_tokens"),
            ("maxtokens", "max_tokens"),
            ("temprature", "temperature"),
            ("idempotencykey", "idempotency_key"),
            ("tool", "tools"),
        ] {
            let error = checked(&format!(r#"{{"{wrong}": 1}}"#)).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(wrong));
            assert!(error.message().contains(&format!("did you mean {right}?")), "{}", error.message());
        }
        let far = checked(r#"{"colour": "red"}"#).unwrap_err();
        assert!(!far.message().contains("did you mean"), "{}", far.message());
        assert!(far.message().contains("extra"), "{}", far.message());
    }

    #[test]
    fn extra_reaches_the_miner() {
        assert_eq!(checked("").unwrap(), "{}");
        let out: Value =
            serde_json::from_str(&checked(r#"{"max_tokens": 5, "extra": {"mirostat": 2}}"#).unwrap()).unwrap();
        assert_eq!(out, serde_json::json!({"max_tokens": 5, "mirostat": 2}));
        assert_eq!(checked(r#"{"extra": 5}"#).unwrap_err().details().param.as_deref(), Some("extra"));
        assert!(REQUEST.is_sorted() && SESSION.is_sorted());
    }

    #[test]
    fn every_named_field_of_a_request_is_an_option() {
        // The call itself determines the kind.
        for field in FIELDS.iter().filter(|field| field.name != "kind" && field.goes != Goes::Kept) {
            assert!(REQUEST.contains(&field.name), "{} is no option", field.name);
        }
    }
}
