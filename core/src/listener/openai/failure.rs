//! Errors in OpenAI's shape. OpenAI's clients choose their exception by the status and show the message; programs
//! read `code` and `param`.

use serde_json::Value;

use super::schema::{Code, OpenAiError, OpenAiErrorBody};
use super::splice::write_json;
use crate::{Error, ErrorKind};

/// Writes `{"error":{...}}`, in the words of the model's server where it said something. The ids are there where the
/// task can still be polled.
pub(in crate::listener) fn write(error: &Error, out: &mut Vec<u8>) {
    let details = error.details();
    let said = details.upstream.as_ref();
    let code = match (&details.code, said.and_then(|said| said.code.as_ref())) {
        // A number says no more than a status: it passes where the server refused the request, as its clients know it.
        (None, Some(Value::Number(number))) if error.kind() == ErrorKind::InvalidArgument => Code::Number(number),
        _ => Code::Word(error.code()),
    };
    let body = OpenAiErrorBody {
        message: said.and_then(|said| said.message.as_deref()).unwrap_or(error.message()),
        r#type: said.and_then(|said| said.error_type.as_deref()).unwrap_or(error.kind().row().openai_type),
        param: details.param.as_deref(),
        code,
        session_id: details.session_id.map(|id| id.0),
        task_id: details.task_id.map(|id| id.0),
    };
    write_json(out, &OpenAiError { error: body });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{SessionId, TaskId};
    use crate::{KINDS, UpstreamError};

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
            written(&Error::new(ErrorKind::Timeout, "late").with_ids(SessionId(1), Some(TaskId(2)))),
            json!({"error":{"message":"late","type":"timeout_error","param":null,"code":"timeout","session_id":1,"task_id":2}})
        );
    }

    #[test]
    fn the_words_of_the_models_server_win() {
        let body = br#"{"message":"no such tool","type":"BadRequestError","code":422}"#;
        let said = UpstreamError::read(body).unwrap();
        let error = Error::new(ErrorKind::InvalidArgument, "the upstream up answered 422: no such tool");
        let error = error.with_param("tools").with_upstream(said);
        assert_eq!(
            written(&error),
            json!({"error":{"message":"no such tool","type":"BadRequestError","param":"tools","code":422}})
        );
        let context = error.with_code("context_length_exceeded");
        assert_eq!(written(&context)["error"]["code"], "context_length_exceeded");
    }

    #[test]
    fn every_kind_has_a_type_that_goes_with_its_status() {
        for row in KINDS {
            let server = row.http_status >= 500;
            let blames_request = matches!(
                row.openai_type,
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
