//! The router's side of a handshake, as a state machine without sockets, clock, tokens or store.
//!
//! ```text
//!             hello with a token             its holder
//! Greeting ─────────────────────▶ Token ───────────────────▶ Admitted
//!    │        hello with a key               the key is enrolled
//!    ├──────────────────────────▶ Key ─────────────────────▶ Admitted
//!    │                             │ the key is unknown, and the hello has a token
//!    │                             ▼             recorded
//!    │                         Enrolment ──────────────────▶ Admitted
//!    ▼
//! Refused, to which every state may lead
//! ```
//!
//! Each state is a type. Its one method takes the value for which the state waits, and returns the next [`Step`]. The
//! driver of the machine therefore can neither give an answer for another state nor continue after a refusal. The first
//! state makes the challenge. The machine itself checks the signature of a hello, because that needs only the
//! challenge.

use std::fmt;

use cortensor_router_model::{Error, ErrorKind, MinerSpec, NodeKind, Result};

use crate::frame::{Challenge, ErrorFrame, Hello, MinerFrame, RouterFrame, VERSION};
use crate::hello::{Identity, features, spec_of};
use crate::identity::{NO_BINDING, TLS_EXPORTER, encode, is_token_id, verify};

/// The state of a handshake.
#[derive(Debug)]
pub enum Step {
    /// The machine waits for the miner's next frame.
    Greeting(Greeting),
    /// The miner showed a token: the driver must look up the token's holder.
    Token(TokenShown),
    /// The miner showed a key and signed with it: the driver must look up whether the key is enrolled.
    Key(KeyShown),
    /// The key is not enrolled, but the miner showed a token: the driver must spend the token and record the key.
    Enrolment(Enrolment),
    /// The miner is admitted.
    Admitted(Box<Admitted>),
    /// The miner is refused: the driver must send the reason and close the connection.
    Refused(ErrorFrame),
}

/// The state in which the router sends its challenge and waits for the hello.
pub struct Greeting {
    challenge: Challenge,
    channel: Option<[u8; 32]>,
}

/// Shows no keying material.
impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// A hello with a token and no key.
pub struct TokenShown {
    hello: Box<Hello>,
    token: String,
}

/// Shows no token.
impl fmt::Debug for TokenShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenShown").field("hello", &self.hello).finish_non_exhaustive()
    }
}

/// A hello with a key, whose signature is valid.
#[derive(Debug)]
pub struct KeyShown {
    hello: Box<Hello>,
    public_key: Vec<u8>,
}

/// A key that is to be enrolled with a one-time token.
pub struct Enrolment {
    hello: Box<Hello>,
    public_key: Vec<u8>,
    token: String,
}

/// Shows no token.
impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrolment").field("hello", &self.hello).finish_non_exhaustive()
    }
}

/// The holder of a token of the scope `miner`.
#[derive(Debug, Clone, Default)]
pub struct Holder {
    /// The token's id or name.
    pub id: String,
    /// The only models that the holder's miners may serve; empty: all.
    pub models: Vec<String>,
    /// The person or company that runs the miners; `None`: unknown.
    pub owner: Option<String>,
}

/// The record of an enrolled key.
#[derive(Debug, Clone, Default)]
pub struct Enrolled {
    /// The only models that the key's miner may serve; empty: all.
    pub models: Vec<String>,
    /// The person or company that runs the miner; `None`: unknown.
    pub owner: Option<String>,
    /// Whether the key was revoked.
    pub revoked: bool,
}

/// The credential with which a miner was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A token.
    Token,
    /// A key that was enrolled before.
    Key,
    /// A key that this handshake has enrolled.
    NewKey,
}

/// A miner that is admitted.
#[derive(Debug)]
pub struct Admitted {
    /// The miner's identity.
    pub identity: Identity,
    /// The miner's hello.
    pub hello: Box<Hello>,
    /// The miner that the hello describes, within the rights of the identity.
    pub spec: MinerSpec,
    /// The credential with which the miner was admitted.
    pub credential: Credential,
}

impl Greeting {
    /// Starts a handshake. `nonce` must be new. `channel` is the keying material of the TLS connection; `None`: the
    /// router itself does not end TLS.
    pub fn new(nonce: String, server_time: u64, router: String, channel: Option<[u8; 32]>) -> Self {
        let challenge = Challenge {
            nonce,
            server_time,
            router,
            versions: vec![VERSION],
            features: features(),
            binding: if channel.is_some() { TLS_EXPORTER } else { NO_BINDING }.to_owned(),
        };
        Self { challenge, channel }
    }

    /// The challenge, which is the router's first frame.
    pub fn challenge(&self) -> RouterFrame {
        self.challenge.clone().into()
    }

    /// Takes a frame of the miner. A frame of an unknown type is ignored.
    pub fn frame(self, text: &str) -> Step {
        let hello = match MinerFrame::parse(text) {
            Ok(Some(MinerFrame::Hello(hello))) => Box::new(hello),
            Ok(Some(_)) => return refused("unexpected", "the first frame must be hello"),
            Ok(None) => return Step::Greeting(self),
            Err(bad) => return refused("bad_frame", &bad.to_string()),
        };
        if hello.v != VERSION {
            return refused("version", "this router speaks version 1 of the protocol");
        }
        if hello.auth.public_key.is_some() {
            return match verify(&self.challenge, &hello, self.channel.as_ref().map(|channel| &channel[..])) {
                Ok(public_key) => Step::Key(KeyShown { hello, public_key }),
                Err(error) => Step::Refused(ErrorFrame::of(&error)),
            };
        }
        match hello.auth.token.clone() {
            Some(token) => Step::Token(TokenShown { hello, token }),
            None => refused("unauthorized", "send auth.token, or auth.public_key and auth.signature"),
        }
    }

    /// Notes that no hello came in time.
    pub fn timed_out(self) -> Step {
        refused("hello_timeout", "no hello came in time")
    }
}

impl TokenShown {
    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Takes the holder of the token, or the reason why the token does not admit a miner.
    pub fn held_by(self, holder: Result<Holder>) -> Step {
        let holder = match holder {
            Ok(holder) => holder,
            Err(error) => return Step::Refused(ErrorFrame::of(&error)),
        };
        if !is_token_id(&self.hello.miner_id) {
            return Step::Refused(ErrorFrame::of(&Error::invalid(
                "miner_id",
                "with a token, miner_id is 1 to 128 bytes of A-Z a-z 0-9 . _ - and does not begin with mk_",
            )));
        }
        let id = format!("{}/{}", holder.id, self.hello.miner_id);
        admit(self.hello, id, holder.models, holder.owner, Credential::Token)
    }
}

impl KeyShown {
    /// The id of the key, which is the miner's id.
    pub fn key_id(&self) -> &str {
        &self.hello.miner_id
    }

    /// Takes the record of the key; `None`: the key is not enrolled.
    pub fn known(self, record: Option<Enrolled>) -> Step {
        match (record, self.hello.auth.token.clone()) {
            (Some(record), _) if record.revoked => refused("revoked", "the miner's key was revoked"),
            (Some(record), _) => {
                let id = self.hello.miner_id.clone();
                admit(self.hello, id, record.models, record.owner, Credential::Key)
            }
            (None, Some(token)) => Step::Enrolment(Enrolment { hello: self.hello, public_key: self.public_key, token }),
            (None, None) => refused("not_enrolled", "the key is not known: enrol it with a token"),
        }
    }
}

impl Enrolment {
    /// The one-time token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The id of the key, which is the miner's id.
    pub fn key_id(&self) -> &str {
        &self.hello.miner_id
    }

    /// The public key for the record, as base64url.
    pub fn public_key(&self) -> String {
        encode(&self.public_key)
    }

    /// The kind of the miner for the record.
    pub fn kind(&self) -> NodeKind {
        self.hello.node_kind()
    }

    /// Takes the new record, or the reason why the key was not enrolled.
    pub fn recorded(self, record: Result<Enrolled>) -> Step {
        match record {
            Ok(record) => {
                let id = self.hello.miner_id.clone();
                admit(self.hello, id, record.models, record.owner, Credential::NewKey)
            }
            Err(error) => Step::Refused(ErrorFrame::of(&error)),
        }
    }
}

/// The error of a token that is invalid or expired.
pub fn unauthorized() -> Error {
    Error::new(ErrorKind::Unauthenticated, "Unauthorized").with_code("unauthorized")
}

fn refused(code: &str, message: &str) -> Step {
    Step::Refused(ErrorFrame::fatal(code, message))
}

fn admit(hello: Box<Hello>, id: String, models: Vec<String>, owner: Option<String>, credential: Credential) -> Step {
    let identity = Identity { id, models, owner };
    match spec_of(&identity, &hello) {
        Ok(spec) => Step::Admitted(Box::new(Admitted { identity, hello, spec, credential })),
        Err(error) => Step::Refused(ErrorFrame::of(&error)),
    }
}
