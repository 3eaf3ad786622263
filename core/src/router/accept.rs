//! Admits a miner that dials in: plays the handshake of the miner protocol on the upgraded connection and gives the
//! miner its seat.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::key_end::KeyLife;
use super::shared::Router;
use crate::Result;
use crate::miner::link::websocket_config;
use crate::miner::protocol::frame::{ErrorFrame, RouterFrame};
use crate::miner::protocol::handshake::{
    Admitted, Credential, Enrolled, Enrolment, Greeting, Holder, Step, unauthorized,
};
use crate::miner::protocol::identity::nonce;
use crate::model::Timestamp;
use crate::store::{Act, ApiKey, MinerRecord};

/// The time within which a refused miner must have read the reason.
const REFUSAL: Duration = Duration::from_secs(1);

/// Looks up the tokens with which a miner may come in.
pub(crate) trait MinerTokens: Send + Sync {
    /// The holder of a token of the scope `miner`, and the life of the token if it can end.
    ///
    /// # Errors
    /// The reason why the token does not admit a miner.
    fn holder(&self, token: &str) -> Result<(Holder, Option<KeyLife>)>;

    /// The record of a one-time token that enrols a key.
    ///
    /// # Errors
    /// The reason why the token enrols no key.
    fn enrolment(&self, token: &str) -> Result<Arc<ApiKey>>;
}

/// The listener through which a miner came in, as far as its connection ends with it.
pub(crate) struct Door {
    /// The listener stops: the miner gets no new tasks and may finish those that it has.
    pub(crate) drains: CancellationToken,
    /// The listener's time to drain is up.
    pub(crate) closes: CancellationToken,
    /// The milliseconds from `drains` to `closes`.
    pub(crate) patience_ms: u64,
    /// A token that lives as long as the connection, so that the listener can wait for the connection's end.
    pub(crate) open: TaskTrackerToken,
}

/// The other end of a connection on which a miner dials in.
pub(crate) struct MinerPeer<T> {
    /// The peer's address.
    pub(crate) address: SocketAddr,
    /// The exported keying material of the TLS connection (RFC 9266); `None`: the router itself does not end TLS.
    pub(crate) channel: Option<[u8; 32]>,
    /// The tokens that the connection accepts.
    pub(crate) tokens: T,
    /// The permit for one concurrent handshake, which is released when the handshake is over.
    pub(crate) place: OwnedSemaphorePermit,
    /// The listener through which the connection came in.
    pub(crate) door: Door,
}

impl Router {
    /// Serves the miner on a connection, from the challenge to the connection's end.
    pub(crate) async fn accept_miner<S, T>(&self, connection: S, peer: MinerPeer<T>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: MinerTokens,
    {
        let limits = self.miner_limits();
        let config = websocket_config(limits.frame as usize, limits.task as usize);
        let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        let MinerPeer { address, channel, tokens, place, door } = peer;
        let greeted = self.greet(&mut socket, channel, &tokens).await;
        drop(place);
        let refused = match greeted {
            None => {
                tracing::debug!(peer = %address, "a miner went away before it said who it is");
                return;
            }
            Some(Err(refused)) => refused,
            Some(Ok((admitted, key_life))) => match self.seated(&admitted) {
                Ok((seat, link)) => {
                    self.serve_seat(&admitted.identity.id, &seat, &link, (key_life, &door), socket).await;
                    drop(door.open);
                    return;
                }
                Err(error) => ErrorFrame::of(&error),
            },
        };
        tracing::info!(peer = %address, code = %refused.code, message = %refused.message, "a miner was refused");
        let refusal = async {
            let _ = socket.send(Message::text(RouterFrame::from(refused).to_text())).await;
            let _ = socket.close(None).await;
            while let Some(Ok(_)) = socket.next().await {}
        };
        // The connection ends here in any case.
        let _ = timeout(REFUSAL, refusal).await;
    }

    /// Plays the handshake to its end. `None`: the miner went away. `miners.hello_timeout_ms` bounds the time that
    /// the miner may take, but not the router's own work: an enrolment that has begun is not cut off.
    async fn greet<S, T>(
        &self,
        socket: &mut WebSocketStream<S>,
        channel: Option<[u8; 32]>,
        tokens: &T,
    ) -> Option<Result<(Admitted, Option<KeyLife>), ErrorFrame>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: MinerTokens,
    {
        let deadline = Instant::now() + Duration::from_millis(self.config().miners.hello_timeout_ms);
        let nonce = match nonce() {
            Ok(nonce) => nonce,
            Err(error) => return Some(Err(ErrorFrame::of(&error))),
        };
        let greeting = Greeting::new(nonce, Timestamp::wall_clock().0, self.config().name.clone(), channel);
        let challenge = Message::text(greeting.challenge().to_text());
        timeout_at(deadline, socket.send(challenge)).await.ok()?.ok()?;
        let mut key_life = None;
        let mut step = Step::Greeting(greeting);
        loop {
            step = match step {
                Step::Greeting(greeting) => match timeout_at(deadline, next_text(socket)).await {
                    Ok(text) => greeting.frame(&text?),
                    Err(_) => greeting.timed_out(),
                },
                Step::Token(shown) => {
                    self.learn_token(shown.token()).await;
                    let holder = tokens.holder(shown.token());
                    shown.held_by(holder.map(|(holder, life)| {
                        key_life = life;
                        holder
                    }))
                }
                Step::Key(shown) => {
                    if self.learns() && self.known_miner(shown.key_id()).is_none() {
                        // Another router may have enrolled it a moment ago.
                        let _ = self.shared.beat().await;
                    }
                    let record = self.known_miner(shown.key_id()).filter(|record| record.public_key.is_some());
                    shown.known(record.map(enrolled))
                }
                Step::Enrolment(enrolment) => {
                    let recorded = self.enrol(&enrolment, tokens).await;
                    enrolment.recorded(recorded)
                }
                Step::Admitted(admitted) => {
                    if let Some(word) = admitted.hello.unknown_word() {
                        tracing::warn!(miner = %admitted.identity.id, %word, "a miner sent a word that this router does not know; it may be newer");
                    }
                    if admitted.credential == Credential::Key {
                        let (kind, now) = (admitted.hello.node_kind(), Timestamp::wall_clock().as_secs());
                        self.change_miner(&admitted.identity.id, |record| {
                            record.kind = Some(kind);
                            record.last_seen = NonZeroU64::new(now);
                        });
                    }
                    return Some(Ok((*admitted, key_life)));
                }
                Step::Refused(error) => return Some(Err(error)),
            };
        }
    }

    /// Looks the key of a token up that another router, or a program that is none, may have made a moment ago. A store that
    /// does not answer leaves it unknown.
    async fn learn_token(&self, token: &str) {
        if self.learns()
            && let Some(token) = crate::Token::parse(token)
        {
            let _ = self.learn_key(token.id()).await;
        }
    }

    /// Spends the one-time token and records the key.
    async fn enrol(&self, enrolment: &Enrolment, tokens: &impl MinerTokens) -> Result<Enrolled> {
        self.learn_token(enrolment.token()).await;
        let token = tokens.enrolment(enrolment.token())?;
        // Only the caller that deletes the token may use it, so that it works once.
        if !self.remove_key(&token.id, None).await? {
            return Err(unauthorized());
        }
        let (id, now) = (enrolment.key_id(), Timestamp::wall_clock().as_secs());
        let record = MinerRecord {
            id: id.to_owned(),
            name: if token.name.is_empty() { id } else { &token.name }.to_owned(),
            public_key: Some(enrolment.public_key()),
            kind: Some(enrolment.kind()),
            owner: token.owner.clone(),
            models: token.models.clone(),
            created_at: now,
            last_seen: NonZeroU64::new(now),
            ..MinerRecord::default()
        };
        let act = Act::miner_enrolled(self.shared.clock.now(), &token.id, &record);
        if let Err(error) = self.remember_miner(record.clone(), act).await {
            self.put_key((*token).clone(), None).await?;
            return Err(error);
        }
        tracing::info!(miner = %record.id, name = %record.name, "a miner's key is enrolled");
        Ok(enrolled(record))
    }
}

fn enrolled(record: MinerRecord) -> Enrolled {
    Enrolled { models: record.models, owner: record.owner, revoked: record.revoked }
}

/// The next text message; `None` if the connection ended.
async fn next_text<S>(socket: &mut WebSocketStream<S>) -> Option<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
