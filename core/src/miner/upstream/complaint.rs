//! Recognises errors that come in place of an answer: in a body with status 200, and in streams.
//!
//! | sender | form of the error |
//! |---|---|
//! | OpenAI, llama.cpp, OpenRouter | `{"error":{"message","code"}}`, in a stream also inside a choice |
//! | TGI, Ollama | `{"error":"..."}` |
//! | vLLM and SGLang, older versions | `{"object":"error","message","type","code"}` |
//! | FastChat | `{"text":"...","error_code":50001}` |
//! | FastAPI | `{"detail":"..."}` |
//! | gateways | `{"message":"..."}` with or without `code` or `status` |
//! | Cloudflare | `{"success":false,"errors":[{"message"}]}` |
//! | Anthropic | `{"type":"error","error":{...}}` |
//! | MiniMax | `{"base_resp":{"status_code","status_msg"}}` |

use crate::model::shape::{Json, Reply, elements, last};

/// Members that only errors have, and that hold the message.
const WORDS: &[&str] = &["detail", "errors", "error_message", "error_msg"];

/// Members that hold an error's number or name.
const CODES: &[&str] = &["code", "status", "status_code", "statusCode"];

/// Members that hold an error's number even if the answer has content. 0 means success.
const ERROR_CODES: &[&str] = &["error_code", "errorCode", "err_code"];

/// Whether an answer, or a chunk of one, is an error. `has_payload`: it has content, so only members that are
/// unmistakably an error count.
pub(super) fn is_complaint(reply: &Reply<'_>, has_payload: bool) -> bool {
    let ends_badly = reply
        .choices
        .iter()
        .flatten()
        .any(|choice| choice.finish_reason.is_some_and(|reason| reason.get() == "\"error\""));
    if has_payload && !reply.has_unusual() {
        // Every chunk of a stream goes this way, so none of the names below is looked for.
        return ends_badly;
    }
    // Servers send an empty object beside an answer if there is no error.
    let is_error = |error: Json<'_>| is_true(error) && !(has_payload && error.is_blank());
    if reply.get("error").is_some_and(is_error) || ERROR_CODES.iter().any(|name| reply.get(name).is_some_and(is_bad)) {
        return true;
    }
    let in_a_choice = reply.choices.iter().flatten().any(|choice| {
        let error = choice.others.iter().find(|(key, _)| key == "error");
        error.is_some_and(|(_, error)| is_true(*error))
    });
    let base = reply.get("base_resp").and_then(|base| last(base.get(), "status_code"));
    if ends_badly || in_a_choice || base.is_some_and(is_bad) {
        return true;
    }
    if has_payload {
        return false;
    }
    let is = |name: &str, word: &str| reply.get(name).is_some_and(|value| value.get() == word);
    if ["object", "type", "status", "event"].iter().any(|name| is(name, "\"error\"")) || is("success", "false") {
        return true;
    }
    if WORDS.iter().any(|name| reply.get(name).is_some_and(|value| !value.is_blank())) {
        return true;
    }
    let is_coded = CODES.iter().any(|name| reply.get(name).is_some_and(is_bad));
    // Only a string counts: Ollama's own routes answer with a `message` that is an object.
    let has_words = ["message", "msg"]
        .iter()
        .any(|name| reply.get(name).is_some_and(|words| words.is_string() && !words.is_blank()));
    let is_of_a_kind = ["type", "object", "event", "status", "code"].iter().any(|name| reply.get(name).is_some());
    is_coded && (has_words || reply.get("code").is_some_and(is_status)) || has_words && !is_of_a_kind
}

/// Whether a list in place of an answer begins with an error, which is the form of Google's errors.
pub(super) fn is_list_of_complaints(json: &[u8]) -> bool {
    let Ok(json) = std::str::from_utf8(json) else { return false };
    let mut first = None;
    elements(json, |element| {
        first.get_or_insert(element);
    });
    first.and_then(|element| Reply::of(element.get())).is_some_and(|reply| is_complaint(&reply, reply.has_choices()))
}

/// Whether a member `error` means an error. Servers send `null`, `false`, 0 or an empty string if there is none.
fn is_true(error: Json<'_>) -> bool {
    !matches!(error.get(), "null" | "false" | "\"\"" | "0")
}

/// Whether a code means a failure: it is neither 0, nor a status from 200 to 399, nor a word for success.
fn is_bad(code: Json<'_>) -> bool {
    let word = code.text().to_ascii_lowercase();
    match word.parse::<f64>() {
        Ok(number) => number != 0.0 && !(200.0..400.0).contains(&number),
        Err(_) => code.is_string() && !matches!(word.as_str(), "" | "ok" | "success" | "succeeded" | "processing"),
    }
}

/// Whether a code is an HTTP status from 400 to 599.
fn is_status(code: Json<'_>) -> bool {
    code.text().parse::<f64>().is_ok_and(|number| (400.0..600.0).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_known_in_every_shape_and_nothing_else_is() {
        for error in [
            r#"{"error":{"message":"no","code":500}}"#,
            r#"{"error":{}}"#,
            r#"{"error":"no","error_type":"generation"}"#,
            r#"{"error":true,"choices":[{"delta":{"content":"x"}}]}"#,
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"no"}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            r#"{"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}"#,
            r#"{"text":"**NETWORK ERROR**","error_code":50001}"#,
            r#"{"text":"no","errorCode":"50001","choices":[]}"#,
            r#"{"detail":"no"}"#,
            r#"{"detail":[{"msg":"field required"}]}"#,
            r#"{"message":"no"}"#,
            r#"{"message":"no","request_id":"x"}"#,
            r#"{"code":"InvalidParameter","message":"no"}"#,
            r#"{"code":500,"msg":"no","success":false}"#,
            r#"{"status":503,"message":"no"}"#,
            r#"{"code":429}"#,
            r#"{"success":false,"errors":[{"code":1,"message":"no"}],"result":null}"#,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#,
            r#"{"base_resp":{"status_code":1004,"status_msg":"no"},"choices":null}"#,
            r#"{"error_code":"110","error_msg":"no"}"#,
            r#"{"status":"error"}"#,
        ] {
            let reply = Reply::of(error).unwrap();
            assert!(is_complaint(&reply, reply.has_choices()), "{error}");
        }
        for fine in [
            "{}",
            r#"{"choices":[{"delta":{"content":"x"}}],"error":null,"message":"hi","detail":"x","code":500}"#,
            r#"{"choices":[],"error":"","usage":null}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"error":{ }}"#,
            r#"{"error":false}"#,
            r#"{"text":"x","error_code":0}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":""}}"#,
            r#"{"code":0,"message":"success"}"#,
            r#"{"code":200,"msg":"ok","success":true}"#,
            r#"{"type":"ping","message":"still here"}"#,
            r#"{"status":"processing","message":"loading"}"#,
            r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":false}"#,
            r#"{"prompt_filter_results":[{"prompt_index":0}],"choices":[]}"#,
            r#"{"detail":null,"errors":[]}"#,
        ] {
            let reply = Reply::of(fine).unwrap();
            assert!(!is_complaint(&reply, reply.has_choices()), "{fine}");
        }
    }

    #[test]
    fn a_list_is_an_error_where_it_begins_with_one() {
        assert!(is_list_of_complaints(br#"[{"error":{"code":400}}]"#));
        for other in ["[]", "[1]", r#"[{"choices":[]}]"#, "{}", r#"[{"error":null}]"#] {
            assert!(!is_list_of_complaints(other.as_bytes()), "{other}");
        }
    }
}
