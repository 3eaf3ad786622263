//! The REST API without a socket, for hosts that have a server of their own (ASGI, fetch, Express).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use super::Call;
use super::host::Host;
use super::process::Bound;
use crate::listener::{Body, Handler};
use crate::{Error, Result};

/// A request of the host's server; its body in one piece.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// `GET`, `POST` ...
    pub method: String,
    /// The path with its query, as in the request line.
    pub target: String,
    /// The header lines.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The sender's address; `None` counts as not on loopback. The development token is for local callers only, as on
    /// a socket. The host's server must pass on Host, Origin and headers of proxies as they came.
    pub peer: Option<SocketAddr>,
    /// The body.
    pub body: Bytes,
}

/// Answers requests as the listener would: the same routes, tokens and limits.
pub struct HttpHandler {
    host: Arc<Host>,
    handler: Bound<Handler>,
}

impl std::fmt::Debug for HttpHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpHandler").finish_non_exhaustive()
    }
}

impl HttpHandler {
    pub(super) fn new(host: &Arc<Host>, config: &str) -> Call<Self> {
        let settings = match host.router().and_then(|router| super::listener::settings(router, config)) {
            Ok(settings) => settings,
            Err(error) => return Call::ready(Err(error)),
        };
        let keeper = host.clone();
        host.call(move |router| async move {
            let handler = Handler::new(router, settings)?;
            Ok(Self { host: keeper, handler: Bound::new(handler) })
        })
    }

    /// The size of the largest body that is not answered with 413, in bytes: a host need not read more.
    pub fn max_body_bytes(&self) -> u64 {
        self.host.router().map_or(0, |router| router.config().limits.max_request_bytes)
    }

    /// Answers a request: the call is ready with the head, and the body follows. Dropping the call or the response
    /// means that the client hung up.
    pub fn handle(&self, request: HttpRequest) -> Call<HttpResponse> {
        let peer = request.peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let request = match convert(request) {
            Ok(request) => request,
            Err(error) => return Call::ready(Err(error)),
        };
        let (handler, host) = (self.handler.clone(), self.host.clone());
        self.host.watch(move |_| async move {
            let (head, body) = handler.handle(request, peer).await.into_parts();
            let headers = head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                .collect();
            Ok(HttpResponse {
                host,
                status: head.status.as_u16(),
                headers,
                body: Bound::new(Arc::new(Mutex::new(Some(body)))),
            })
        })
    }
}

fn convert(request: HttpRequest) -> Result<http::Request<Body>> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| Error::invalid("method", format!("{:?} is no HTTP method", request.method)))?;
    let uri: Uri = request
        .target
        .parse()
        .map_err(|_| Error::invalid("target", format!("{:?} is no path with a query", request.target)))?;
    let mut out = http::Request::new(Body::from(request.body));
    *out.method_mut() = method;
    *out.uri_mut() = uri;
    for (name, value) in request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::invalid("headers", format!("{name:?} is no header's name")))?;
        let value = HeaderValue::from_bytes(&value)
            .map_err(|_| Error::invalid("headers", format!("the value of {name} is no header's value")))?;
        out.headers_mut().append(name, value);
    }
    Ok(out)
}

/// An answer: its head, and its body piece by piece.
pub struct HttpResponse {
    host: Arc<Host>,
    /// The status.
    pub status: u16,
    /// The header lines.
    pub headers: Vec<(String, Vec<u8>)>,
    body: Bound<Arc<Mutex<Option<Body>>>>,
}

impl std::fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl HttpResponse {
    /// The next piece of the body, as soon as there is one; `None` after the last. One caller at a time: while a piece is
    /// waited for, a second call answers `None`.
    pub fn next_piece(&self) -> Call<Option<Bytes>> {
        let Some(mut body) = self.body.lock().take() else { return Call::ready(Ok(None)) };
        let slot = (*self.body).clone();
        self.host.watch(move |_| async move {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Error::internal(format!("the answer broke off: {error}")))?;
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    *slot.lock() = Some(body);
                    return Ok(Some(data));
                }
            }
            Ok(None)
        })
    }
}
