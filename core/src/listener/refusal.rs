//! Refuses requests whose heads are at fault, before any route sees them.

use std::net::SocketAddr;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::uri::Authority;
use http::{HeaderValue, StatusCode, Version, header};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::access;
use super::heads::TooMuch;
use super::reply::{Failed, Family};
use crate::config::ListenConfig;
use crate::{Error, ErrorKind};

/// The time that a client gets to read a refusal and stop sending.
const LINGER: Duration = Duration::from_secs(1);

/// The most bytes of the client that are read and thrown away during that time.
const LINGER_BYTES: usize = 1 << 20;

/// A refusal, with its status and its reason.
pub(super) struct Refusal {
    status: StatusCode,
    error: Error,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, error: Error::invalid("headers", message).with_code(code) }
    }

    /// The refusal of a head that takes more room than it may.
    pub(super) fn too_much(why: TooMuch, config: &ListenConfig) -> Self {
        match why {
            TooMuch::Long => Self::long(config.max_header_bytes),
            TooMuch::Crowded => {
                let message = format!(
                    "the heads of all requests take more than {} bytes together (listen.max_heads_bytes): send a shorter \
                     one, or retry",
                    config.max_heads_bytes
                );
                let error = Error::new(ErrorKind::Overloaded, message).with_code("head_too_large");
                Self { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, error: error.with_retry_after_ms(1_000) }
            }
        }
    }

    fn long(most: usize) -> Self {
        let message = format!("the head of the request is longer than {most} bytes (listen.max_header_bytes)");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message)
    }

    /// The refusal of a head that did not come in time ([RFC 9110,
    /// 15.5.9](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9)). hyper does not report this case.
    pub(super) fn late() -> Self {
        let message = "the headers did not arrive within listen.header_timeout_ms";
        Self::new(StatusCode::REQUEST_TIMEOUT, "header_timeout", message)
    }

    /// The refusal of a head that hyper could not read, with the status that hyper gave.
    pub(super) fn malformed(status: u16, config: &ListenConfig) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let (code, message) = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
                "head_too_large",
                format!("the request has more than {} header lines (listen.max_headers)", config.max_headers),
            ),
            StatusCode::URI_TOO_LONG => ("uri_too_long", "the path of the request is too long".to_owned()),
            _ => ("bad_request", "this is no request of HTTP/1.1 or HTTP/1.0".to_owned()),
        };
        Self::new(status, code, message)
    }

    /// Answers a request whose head hyper has read.
    pub(super) fn respond<B>(self, request: &http::Request<B>, peer: SocketAddr) -> Response {
        access::head_refused(peer.ip(), Some(request.method()), self.status, self.error.code());
        let mut response = Failed::new(Family::of_request(request.uri().path(), request.headers()), self.error)
            .status(self.status)
            .into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// Writes the refusal to a connection and ends it; `head` is the received part of the request.
    pub(super) async fn say<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S, head: &[u8], peer: SocketAddr) {
        access::head_refused(peer.ip(), None, self.status, self.error.code());
        let path = head.split(|byte| *byte == b' ').nth(1).and_then(|path| std::str::from_utf8(path).ok());
        let body = Family::of(path.unwrap_or_default()).error(&self.error);
        let mut answer = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.status.as_u16(),
            self.status.canonical_reason().unwrap_or_default(),
            body.len()
        )
        .into_bytes();
        answer.extend(body);
        let said = async {
            stream.write_all(&answer).await?;
            stream.shutdown().await?;
            // A client that is still sending when the connection closes would see the reset instead of the answer.
            let mut left = LINGER_BYTES;
            while left > 0 {
                let read = stream.read(&mut [0; 1024]).await?;
                left = if read == 0 { 0 } else { left.saturating_sub(read) };
            }
            std::io::Result::Ok(())
        };
        // A client that does not read the answer in time has gone.
        let _ = tokio::time::timeout(LINGER, said).await;
    }
}

/// Finds the fault of a head that hyper could read; `most` is its greatest length in bytes.
pub(super) fn head_fault<B>(request: &http::Request<B>, most: usize) -> Option<Refusal> {
    // The first read was bounded, but bytes that came together with the request before it were not.
    if length(request) > most {
        return Some(Refusal::long(most));
    }
    // A body in another coding would be taken for what it is not (RFC 9112, 6.1).
    if let Some(coding) = request.headers().get_all(header::TRANSFER_ENCODING).iter().find(|value| !is_chunked(value)) {
        let message = format!("the body is sent in {coding:?}, and only Transfer-Encoding: chunked is read");
        return Some(Refusal::new(StatusCode::NOT_IMPLEMENTED, "transfer_coding", message));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let wrong = |message: &str| Some(Refusal::new(StatusCode::BAD_REQUEST, "bad_host", message));
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => {
            wrong("a request of HTTP/1.1 has a Host header (RFC 9112, 3.2)")
        }
        (Some(_), Some(_)) => wrong("the request has two Host headers (RFC 9112, 3.2): send one"),
        (Some(host), None) if !is_host(host) => {
            wrong("the Host header is no host with or without a port (RFC 9110, 7.2)")
        }
        _ => None,
    }
}

fn is_chunked(coding: &HeaderValue) -> bool {
    coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// Whether the value is a valid `Host`. It may be empty if the target of the request has no authority.
pub(super) fn is_host(host: &HeaderValue) -> bool {
    let host = host.as_bytes().trim_ascii();
    host.is_empty() || (Authority::try_from(host).is_ok() && !host.contains(&b'@'))
}

/// The length of a head in bytes, without blanks that are not needed.
fn length<B>(request: &http::Request<B>) -> usize {
    let query = request.uri().query().map_or(0, |query| query.len() + 1);
    // The version and the empty line at the end count too.
    let line = request.method().as_str().len() + request.uri().path().len() + query + " HTTP/1.1\r\n\r\n ".len();
    request.headers().iter().fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4)
}
