//! The REST API without a socket, for servers of the program's own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use cortensor_router::embed::{Call, Canceller, Error, HttpHandler, HttpRequest, HttpResponse};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::bridge::{Id, Queue};
use crate::error::{Result, thrown};
use crate::payload::Payload;

/// Answers requests.
#[napi]
pub struct NativeHandler {
    pub(crate) handler: HttpHandler,
    pub(crate) queue: Arc<Queue>,
}

/// The paths of all routes, as in the OpenAPI document.
#[napi]
pub(crate) fn paths() -> Vec<&'static str> {
    HttpHandler::paths()
}

#[napi]
impl NativeHandler {
    /// The size in bytes of the largest body that must be read.
    #[napi(getter)]
    pub fn max_body_bytes(&self) -> i64 {
        self.handler.max_body_bytes() as i64
    }

    /// Answers with a response. `headers` is a flat list of names and values, `peer` an IP address or empty.
    #[napi(catch_unwind)]
    pub fn handle(
        &self,
        id: Id,
        method: String,
        target: String,
        headers: Vec<String>,
        peer: Option<String>,
        body: Uint8Array,
    ) -> Result<NativeRequest> {
        let headers = headers
            .chunks_exact(2)
            .map(|line| Ok((line[0].clone(), latin1(&line[1])?)))
            .collect::<std::result::Result<_, Error>>()
            .map_err(|error| thrown(&error))?;
        let peer = peer.and_then(|peer| peer.parse::<IpAddr>().ok()).map(|ip| SocketAddr::new(ip.to_canonical(), 0));
        let call = self.handler.handle(HttpRequest { method, target, headers, peer, body: body.to_vec().into() });
        let request = NativeRequest::new(&call);
        let queue = self.queue.clone();
        self.queue.answer(id, call, move |response| Payload::Response(response, queue));
        Ok(request)
    }
}

/// Node gives the bytes of a header's value as characters.
fn latin1(value: &str) -> std::result::Result<Vec<u8>, Error> {
    value
        .chars()
        .map(|c| u8::try_from(c).map_err(|_| Error::invalid("headers", format!("{value:?} is no header's value"))))
        .collect()
}

/// A request under way.
#[napi]
pub struct NativeRequest {
    canceller: Canceller,
}

impl NativeRequest {
    pub(crate) fn new<T: Send + 'static>(call: &Call<T>) -> Self {
        Self { canceller: call.canceller() }
    }
}

#[napi]
impl NativeRequest {
    /// Cancels the request, which is no longer wanted.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.canceller.cancel();
    }
}

/// An answer.
#[napi]
pub struct NativeResponse {
    response: Option<HttpResponse>,
    waiting: Option<Canceller>,
    queue: Arc<Queue>,
}

impl NativeResponse {
    pub(crate) fn new(response: HttpResponse, queue: Arc<Queue>) -> Self {
        Self { response: Some(response), waiting: None, queue }
    }
}

#[napi]
impl NativeResponse {
    /// The status.
    #[napi(getter)]
    pub fn status(&self) -> u16 {
        self.response.as_ref().map_or(0, |response| response.status)
    }

    /// A flat list of names and values.
    #[napi(getter)]
    pub fn headers(&self) -> Vec<String> {
        let lines = self.response.iter().flat_map(|response| &response.headers);
        lines.flat_map(|(name, value)| [name.clone(), value.iter().map(|byte| char::from(*byte)).collect()]).collect()
    }

    /// Answers with the next piece of the body, null after the last.
    #[napi(catch_unwind)]
    pub fn next_piece(&mut self, id: Id) {
        if let Some(response) = &self.response {
            let call = response.next_piece();
            self.waiting = Some(call.canceller());
            self.queue.answer(id, call, Payload::Piece);
        } else {
            self.queue.signal(id)();
        }
    }

    /// Releases the answer: the client has hung up, or has read all of it.
    #[napi(catch_unwind)]
    pub fn release(&mut self) {
        self.response = None;
        if let Some(waiting) = self.waiting.take() {
            waiting.cancel();
        }
    }
}
