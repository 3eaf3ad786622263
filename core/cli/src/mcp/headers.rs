//! The headers of a message's request, which repeat parts of its body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Request, header, request};
use serde_json::Value;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The member of `_meta` by which a request that stands alone tells its version.
const TOLD_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The session that a handshake has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: HeaderValue,
    /// The version of the protocol that the handshake agreed on.
    pub(super) version: Option<HeaderValue>,
}

/// The head of a message's request.
pub(super) fn head(message: &Value, session: Option<&Session>) -> request::Builder {
    let request = Request::post("/mcp")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream");
    let params = &message["params"];
    let method = message["method"].as_str().unwrap_or_default();
    if let Some(version) = params["_meta"][TOLD_VERSION].as_str() {
        // The request stands alone, and proxies read its headers.
        let name = match method {
            "tools/call" => params["name"].as_str(),
            "resources/read" => params["uri"].as_str(),
            _ => None,
        };
        let all = [(VERSION, Some(version)), (METHOD, Some(method)), (NAME, name)];
        let given = all.into_iter().filter_map(|(header, text)| Some((header, text?)));
        return given.fold(request, |request, (header, text)| request.header(header, written(text)));
    }
    match session {
        Some(session) if method != "initialize" => {
            let request = request.header(SESSION, &session.id);
            session.version.iter().fold(request, |request, version| request.header(VERSION, version))
        }
        _ => request,
    }
}

/// Whether a message stands alone, without a session.
pub(super) fn is_single(message: &Value) -> bool {
    message["params"]["_meta"][TOLD_VERSION].is_string()
}

/// A text as a header has it: wrapped in base64 if it has characters that no header can have.
fn written(text: &str) -> String {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text && !text.starts_with("=?");
    if plain { text.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(text)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(message: &Value, session: Option<&Session>) -> Vec<(String, String)> {
        let request = head(message, session).body(()).unwrap();
        let shown = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
        request.headers().iter().filter(|(name, _)| name.as_str().starts_with("mcp-")).map(shown).collect()
    }

    #[test]
    fn a_request_has_the_headers_of_its_form() {
        let session =
            Session { id: HeaderValue::from_static("s"), version: Some(HeaderValue::from_static("2025-11-25")) };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let call = json!({"method": "tools/call", "params": {"name": "grüßen", "_meta": {}}});
        let in_session = [pair("mcp-session-id", "s"), pair("mcp-protocol-version", "2025-11-25")];
        assert_eq!(shown(&call, Some(&session)), in_session);
        assert!(shown(&json!({"method": "initialize"}), Some(&session)).is_empty());
        let mut alone = call.clone();
        alone["params"]["_meta"][TOLD_VERSION] = json!("2026-07-28");
        assert_eq!(
            shown(&alone, Some(&session)),
            [
                pair("mcp-protocol-version", "2026-07-28"),
                pair("mcp-method", "tools/call"),
                pair("mcp-name", "=?base64?Z3LDvMOfZW4=?=")
            ]
        );
    }
}
