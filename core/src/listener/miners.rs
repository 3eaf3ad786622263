//! The miner socket, `GET /miner/v1`. The listener upgrades the connection and checks tokens; the router does the rest.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::locality::{Foreign, Local, Visit};
use super::openapi::ReadFailures;
use super::peer::Connection;
use super::reply::{CortensorError, Failed};
use super::state::AppState;
use crate::miner::protocol::frame::SUBPROTOCOL;
use crate::miner::protocol::handshake::Holder;
use crate::model::{Scope, Timestamp};
use crate::router::accept::{Door, MinerPeer, MinerTokens};
use crate::router::key_end::KeyLife;
use crate::store::ApiKey;
use crate::{Error, ErrorKind, Result};

/// The path on which miners dial in.
pub(in crate::listener) const PATH: &str = "/miner/v1";

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(upgrade))
}

/// The socket on which miners dial in
///
/// A WebSocket with the subprotocol of the miner protocol, on which a miner identifies itself in its first frame. The
/// setting `miners.enabled` closes it.
#[utoipa::path(
    get,
    path = "/miner/v1",
    tag = "Router",
    security((), ("bearer" = []), ("api_key" = [])),
    responses(
        (status = 101, description = "The connection is a WebSocket from now on."),
        (status = 426, description = "The request asks for no WebSocket.", body = CortensorError<'static>),
        (status = 429, description = "Too many miners are connecting; `Retry-After` says when to come back.", body = CortensorError<'static>),
        ReadFailures,
    )
)]
async fn upgrade(
    State(state): State<AppState>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
) -> Result<Response, Failed> {
    admissible(&state, &connection, request.headers())?;
    let response = switching(&request)?;
    if request.extensions().get::<OnUpgrade>().is_none() {
        return Err(Error::not_found(
            "the server in front of the router hands no connections on: miners dial in at a port of the router's own",
        )
        .into());
    }
    let place = state.handshakes.clone().try_acquire_owned().map_err(|_| {
        Error::new(ErrorKind::Overloaded, "too many miners are connecting at once: retry later")
            .with_retry_after_ms(1_000)
    })?;
    let visit = Visit { peer: connection.peer.ip(), uri: request.uri(), headers: request.headers() };
    let local = state.auth.local(&visit);
    let upgraded = hyper::upgrade::on(&mut request);
    let router = state.router.clone();
    let (address, channel) = (connection.peer, connection.channel);
    let door = Door {
        drains: state.stop.graceful.clone(),
        closes: state.stop.at_once.clone(),
        patience_ms: state.config.drain_timeout_ms,
        open: state.stop.open.token(),
    };
    let peer = MinerPeer { address, channel, tokens: Tokens { state, local }, place, door };
    router.clone().spawn(async move {
        match upgraded.await {
            Ok(upgraded) => router.accept_miner(TokioIo::new(upgraded), peer).await,
            Err(error) => tracing::debug!(%error, "a miner went away before its connection was upgraded"),
        }
    });
    Ok(response)
}

/// Refuses a miner that may not dial in here, or that asks for it wrongly.
fn admissible(state: &AppState, connection: &Connection, headers: &HeaderMap) -> Result<()> {
    let miners = &state.router.settings().miners;
    if !miners.enabled {
        return Err(
            Error::not_found("miners cannot dial in here: miners.enabled is false").with_code("route_not_found")
        );
    }
    let refused =
        |code: &'static str, message: &str| Err(Error::new(ErrorKind::PermissionDenied, message).with_code(code));
    if connection.channel.is_none() && !connection.peer.ip().is_loopback() && !miners.insecure {
        return refused(
            "tls_required",
            "a miner of another machine must use TLS: set listen.tls at the router, or miners.insecure = true",
        );
    }
    if state.config.tls.client_ca.is_some() && !connection.certified {
        return refused(
            "certificate_required",
            "a miner must show a certificate of listen.tls.client_ca: give it a cert_file and a cert_key_file",
        );
    }
    // Only browsers send `Origin`, and no page may make its visitor's browser a miner.
    if headers.contains_key(header::ORIGIN) {
        return refused("origin", "a miner sends no Origin");
    }
    Ok(())
}

/// The answer with which the connection becomes a WebSocket of the miner protocol (RFC 6455, 4.2).
fn switching(request: &Request) -> Result<Response, Failed> {
    let wrong = |what: &str| Failed::from(Error::invalid("Upgrade", format!("this is a WebSocket: {what}")));
    let mut response = create_response_with_body(request, Body::empty).map_err(|error| match error {
        WsError::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => wrong("send Upgrade: websocket and Connection: Upgrade").status(StatusCode::UPGRADE_REQUIRED),
        WsError::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            wrong("send Sec-WebSocket-Version: 13").status(StatusCode::UPGRADE_REQUIRED)
        }
        WsError::Protocol(ProtocolError::MissingSecWebSocketKey) => wrong("send Sec-WebSocket-Key"),
        other => wrong(&other.to_string()),
    })?;
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if !offered.into_iter().any(|protocol| protocol.trim().eq_ignore_ascii_case(SUBPROTOCOL)) {
        return Err(wrong(&format!("send Sec-WebSocket-Protocol: {SUBPROTOCOL}")));
    }
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// Checks the tokens that a miner shows on one connection.
struct Tokens {
    state: AppState,
    /// Whether the miner is on this machine.
    local: Result<Local, Foreign>,
}

impl MinerTokens for Tokens {
    fn holder(&self, token: &str) -> Result<(Holder, Option<KeyLife>)> {
        let now = Timestamp::wall_clock();
        let caller = self.state.auth.caller_of(token, self.local.clone(), now.as_secs())?;
        caller.may(Scope::Miner)?;
        // A miner works for every session, so its key must not be limited to some.
        caller.is_unlimited()?;
        let (models, owner) = caller.key().map(|key| (key.models.clone(), key.owner.clone())).unwrap_or_default();
        Ok((Holder { id: caller.id().to_owned(), models, owner }, caller.life(now)))
    }

    fn enrolment(&self, token: &str) -> Result<Arc<ApiKey>> {
        self.state.auth.enrolment(token, Timestamp::wall_clock().as_secs())
    }
}
