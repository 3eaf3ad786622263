//! The body of another API that a chat stands for, as a task keeps it.

use serde_json::value::RawValue;

use crate::TaskRequest;
use crate::shape::{Json, last};

/// The beginning of a kept body that no chat says all of. It names the API.
const ONLY: &str = r#"{"only":""#;

/// The body of a request of that API, in the form in which a task keeps it. `only`: no chat says all of it. `None`: the
/// body is no JSON.
pub fn kept(api: &str, body: &[u8], only: bool) -> Option<Box<RawValue>> {
    let body = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
    let start = if only { format!(r#"{ONLY}{api}","#) } else { "{".to_owned() };
    RawValue::from_string(format!(r#"{start}"{api}":{body}}}"#)).ok()
}

impl TaskRequest {
    /// The body of that API that the chat stands for.
    #[doc(hidden)]
    pub fn original_of(&self, api: &str) -> Option<&str> {
        last(self.original.as_deref()?.get(), api).map(Json::get)
    }

    /// The API of the only servers that can serve the request.
    #[doc(hidden)]
    pub fn only_api(&self) -> Option<&str> {
        let of_body = || Some(self.original.as_deref()?.get().strip_prefix(ONLY)?.split_once('"')?.0);
        self.kind.only_api().or_else(of_body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_under_the_name_of_its_api() {
        let mut request = TaskRequest::default();
        assert_eq!((request.original_of("messages"), request.only_api()), (None, None));
        for only in [true, false] {
            request.original = kept("messages", b"\xef\xbb\xbf {\"only\":\"x\",\"a\":1} ", only);
            assert_eq!(request.original_of("messages"), Some(r#"{"only":"x","a":1}"#));
            assert_eq!((request.original_of("responses"), request.only_api()), (None, only.then_some("messages")));
            let again: TaskRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
            assert_eq!(again.only_api(), request.only_api());
            assert_eq!(request.work().original.is_some(), only, "no chat says what the work is");
        }
        assert!(kept("messages", b"{", false).is_none() && kept("messages", b"\xff", false).is_none());
    }
}
