//! The miner's own small server for `/healthz`, `/readyz` and `/metrics`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use cortensor_router::miner::client::MinerClient;

/// The greatest number of connections at a time; a scraper and a probe need two.
const MAX_CONNECTIONS: usize = 32;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until the process ends.
pub(crate) async fn serve(socket: TcpListener, client: Arc<MinerClient>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the health address could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(request.uri().path(), &client);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the health address broke");
            }
            drop(permit);
        });
    }
}

fn answer(path: &str, client: &MinerClient) -> Response<Full<Bytes>> {
    let now = client.stats();
    let (status, kind, body) = match path {
        "/healthz" => (StatusCode::OK, "application/json", r#"{"status":"ok"}"#.to_owned()),
        "/readyz" if now.connected && !now.draining => {
            (StatusCode::OK, "application/json", r#"{"status":"ok"}"#.to_owned())
        }
        "/readyz" => {
            let why = if now.draining { "draining" } else { "not connected to a router" };
            (StatusCode::SERVICE_UNAVAILABLE, "application/json", format!(r#"{{"status":"{why}"}}"#))
        }
        "/metrics" => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", now.to_prometheus()),
        _ => (StatusCode::NOT_FOUND, "application/json", r#"{"status":"there is no such route"}"#.to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
