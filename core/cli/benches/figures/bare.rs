//! A reference for the least cost of a proxy: hyper's server in front of hyper's pooled client, passing bodies on frame
//! by frame. Everything that the router takes beyond this is the cost of its own work.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Outcome;

type Pool = Client<HttpConnector, Incoming>;

/// Serves until the process is ended. Prints its port first. Either each processor has a thread with connections and
/// a pool of its own, or all threads share their work.
pub(crate) fn serve(upstream: SocketAddr, shared_threads: bool) -> Outcome {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    println!("port {}", listener.local_addr().map_err(|error| error.to_string())?.port());
    let threads = if shared_threads { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let mut workers = Vec::new();
    for _ in 0..threads {
        let (sender, accepted) = unbounded_channel();
        workers.push(sender);
        let mut runtime = if shared_threads { Builder::new_multi_thread() } else { Builder::new_current_thread() };
        let runtime = runtime.enable_all().build().map_err(|error| error.to_string())?;
        std::thread::spawn(move || runtime.block_on(work(upstream, accepted)));
    }
    for turn in 0_usize.. {
        let (socket, _) = listener.accept().map_err(|error| error.to_string())?;
        socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true)).map_err(|error| error.to_string())?;
        workers[turn % threads].send(socket).map_err(|_| "a thread ended".to_owned())?;
    }
    Ok(())
}

/// Serves the connections that a thread is given.
async fn work(upstream: SocketAddr, mut accepted: UnboundedReceiver<std::net::TcpStream>) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool: Pool = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    while let Some(socket) = accepted.recv().await {
        let Ok(socket) = TcpStream::from_std(socket) else { continue };
        let pool = pool.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| forward(&pool, upstream, request));
            // A caller that hangs up is not an error.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn forward(
    pool: &Pool,
    upstream: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(upstream.to_string()).path_and_query(path).build();
    let Ok(uri) = uri else { return Ok(bad_gateway()) };
    *request.uri_mut() = uri;
    request.headers_mut().remove(header::HOST);
    match pool.request(request).await {
        Ok(response) => Ok(response.map(BodyExt::boxed)),
        Err(_) => Ok(bad_gateway()),
    }
}

fn bad_gateway() -> Response<BoxBody<Bytes, hyper::Error>> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
