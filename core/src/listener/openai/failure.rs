//! Errors in OpenAI's shape. OpenAI's clients choose their exception by the status and show the message; programs
//! read `code` and `param`.

use std::io::Write as _;

use super::splice::string;
use crate::{Error, ErrorKind};

/// OpenAI's word for a kind of error.
pub(in crate::listener) fn type_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::IdempotencyMismatch | ErrorKind::TooLarge | ErrorKind::Conflict => {
            "invalid_request_error"
        }
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::PermissionDenied => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::Overloaded => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Cancelled => "cancelled_error",
        ErrorKind::MinerFailed => "upstream_error",
        ErrorKind::Unavailable | ErrorKind::Closed => "service_unavailable_error",
        ErrorKind::Internal | ErrorKind::WouldDeadlock | ErrorKind::Panic => "server_error",
    }
}

/// Writes `{"error":{...}}`. The ids are there where the task can still be polled.
pub(in crate::listener) fn write(error: &Error, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":{\"message\":");
    string(out, error.message());
    let _ = write!(out, ",\"type\":\"{}\",\"param\":", type_of(error.kind()));
    match &error.details().param {
        Some(param) => string(out, param),
        None => out.extend_from_slice(b"null"),
    }
    let _ = write!(out, ",\"code\":\"{}\"", error.code());
    if let Some(session_id) = error.details().session_id {
        let _ = write!(out, ",\"session_id\":{session_id}");
    }
    if let Some(task_id) = error.details().task_id {
        let _ = write!(out, ",\"task_id\":{task_id}");
    }
    out.extend_from_slice(b"}}");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::KINDS;

    fn written(error: &Error) -> Value {
        let mut out = Vec::new();
        write(error, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn an_error_has_openais_members() {
        assert_eq!(
            written(&Error::invalid("n", "n must be \"1\"")),
            json!({"error":{"message":"n must be \"1\"","type":"invalid_request_error","param":"n","code":"invalid_argument"}})
        );
        assert_eq!(
            written(&Error::new(ErrorKind::Timeout, "late").with_ids(1, Some(2))),
            json!({"error":{"message":"late","type":"timeout_error","param":null,"code":"timeout","session_id":1,"task_id":2}})
        );
    }

    #[test]
    fn every_kind_has_a_type_that_goes_with_its_status() {
        for row in KINDS {
            let server = row.http_status >= 500;
            let blames_request = matches!(
                type_of(row.kind),
                "invalid_request_error"
                    | "authentication_error"
                    | "permission_error"
                    | "not_found_error"
                    | "rate_limit_error"
                    | "cancelled_error"
            );
            assert_ne!(server, blames_request, "{:?}", row.kind);
        }
    }
}
