//! The versions of the protocol: those that begin with a handshake and have sessions, and the one whose requests stand
//! alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use rmcp::model::{CacheScope, ErrorData, ProtocolVersion, RequestId, RequestMetaObject, ResultType};

use super::fault::Fault;
use super::message::Params;

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The versions whose requests stand alone.
const SINGLE: [ProtocolVersion; 1] = [ProtocolVersion::V_2026_07_28];

/// The form in which a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A handshake, then requests that name their session.
    Session,
    /// Each request says all about itself.
    Single,
}

impl Form {
    /// Finds the form of a request, and checks the headers that must agree with it.
    ///
    /// # Errors
    /// The protocol's own error for a version that is not spoken, and for headers that contradict the request.
    pub(super) fn of_request(
        headers: &HeaderMap,
        id: &RequestId,
        method: &str,
        params: &Params<'_>,
    ) -> Result<Self, Fault> {
        if method == "initialize" {
            return Ok(Self::Session);
        }
        let told =
            params.meta.as_ref().is_some_and(|meta| meta.contains_key("io.modelcontextprotocol/protocolVersion"));
        if !told && Self::of_headers(headers).map_err(|fault| fault.of(id))? == Self::Session {
            return Ok(Self::Session);
        }
        check_single(headers, id, method, params).map(|()| Self::Single)
    }

    /// The form of a message that has no parameters to tell its version.
    ///
    /// # Errors
    /// The protocol's own error for a version that is not spoken.
    pub(super) fn of_headers(headers: &HeaderMap) -> Result<Self, Fault> {
        // Before the version 2025-06-18 there was no such header.
        let Some(value) = headers.get(VERSION) else { return Ok(Self::Session) };
        let text = value.to_str().unwrap_or("?").trim();
        let version = version(text);
        if SINGLE.contains(&version) || text > ProtocolVersion::LATEST.as_str() {
            return Ok(Self::Single);
        }
        if ProtocolVersion::KNOWN_VERSIONS.contains(&version) {
            return Ok(Self::Session);
        }
        Err(Fault::unknown_version(None, version, ProtocolVersion::KNOWN_VERSIONS))
    }

    /// The discriminator of results, which older versions do not have.
    pub(super) fn result_type(self) -> Option<ResultType> {
        (self == Self::Single).then_some(ResultType::COMPLETE)
    }

    /// How long a client may keep a result, and whether it may show it to others. Older versions do not have it.
    pub(super) fn freshness(self, millis: u64, scope: CacheScope) -> (Option<u64>, Option<CacheScope>) {
        if self == Self::Single { (Some(millis), Some(scope)) } else { (None, None) }
    }

    pub(super) fn is_single(self) -> bool {
        self == Self::Single
    }
}

/// The version that a handshake agrees on: the client's own, if it has a handshake, else the newest that has one.
pub(super) fn agreed(asked: &ProtocolVersion) -> ProtocolVersion {
    let known = ProtocolVersion::KNOWN_VERSIONS.contains(asked) && asked.has_initialize();
    if known { asked.clone() } else { ProtocolVersion::LATEST_WITH_INITIALIZE }
}

fn version(text: &str) -> ProtocolVersion {
    serde_json::from_value(text.into()).unwrap_or_default()
}

/// Checks a request that stands alone. Proxies route by its headers, so they must say what the body says.
fn check_single(headers: &HeaderMap, id: &RequestId, method: &str, params: &Params<'_>) -> Result<(), Fault> {
    let bad = |error| Fault::bad_request(Some(id.clone()), error);
    let none = RequestMetaObject::new();
    let meta = params.meta.as_ref().unwrap_or(&none);
    let missing = meta.missing_required_keys(&ProtocolVersion::V_2026_07_28);
    if !missing.is_empty() {
        let words = format!("params._meta must have {}", missing.join(" and "));
        return Err(bad(ErrorData::invalid_params(words, None)));
    }
    let asked = meta.protocol_version().unwrap_or_default();
    let name = match method {
        "tools/call" => params.name.as_deref(),
        "resources/read" => params.uri.as_deref(),
        _ => None,
    };
    let wanted = [(VERSION, Some(asked.as_str())), (METHOD, Some(method)), (NAME, name)];
    for (header, wanted) in &wanted {
        let Some(wanted) = wanted else { continue };
        let mut values = headers.get_all(header).iter();
        let agrees = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(decoded).is_some_and(|value| value == *wanted),
            _ => false,
        };
        if !agrees {
            let words = format!("the header {header} must stand once and say {wanted:?}, as the body does");
            return Err(bad(ErrorData::header_mismatch(words, None)));
        }
    }
    if SINGLE.contains(&asked) { Ok(()) } else { Err(Fault::unknown_version(Some(id.clone()), asked, &SINGLE)) }
}

/// The text of a header that may be wrapped in base64 because it has characters that no header can have.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(value.to_owned()),
        Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).ok()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_handshake_agrees_on_a_version_that_has_one() {
        for (asked, wanted) in [
            ("2024-11-05", "2024-11-05"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
            ("2099-01-01", "2025-11-25"),
            ("1", "2025-11-25"),
        ] {
            assert_eq!(agreed(&version(asked)).as_str(), wanted, "{asked}");
        }
    }

    #[test]
    fn headers_tell_the_form() {
        for (value, wanted) in [
            (None, Some(Form::Session)),
            (Some("2025-03-26"), Some(Form::Session)),
            (Some("2026-07-28"), Some(Form::Single)),
            (Some("2099-01-01"), Some(Form::Single)),
            (Some("2020-01-01"), None),
            (Some(""), None),
        ] {
            let headers: HeaderMap = value.iter().map(|value| (VERSION, HeaderValue::from_static(value))).collect();
            assert_eq!(Form::of_headers(&headers).ok(), wanted, "{value:?}");
        }
    }

    #[test]
    fn wrapped_headers_are_unwrapped() {
        for (value, wanted) in [
            ("cortensor_ping", Some("cortensor_ping")),
            ("=?base64?w7w=?=", Some("ü")),
            ("=?base64?!?=", None),
            ("=?base64?/w==?=", None),
        ] {
            assert_eq!(decoded(value).as_deref(), wanted, "{value}");
        }
    }
}
