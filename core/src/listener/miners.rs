//! The miner socket: `GET /miner/v1`, from the upgrade to the welcome. What comes then is the router's.

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cortensor::schema::CortensorError;
use super::gate::Connection;
use super::locality::{Foreign, Local, Visit};
use super::openapi::ReadFailures;
use super::reply::Failed;
use super::state::AppState;
use crate::model::Timestamp;
use crate::router::remote::{
    Challenge, ErrorFrame, FEATURES, Hello, MinerFrame, MinerIdentity, MinerRecord, NO_BINDING, RouterFrame,
    SUBPROTOCOL, TLS_EXPORTER, VERSION, encode, is_token_id, nonce, verify, websocket_config,
};
use crate::{Error, ErrorKind, Result};

/// Where miners dial in.
pub(in crate::listener) const PATH: &str = "/miner/v1";

/// How long a miner that was refused gets to read why.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(upgrade))
}

/// The socket on which miners dial in
///
/// A WebSocket with the subprotocol of the miner protocol; a miner says who it is in its first frame. The setting `miners.enabled` closes it.
#[utoipa::path(
    get,
    path = "/miner/v1",
    tag = "Router",
    security((), ("bearer" = []), ("api_key" = [])),
    responses(
        (status = 101, description = "The connection is a WebSocket from now on."),
        (status = 426, description = "The request asks for no WebSocket.", body = CortensorError),
        (status = 429, description = "Too many miners are connecting; `Retry-After` says when to come back.", body = CortensorError),
        ReadFailures,
    )
)]
async fn upgrade(
    State(state): State<AppState>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
) -> Result<Response, Failed> {
    let key = checked(&state, &connection, request.headers())?;
    if request.extensions().get::<OnUpgrade>().is_none() {
        return Err(Error::not_found(
            "the server in front of the router hands no connections on: miners dial in at a port of the router's own",
        )
        .into());
    }
    let permit = state.handshakes.clone().try_acquire_owned().map_err(|_| {
        Error::new(ErrorKind::Overloaded, "too many miners are connecting at once: retry later")
            .with_retry_after_ms(1_000)
    })?;
    let visit = Visit { peer: connection.peer.ip(), uri: request.uri(), headers: request.headers() };
    let local = state.auth.local(&visit);
    let upgraded = hyper::upgrade::on(&mut request);
    state.router.clone().spawn(serve(state, Dialled { connection, local }, upgraded, permit));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(key).map_err(Error::internal)?);
    Ok(response)
}

/// Checks the request (RFC 6455, 4.2.1) and gives the accept key.
fn checked(state: &AppState, connection: &Connection, headers: &HeaderMap) -> Result<String, Failed> {
    let miners = &state.router.config().miners;
    if !miners.enabled {
        return Err(Error::not_found("miners cannot dial in here: miners.enabled is false")
            .with_code("route_not_found")
            .into());
    }
    if connection.channel.is_none() && !connection.peer.ip().is_loopback() && !miners.insecure {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "a miner of another machine must use TLS: set listen.tls at the router, or miners.insecure = true",
        )
        .with_code("tls_required")
        .into());
    }
    if state.config.tls.client_ca.is_some() && !connection.certified {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "a miner must show a certificate of listen.tls.client_ca: give it a cert_file and a cert_key_file",
        )
        .with_code("certificate_required")
        .into());
    }
    // Only browsers send it, and no page may make its visitor's browser a miner.
    if headers.contains_key(header::ORIGIN) {
        return Err(Error::new(ErrorKind::PermissionDenied, "a miner sends no Origin").with_code("origin").into());
    }
    let has = |name: header::HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    let wrong = |what: &str| Failed::from(Error::invalid("Upgrade", format!("this is a WebSocket: {what}")));
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(wrong("send Upgrade: websocket and Connection: Upgrade").status(StatusCode::UPGRADE_REQUIRED));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(wrong("send Sec-WebSocket-Version: 13").status(StatusCode::UPGRADE_REQUIRED));
    }
    if !has(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(wrong(&format!("send Sec-WebSocket-Protocol: {SUBPROTOCOL}")));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| wrong("send Sec-WebSocket-Key"))?;
    Ok(derive_accept_key(key.as_bytes()))
}

/// A miner's connection.
struct Dialled {
    connection: Connection,
    /// Whether the miner is on this machine.
    local: Result<Local, Foreign>,
}

async fn serve(state: AppState, dialled: Dialled, upgraded: OnUpgrade, permit: OwnedSemaphorePermit) {
    let upgraded = match upgraded.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a miner went away before its connection was upgraded");
            return;
        }
    };
    let limits = state.router.miner_limits();
    let config = websocket_config(limits.frame as usize, limits.task as usize);
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let patience = Duration::from_millis(state.router.config().miners.hello_timeout_ms);
    let greeted = tokio::time::timeout(patience, greet(&state, &dialled, &mut socket)).await;
    drop(permit);
    let refused = match greeted {
        Err(_) => Some((socket, error("hello_timeout", "no hello came in time"))),
        Ok(Err(None)) => None,
        Ok(Err(Some(frame))) => Some((socket, frame)),
        Ok(Ok((identity, hello))) => match state.router.serve_miner(identity, &hello, socket).await {
            (Err(refused), Some(socket)) => Some((socket, error(refused.code(), refused.message()))),
            _ => None,
        },
    };
    if let Some((mut socket, frame)) = refused {
        tracing::info!(peer = %dialled.connection.peer, code = %frame.code, message = %frame.message, "a miner was refused");
        let farewell = async {
            let _ = socket.send(Message::text(RouterFrame::from(frame).to_text())).await;
            let _ = socket.close(None).await;
            while let Some(Ok(_)) = socket.next().await {}
        };
        let _ = tokio::time::timeout(LAST_WORDS, farewell).await;
    }
}

fn error(code: &str, message: &str) -> ErrorFrame {
    ErrorFrame { code: code.to_owned(), message: message.to_owned(), fatal: true }
}

/// Challenges the miner and checks its answer. `Err(None)`: it went away.
async fn greet(
    state: &AppState,
    dialled: &Dialled,
    socket: &mut Socket,
) -> Result<(MinerIdentity, Box<Hello>), Option<ErrorFrame>> {
    let challenge = Challenge {
        nonce: nonce().map_err(|e| Some(error(e.code(), e.message())))?,
        server_time: Timestamp::wall_clock().0,
        router: state.router.config().name.clone(),
        versions: vec![VERSION],
        features: FEATURES.iter().map(|&feature| feature.to_owned()).collect(),
        binding: if dialled.connection.channel.is_some() { TLS_EXPORTER } else { NO_BINDING }.to_owned(),
    };
    socket.send(Message::text(RouterFrame::from(challenge.clone()).to_text())).await.map_err(|_| None)?;
    loop {
        let text = match socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
            Some(Ok(_)) => continue,
        };
        let hello = match MinerFrame::parse(&text) {
            Ok(Some(MinerFrame::Hello(hello))) => hello,
            Ok(Some(_)) => return Err(Some(error("unexpected", "the first frame must be hello"))),
            Ok(None) => continue,
            Err(bad) => return Err(Some(error("bad_frame", &bad.to_string()))),
        };
        if hello.v != VERSION {
            return Err(Some(error("version", "this router speaks version 1 of the protocol")));
        }
        let identity = admit(state, dialled, &challenge, &hello).await;
        return identity.map(|identity| (identity, Box::new(hello))).map_err(|e| Some(error(e.code(), e.message())));
    }
}

/// Who the miner is, where it can prove it.
async fn admit(state: &AppState, dialled: &Dialled, challenge: &Challenge, hello: &Hello) -> Result<MinerIdentity> {
    if hello.auth.public_key.is_some() {
        return enrolled(state, &dialled.connection, challenge, hello).await;
    }
    let Some(token) = &hello.auth.token else {
        return Err(Error::new(ErrorKind::Unauthenticated, "send auth.token, or auth.public_key and auth.signature")
            .with_code("unauthorized"));
    };
    let caller = state.auth.caller_of(token, dialled.local.clone(), Timestamp::wall_clock().as_secs())?;
    caller.may("miner")?;
    // A miner works for every session.
    caller.is_unlimited()?;
    if !is_token_id(&hello.miner_id) {
        return Err(Error::invalid(
            "miner_id",
            "with a token, miner_id is 1 to 128 bytes of A-Z a-z 0-9 . _ - and does not begin with mk_",
        ));
    }
    let key = caller.key();
    Ok(MinerIdentity {
        id: format!("{}/{}", caller.id(), hello.miner_id),
        models: key.map(|key| key.models.clone()).unwrap_or_default(),
        owner: key.map(|key| key.owner.clone()).filter(|owner| !owner.is_empty()),
        revoked: caller.revoked().cloned(),
    })
}

/// A miner with a key of its own: one that is known, or one that brings a token to be made known.
async fn enrolled(
    state: &AppState,
    connection: &Connection,
    challenge: &Challenge,
    hello: &Hello,
) -> Result<MinerIdentity> {
    let refuse = |code: &'static str, what: &str| Error::new(ErrorKind::Unauthenticated, what).with_code(code);
    let key = verify(challenge, hello, connection.channel.as_ref().map(|channel| &channel[..]))?;
    let kind = serde_json::to_value(hello.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
    let (kind, now) = (kind.unwrap_or_default(), Timestamp::wall_clock().as_secs());
    let router = &state.router;
    let record = match router.known_miner(&hello.miner_id).filter(|record| !record.public_key.is_empty()) {
        Some(record) if record.revoked => return Err(refuse("revoked", "the miner's key was revoked")),
        Some(record) => {
            router.change_miner(&record.id, |record| (record.kind, record.last_seen) = (kind, now));
            record
        }
        None => {
            let token = hello.auth.token.as_deref();
            let token = token.ok_or_else(|| refuse("not_enrolled", "the key is not known: enrol it with a token"))?;
            let token = state.auth.enrolment(token, now)?;
            // Whoever deletes it has spent it; nobody else can.
            if !router.delete_key(&token.id).await? {
                return Err(refuse("unauthorized", "Unauthorized"));
            }
            let record = MinerRecord {
                id: hello.miner_id.clone(),
                name: if token.name.is_empty() { hello.miner_id.clone() } else { token.name.clone() },
                public_key: encode(&key),
                kind,
                owner: token.owner.clone(),
                models: token.models.clone(),
                created_at: now,
                last_seen: now,
                ..MinerRecord::default()
            };
            if let Err(error) = router.remember_miner(record.clone()).await {
                router.put_key((*token).clone()).await?;
                return Err(error);
            }
            tracing::info!(miner = %record.id, name = %record.name, "a miner's key is enrolled");
            record
        }
    };
    Ok(MinerIdentity {
        id: record.id,
        models: record.models,
        owner: Some(record.owner).filter(|owner| !owner.is_empty()),
        revoked: None,
    })
}
