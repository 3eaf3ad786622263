//! One connection: its TLS handshake, its requests and its end.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::body::Body;
use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::closing::Closing;
use super::door::Door;
use super::heads::{Head, Heads, TooMuch};
use super::native::{Left, Talk};
use super::peer::Connection;
use super::refusal::{Refusal, head_fault};
use super::stall::StallGuard;
use super::stop::Stop;
use super::tls::{self, Certificates};
use super::watch::Watch;
use super::wire::{Meter, Socket, Watched, Wire};
use crate::config::ListenConfig;

/// The size in bytes of the first read of a head.
const PIECE: usize = 4 << 10;

/// The size in bytes of hyper's reads and writes.
const HYPER_BUFFER: usize = 64 << 10;

/// The time that a client gets to read the last of an answer that the end of the listener cut short.
pub(super) const LAST_READ: Duration = Duration::from_secs(5);

/// Serves a connection from its TLS handshake, if there is one, to its end.
pub(super) async fn accept(
    stream: TcpStream,
    on: Connection,
    certificates: Option<Certificates>,
    door: &Arc<Door>,
    bounds: (&ListenConfig, &Arc<Heads>),
    stop: &Stop,
) {
    // Without `TCP_NODELAY` the last packet of an answer waits for the client's acknowledgement, 40 ms on Linux.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    begin(stream, on, certificates, door, bounds, stop).await;
}

/// Serves a connection of any kind from its TLS handshake, if there is one, to its end.
pub(super) async fn begin<S: Socket>(
    stream: S,
    on: Connection,
    certificates: Option<Certificates>,
    door: &Arc<Door>,
    bounds: (&ListenConfig, &Arc<Heads>),
    stop: &Stop,
) {
    match certificates {
        None => serve(stream, on, door, bounds, stop).await,
        // The handshake is boxed, so that plain connections do not reserve memory for it.
        Some(certificates) => Box::pin(serve_tls(stream, on, certificates, door, bounds, stop)).await,
    }
}

async fn serve_tls<S: Socket>(
    stream: S,
    mut on: Connection,
    certificates: Certificates,
    door: &Arc<Door>,
    bounds: (&ListenConfig, &Arc<Heads>),
    stop: &Stop,
) {
    // The handshake counts towards the time that a request's head may take.
    let patience = Duration::from_millis(bounds.0.header_timeout_ms);
    match tokio::time::timeout(patience, certificates.accept(stream)).await {
        Ok(Ok(stream)) => {
            (on.channel, on.certified) = tls::channel(&stream);
            serve(stream, on, door, bounds, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(peer = %on.peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(peer = %on.peer, "a TLS handshake took too long"),
    }
}

/// Serves a connection on which no TLS handshake is due.
async fn serve<S: Socket>(
    stream: S,
    on: Connection,
    door: &Arc<Door>,
    (config, heads): (&ListenConfig, &Arc<Heads>),
    stop: &Stop,
) {
    let peer = on.peer;
    let mut stream = StallGuard::new(stream, Duration::from_millis(config.write_timeout_ms));
    let patience = Duration::from_millis(config.header_timeout_ms);
    // hyper takes 16 KB for a connection, so only a connection that has sent a head gets them.
    let (mut head, mut before) = (Head::new(Arc::clone(heads)), Vec::new());
    let first = tokio::select! {
        first = tokio::time::timeout(patience, first_head(&mut stream, &mut head, &mut before)) => first,
        // Nothing was asked yet.
        () = stop.graceful.cancelled() => return,
    };
    match first {
        Ok(Ok(None)) => {}
        Ok(Ok(Some(why))) => return Refusal::too_much(why, config).say(stream, &before, peer).await,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a connection ended before it asked anything");
            return;
        }
        // A connection on which nothing was sent is closed without an answer.
        Err(_) if before.is_empty() => return,
        Err(_) => return Refusal::late().say(stream, &before, peer).await,
    }
    let (closing, mut is_fresh) = (on.closing.clone(), true);
    let gate = door.gate();
    if gate.is_native(&on) {
        let talk = Talk::new((&**door, gate, &on, stop), config, stream, head, before);
        let talk = pin!(talk.hold());
        match until_stopped(talk, stop, &closing, |_| ()).await {
            None | Some(Left::Ended) => return,
            Some(Left::Refused { stream, refusal, came }) => return refusal.say(stream, &came, peer).await,
            Some(Left::Other { stream: rest, room, came, has_answered }) => {
                (stream, head, before) = (rest, room, came);
                is_fresh = !has_answered;
            }
        }
    }
    let meter = Meter::default();
    if !is_fresh {
        meter.goes_on();
    }
    let wire = Wire::new(stream, meter.clone(), head, before.into());
    // The future is boxed, so that the connections that hyper does not serve reserve no memory for it.
    Box::pin(serve_by_hyper(wire, meter, on, door, (config, heads), stop)).await;
}

/// Runs the future of a connection until it is ready, or until the listener's end. `gracefully` tells it that it must
/// end after its running request. `None`: the client did not take the last of its answer in time.
async fn until_stopped<F: Future>(
    mut work: Pin<&mut F>,
    stop: &Stop,
    closing: &Closing,
    gracefully: impl FnOnce(Pin<&mut F>),
) -> Option<F::Output> {
    let ended = {
        let (mut stopped, mut watch) = (pin!(stop.graceful.cancelled()), Watch::default());
        poll_fn(|cx| {
            if let Poll::Ready(ended) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            watch.poll(cx, stop.graceful.is_cancelled(), |cx| stopped.as_mut().poll(cx)).map(|()| None)
        })
        .await
    };
    if ended.is_some() {
        return ended;
    }
    gracefully(work.as_mut());
    tokio::select! {
        biased;
        ended = &mut work => return Some(ended),
        () = stop.at_once.cancelled() => closing.close(),
    }
    tokio::time::timeout(LAST_READ, work).await.ok()
}

/// Serves the rest of a connection with hyper.
async fn serve_by_hyper<S: Socket>(
    wire: Wire<S>,
    meter: Meter,
    on: Connection,
    door: &Arc<Door>,
    (config, heads): (&ListenConfig, &Arc<Heads>),
    stop: &Stop,
) {
    let (peer, closing) = (on.peer, on.closing.clone());
    let patience = Duration::from_millis(config.header_timeout_ms);
    let most = heads.most();
    let shared = Arc::new((Arc::clone(door), on, meter.clone()));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        shared.2.asked(&request);
        // The future is boxed, because hyper keeps room for the largest future of a connection as long as the
        // connection lasts.
        Box::pin(async move {
            let (door, on, meter) = &*shared;
            let gate = door.gate();
            let version = request.version();
            let response = match head_fault(&request, most) {
                Some(refusal) => Ok(refusal.respond(&request, peer)),
                None => gate.handle(request.map(|body| Body::new(Watched::new(body, version, meter))), on).await,
            };
            meter.answered(matches!(&response, Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS));
            response
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_headers(config.max_headers)
        // Heads are bounded elsewhere; this bounds what is read and written at once.
        .max_buf_size(HYPER_BUFFER.max(config.max_header_bytes.saturating_mul(2)))
        // write_vectored to a closed socket raises SIGPIPE, which ends a C host that left it at its default.
        .writev(false)
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let ended = until_stopped(Pin::new(&mut connection), stop, &closing, UpgradeableConnection::graceful_shutdown);
    // The client may not have taken the rest of its answer in time.
    let Some(ended) = ended.await else { return };
    let error = match ended {
        Ok(()) if meter.own_status().is_none() => return,
        Ok(()) => None,
        Err(error) => Some(error),
    };
    if let Some(error) = &error {
        tracing::debug!(%peer, %error, "a connection ended with an error");
    }
    let Some(parts) = connection.into_parts() else { return };
    let refusal = match (meter.refused(), meter.own_status(), &error) {
        (Some(why), ..) => Refusal::too_much(why, config),
        (None, Some(status), _) => Refusal::malformed(status, config),
        (None, None, Some(error)) if error.is_timeout() && !parts.read_buf.is_empty() => Refusal::late(),
        // hyper does not answer the preface of HTTP/2.
        (None, None, Some(error)) if error.is_parse() && meter.is_fresh() => Refusal::malformed(400, config),
        _ => return,
    };
    refusal.say(parts.io.into_inner().into_inner(), &parts.read_buf, peer).await;
}

/// Reads until the first head is whole. Reading also ends when the head is too long.
async fn first_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    head: &mut Head,
    before: &mut Vec<u8>,
) -> io::Result<Option<TooMuch>> {
    loop {
        if let Err(why) = head.may_grow() {
            return Ok(Some(why));
        }
        let read = poll_fn(|cx| {
            // The buffer lives only during the read, so a connection that waits holds no memory for it.
            let mut room = [MaybeUninit::uninit(); PIECE];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut room))?;
            before.extend_from_slice(room.filled());
            Poll::Ready(io::Result::Ok(room.filled().len()))
        })
        .await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(why) = head.grow(read) {
            return Ok(Some(why));
        }
        // Bytes that are not HTTP, for example a TLS handshake, are refused at once: no further bytes can make them a
        // head.
        if before.iter().find(|byte| !matches!(byte, b'\r' | b'\n')).is_some_and(|byte| !byte.is_ascii_graphic()) {
            return Ok(None);
        }
        let from = before.len().saturating_sub(read + 3);
        let new = &before[from..];
        if new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n") {
            return Ok(None);
        }
    }
}
