//! Translates an upstream's errors into the router's classes of failures, and keeps the upstream's message.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::Error;
use crate::miner::{FailClass, Failure};

/// Phrases by which llama.cpp, vLLM, Ollama, SGLang, TGI and OpenAI say that a prompt exceeds the context.
const CONTEXT_WORDS: &[&str] = &[
    "context length",
    "context size",
    "context window",
    "maximum context",
    "context_length_exceeded",
    "max_model_len",
    "prompt is too long",
    "input is too long",
];

/// Words in refusals that concern the router's key and not the request.
const KEY_WORDS: &[&str] = &["api key", "api_key", "apikey", "scope", "credential", "authenticat", "bearer", "sk-"];

/// The words by which servers refuse a key, whatever status they give it: Google does so with 400, and others within an
/// answer of status 200.
const BAD_KEY_WORDS: &[&str] = &[
    "invalid_api_key",
    "api_key_invalid",
    "invalid api key",
    "incorrect api key",
    "api key not valid",
    "api key is invalid",
    "authentication_error",
];

/// Parts of the error types and codes of OpenAI, Anthropic and vLLM, and their classes. The first match counts.
const KINDS: &[(&[&str], FailClass)] = &[
    (&["model_not_found", "not_found_error", "notfounderror"], FailClass::Model),
    (&["rate_limit", "overloaded", "insufficient_quota", "unavailable"], FailClass::Overloaded),
    (&["authentication", "invalid_api_key", "billing"], FailClass::Credentials),
    (&["permission"], FailClass::Refused),
    (&["request_too_large"], FailClass::Context),
    (
        &["invalid_request", "badrequest", "bad_request", "content_filter", "content_policy", "invalid_prompt"],
        FailClass::Invalid,
    ),
];

/// Members that may hold an error's message, the likeliest first.
const MESSAGES: &[&str] =
    &["message", "msg", "error_message", "error_msg", "status_msg", "errorMessage", "detail", "title", "text"];

/// Members that may hold a status.
const CODES: &[&str] = &["code", "status", "status_code", "statusCode", "error_code", "errorCode"];

/// The maximum number of bytes that a message quotes of a body that is not JSON.
const EXCERPT: usize = 200;

/// The failure of an answer with an error status. `name` is the upstream's.
pub(super) fn refused(name: &str, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Failure {
    let said = Said::of(&body);
    let class = said.class(Some(status.as_u16()));
    let own = said.about_the_router(name, Some(status));
    let message = match &own {
        Some(words) => words.clone(),
        None if status.is_redirection() => {
            format!("the upstream {name} redirects ({status}): set its url to where it really is")
        }
        None => match said.message.or_else(|| excerpt(&body)) {
            Some(words) => format!("the upstream {name} answered {status}: {words}"),
            None => format!("the upstream {name} answered {status}"),
        },
    };
    Failure {
        class,
        message,
        http_status: Some(status.as_u16()),
        retry_after_ms: retry_after_ms(headers, SystemTime::now()),
        // Clients of the router must not see an upstream's message about the router's own key.
        raw: (said.is_json && own.is_none() && status != StatusCode::FORBIDDEN).then_some(body),
    }
}

/// The failure of an error inside an answer with status 200. `body` is the whole JSON or text.
pub(super) fn reported(name: &str, body: Bytes) -> Failure {
    let said = Said::of(&body);
    let status = said.status;
    let class = said.class(status);
    let own = said.about_the_router(name, status.and_then(|status| StatusCode::from_u16(status).ok()));
    let is_json = said.is_json && own.is_none();
    let message = own.unwrap_or_else(|| {
        let words = said.message.or_else(|| excerpt(&body)).unwrap_or_else(|| "an error without a message".to_owned());
        format!("the upstream {name} reported: {words}")
    });
    Failure { class, message, http_status: status, retry_after_ms: None, raw: is_json.then_some(body) }
}

/// The failure of a request that the API of this upstream has no words for. Another upstream may have them.
pub(super) fn unsayable(name: &str, error: &Error) -> Failure {
    let said = serde_json::json!({
        "message": error.message(),
        "type": "invalid_request_error",
        "param": error.details().param,
        "code": error.code(),
    });
    Failure {
        http_status: Some(StatusCode::BAD_REQUEST.as_u16()),
        raw: Some(serde_json::json!({"error": said}).to_string().into()),
        ..Failure::new(FailClass::Refused, format!("the upstream {name} cannot serve the request: {}", error.message()))
    }
}

/// The failure of an answer that the router cannot read. Another miner's answer may be readable.
pub(super) fn garbage(name: &str, what: &str, body: &[u8]) -> Failure {
    let message = match excerpt(body) {
        Some(words) => format!("the upstream {name} {what}: {words}"),
        None => format!("the upstream {name} {what}"),
    };
    Failure::new(FailClass::Unreadable, message)
}

/// The HTTP status of a failure that a code means. Codes of `FastChat` are a status with two more digits; those that
/// begin with 403 concern the request (the model, a parameter, the context) and count as 400.
fn status_of(code: &Value) -> Option<u16> {
    let code = code.as_u64().or_else(|| Some(code.as_f64()? as u64)).or_else(|| code.as_str()?.trim().parse().ok())?;
    let code = match code {
        40_300..40_400 => 400,
        40_000..60_000 => code / 100,
        _ => code,
    };
    u16::try_from(code).ok().filter(|code| (400..600).contains(code))
}

/// The content of an error body, in any of the forms of [`complaint`](super::complaint).
#[derive(Default)]
struct Said {
    is_json: bool,
    message: Option<String>,
    /// The message, the type and the code, in lower case.
    words: String,
    /// The type and the code alone.
    kind: String,
    status: Option<u16>,
}

impl Said {
    fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Self::default() };
        // Google sends errors inside a list.
        let top = value.get(0).unwrap_or(&value);
        let in_a_choice = || top.get("choices")?.as_array()?.iter().find_map(|choice| choice.get("error"));
        let error = [top.get("error"), in_a_choice(), top.pointer("/errors/0"), top.get("base_resp")]
            .into_iter()
            .flatten()
            .find(|error| error.is_object() || error.as_str().is_some_and(|words| !words.is_empty()));
        let places = [error, Some(top)];
        let places = || places.iter().flatten();
        let word = |key: &str| places().find_map(|place| place.get(key)?.as_str().filter(|word| !word.is_empty()));
        let message = match error {
            Some(Value::String(text)) => Some(text.clone()),
            _ => MESSAGES.iter().find_map(|key| word(key)).map(str::to_owned).or_else(|| {
                let detail = top.get("detail").filter(|detail| !detail.is_null())?;
                Some(detail.to_string())
            }),
        };
        let kind = ["type", "code"].into_iter().filter_map(word).collect::<Vec<_>>().join(" ").to_lowercase();
        let words = format!("{} {kind}", message.as_deref().unwrap_or_default().to_lowercase());
        let status = CODES.iter().find_map(|key| places().find_map(|place| status_of(place.get(*key)?)));
        Self { is_json: value.is_object(), message, words, kind, status }
    }

    fn is_about_context(&self) -> bool {
        self.words.contains("exceed_context_size") || CONTEXT_WORDS.iter().any(|word| self.words.contains(word))
    }

    /// The message for an error that concerns the router's own key or account: an upstream's words about these are not
    /// for the router's clients.
    fn about_the_router(&self, name: &str, status: Option<StatusCode>) -> Option<String> {
        let shown = status.map(|status| format!(" ({status})")).unwrap_or_default();
        let key = |fix: &str| Some(format!("the upstream {name} refuses the router's key{shown}: {fix}"));
        match status.map_or(0, |status| status.as_u16()) {
            401 => key("check its api_key or api_key_env"),
            402 => Some(format!("the upstream {name} wants to be paid{shown}: check the account of its api_key")),
            407 => Some(format!("a proxy before the upstream {name} wants credentials{shown}")),
            403 if self.is_about_the_key() => key("check what its api_key may do"),
            _ if BAD_KEY_WORDS.iter().any(|words| self.words.contains(words)) => {
                key("check its api_key or api_key_env")
            }
            _ => None,
        }
    }

    fn is_about_the_key(&self) -> bool {
        KEY_WORDS.iter().any(|word| self.words.contains(word))
    }

    /// The class of a failure with this status. Without a status, the type of the error decides.
    fn class(&self, status: Option<u16>) -> FailClass {
        let Some(status) = status else { return self.class_by_kind() };
        match status {
            400..500 if self.words.contains("model_not_found") => FailClass::Model,
            // By its type or code, never by its message: that may repeat the request's words, and blames the upstream.
            400..500 if self.class_by_kind() == FailClass::Credentials => FailClass::Credentials,
            429 | 503 | 529 => FailClass::Overloaded,
            401 | 402 | 407 => FailClass::Credentials,
            403 => FailClass::Refused,
            404 => FailClass::Model,
            // Request timeout, misdirected request, too early: a client should try again (RFC 9110 and RFC 8470).
            408 | 421 | 425 => FailClass::Internal,
            413 => FailClass::Context,
            400..600 if self.is_about_context() => FailClass::Context,
            400..500 => FailClass::Invalid,
            _ => FailClass::Internal,
        }
    }

    /// The class of an error by its type and code, for errors without a status.
    fn class_by_kind(&self) -> FailClass {
        if self.is_about_context() {
            return FailClass::Context;
        }
        let by_kind = KINDS.iter().find(|(words, _)| words.iter().any(|word| self.kind.contains(word)));
        by_kind.map_or(FailClass::Internal, |(_, class)| *class)
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), or the finer `retry-after-ms` that some hosts
/// send.
pub fn retry_after_ms(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    if let Some(millis) = number("retry-after-ms").or_else(|| Some(number("retry-after")? * 1_000.0)) {
        return (millis >= 0.0).then_some(millis.ceil() as u64);
    }
    let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
    // A date in the past, by this machine's clock, means now.
    Some(date.duration_since(now).map_or(0, |wait| wait.as_millis() as u64))
}

fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> FailClass {
        let status = StatusCode::from_u16(status).unwrap();
        refused("up", status, &HeaderMap::new(), Bytes::copy_from_slice(body.as_bytes())).class
    }

    #[test]
    fn every_status_has_its_class() {
        use FailClass::*;
        for (status, body, wanted) in [
            (429, "", Overloaded),
            (503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#, Overloaded),
            (529, "", Overloaded),
            (400, r#"{"error":{"message":"temperature must be positive"}}"#, Invalid),
            (422, r#"{"detail":[{"msg":"field required"}]}"#, Invalid),
            (413, "", Context),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing it","type":"exceed_context_size_error"}}"#,
                Context,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 2048 tokens.","code":400}"#,
                Context,
            ),
            (400, r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#, Context),
            (500, r#"{"error":"input length exceeds the context length"}"#, Context),
            (404, r#"{"error":{"message":"model 'x' not found"}}"#, Model),
            (400, r#"{"error":{"message":"no","code":"model_not_found"}}"#, Model),
            (401, "", Credentials),
            (402, "", Credentials),
            (407, "", Credentials),
            (403, r#"{"error":{"message":"Input was flagged"}}"#, Refused),
            (403, r#"{"error":{"message":"no access","code":"model_not_found"}}"#, Model),
            (408, "", Internal),
            (421, "", Internal),
            (425, "", Internal),
            (405, "", Invalid),
            (409, "", Invalid),
            (410, "", Invalid),
            (418, "", Invalid),
            (451, "", Invalid),
            (499, "", Invalid),
            (501, "", Internal),
            (500, "boom", Internal),
            (502, "<html>", Internal),
            (302, "", Internal),
        ] {
            assert_eq!(class(status, body), wanted, "{status} {body}");
        }
    }

    #[test]
    fn it_keeps_the_upstream_s_words() {
        let body = Bytes::from_static(br#"{"error":{"message":"no such parameter","type":"invalid_request_error"}}"#);
        let failure = refused("up", StatusCode::BAD_REQUEST, &HeaderMap::new(), body.clone());
        assert_eq!(failure.message, "the upstream up answered 400 Bad Request: no such parameter");
        assert_eq!(failure.raw, Some(body));
        let failure = refused("up", StatusCode::BAD_GATEWAY, &HeaderMap::new(), Bytes::from_static(b"<p>\n bad </p>"));
        assert_eq!(failure.message, "the upstream up answered 502 Bad Gateway: <p> bad </p>");
        assert_eq!(failure.raw, None);
    }

    #[test]
    fn a_stream_s_error_has_the_class_of_its_code() {
        let class = |json: &'static str| reported("up", Bytes::from_static(json.as_bytes())).class;
        assert_eq!(class(r#"{"error":{"code":429,"message":"slow down"}}"#), FailClass::Overloaded);
        assert_eq!(class(r#"{"error":{"code":400,"message":"exceeds the context window"}}"#), FailClass::Context);
        assert_eq!(class(r#"{"error":{"code":500,"message":"boom"}}"#), FailClass::Internal);
        assert_eq!(class(r#"{"error":{}}"#), FailClass::Internal);
        assert_eq!(class(r#"{"text":"no","error_code":50001}"#), FailClass::Internal);
        assert_eq!(class(r#"{"text":"no","error_code":42901}"#), FailClass::Overloaded);
        assert_eq!(class(r#"{"text":"maximum context length","error_code":40303}"#), FailClass::Context);
        assert_eq!(class(r#"{"error":{"message":"no","type":"invalid_request_error"}}"#), FailClass::Invalid);
        assert_eq!(class(r#"[{"error":{"message":"no","code":400}}]"#), FailClass::Invalid);
        assert_eq!(class(r#"{"choices":[{"error":{"message":"no","code":429}}]}"#), FailClass::Overloaded);
    }

    #[test]
    fn the_words_are_found_in_every_shape() {
        for body in [
            r#"{"error":"no"}"#,
            r#"{"error":true,"message":"no"}"#,
            r#"{"object":"error","message":"no"}"#,
            r#"{"text":"no","error_code":50001}"#,
            r#"{"detail":"no"}"#,
            r#"{"success":false,"errors":[{"message":"no"}]}"#,
            r#"{"base_resp":{"status_code":1004,"status_msg":"no"}}"#,
            r#"{"choices":[{"finish_reason":"error","error":{"message":"no"}}]}"#,
            r#"[{"error":{"message":"no"}}]"#,
            "no",
        ] {
            assert_eq!(reported("up", Bytes::from(body)).message, "the upstream up reported: no", "{body}");
        }
    }

    #[test]
    fn an_error_without_a_status_has_the_class_of_its_type() {
        use FailClass::*;
        for (kind, wanted) in [
            ("invalid_request_error", Invalid),
            ("BadRequestError", Invalid),
            ("rate_limit_error", Overloaded),
            ("overloaded_error", Overloaded),
            ("authentication_error", Credentials),
            ("permission_error", Refused),
            ("not_found_error", Model),
            ("server_error", Internal),
        ] {
            let body = format!(r#"{{"error":{{"message":"no","type":"{kind}"}}}}"#);
            assert_eq!(reported("up", body.into()).class, wanted, "{kind}");
        }
    }

    #[test]
    fn a_refusal_s_words_are_shown_unless_they_speak_of_the_key() {
        let message = |status, body: &'static str| {
            let status = StatusCode::from_u16(status).unwrap();
            refused("up", status, &HeaderMap::new(), Bytes::from_static(body.as_bytes())).message
        };
        assert!(
            message(403, r#"{"error":{"message":"Input was flagged"}}"#).ends_with("403 Forbidden: Input was flagged")
        );
        for (status, body) in [
            (401, r#"{"error":{"message":"bad key sk-abc"}}"#),
            (402, r#"{"error":{"message":"account 7 of secret"}}"#),
            (403, r#"{"error":{"message":"Missing scopes: secret"}}"#),
            (407, "secret"),
        ] {
            let message = message(status, body);
            assert!(!message.contains("secret") && !message.contains("sk-"), "{message}");
        }
    }

    #[test]
    fn a_refused_key_is_known_whatever_its_status_is() {
        let google = r#"{"error":{"code":400,"message":"API key not valid: secret","status":"INVALID_ARGUMENT"}}"#;
        let openai = r#"{"error":{"message":"Incorrect API key provided: secret","code":"invalid_api_key"}}"#;
        for (body, status, class) in [
            (google, Some(400), FailClass::Invalid),
            (google, None, FailClass::Invalid),
            (openai, Some(400), FailClass::Credentials),
            (openai, None, FailClass::Credentials),
            (r#"{"error":{"message":"secret","code":401}}"#, None, FailClass::Credentials),
            (
                r#"{"type":"error","error":{"type":"authentication_error","message":"secret"}}"#,
                None,
                FailClass::Credentials,
            ),
            (r#"{"error":{"message":"secret","code":402}}"#, None, FailClass::Credentials),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let failure = match status {
                Some(status) => refused("up", StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body),
                None => reported("up", body),
            };
            assert_eq!(failure.class, class, "{failure:?}");
            assert!(failure.raw.is_none() && !failure.message.contains("secret"), "{failure:?}");
            assert!(failure.message.contains("key") && failure.message.contains("check"), "{failure:?}");
        }
    }

    #[test]
    fn retry_after_is_read() {
        let at = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
            retry_after_ms(&headers, now)
        };
        assert_eq!(at("retry-after", "2"), Some(2_000));
        assert_eq!(at("retry-after", "0.5"), Some(500));
        assert_eq!(at("retry-after-ms", "120"), Some(120));
        assert_eq!(at("retry-after", "-1"), None);
        assert_eq!(at("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT"), Some(90_000));
        // A recipient must accept the two obsolete forms of dates, too.
        assert_eq!(at("retry-after", "Wednesday, 21-Oct-26 07:28:01 GMT"), Some(1_000));
        assert_eq!(at("retry-after", "Wed Oct 21 07:28:01 2026"), Some(1_000));
        assert_eq!(at("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT"), Some(0));
        assert_eq!(at("retry-after", "soon"), None);
    }
}
