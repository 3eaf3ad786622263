//! Tells in one pass which of the rarer headers a request has. Looking each of them up would cost a hash of its name.

use http::HeaderMap;

/// The headers of a request, with the rarer ones among them.
#[derive(Clone, Copy)]
pub(in crate::listener) struct Marked<'a> {
    pub(in crate::listener) headers: &'a HeaderMap,
    pub(in crate::listener) marks: Marks,
}

impl<'a> Marked<'a> {
    /// Looks through the headers.
    pub(in crate::listener) fn of(headers: &'a HeaderMap) -> Self {
        Self { headers, marks: Marks::of(headers) }
    }
}

/// The rarer headers that a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) struct Marks(u8);

impl Marks {
    /// `Content-Encoding`.
    pub(in crate::listener) const CODING: u8 = 1;
    /// `X-Cortensor-Session`.
    pub(in crate::listener) const SESSION: u8 = 2;
    /// A timeout of OpenAI's SDKs.
    pub(in crate::listener) const TIMEOUT: u8 = 4;
    /// `Idempotency-Key`.
    pub(in crate::listener) const REPEAT: u8 = 8;
    /// `X-Request-Id`.
    pub(in crate::listener) const REQUEST_ID: u8 = 16;

    /// `traceparent`.
    pub(in crate::listener) const TRACE: u8 = 32;

    /// Looks through the names of all headers.
    pub(in crate::listener) fn of(headers: &HeaderMap) -> Self {
        let bits = headers.keys().fold(0, |bits, name| {
            bits | match name.as_str() {
                "content-encoding" => Self::CODING,
                "x-cortensor-session" => Self::SESSION,
                "x-stainless-timeout" | "x-stainless-read-timeout" => Self::TIMEOUT,
                "idempotency-key" => Self::REPEAT,
                "x-request-id" => Self::REQUEST_ID,
                "traceparent" => Self::TRACE,
                _ => 0,
            }
        });
        Self(bits)
    }

    /// Whether the request has that header.
    pub(in crate::listener) fn has(self, header: u8) -> bool {
        self.0 & header != 0
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::listener::{intake, request_id};

    #[test]
    fn every_rare_header_is_found_under_the_name_by_which_it_is_read() {
        for (name, bit) in [
            (http::header::CONTENT_ENCODING, Marks::CODING),
            (intake::SESSION, Marks::SESSION),
            (http::HeaderName::from_static("x-stainless-timeout"), Marks::TIMEOUT),
            (http::HeaderName::from_static("x-stainless-read-timeout"), Marks::TIMEOUT),
            (http::HeaderName::from_static("idempotency-key"), Marks::REPEAT),
            (request_id::HEADER, Marks::REQUEST_ID),
            (intake::TRACE_PARENT, Marks::TRACE),
            (http::header::ACCEPT, 0),
        ] {
            let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("x"))]);
            headers.insert(&name, HeaderValue::from_static("x"));
            for other in [Marks::CODING, Marks::SESSION, Marks::TIMEOUT, Marks::REPEAT, Marks::REQUEST_ID, Marks::TRACE]
            {
                assert_eq!(Marks::of(&headers).has(other), other == bit, "{name}");
            }
        }
    }
}
