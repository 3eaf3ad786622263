//! Connects to a router and plays the miner's side of the handshake.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::config::MinerClientConfig;
use super::key_file;
use super::surroundings::Surroundings;
use super::target::Target;
use crate::config::{certificates, client_tls, distrust};
use crate::miner::link::websocket_config;
use crate::miner::network::Transport;
use crate::miner::protocol::frame::{
    Auth, Challenge, Hello, MinerFrame, RAW, Resume, RouterFrame, SUBPROTOCOL, VERSION, Welcome,
};
use crate::miner::protocol::identity::{MinerKeyPair, NO_BINDING, TLS_EXPORTER, encode};
use crate::model::{CONTINUE, NodeKind};
use crate::{Error, ErrorKind, Result};

/// The state that all connections of one miner share.
pub(super) struct Dialler {
    tls: TlsConnector,
    key: Option<MinerKeyPair>,
    epoch: u64,
    surroundings: Arc<dyn Surroundings>,
}

impl Dialler {
    /// Reads the files that the configuration names. Blocks the thread.
    pub(super) fn new(config: &MinerClientConfig, surroundings: Arc<dyn Surroundings>) -> Result<Self> {
        let key = config.key_file.as_deref().map(key_file::load_or_create).transpose()?;
        let tls = TlsConnector::from(Arc::new(tls_config(config)?));
        Ok(Self { tls, key, epoch: surroundings.chance() >> 11, surroundings })
    }

    /// A random number.
    pub(super) fn chance(&self) -> u64 {
        self.surroundings.chance()
    }

    pub(super) fn miner_id(&self, config: &MinerClientConfig) -> String {
        self.key.as_ref().map_or_else(|| config.name.clone(), MinerKeyPair::id)
    }

    /// Connects, sends `hello` and waits for the welcome.
    pub(super) async fn dial(
        &self,
        target: &Target,
        config: &MinerClientConfig,
        models: &[String],
        resume: Resume,
    ) -> Result<(WebSocketStream<Box<dyn Transport>>, Welcome)> {
        let broken = |what: &str, e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Unavailable, format!("{}: {what}: {e}", target.url()))
        };
        let stream = self.surroundings.connect(&target.host, target.port).await;
        let stream = stream.map_err(|e| broken("cannot connect", &e))?;
        let (stream, channel): (Box<dyn Transport>, Option<[u8; 32]>) = if target.tls {
            let name = ServerName::try_from(target.host.clone()).map_err(|e| broken("no name for TLS", &e))?;
            let stream = self.tls.connect(name, stream).await.map_err(|e| match distrust::behind(&e) {
                Some(tls) => {
                    let plain = target.url().replacen("wss://", "ws://", 1);
                    broken("TLS", &distrust::words(tls, &plain, "ca_file (--ca-file)"))
                }
                None => broken("TLS", &e),
            })?;
            // The exported keying material that identifies the TLS channel (RFC 9266).
            let keys = stream.get_ref().1;
            let channel = keys.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
            (Box::new(stream), channel)
        } else {
            (stream, None)
        };
        let mut request = target.url().into_client_request().map_err(|e| broken("no request", &e))?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let (mut socket, _) =
            client_async_with_config(request, stream, Some(websocket_config(config.max_frame_bytes, 1 << 20)))
                .await
                .map_err(|e| refused(target, e))?;
        let RouterFrame::Challenge(challenge) = next(&mut socket, target).await? else {
            return Err(broken("the first frame was no challenge", &""));
        };
        let hello = self.hello(&challenge, config, models, resume, channel.as_ref().map(|c| &c[..]));
        socket
            .send(Message::text(MinerFrame::from(hello).to_text()))
            .await
            .map_err(|e| broken("the connection broke", &e))?;
        match next(&mut socket, target).await? {
            RouterFrame::Welcome(welcome) => Ok((socket, welcome)),
            RouterFrame::Error(error) => {
                let kind = match error.code.as_str() {
                    "unauthorized" | "bad_signature" | "not_enrolled" | "revoked" => ErrorKind::Unauthenticated,
                    "permission_denied" => ErrorKind::PermissionDenied,
                    "invalid_argument" => ErrorKind::InvalidArgument,
                    "conflict" => ErrorKind::Conflict,
                    _ => ErrorKind::Unavailable,
                };
                Err(Error::new(kind, format!("{}: {} ({})", target.url(), error.message, error.code)))
            }
            other => Err(broken("instead of a welcome came", &other.kind())),
        }
    }

    fn hello(
        &self,
        challenge: &Challenge,
        config: &MinerClientConfig,
        models: &[String],
        resume: Resume,
        channel: Option<&[u8]>,
    ) -> Hello {
        let token = config.token.clone();
        let auth = match &self.key {
            None => Auth { token, ..Auth::default() },
            Some(key) => {
                let channel = channel.filter(|_| challenge.binding == TLS_EXPORTER);
                Auth {
                    token,
                    public_key: Some(encode(key.public_key())),
                    signature: Some(encode(&key.sign(challenge, channel))),
                    binding: Some(if channel.is_some() { TLS_EXPORTER } else { NO_BINDING }.to_owned()),
                }
            }
        };
        let mut features = vec![RAW.to_owned()];
        if config.continues {
            features.push(CONTINUE.to_owned());
        }
        Hello {
            v: VERSION,
            miner_id: self.miner_id(config),
            name: Some(config.name.clone()),
            auth,
            epoch: self.epoch,
            agent: format!("cortensor-router/{}", crate::VERSION),
            features,
            kind: if config.dedicated { NodeKind::Dedicated } else { NodeKind::Ephemeral }.into(),
            owner: config.owner.clone().unwrap_or_default(),
            max_concurrency: config.capacity,
            models: config.hello_models(models),
            hw: config.hardware.clone(),
            resume: (!resume.inflight.is_empty()).then_some(resume),
        }
    }
}

/// The router's next frame of a known type.
async fn next(socket: &mut WebSocketStream<Box<dyn Transport>>, target: &Target) -> Result<RouterFrame> {
    loop {
        let broken = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Unavailable, format!("{}: {e}", target.url()));
        match socket.next().await {
            None => return Err(broken(&"the router closed the connection")),
            Some(Err(e)) => return Err(broken(&e)),
            Some(Ok(Message::Text(text))) => match RouterFrame::parse(&text) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(e) => return Err(broken(&e)),
            },
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                return Err(broken(&format!("the router closed the connection: {why}")));
            }
            Some(Ok(_)) => {}
        }
    }
}

/// The error for a router that did not switch to the WebSocket protocol.
fn refused(target: &Target, error: WsError) -> Error {
    let message = match error {
        WsError::Http(response) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let words = serde_json::from_str::<serde_json::Value>(&body).ok().and_then(|body| {
                let words = body.get("message").or_else(|| body.pointer("/error/message"))?;
                words.as_str().map(str::to_owned)
            });
            format!("{}: {}: {}", target.url(), response.status(), words.as_deref().unwrap_or(&body))
        }
        // A server that expects TLS answers plain HTTP with a TLS alert.
        WsError::Protocol(ProtocolError::HttparseError(_)) if !target.tls => format!(
            "{}: what answers there speaks no plain HTTP: if it has a certificate, write {}",
            target.url(),
            target.url().replacen("ws://", "wss://", 1)
        ),
        other => format!("{}: {other}", target.url()),
    };
    Error::new(ErrorKind::Unavailable, message)
}

fn tls_config(config: &MinerClientConfig) -> Result<rustls::ClientConfig> {
    let builder = client_tls(config.ca_file.as_deref(), "ca_file")?;
    match (&config.cert_file, &config.cert_key_file) {
        (Some(chain), Some(key)) => {
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|e| Error::invalid("cert_key_file", format!("{}: {e}", key.display())))?;
            builder
                .with_client_auth_cert(certificates(chain, "cert_file")?, secret)
                .map_err(|e| Error::invalid("cert_file", format!("{}: {e}", chain.display())))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}
