//! The REST API without a socket, for hosts that have their own server.

use std::ffi::c_char;
use std::fmt::Write as _;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes as Piece;
use cortensor_router::embed::{self, Call, ErrorKind, HttpRequest, Result};
use httparse::Status as Parsed;
use parking_lot::{Mutex, MutexGuard};

use crate::guard::{done, give, not_yet, of, timeout};
use crate::text::{bytes, text};
use crate::unwind::{look, quietly};
use crate::{Bytes, Error, Router, Status};

/// Answers HTTP requests of the host's own server like the listener, with equal routes, tokens and limits. Any thread
/// may use the handler.
#[derive(Debug)]
pub struct HttpHandler(embed::HttpHandler);

impl From<embed::HttpHandler> for HttpHandler {
    fn from(handler: embed::HttpHandler) -> Self {
        Self(handler)
    }
}

/// A response: its head, then its body piece by piece. Only one thread may read it at a time. Freeing it before its end
/// tells the router that the client has gone, which cancels the work.
#[derive(Debug)]
pub struct HttpResponse {
    /// The id of the process whose threads serve the exchange. A child of `fork` must neither use nor drop it.
    process: u32,
    exchange: Mutex<Exchange>,
}

#[derive(Debug)]
enum Exchange {
    /// The head has not come yet.
    Waiting(Call<embed::HttpResponse>),
    Answered {
        response: embed::HttpResponse,
        /// The pending call for the next piece of the body, after a wait that timed out.
        piece: Option<Call<Option<Piece>>>,
    },
    Failed(embed::Error),
}

impl From<Exchange> for HttpResponse {
    fn from(exchange: Exchange) -> Self {
        Self { process: std::process::id(), exchange: Mutex::new(exchange) }
    }
}

impl Drop for HttpResponse {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            mem::forget(mem::replace(self.exchange.get_mut(), Exchange::Failed(forked())));
        }
    }
}

fn forked() -> embed::Error {
    let message = "this response belongs to the parent process: a forked child must open a router of its own";
    embed::Error::new(ErrorKind::Closed, message).with_code("forked")
}

impl HttpResponse {
    fn read(&self) -> Result<MutexGuard<'_, Exchange>> {
        if self.process != std::process::id() {
            return Err(forked());
        }
        self.exchange.try_lock().ok_or_else(|| {
            let message = "another thread reads this response: a response has one reader at a time";
            embed::Error::new(ErrorKind::Conflict, message).with_code("response_in_use")
        })
    }
}

impl Exchange {
    fn wait(&mut self, timeout: Option<Duration>) {
        if let Self::Waiting(call) = self
            && let Some(answered) = call.wait_for(timeout)
        {
            *self = answered.map_or_else(Self::Failed, |response| Self::Answered { response, piece: None });
        }
    }

    fn head(&mut self, timeout: Option<Duration>) -> Result<(u16, String)> {
        self.wait(timeout);
        let response = match self {
            Self::Waiting(_) => return Err(not_yet("no answer had come")),
            Self::Failed(error) => return Err(error.clone()),
            Self::Answered { response, .. } => response,
        };
        let mut lines = String::new();
        for (name, value) in &response.headers {
            let _ = write!(lines, "{name}: {}\r\n", String::from_utf8_lossy(value));
        }
        Ok((response.status, lines))
    }

    fn next(&mut self, timeout: Option<Duration>) -> Result<Piece> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.wait(timeout);
        let (response, piece) = match self {
            Self::Waiting(_) => return Err(not_yet("no answer had come")),
            Self::Failed(error) => return Err(error.clone()),
            Self::Answered { response, piece } => (response, piece),
        };
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let waiting = piece.get_or_insert_with(|| response.next_piece());
        let got = waiting.wait_for(left).ok_or_else(|| not_yet("no more of the body had come"))?;
        *piece = None;
        got?.ok_or_else(|| {
            embed::Error::new(ErrorKind::Closed, "the body is over: its last piece was given before")
                .with_code("body_over")
        })
    }
}

/// Parses a request.
fn request(head: &[u8], body: &[u8], peer: &str, max_headers: usize) -> Result<HttpRequest> {
    let invalid = |message: String| embed::Error::invalid("head", message);
    let mut lines = vec![httparse::EMPTY_HEADER; max_headers];
    let mut parsed = httparse::Request::new(&mut lines);
    match parsed.parse(head).map_err(|error| invalid(format!("head is no head of an HTTP/1.1 request: {error}")))? {
        Parsed::Complete(read) if read == head.len() => {}
        Parsed::Complete(_) => {
            return Err(invalid("head goes on after its empty line: the body has its own place".into()));
        }
        Parsed::Partial => return Err(invalid("head does not end with an empty line".into())),
    }
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(HttpRequest {
        method: text(parsed.method),
        target: text(parsed.path),
        headers: parsed.headers.iter().map(|line| (line.name.to_owned(), line.value.to_vec())).collect(),
        peer: address(peer)?,
        body: Piece::copy_from_slice(body),
    })
}

/// Parses the sender of a request: an IP address with or without a port; empty: unknown.
fn address(peer: &str) -> Result<Option<SocketAddr>> {
    if peer.is_empty() {
        return Ok(None);
    }
    let address = peer.parse().or_else(|_| peer.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)));
    let address: SocketAddr = address.map_err(|_| {
        embed::Error::invalid("peer", format!("{peer:?} is no IP address, as 127.0.0.1, 127.0.0.1:4711 or [::1]:4711"))
    })?;
    Ok(Some(SocketAddr::new(address.ip().to_canonical(), address.port())))
}

/// The REST API and OpenAI's API without a socket, for a program that has its own HTTP server. `config` is JSON, the
/// `listen` section of docs/configuration.md, of which tokens and limits apply but addresses do not. An empty text
/// means the router's own settings.
///
/// # Safety
/// `config` has `config_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_http_handler(
    router: Option<&Router>,
    config: *const c_char,
    config_len: usize,
    out: Option<&mut MaybeUninit<*mut HttpHandler>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let config = unsafe { text(config, config_len, "config") }?;
        of(router, "router")?.0.http_handler(config).wait()
    })
}

/// The maximum size of a request's body, in bytes. A larger body is answered with 413, so a server need not read it to
/// the end. 0 for NULL, and after the shutdown.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_http_handler_max_body_bytes(handler: Option<&HttpHandler>) -> u64 {
    look(handler, 0, |handler| handler.0.max_body_bytes())
}

/// Starts to answer a request. Does not block. `head` is as on the wire: the request line, at most 100 header lines,
/// and the empty line at their end, `"GET /api/v1/info HTTP/1.1\r\nAuthorization: Bearer ...\r\n\r\n"`. `body` is the
/// whole body without its transfer coding, or empty. `peer` is the sender's IP address with or without its port; empty:
/// unknown. The development token is accepted only from senders on this machine. A request that the API refuses gets a
/// response; `CORTENSOR_STATUS_INVALID_ARGUMENT` means that `head` is not the head of a request.
///
/// # Safety
/// `head` has `head_len` bytes, `body` has `body_len`, `peer` has `peer_len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_http_handler_handle(
    handler: Option<&HttpHandler>,
    head: *const c_char,
    head_len: usize,
    body: *const c_char,
    body_len: usize,
    peer: *const c_char,
    peer_len: usize,
    out: Option<&mut MaybeUninit<*mut HttpResponse>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let head = unsafe { bytes(head, head_len, "head") }?;
        // SAFETY: the caller promises the length.
        let body = unsafe { bytes(body, body_len, "body") }?;
        // SAFETY: the caller promises the length.
        let peer = unsafe { text(peer, peer_len, "peer") }?;
        let handler = &of(handler, "handler")?.0;
        let mut call = handler.handle(request(head, body, peer, handler.max_headers())?);
        // Errors in the form of the request are known at once.
        Ok(match call.wait_for(Some(Duration::ZERO)) {
            None => Exchange::Waiting(call),
            Some(answered) => Exchange::Answered { response: answered?, piece: None },
        })
    })
}

/// Frees the handler. Unfinished responses continue.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_http_handler_free(handler: Option<Box<HttpHandler>>) {
    quietly(|| drop(handler));
}

/// Waits for the head of the response, at most for `timeout_ms`; a negative time is no limit. Blocks. Gives the status,
/// for example 200, and the header lines as on the wire without the empty line at their end,
/// `"content-type: application/json\r\n"`. Both places may be NULL. The call may be repeated.
/// `CORTENSOR_STATUS_TIMEOUT`: the head has not come yet.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_http_response_head(
    response: Option<&HttpResponse>,
    timeout_ms: i64,
    http_status: Option<&mut MaybeUninit<u16>>,
    headers: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    let head = || {
        let (status, lines) = of(response, "response")?.read()?.head(timeout(timeout_ms))?;
        if let Some(place) = http_status {
            place.write(status);
        }
        Ok(lines)
    };
    if headers.is_none() { done(err, || head().map(drop)) } else { give(headers, err, head) }
}

/// Waits for the next piece of the body, at most for `timeout_ms`; a negative time is no limit. Blocks. A piece is
/// never empty. The server must send it on at once, because it may be an event for which the client waits.
/// `CORTENSOR_STATUS_TIMEOUT`: no piece came; `CORTENSOR_STATUS_CLOSED` with the code `body_over`: the last piece was
/// given already.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_http_response_next(
    response: Option<&HttpResponse>,
    timeout_ms: i64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(response, "response")?.read()?.next(timeout(timeout_ms)))
}

/// Frees a response. Before its end, this tells the router that the client has gone: the task is cancelled, unless it
/// is detached. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_http_response_free(response: Option<Box<HttpResponse>>) {
    quietly(|| drop(response));
}
