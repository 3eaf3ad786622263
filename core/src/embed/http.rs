//! The REST API without a socket, for hosts that have their own server (ASGI, fetch, Express).

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

/// A request of the host's server, with its whole body.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method: `GET`, `POST` and so on.
    pub method: String,
    /// The path with its query, as in the request line.
    pub target: String,
    /// The header lines.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The sender's address; `None`: unknown, which counts as not on loopback. The router accepts the development token
    /// from loopback only. The host's server must therefore forward Host, Origin and the headers of proxies unchanged.
    pub peer: Option<SocketAddr>,
    /// The body.
    pub body: Bytes,
}

/// Shows no headers, which hold tokens, and no body.
impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Answers requests like the listener, with equal routes, tokens and limits.
pub struct HttpHandler {
    host: Arc<Host>,
    max_headers: usize,
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
            let max_headers = settings.max_headers;
            let handler = Handler::new(router, settings)?;
            Ok(Self { host: keeper, max_headers, handler: Bound::new(handler) })
        })
    }

    /// The maximum size of any request's body, in bytes. The router answers a larger one with 413, so a host need not
    /// read it to the end. 0: the router is closed.
    pub fn max_body_bytes(&self) -> u64 {
        self.host.router().map_or(0, |router| {
            let limits = &router.config().limits;
            limits.max_request_bytes.max(limits.max_upload_bytes)
        })
    }

    /// The maximum number of header lines of a request (`listen.max_headers`).
    pub fn max_headers(&self) -> usize {
        self.max_headers
    }

    /// The paths of all routes, as in the OpenAPI document: `/api/v1/sessions/{id}`. A host with routes of its own
    /// gives the router the requests whose paths these are.
    pub fn paths() -> Vec<&'static str> {
        crate::listener::endpoints()
    }

    /// Answers a request. The call is ready when the head of the response is; the body follows. Dropping the call or
    /// the response tells the router that the client has gone.
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

/// A response: its head, and its body piece by piece.
pub struct HttpResponse {
    host: Arc<Host>,
    /// The HTTP status.
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
    /// Waits for the next piece of the body; `None`: the body has ended. Only one caller may wait at a time: a second
    /// concurrent call returns `None`.
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
