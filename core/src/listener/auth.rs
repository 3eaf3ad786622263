//! Decides what a caller may do, by `Authorization: Bearer`, `X-API-Key` or `api-key`. The decision comes before any id
//! in the path is looked up.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::credentials::{self, Sent};
use super::locality::{Foreign, Local, LocalRule, Visit};
use crate::config::{Anonymous, DEFAULT_DEV_TOKEN, KeyLimits, ListenConfig, TRIAL};
use crate::model::{Scope, SessionId, TaskRequest, Timestamp};
use crate::router::key_end::KeyLife;
use crate::router::{KeyRing, Known, Meter};
use crate::store::{ApiKey, COMMAND};
use crate::token::{DEFAULT_ENROL_SECS, DEFAULT_SCOPES, KeySpec, Token};
use crate::{Error, ErrorKind, Result, Router};

/// The scopes of a configured token that names none, and of the development token.
const ALL: [Scope; 3] = [Scope::Submit, Scope::Read, Scope::Admin];

/// The sender of a request. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::listener) struct Caller {
    /// The caller's id, which its tasks carry.
    id: Arc<str>,
    /// The caller's id, its scopes and the only sessions that it may use.
    rights: Arc<ApiKey>,
    /// Whether `rights` come from a key of the store or a token of the configuration. The development token and a
    /// caller without a token have no such record.
    recorded: bool,
    /// The count of what the caller uses; `None`: it has no limits.
    meter: Option<Arc<Meter>>,
    /// Cancelled when the caller's key is revoked; `None` for a token of the configuration, which cannot be revoked.
    revoked: Option<CancellationToken>,
    /// The bounds of a caller that tries the router without a token.
    trial: Option<Trial>,
}

/// A caller that tries the router without a token.
#[derive(Debug, Clone)]
pub(in crate::listener) struct Trial {
    /// The addresses that count as this caller.
    pub(in crate::listener) visitor: String,
    /// The most tokens of an answer.
    pub(in crate::listener) max_tokens: u64,
}

/// The members that a request on trial may pass on to a model's server. None of them makes an answer cost more.
const ON_TRIAL: &[&str] = &[
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "seed",
    "stop",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "user",
];

impl Caller {
    /// A caller without a record.
    fn new(id: &str, scopes: &[Scope]) -> Self {
        let rights = Arc::new(ApiKey { id: id.to_owned(), scopes: scopes.to_vec(), ..ApiKey::default() });
        Self { id: id.into(), rights, recorded: false, meter: None, revoked: None, trial: None }
    }

    /// A caller that tries the router: it may submit in that session alone.
    pub(in crate::listener) fn on_trial(session: SessionId, meter: Option<Arc<Meter>>, trial: Trial) -> Self {
        let scopes = vec![Scope::Submit];
        let rights = Arc::new(ApiKey { id: TRIAL.to_owned(), scopes, sessions: vec![session], ..ApiKey::default() });
        Self { id: TRIAL.into(), rights, recorded: false, meter, revoked: None, trial: Some(trial) }
    }

    /// The name space of the caller's idempotency keys.
    pub(in crate::listener) fn name_space(&self) -> String {
        match &self.trial {
            Some(trial) => format!("{} {}", self.id, trial.visitor),
            None => self.id.to_string(),
        }
    }

    /// The request within the bounds of a trial: in the band of its session, with one answer of no more tokens than its
    /// bound, and without members by which a server might do more. Another caller's request stays as it is.
    pub(in crate::listener) fn tamed(&self, mut request: TaskRequest) -> TaskRequest {
        if let Some(trial) = &self.trial {
            (request.priority, request.webhook) = (None, None);
            request.extra.retain(|(name, _)| ON_TRIAL.contains(&name.as_str()));
            request.limit_tokens(request.token_limit().unwrap_or(u64::MAX).min(trial.max_tokens));
        }
        request
    }

    /// Whether the caller's key has expired at that time.
    pub(in crate::listener) fn has_expired(&self, now_secs: u64) -> bool {
        self.rights.expires_at.is_some_and(|end| end.get() <= now_secs)
    }

    /// The token's id or name.
    pub(in crate::listener) fn id(&self) -> &str {
        &self.id
    }

    /// The count of what the caller uses; `None`: it has no limits.
    pub(in crate::listener) fn meter(&self) -> Option<&Arc<Meter>> {
        self.meter.as_ref()
    }

    /// The only models that the caller may use; empty: all models.
    pub(in crate::listener) fn models(&self) -> &[String] {
        &self.rights.models
    }

    /// Whether the caller has a token that is a secret: a key, a configured token, or that of the command. The
    /// development token is none.
    pub(in crate::listener) fn has_secret(&self) -> bool {
        self.recorded || &*self.id == COMMAND
    }

    /// Refuses limits of another key that are wider than the caller's own.
    pub(in crate::listener) fn may_grant(&self, limits: &KeyLimits) -> Result<()> {
        let Some((name, most)) = limits.wider_than(&self.rights.limits) else { return Ok(()) };
        let words = format!("this token has {name} = {most}: a key makes none that can do more than itself");
        Err(Error::new(ErrorKind::PermissionDenied, words).with_param("limits"))
    }

    /// The id, for a task.
    pub(in crate::listener) fn shared_id(&self) -> Arc<str> {
        self.id.clone()
    }

    /// The name of the caller's key for people, if it has one.
    pub(in crate::listener) fn name(&self) -> Option<&str> {
        Some(self.rights.name.as_str()).filter(|name| !name.is_empty())
    }

    /// Refuses a caller whose token does not carry the scope.
    pub(in crate::listener) fn may(&self, scope: Scope) -> Result<()> {
        if self.rights.scopes.iter().any(|own| *own == scope || *own == Scope::Admin) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PermissionDenied,
            format!("this token does not carry the scope \"{scope}\": use one that does"),
        ))
    }

    /// Refuses a caller that may use only some sessions, because it asks for something that all sessions share.
    pub(in crate::listener) fn is_unlimited(&self) -> Result<()> {
        if self.rights.sessions.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PermissionDenied,
            "this token is limited to sessions of its own: use one that is not",
        ))
    }

    /// Refuses a caller that may not change things that all sessions share.
    pub(in crate::listener) fn administers(&self) -> Result<()> {
        self.may(Scope::Admin)?;
        self.is_unlimited()
    }

    /// Whether the caller, which administers keys, may see and revoke that key. A caller that is limited to sessions
    /// may do so only with keys that are limited to a subset of its sessions.
    pub(in crate::listener) fn rules(&self, key: &ApiKey) -> bool {
        self.rights.sessions.is_empty()
            || (!key.sessions.is_empty() && key.sessions.iter().all(|session| self.rights.sessions.contains(session)))
    }

    /// Limits the wanted key to the caller's own rights: a key never makes another key that can do more, or lives
    /// longer.
    pub(in crate::listener) fn lend(&self, mut spec: KeySpec, now_secs: u64) -> Result<KeySpec> {
        let beyond = |field: &str, what: String| {
            Error::new(ErrorKind::PermissionDenied, format!("{what}: a key makes none that can do more than itself"))
                .with_param(field)
        };
        if spec.sessions.is_empty() {
            spec.sessions = self.rights.sessions.iter().map(|id| id.0).collect();
        } else if let Some(other) = spec.sessions.iter().find(|id| self.sees(SessionId(**id)).is_err()) {
            return Err(beyond("sessions", format!("session {other} is none of this token's")));
        }
        if let Some(scope) = spec.scopes.iter().find(|scope| self.may(**scope).is_err()) {
            return Err(beyond("scopes", format!("this token does not carry the scope \"{scope}\"")));
        }
        if let Some(end) = self.rights.expires_at {
            let left = NonZeroU64::new(end.get().saturating_sub(now_secs)).unwrap_or(NonZeroU64::MIN);
            if spec.ttl_secs.is_some_and(|ttl| ttl > left) {
                return Err(beyond("ttl_secs", format!("this token expires in {left} seconds")));
            }
            let own = NonZeroU64::new(DEFAULT_ENROL_SECS).filter(|_| spec.scopes.contains(&Scope::Enrol));
            spec.ttl_secs = spec.ttl_secs.or(own).or(Some(left)).map(|ttl| ttl.min(left));
        }
        spec.limits = spec.limits.or(self.rights.limits);
        self.may_grant(&spec.limits)?;
        if spec.models.is_empty() {
            spec.models.clone_from(&self.rights.models);
        } else if let Some(other) =
            spec.models.iter().find(|model| !self.rights.models.is_empty() && !self.rights.models.contains(model))
        {
            return Err(beyond("models", format!("the model {other:?} is none of this token's")));
        }
        Ok(spec)
    }

    /// The rights of the caller.
    pub(in crate::listener) fn rights(&self) -> &ApiKey {
        &self.rights
    }

    /// The record of the caller's token, if it has one.
    pub(in crate::listener) fn key(&self) -> Option<&ApiKey> {
        self.recorded.then_some(&*self.rights)
    }

    /// Whether the caller has a key of the store.
    pub(in crate::listener) fn is_stored(&self) -> bool {
        self.revoked.is_some()
    }

    /// The life of the caller's key from `now` on, if it has a key that can end.
    pub(in crate::listener) fn life(&self, now: Timestamp) -> Option<KeyLife> {
        self.revoked.clone().map(|revoked| KeyLife::new(&self.rights, revoked, now))
    }

    /// The only sessions that the caller may use; empty: all sessions.
    pub(in crate::listener) fn sessions(&self) -> &[SessionId] {
        &self.rights.sessions
    }

    /// Refuses a session that the caller may not use, with the error for a session that does not exist.
    pub(in crate::listener) fn sees(&self, session: SessionId) -> Result<()> {
        if self.rights.sessions.is_empty() || self.rights.sessions.contains(&session) {
            return Ok(());
        }
        Err(Error::not_found(format!("there is no session {session}"))
            .with_code("session_not_found")
            .with_param("session_id"))
    }
}

/// The tokens that a listener accepts.
pub(in crate::listener) struct Auth {
    /// The tokens of the configuration: SHA-256 of each, and its caller.
    configured: Vec<([u8; 32], Caller)>,
    /// SHA-256 of the token that this process made for its own commands.
    own: OnceLock<[u8; 32]>,
    /// The number of these settings.
    number: u64,
    /// The keys of the store.
    keys: Arc<KeyRing>,
    dev: DevToken,
    /// Whether local callers need no token.
    anonymous: bool,
    local: LocalRule,
    developers: Developers,
}

/// The callers that send the development token.
struct Developers {
    program: Caller,
    /// A page in a browser. Its caller has fewer scopes: the development token is public, so a page must not make keys
    /// with it.
    page: Caller,
}

/// Whether the development token is accepted from local callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DevToken {
    /// Never accepted: it is switched off, or other machines can reach the listener.
    Off,
    /// Accepted until a better token exists: one of the configuration, or a key with the scope `admin`.
    Untouched,
    /// Always accepted, because `listen.dev_token = true` says so.
    Kept,
}

/// A moment in the life of the tokens. A decision about a caller counts as long as it is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) struct Era {
    /// The number of changes of the keys.
    keys: u64,
    /// The number of the settings that have the configured tokens.
    settings: u64,
}

/// The number of settings so far, in this process.
static SETTINGS: AtomicU64 = AtomicU64::new(0);

impl Auth {
    /// Checks what [`new`](Self::new) needs, and changes nothing.
    ///
    /// # Errors
    /// `InvalidArgument` when a token has no value, or when other machines could connect and there is no token.
    pub(in crate::listener) fn check(router: &Router, config: &ListenConfig) -> Result<()> {
        for token in &config.tokens {
            token.secret()?;
        }
        if config.host.is_loopback() || !config.tokens.is_empty() || !router.key_ring().is_empty() {
            return Ok(());
        }
        Err(Error::invalid(
            "listen.host",
            format!(
                "{} can be reached by other machines, and no token is configured: set one ([[listen.token]], API_KEY or --token), \
                 create a key (cortensor-router key create), or listen on 127.0.0.1",
                config.host
            ),
        ))
    }

    /// The tokens of a configuration. The limits of tokens count from now on.
    ///
    /// # Errors
    /// `InvalidArgument` when a token has no value.
    pub(in crate::listener) fn new(router: &Router, config: &ListenConfig) -> Result<Self> {
        let mut configured = Vec::new();
        for (index, token) in config.tokens.iter().enumerate() {
            let scopes = if token.scopes.is_empty() { ALL.to_vec() } else { token.scopes.clone() };
            let id = token.name.clone().unwrap_or_else(|| format!("token-{index}"));
            let rights = Arc::new(ApiKey {
                id: id.clone(),
                scopes,
                sessions: token.sessions.iter().copied().map(SessionId).collect(),
                models: token.models.clone(),
                owner: token.owner.clone(),
                limits: token.quota,
                ..ApiKey::default()
            });
            let hash = hash(&token.secret()?);
            let meter = if token.quota.is_none() { None } else { router.key_ring().meter(&id, &token.quota) };
            let caller = Caller { id: id.into(), rights, recorded: true, meter, revoked: None, trial: None };
            configured.push((hash, caller));
        }
        let dev = match config.dev_token {
            _ if !config.host.is_loopback() => DevToken::Off,
            Some(false) => DevToken::Off,
            Some(true) => DevToken::Kept,
            None => DevToken::Untouched,
        };
        let anonymous = config.anonymous == Anonymous::Loopback && config.host.is_loopback();
        Ok(Self {
            configured,
            own: OnceLock::new(),
            number: SETTINGS.fetch_add(1, Ordering::Relaxed),
            keys: router.key_ring(),
            dev,
            anonymous,
            local: LocalRule::new(config),
            developers: Developers { program: Caller::new("dev", &ALL), page: Caller::new("dev", DEFAULT_SCOPES) },
        })
    }

    /// The present era. Callers that were found in an earlier one may have lost their rights.
    pub(in crate::listener) fn era(&self) -> Era {
        Era { keys: self.keys.changes(), settings: self.number }
    }

    /// Adds the token of this process's own commands that the other one has.
    pub(in crate::listener) fn with_own_of(self, other: &Self) -> Self {
        if let Some(own) = other.own.get() {
            let _ = self.own.set(*own);
        }
        self
    }

    /// Whether any token but the development one can be used.
    pub(in crate::listener) fn has_tokens(&self) -> bool {
        !self.configured.is_empty() || !self.keys.is_empty()
    }

    /// Accepts one more token, with the scope `admin`. Only the first call has an effect.
    pub(in crate::listener) fn accept_admin(&self, token: &Token) {
        let _ = self.own.set(hash(&token.reveal()));
    }

    /// Whether the development token is accepted now.
    pub(in crate::listener) fn accepts_dev(&self) -> bool {
        match self.dev {
            DevToken::Off => false,
            DevToken::Kept => true,
            DevToken::Untouched => self.configured.is_empty() && !self.keys.has_admin(),
        }
    }

    /// Whether local callers need no token.
    pub(in crate::listener) fn accepts_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Decides whether the caller is on this machine. No other code decides that.
    pub(in crate::listener) fn local(&self, visit: &Visit<'_>) -> Result<Local, Foreign> {
        self.local.check(visit)
    }

    /// The key of a token that enrols a miner.
    pub(in crate::listener) fn enrolment(&self, token: &str, now_secs: u64) -> Result<Arc<ApiKey>> {
        let caller = self.known(token, now_secs).ok_or_else(unauthorized)?;
        let stored = caller.revoked.is_some();
        let key = caller.rights;
        (stored && key.scopes.contains(&Scope::Enrol))
            .then_some(key)
            .ok_or_else(|| Error::new(ErrorKind::PermissionDenied, "this token does not carry the scope \"enrol\""))
    }

    /// Finds the caller of a request: the first one that any of its credentials names.
    pub(in crate::listener) fn caller(&self, visit: &Visit<'_>, now_secs: u64) -> Result<Caller> {
        let (mut any, mut dev) = (false, false);
        for Sent { token, openly } in credentials::sent(visit.headers) {
            if let Some(caller) = self.known(token, now_secs) {
                return Ok(caller);
            }
            any = true;
            dev |= openly && is_dev(token);
        }
        if dev {
            return self.developer(self.local(visit));
        }
        if any {
            return Err(unauthorized());
        }
        if self.anonymous && credentials::none(visit.headers) {
            self.local(visit).map_err(|why| refused("access without a token (listen.anonymous)", &why))?;
            return Ok(Caller::new("anonymous", DEFAULT_SCOPES));
        }
        Err(Error::new(ErrorKind::Unauthenticated, "Invalid Authorization header format")
            .with_code("invalid_authorization"))
    }

    /// Finds the caller that a token in a miner's frame names.
    pub(in crate::listener) fn caller_of(
        &self,
        token: &str,
        local: Result<Local, Foreign>,
        now_secs: u64,
    ) -> Result<Caller> {
        match self.known(token, now_secs) {
            Some(caller) => Ok(caller),
            None if is_dev(token) => self.developer(local),
            None => Err(unauthorized()),
        }
    }

    /// The caller behind the development token, if that token is accepted here.
    fn developer(&self, local: Result<Local, Foreign>) -> Result<Caller> {
        if !self.accepts_dev() {
            let why = match self.dev {
                DevToken::Untouched => "it ended with the first token of the configuration or key with the scope admin",
                _ => "it is switched off here",
            };
            return Err(refused(DEFAULT_DEV_TOKEN, why));
        }
        let local = local.map_err(|why| refused(DEFAULT_DEV_TOKEN, &why))?;
        Ok(if local.page { self.developers.page.clone() } else { self.developers.program.clone() })
    }

    /// The caller that a secret names. The development token is not a secret and is not looked up here.
    fn known(&self, token: &str, now_secs: u64) -> Option<Caller> {
        let parsed = Token::parse(token);
        if let Some(parsed) = &parsed {
            let known = self.keys.get(parsed.id());
            // An unknown id must cost the same comparison as a known one.
            let matches = parsed.matches(known.as_ref().map_or(NO_HASH, |known| known.key.hash.as_str()));
            if let Some(Known { id, key, meter, revoked }) = known {
                if !matches {
                    return None;
                }
                let caller = Caller { id, rights: key, recorded: true, meter, revoked: Some(revoked), trial: None };
                if caller.has_expired(now_secs) {
                    tracing::info!(key = caller.rights.id, name = caller.rights.name, "an expired key was sent");
                    return None;
                }
                return Some(caller);
            }
            // The token may still be one of the configuration.
        }
        // The token of this process has a key's form, so that without it and without tokens of the configuration
        // nothing is left to compare with. A development token is then not hashed, which takes 3,500 instructions.
        let own = self.own.get().filter(|_| parsed.is_some());
        if self.configured.is_empty() && own.is_none() {
            return None;
        }
        let hash = hash(token);
        if own.is_some_and(|own| bool::from(own.ct_eq(&hash))) {
            return Some(Caller::new(COMMAND, &[Scope::Admin]));
        }
        let mut found = None;
        for (known, caller) in &self.configured {
            if bool::from(known.ct_eq(&hash)) {
                found = Some(caller);
            }
        }
        found.cloned()
    }
}

fn is_dev(token: &str) -> bool {
    token == DEFAULT_DEV_TOKEN
}

fn unauthorized() -> Error {
    Error::new(ErrorKind::Unauthenticated, "Unauthorized").with_code("unauthorized")
}

/// The error for a caller that has no secret and is not trusted without one.
fn refused(what: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        format!(
            "{what} is refused: {why}. Use a key (cortensor-router key create); listen.hosts names further hosts of this \
             machine, listen.dev_token = true keeps {DEFAULT_DEV_TOKEN} for local programs"
        ),
    )
    .with_code("dev_token_refused")
}

/// The hash that an unknown key is compared with.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
