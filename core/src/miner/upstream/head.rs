//! Reads the head of an answer in place (RFC 9112): its status, the lines that mean something to the router, and how
//! its body ends.
//!
//! The reader is lenient where a line only passes: it takes folded lines and blanks between a name and its colon
//! (sections 5.1 and 5.2), and skips lines that are no header. It is strict where a body could end at two places.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use httparse::{Header, ParserConfig, Response};
use memchr::memchr;

use super::body::Body;

/// The lines of a head that are read without asking for memory. Nearly every answer has fewer.
const USUAL: usize = 48;

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Whether the body is said to be a stream of events.
    pub(super) is_event_stream: bool,
    /// The type of the body, if it is neither JSON nor a stream of events.
    kind: Option<String>,
    /// The content coding, such as `gzip`. Requests ask for none (`accept-encoding: identity`), but some servers
    /// ignore that.
    pub(super) coding: Option<String>,
    /// The lines that say when to try again. Only an answer with an error status has them.
    pub(super) retry: HeaderMap,
    /// How the body ends.
    pub(super) body: Body,
    /// Whether the connection may be used again after the body.
    pub(super) keeps: bool,
}

/// The reason why bytes are no head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Garbage(pub(super) Cow<'static, str>);

impl From<&'static str> for Garbage {
    fn from(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }
}

impl Head {
    /// The type of the body.
    pub(super) fn content_type(&self) -> String {
        let usual = if self.is_event_stream { "text/event-stream" } else { "application/json" };
        self.kind.clone().unwrap_or_else(|| usual.to_owned())
    }

    /// Reads the next head of at most `most` lines, and gives its length in bytes; `None`: more bytes are needed.
    /// Heads with the status 100 and from 102 to 199 only announce another one, and come as `None` with their length.
    pub(super) fn read(bytes: &[u8], most: usize) -> Result<Option<(usize, Option<Self>)>, Garbage> {
        with_lines(bytes, most, Self::of)
    }

    fn of(response: &Response<'_, '_>) -> Result<Option<Self>, Garbage> {
        let status = StatusCode::from_u16(response.code.unwrap_or_default())
            .map_err(|_| Garbage::from("its status is no number from 100 to 999"))?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err("it switched to another protocol".into());
        }
        if status.is_informational() {
            return Ok(None);
        }
        let is_newer = response.version == Some(1);
        let mut lines = Lines::default();
        for Header { name, value } in &*response.headers {
            lines.take(name, value, !status.is_success());
        }
        let ends_with_head = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let body = if ends_with_head { Body::Ended } else { lines.body(is_newer)? };
        // Both lines together may be an attempt to smuggle an answer, and only one of the two may be right.
        let is_clear = !(lines.coded && (lines.length.is_some() || lines.is_no_length));
        let keeps = !lines.closes && (is_newer || lines.keeps) && is_clear && body != Body::UntilClose;
        Ok(Some(Self {
            status,
            is_event_stream: lines.is_event_stream,
            kind: lines.kind,
            coding: lines.coding.filter(|coding| !coding.is_empty()),
            retry: lines.retry,
            body,
            keeps,
        }))
    }
}

/// The lines that mean something.
#[derive(Default)]
struct Lines {
    is_event_stream: bool,
    kind: Option<String>,
    has_type: bool,
    /// The content coding; empty: there is a line that says that there is none.
    coding: Option<String>,
    retry: HeaderMap,
    /// Whether there is a transfer coding, and whether the last one is `chunked`.
    coded: bool,
    chunked: bool,
    length: Option<u64>,
    /// Whether the lengths are no numbers or differ.
    is_no_length: bool,
    closes: bool,
    keeps: bool,
}

impl Lines {
    fn take(&mut self, name: &str, value: &[u8], is_error: bool) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // Most lines have another length than the names that matter, so no letter of theirs is compared.
        match name.len() {
            10 if is("connection") => {
                let value = unfolded(value);
                for word in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    self.closes |= word.eq_ignore_ascii_case(b"close");
                    self.keeps |= word.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            12 if is("content-type") && !std::mem::replace(&mut self.has_type, true) => {
                let start = value.get(..17).unwrap_or_default();
                self.is_event_stream = start.eq_ignore_ascii_case(b"text/event-stream");
                let is_json = value.get(..16).unwrap_or_default().eq_ignore_ascii_case(b"application/json");
                if !is_json && !self.is_event_stream {
                    self.kind = Some(String::from_utf8_lossy(&unfolded(value)).trim().to_owned());
                }
            }
            14 if is("content-length") => self.take_length(&unfolded(value)),
            16 if is("content-encoding") && self.coding.is_none() => {
                let coding = String::from_utf8_lossy(&unfolded(value)).trim().to_ascii_lowercase();
                // Some old servers send the charset `utf-8` in this line.
                let is_none = matches!(coding.as_str(), "identity" | "none" | "utf-8");
                self.coding = Some(if is_none { String::new() } else { coding });
            }
            17 if is("transfer-encoding") => {
                self.coded = true;
                let value = unfolded(value);
                let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                self.chunked = value.is_ascii() && last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
            11 if is_error && is("retry-after") => self.take_retry(RETRY_AFTER, value),
            14 if is_error && is("retry-after-ms") => self.take_retry(RETRY_AFTER_MS, value),
            _ => {}
        }
    }

    fn take_length(&mut self, value: &[u8]) {
        for part in value.split(|byte| *byte == b',') {
            let length = number(part.trim_ascii());
            self.is_no_length |= length.is_none() || self.length.is_some_and(|before| Some(before) != length);
            self.length = length.or(self.length);
        }
    }

    fn take_retry(&mut self, name: HeaderName, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(&unfolded(value)) {
            self.retry.append(name, value);
        }
    }

    /// How the body ends (RFC 9112, section 6.3).
    fn body(&self, is_newer: bool) -> Result<Body, Garbage> {
        if self.coded {
            return match (is_newer, self.chunked) {
                (false, _) => Err("an answer of HTTP/1.0 has no transfer-encoding".into()),
                (true, true) => Ok(Body::chunked()),
                (true, false) => Ok(Body::UntilClose),
            };
        }
        match self.length {
            _ if self.is_no_length => Err("its content-length is no number, or there are two".into()),
            Some(length) => Ok(Body::of_length(length)),
            None => Ok(Body::UntilClose),
        }
    }
}

/// Parses a head and hands it over; `None`: more bytes are needed.
pub(super) fn with_lines<T>(
    bytes: &[u8],
    most: usize,
    take: impl FnOnce(&Response<'_, '_>) -> Result<T, Garbage>,
) -> Result<Option<(usize, T)>, Garbage> {
    let mut many: Vec<Header<'_>> = Vec::new();
    let mut few = [const { MaybeUninit::<Header<'_>>::uninit() }; USUAL];
    let mut config = ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    let mut response = Response::new(&mut []);
    let mut read = config.parse_response_with_uninit_headers(&mut response, bytes, &mut few[..most.min(USUAL)]);
    if most > USUAL && read == Err(httparse::Error::TooManyHeaders) {
        many.reserve_exact(most);
        response = Response::new(&mut []);
        read = config.parse_response_with_uninit_headers(&mut response, bytes, &mut many.spare_capacity_mut()[..most]);
    }
    match read {
        Ok(httparse::Status::Complete(length)) => Ok(Some((length, take(&response)?))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            Err(Garbage(format!("its head has more than max_answer_headers = {most} lines").into()))
        }
        Err(error) => Err(Garbage(format!("its answer is not HTTP: {error}").into())),
    }
}

/// The value of a line, with a blank in the place of each fold (RFC 9112, section 5.2).
pub(super) fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Cow::Owned(lines.collect::<Vec<_>>().join(&b' '))
}

/// A number of digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
