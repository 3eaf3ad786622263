//! Who may do what: `Authorization: Bearer` or `X-API-Key`, checked before a path's ids are looked at.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use crate::config::{DEFAULT_DEV_TOKEN, ListenConfig};
use crate::model::SessionId;
use crate::router::{ApiKey, KeyRing, Known};
use crate::token::{ENROL, Token};
use crate::{Error, ErrorKind, Result, Router};

/// Who sent a request. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::listener) struct Caller {
    /// The token's id or name: the scope of idempotency keys.
    pub(in crate::listener) id: Arc<str>,
    scopes: Arc<[String]>,
    sessions: Arc<[u64]>,
    /// The token's record; the development token has none.
    key: Option<Arc<ApiKey>>,
    /// Cancelled when the caller's key is revoked; tokens of the configuration cannot be.
    revoked: Option<CancellationToken>,
}

impl Caller {
    fn new(id: &str, scopes: &[String], sessions: &[u64]) -> Self {
        Self { id: id.into(), scopes: scopes.into(), sessions: sessions.into(), key: None, revoked: None }
    }

    /// Refuses a caller whose token does not carry the scope.
    pub(in crate::listener) fn may(&self, scope: &str) -> Result<()> {
        if self.scopes.iter().any(|own| own == scope || own == "admin") {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("this token does not carry the scope {scope:?}: use one that does"),
        ))
    }

    /// Its token's record.
    pub(in crate::listener) fn key(&self) -> Option<&ApiKey> {
        self.key.as_deref()
    }

    /// Cancelled when the caller's key is revoked, where it has one that can be.
    pub(in crate::listener) fn revoked(&self) -> Option<&CancellationToken> {
        self.revoked.as_ref()
    }

    /// The only sessions it may use; empty: all.
    pub(in crate::listener) fn sessions(&self) -> &[u64] {
        &self.sessions
    }

    /// A session that is not the caller's does not exist for it.
    pub(in crate::listener) fn sees(&self, session: SessionId) -> Result<()> {
        if self.sessions.is_empty() || self.sessions.contains(&session.0) {
            return Ok(());
        }
        Err(Error::not_found(format!("there is no session {session}"))
            .with_code("session_not_found")
            .with_param("session_id"))
    }
}

/// The tokens that a listener accepts.
pub(in crate::listener) struct Auth {
    /// From the configuration: SHA-256 of the token, and who it is.
    configured: Vec<([u8; 32], Caller)>,
    /// From the store.
    keys: Arc<KeyRing>,
    /// Who sends the development token, where that is accepted.
    dev: Option<Caller>,
}

impl Auth {
    pub(in crate::listener) fn new(router: &Router, config: &ListenConfig) -> Result<Self> {
        let mut configured = Vec::new();
        for (index, token) in config.tokens.iter().enumerate() {
            let scopes = if token.scopes.is_empty() {
                vec!["submit".into(), "read".into(), "admin".into()]
            } else {
                token.scopes.clone()
            };
            let id = if token.name.is_empty() { format!("token-{index}") } else { token.name.clone() };
            let caller = Caller::new(&id, &scopes, &token.sessions);
            let key =
                ApiKey { id, scopes, models: token.models.clone(), owner: token.owner.clone(), ..ApiKey::default() };
            configured.push((hash(&token.secret()?), Caller { key: Some(Arc::new(key)), ..caller }));
        }
        let dev = (config.dev_token && config.host.is_loopback() && configured.is_empty())
            .then(|| Caller::new("dev", &["submit", "read", "admin"].map(str::to_owned), &[]));
        Ok(Self { configured, keys: router.key_ring(), dev })
    }

    /// Whether any token but the development one can be used.
    pub(in crate::listener) fn has_tokens(&self) -> bool {
        !self.configured.is_empty() || !self.keys.is_empty()
    }

    /// Whether the development token is accepted.
    pub(in crate::listener) fn accepts_dev(&self) -> bool {
        self.dev.is_some()
    }

    /// The key of a token that enrols a miner.
    pub(in crate::listener) fn enrolment(&self, token: &str, now_secs: u64) -> Result<Arc<ApiKey>> {
        let caller = self.caller_of(token, IpAddr::from([0, 0, 0, 0]), true, now_secs)?;
        let stored = caller.revoked.is_some();
        caller.key.filter(|key| stored && key.scopes.iter().any(|scope| scope == ENROL)).ok_or_else(|| {
            Error::new(ErrorKind::PermissionDenied, format!("this token does not carry the scope {ENROL:?}"))
        })
    }

    /// The caller that the headers name.
    pub(in crate::listener) fn caller(&self, headers: &HeaderMap, peer: IpAddr, now_secs: u64) -> Result<Caller> {
        let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        self.caller_of(token(headers)?, peer, forwarded, now_secs)
    }

    /// The caller whose token it is. `forwarded`: a proxy stands between.
    pub(in crate::listener) fn caller_of(
        &self,
        token: &str,
        peer: IpAddr,
        forwarded: bool,
        now_secs: u64,
    ) -> Result<Caller> {
        let wrong = || Error::new(ErrorKind::Unauthenticated, "Unauthorized").with_code("unauthorized");
        if let Some(parsed) = Token::parse(token) {
            let known = self.keys.get(parsed.id());
            // An unknown id costs the same comparison as a known one.
            let matches = parsed.matches(known.as_ref().map_or(NO_HASH, |known| known.key.hash.as_str()));
            if let Some(Known { key, revoked }) = known {
                if !matches || (key.expires_at != 0 && key.expires_at <= now_secs) {
                    return Err(wrong());
                }
                let caller = Caller::new(&key.id, &key.scopes, &key.sessions);
                return Ok(Caller { key: Some(key), revoked: Some(revoked), ..caller });
            }
            // Not a key of this store: it may stand in the configuration all the same.
        }
        if !self.configured.is_empty() {
            let hash = hash(token);
            let mut found = None;
            for (known, caller) in &self.configured {
                if bool::from(known.ct_eq(&hash)) {
                    found = Some(caller);
                }
            }
            if let Some(caller) = found {
                return Ok(caller.clone());
            }
        }
        let is_dev = bool::from(token.as_bytes().ct_eq(DEFAULT_DEV_TOKEN.as_bytes()));
        match &self.dev {
            Some(caller) if is_dev && peer.is_loopback() && !forwarded => Ok(caller.clone()),
            _ => Err(wrong()),
        }
    }
}

/// What an unknown key is compared with.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The token in the headers, of either form.
fn token(headers: &HeaderMap) -> Result<&str> {
    let malformed = || {
        Error::new(ErrorKind::Unauthenticated, "Invalid Authorization header format").with_code("invalid_authorization")
    };
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::trim).filter(|key| !key.is_empty()).ok_or_else(malformed);
    }
    let value =
        headers.get(http::header::AUTHORIZATION).ok_or_else(malformed)?.to_str().map_err(|_| malformed())?.trim();
    let (scheme, token) = value.split_once(char::is_whitespace).ok_or_else(malformed)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(malformed());
    }
    Ok(token)
}
