//! The REST API without a socket, for servers of the program's own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use cortensor_router::embed::{Bound, HttpHandler, HttpRequest, HttpResponse};
use parking_lot::Mutex;

use crate::error::Result;
use crate::mailbox::Post;
use crate::message::NativeMessage;
use crate::visit;

/// A header line.
#[derive(uniffi::Record)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Vec<u8>,
}

/// Answers requests.
#[derive(uniffi::Object)]
pub struct NativeHandler {
    handler: HttpHandler,
    post: Bound<Arc<Post>>,
}

impl NativeHandler {
    pub(crate) fn of(handler: HttpHandler, post: Arc<Post>) -> Arc<Self> {
        Arc::new(Self { handler, post: Bound::new(post) })
    }
}

#[uniffi::export]
impl NativeHandler {
    /// The size in bytes of the largest body that must be read.
    pub fn max_body_bytes(&self) -> u64 {
        self.handler.max_body_bytes()
    }

    /// Answers with a response. `peer` is the IP address of the client, if it is known. Cancelling the call tells the
    /// router that the client has gone.
    pub fn handle(
        &self,
        token: u64,
        method: String,
        target: String,
        headers: Vec<HttpHeader>,
        peer: Option<String>,
        body: Vec<u8>,
    ) -> Result<bool> {
        self.post.check()?;
        let headers = headers.into_iter().map(|line| (line.name, line.value)).collect();
        let peer = peer.and_then(|peer| peer.parse::<IpAddr>().ok()).map(|ip| SocketAddr::new(ip.to_canonical(), 0));
        let post = Arc::clone(&self.post);
        Ok(visit::filled(&self.post, || {
            let call = self.handler.handle(HttpRequest { method, target, headers, peer, body: body.into() });
            self.post.answer_unless_cancelled(token, call, move |response| NativeResponse::told(token, response, post));
        }))
    }
}

/// An answer.
#[derive(uniffi::Object)]
pub struct NativeResponse {
    response: Bound<Mutex<Option<HttpResponse>>>,
    post: Bound<Arc<Post>>,
}

impl NativeResponse {
    fn told(token: u64, response: HttpResponse, post: Arc<Post>) -> NativeMessage {
        let line = |(name, value): &(String, Vec<u8>)| HttpHeader { name: name.clone(), value: value.clone() };
        let (status, headers) = (response.status, response.headers.iter().map(line).collect());
        let response = Arc::new(Self { response: Bound::new(Mutex::new(Some(response))), post: Bound::new(post) });
        NativeMessage::Response { token, status, headers, response }
    }
}

#[uniffi::export]
impl NativeResponse {
    /// Answers with the next piece of the body, none after the last. Cancelling the call, or releasing the response,
    /// tells the router that the client has gone.
    pub fn next_piece(&self, token: u64) -> Result<bool> {
        self.post.check()?;
        Ok(visit::filled(&self.post, || match &*self.response.lock() {
            Some(response) => {
                let message = move |piece: Option<_>| {
                    let bytes = piece.map(|bytes: bytes::Bytes| bytes.to_vec());
                    NativeMessage::Piece { token, bytes }
                };
                self.post.answer_unless_cancelled(token, response.next_piece(), message);
            }
            None => self.post.push(NativeMessage::Piece { token, bytes: None }),
        }))
    }

    /// Releases the answer: the client has hung up, or has read all of it.
    pub fn release(&self) {
        if self.post.check().is_ok() {
            let response = self.response.lock().take();
            drop(response);
        }
    }
}
