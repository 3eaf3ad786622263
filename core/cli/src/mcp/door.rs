//! The way to the route `/mcp`: a call within the process, or a request to a router elsewhere.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use cortensor_router::listener::{Body, Handler};
use http::{HeaderValue, Request, Response, header};

use crate::client::Client;
use crate::exit::Done;

/// The sender of requests within the process, which counts as a program on this machine.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A router.
pub(super) enum Door {
    Within(Handler),
    Remote(Box<Client>),
}

impl Door {
    /// Sends a request. Dropping the future or the answer's body means that the client has gone.
    pub(super) async fn send(&self, mut request: Request<Bytes>) -> Done<Response<Body>> {
        match self {
            Self::Within(handler) => {
                request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
                Ok(handler.handle(request.map(Body::from), HERE).await)
            }
            Self::Remote(client) => Ok(client.forward(request).await?.map(Body::new)),
        }
    }
}
