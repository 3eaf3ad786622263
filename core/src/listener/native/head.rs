//! Reads the heads of requests to the busy routes. A head that is unusual in any way is left to hyper.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use httparse::Status;

use crate::listener::auth::{Caller, Era};
use crate::listener::fast_path::FastPath;
use crate::listener::gate::Gate;
use crate::listener::locality::Visit;
use crate::listener::marks::{Marked, Marks};
use crate::listener::peer::Connection;
use crate::listener::recall::is_same_secret;
use crate::listener::refusal::is_host;
use crate::listener::request_id;
use crate::model::Timestamp;
use crate::{Error, Result};

/// The most header lines of a head that is served here.
const MOST_LINES: usize = 64;

/// The most digits of a `Content-Length`, which always fit into 64 bits.
const MOST_DIGITS: usize = 18;

/// The bounds of a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most bytes.
    pub(super) bytes: usize,
    /// The most header lines.
    pub(super) lines: usize,
}

/// A look at the bytes that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A head that is served here. Its bytes are those of `Lengths::head`.
    Busy(Lengths),
    /// The head is not complete.
    Partial,
    /// The bytes are for hyper.
    Other,
}

/// The lengths of a request in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) head: usize,
    pub(super) body: u64,
}

/// The last head of a connection, with all that follows from it. A client sends nearly the same head with every request
/// of a connection, so the next head is compared with this one before it is read.
pub(super) struct Known {
    raw: Bytes,
    /// The place of the value of `Content-Length`.
    length: Range<usize>,
    route: FastPath,
    headers: HeaderMap,
    marks: Marks,
    id: Option<HeaderValue>,
    /// Whether the connection ends after the answer.
    closes: bool,
    /// The caller, and the era in which it was found.
    caller: Option<(Caller, Era)>,
}

/// The targets of the busy routes.
static TARGETS: LazyLock<[Uri; FastPath::ALL.len()]> =
    LazyLock::new(|| FastPath::ALL.map(|route| Uri::from_static(route.path())));

impl Known {
    /// Looks at the bytes of a request. `known` is the connection's last head; it becomes this one if the request is
    /// served here.
    pub(super) fn look(known: &mut Option<Box<Self>>, input: &[u8], bounds: Bounds) -> Seen {
        if let Some(lengths) = known.as_ref().and_then(|known| known.repeats(input)) {
            return Seen::Busy(lengths);
        }
        let mut lines = [MaybeUninit::uninit(); MOST_LINES];
        let mut head = httparse::Request::new(&mut []);
        let room = &mut lines[..bounds.lines.min(MOST_LINES)];
        match head.parse_with_uninit_headers(input, room) {
            Ok(Status::Complete(bytes)) => match Self::of(&head, &input[..bytes], bounds) {
                Some((new, body)) => {
                    *known = Some(Box::new(new));
                    Seen::Busy(Lengths { head: bytes, body })
                }
                None => Seen::Other,
            },
            Ok(Status::Partial) => Seen::Partial,
            Err(_) => Seen::Other,
        }
    }

    /// The lengths of a request whose head differs from this one in its `Content-Length` at most.
    fn repeats(&self, input: &[u8]) -> Option<Lengths> {
        let (before, after) = (&self.raw[..self.length.start], &self.raw[self.length.end..]);
        let (same, rest) = input.split_at_checked(before.len())?;
        let digits = rest.iter().take(MOST_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at(digits);
        let body = length_of(digits)?;
        let end = rest.get(..after.len())?;
        let head = before.len() + digits.len() + after.len();
        (is_same_secret(before, same) && is_same_secret(after, end)).then_some(Lengths { head, body })
    }

    /// Reads a complete head. `None`: it is for hyper.
    fn of(head: &httparse::Request<'_, '_>, input: &[u8], bounds: Bounds) -> Option<(Self, u64)> {
        if head.method != Some("POST") || head.version != Some(1) {
            return None;
        }
        let route = FastPath::at(head.path?)?;
        // The bound counts a blank and two bytes of a line's end that need not be there.
        if input.len() + 2 * head.headers.len() > bounds.bytes {
            return None;
        }
        let raw = Bytes::copy_from_slice(input);
        let mut headers = HeaderMap::with_capacity(head.headers.len());
        let (mut length, mut is_hosted, mut closes) = (None, false, None);
        for line in &*head.headers {
            let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
            let place = place_of(line.value, input)?;
            let value = HeaderValue::from_maybe_shared(raw.slice(place.clone())).ok()?;
            match name {
                header::CONTENT_LENGTH => {
                    let body = length_of(line.value)?;
                    if length.replace((place, body)).is_some() {
                        return None;
                    }
                    // The next head may be the same but for this value, so nothing may read it from here.
                    continue;
                }
                header::HOST if std::mem::replace(&mut is_hosted, true) || !is_host(&value) => return None,
                header::CONNECTION => {
                    let own = match line.value {
                        value if value.eq_ignore_ascii_case(b"keep-alive") => false,
                        value if value.eq_ignore_ascii_case(b"close") => true,
                        _ => return None,
                    };
                    if closes.replace(own).is_some() {
                        return None;
                    }
                }
                header::TRANSFER_ENCODING | header::EXPECT | header::UPGRADE | header::TRAILER => return None,
                _ => {}
            }
            headers.append(name, value);
        }
        let (length, body) = length.filter(|_| is_hosted)?;
        let marks = Marks::of(&headers);
        let id = if marks.has(Marks::REQUEST_ID) { request_id::given(&headers) } else { None };
        let closes = closes.unwrap_or(false);
        Some((Self { raw, length, route, headers, marks, id, closes, caller: None }, body))
    }

    pub(super) fn route(&self) -> FastPath {
        self.route
    }

    pub(super) fn marked(&self) -> Marked<'_> {
        Marked { headers: &self.headers, marks: self.marks }
    }

    /// The request's id that its caller gave.
    pub(super) fn id(&self) -> Option<&HeaderValue> {
        self.id.as_ref()
    }

    /// Whether the client wants the connection to end after the answer.
    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// Finds the caller of a request with this head.
    ///
    /// # Errors
    /// The reason why the caller is refused.
    pub(super) fn caller(&mut self, gate: &Gate, connection: &Connection, now: Timestamp) -> Result<Caller, Error> {
        let era = gate.state().auth.era();
        if let Some((caller, then)) = &self.caller
            && *then == era
            && !caller.has_expired(now.as_secs())
            && !gate.state().router.is_stale()
        {
            return Ok(caller.clone());
        }
        let uri = &TARGETS[self.route as usize];
        let visit = Visit { peer: connection.peer.ip(), uri, headers: &self.headers };
        let caller = gate.caller(&visit, connection, now)?;
        self.caller = Some((caller.clone(), era));
        Ok(caller)
    }
}

/// The way that a head goes. Fuzz targets see it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// The head is served without hyper; the lengths of head and body in bytes.
    Served {
        head: usize,
        body: u64,
    },
    Partial,
    Other,
}

/// Judges a head: on a fresh connection, and on one that has seen the other head before.
#[doc(hidden)]
pub fn judge(before: &[u8], input: &[u8]) -> [Judged; 2] {
    let bounds = Bounds { bytes: 32 << 10, lines: MOST_LINES };
    let judged = |known: &mut Option<Box<Known>>, input| match Known::look(known, input, bounds) {
        Seen::Busy(Lengths { head, body }) => Judged::Served { head, body },
        Seen::Partial => Judged::Partial,
        Seen::Other => Judged::Other,
    };
    let mut known = None;
    judged(&mut known, before);
    [judged(&mut None, input), judged(&mut known, input)]
}

/// The length that digits tell. `None`: there are none, too many, or other characters.
fn length_of(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return None;
    }
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// The place of a part of a text.
fn place_of(part: &[u8], whole: &[u8]) -> Option<Range<usize>> {
    if part.is_empty() {
        return Some(0..0);
    }
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let place = start..start + part.len();
    (whole.get(place.clone()) == Some(part)).then_some(place)
}

/// Whether the end of a head is among the bytes; the first `before` were looked at already.
pub(super) fn has_end(input: &[u8], before: usize) -> bool {
    let from = before.saturating_sub(3);
    memchr::memchr_iter(b'\n', &input[from..]).any(|at| {
        let rest = &input[from + at + 1..];
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\nX-A: b\r\n\r\n";

    fn seen(text: &str) -> Judged {
        let [fresh, known] = judge(PLAIN.as_bytes(), text.as_bytes());
        assert_eq!(fresh, known, "{text:?}");
        fresh
    }

    #[test]
    fn only_usual_heads_are_served() {
        let served = Judged::Served { head: PLAIN.len(), body: 12 };
        assert_eq!((seen(PLAIN), seen(&format!("{PLAIN}{{"))), (served, served));
        for (from, to) in [
            ("12", "7"),
            ("12", "0"),
            ("12", "000000000000000012"),
            ("Content-Length: 12", "content-length:12"),
            ("\r\n", "\n"),
            ("X-A: b", "Connection: Keep-Alive"),
            ("X-A: b", "X-A:"),
            ("X-A: b", "X-A: b\r\nx-a: c"),
            ("/v1/completions", "/v1/chat/completions"),
            ("/v1/completions", "/v1/embeddings"),
            ("/v1/completions", "/v1/messages"),
            ("/v1/completions", "/v1/responses"),
        ] {
            let text = PLAIN.replace(from, to);
            assert!(matches!(seen(&text), Judged::Served { head, .. } if head == text.len()), "{text:?}");
        }
        for (from, to) in [
            ("POST", "GET"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("/v1/completions", "/v1/completions/"),
            ("/v1/completions", "/v1/messages/count_tokens"),
            ("/v1/completions", "/v1/completions?x=1"),
            ("/v1/completions", "http://localhost/v1/completions"),
            ("/v1/completions", "/api/v1/completions"),
            ("12", "+12"),
            ("12", "1 2"),
            ("12", ""),
            ("12", "0000000000000000012"),
            ("X-A: b", "Content-Length: 12"),
            ("X-A: b", "Transfer-Encoding: chunked"),
            ("X-A: b", "Expect: 100-continue"),
            ("X-A: b", "Upgrade: x"),
            ("X-A: b", "Connection: close, x"),
            ("X-A: b", "Connection: close\r\nConnection: close"),
            ("X-A: b", "Host: localhost"),
            ("Host: localhost", "X-B: c"),
            ("localhost", "a b"),
            ("localhost", "me@localhost"),
            ("X-A: b", "X-A: b\r\n c"),
            ("X-A: b", "no colon"),
            ("X-A: b", &format!("X-A: {}", "b".repeat(40_000))),
            ("X-A: b", &"A: b\r\n".repeat(70)),
        ] {
            let text = PLAIN.replacen(from, to, 1);
            assert_eq!(seen(&text), Judged::Other, "{text:?}");
        }
        for end in 1..PLAIN.len() {
            assert_eq!(seen(&PLAIN[..end]), Judged::Partial, "{end}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        for head in [PLAIN.to_owned(), PLAIN.replace("\r\n", "\n")] {
            for before in 0..head.len() {
                assert!(has_end(head.as_bytes(), before), "{before}");
            }
            assert!(!has_end(&head.as_bytes()[..head.len() - 1], 0));
        }
    }
}
