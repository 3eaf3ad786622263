//! One connection: its handshake, the requests on it, and its end.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::gate::{Connection, Gate};
use super::reply::Family;
use super::stall::StallGuard;
use super::tls::{self, Certificates};
use crate::Error;
use crate::config::ListenConfig;

/// Serves a connection from its TLS handshake, where there is one, to its end.
pub(super) async fn accept(
    stream: TcpStream,
    on: Connection,
    certificates: Option<Certificates>,
    gate: &Gate,
    config: &ListenConfig,
    stop: CancellationToken,
) {
    // Without it the last packet of an answer waits for the reader's acknowledgement, 40 ms on Linux.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    match certificates {
        None => serve(stream, on, gate, config, stop).await,
        // In a box of its own, so that plain connections do not take its room.
        Some(certificates) => Box::pin(serve_tls(stream, on, certificates, gate, config, stop)).await,
    }
}

async fn serve_tls(
    stream: TcpStream,
    mut on: Connection,
    certificates: Certificates,
    gate: &Gate,
    config: &ListenConfig,
    stop: CancellationToken,
) {
    // The handshake is part of the time that a request's head may take.
    let patience = Duration::from_millis(config.header_timeout_ms);
    match tokio::time::timeout(patience, certificates.accept(stream)).await {
        Ok(Ok(stream)) => {
            (on.channel, on.certified) = tls::channel(&stream);
            serve(stream, on, gate, config, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(peer = %on.peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(peer = %on.peer, "a TLS handshake took too long"),
    }
}

async fn serve<S>(stream: S, on: Connection, gate: &Gate, config: &ListenConfig, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (gate, peer) = (gate.clone(), on.peer);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (gate, on) = (gate.clone(), on.clone());
        // hyper keeps the room of a connection's largest future for as long as the connection lasts, a stream's length for example.
        Box::pin(async move { gate.handle(request.map(axum::body::Body::new), &on).await })
    });
    let stream = StallGuard::new(stream, Duration::from_millis(config.write_timeout_ms));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .max_headers(config.max_headers)
        .max_buf_size(config.max_header_bytes)
        // write_vectored to a closed socket raises SIGPIPE, which ends a C host that left it at its default.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let Err(error) = ended else { return };
    tracing::debug!(%peer, %error, "a connection ended with an error");
    // A connection on which nothing was said is closed without a word.
    if error.is_timeout()
        && let Some(parts) = connection.into_parts()
        && !parts.read_buf.is_empty()
    {
        refuse_head(parts.io.into_inner(), &parts.read_buf).await;
    }
}

/// Answers a head that did not arrive in time, which hyper does not
/// ([RFC 9110, 15.5.9](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9)).
async fn refuse_head<S: AsyncWrite + Unpin>(mut stream: S, head: &[u8]) {
    let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let family = if path.starts_with(b"/v1/") { Family::OpenAi } else { Family::Cortensor };
    let error = Error::invalid("headers", "the headers did not arrive within listen.header_timeout_ms")
        .with_code("header_timeout");
    let body = family.error(&error);
    let mut answer = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    // Who does not read it either is gone.
    if stream.write_all(&answer).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}
