//! The one way in for work. Every family of HTTP routes, every binding and every Rust program fills in an [`Intake`].
//! [`Router::check`] finds the session and checks the request; [`Router::enter`] makes a
//! [`Submission`](super::Submission) of it.
//!
//! The two are separate calls because an HTTP route may need the checked request to decide how it sends the answer.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::quota::Meter;
use super::shared::{Router, Shared};
use crate::config::UnknownSession;
use crate::model::whole::digits;
#[cfg(feature = "listener")]
use crate::model::work_of;
use crate::model::{MinerInfo, MinerKind, SessionId, TaskRequest, meant};
use crate::task::{Idempotency, TraceContext};
use crate::{Error, ErrorKind, Result};

/// The session that a caller asks for.
#[derive(Debug)]
#[cfg_attr(not(feature = "listener"), allow(dead_code, reason = "a program in Rust names its session by id"))]
pub(crate) enum Wish<'a> {
    /// This session and no other.
    Exactly(SessionId),
    /// The session that a client names in a path, a header or a body: a number, or 0x and 64 hexadecimal digits. The
    /// setting `unknown_session` decides what happens if there is no such session.
    Named(Cow<'a, str>),
    /// The router's choice: the caller's first allowed session; for a caller without that limit, the sessions of
    /// `completion_sessions` in turn, or session 0 if that list is empty.
    Any,
}

/// A key that makes a submission repeatable, as the caller gave it.
#[derive(Debug, Clone)]
pub(crate) struct RepeatKey {
    /// The name space of the key: the caller and the interface through which it came.
    pub(crate) scope: String,
    /// The caller's own key.
    pub(crate) key: String,
}

/// The hash of a body, apart from the members that say how its caller waits for the answer and reads it. It counts
/// beside the work of a request whose API has words that the request does not say.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "listener"), allow(dead_code, reason = "only routes have bodies"))]
pub(crate) struct Fingerprint([u8; 32]);

#[cfg(feature = "listener")]
impl Fingerprint {
    /// The fingerprint of this body.
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        for (name, value) in work_of(body) {
            for part in [&name, value] {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part);
            }
        }
        Self(hasher.finalize().into())
    }
}

/// A request with everything that its caller says about it.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    /// The session that the caller wants.
    pub(crate) session: Wish<'a>,
    /// The only sessions that the caller may use; empty: all.
    pub(crate) allowed: &'a [SessionId],
    /// The key under which the task is counted; `None`: nobody is named.
    pub(crate) key: Option<Arc<str>>,
    /// The only models that the caller may use; empty: all.
    pub(crate) models: &'a [String],
    /// The count of what the caller uses; `None`: it has no limits.
    pub(crate) meter: Option<Arc<Meter>>,
    /// The request. Its `kind` is set.
    pub(crate) request: TaskRequest,
    /// The key that makes the submission repeatable.
    pub(crate) idempotency: Option<RepeatKey>,
    /// Whether the task continues after the last handle of it is dropped.
    pub(crate) detach: bool,
    /// Whether the caller waits for the whole answer and learns the task's ids only with it. The store then gets the
    /// task together with its end, unless the submission is repeatable or detached.
    pub(crate) waits: bool,
    /// Whether any miner may serve the request if no miner offers its model.
    pub(crate) any_model: bool,
    /// Seconds that the caller waits for the first token of a stream, or for a whole answer. A stream that has begun
    /// ends by the miner's silence alone. `None`: the request's `timeout` bounds the whole task.
    pub(crate) patience: Option<f64>,
    /// The trace context that the caller sent.
    pub(crate) trace: Option<Arc<TraceContext>>,
    /// The route by which the request came, as its span names it.
    pub(crate) route: Option<&'static str>,
    /// The request of the Responses API that the chat stands for. A request cannot bring one in its own body.
    pub(crate) responses: Option<Box<RawValue>>,
    /// The body of another API that the chat stands for, under that API's name, for upstreams that speak it.
    pub(crate) original: Option<Box<RawValue>>,
    /// The fingerprint of the body that the request was made of, where the request does not say all of it.
    pub(crate) said: Option<Fingerprint>,
    /// The error of a request that no chat says all of, for the case that no upstream that speaks its API serves the
    /// model.
    pub(crate) own: Option<Error>,
}

impl Intake<'_> {
    /// An intake of this request for exactly this session, with every default.
    pub(crate) fn exactly(session: SessionId, request: TaskRequest) -> Self {
        Self::of(Wish::Exactly(session), request)
    }
}

impl<'a> Intake<'a> {
    /// An intake of this request for the session that is wanted, with every default.
    pub(crate) fn of(session: Wish<'a>, request: TaskRequest) -> Self {
        Self {
            session,
            allowed: &[],
            key: None,
            models: &[],
            meter: None,
            request,
            idempotency: None,
            detach: false,
            waits: false,
            any_model: false,
            patience: None,
            trace: None,
            route: None,
            responses: None,
            original: None,
            said: None,
            own: None,
        }
    }
}

/// An [`Intake`] whose session is known and whose request is checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(super) session: SessionId,
    pub(super) key: Option<Arc<str>>,
    pub(super) meter: Option<Arc<Meter>>,
    pub(super) request: Arc<TaskRequest>,
    /// The text of the request's prompt.
    pub(super) text: String,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) detach: bool,
    pub(super) waits: bool,
    pub(super) any_model: bool,
    pub(super) patience: Option<f64>,
    pub(super) trace: Option<Arc<TraceContext>>,
    pub(super) route: Option<&'static str>,
}

impl Checked {
    /// The request as the router works with it.
    #[cfg(feature = "listener")]
    pub(crate) fn request(&self) -> &TaskRequest {
        &self.request
    }

    /// Whether the submission has an idempotency key.
    #[cfg(feature = "listener")]
    pub(crate) fn is_repeatable(&self) -> bool {
        self.idempotency.is_some()
    }
}

impl Router {
    /// Finds the session and checks the request.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `NotFound` names the session.
    pub(crate) fn check(&self, intake: Intake<'_>) -> Result<Checked> {
        let session = self.session_of(&intake.session, intake.allowed)?;
        let (request, text) = intake.request.with_checked_text()?;
        let mut request = self.shared.checked(request)?;
        (request.responses, request.original) = (intake.responses, intake.original);
        if !intake.models.is_empty() {
            self.check_model(session, request.model.as_deref(), intake.models)?;
        }
        if let Some(refusal) = request.wants_upstream()
            && !self.only_upstreams(session, request.model.as_deref())
        {
            return Err(refusal);
        }
        if let Some(refusal) = intake.own
            && !request.only_api().is_some_and(|api| self.is_spoken(api, session, request.model.as_deref()))
        {
            return Err(refusal);
        }
        let named = intake.session.names_one().then_some(session);
        let idempotency = intake.idempotency.map(|key| key.of(named, &request, intake.said)).transpose()?;
        Ok(Checked {
            session,
            key: intake.key,
            meter: intake.meter,
            request: Arc::new(request),
            text,
            idempotency,
            detach: intake.detach,
            waits: intake.waits,
            // A caller that may use only some models gets no other one in their place.
            any_model: intake.any_model && intake.models.is_empty(),
            patience: intake.patience,
            trace: intake.trace,
            route: intake.route,
        })
    }

    /// The session that a wish means. A session that the caller may not use is reported as unknown.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` if the name has not the form of a session's id.
    pub(crate) fn session_of(&self, wish: &Wish<'_>, allowed: &[SessionId]) -> Result<SessionId> {
        let id = match wish {
            Wish::Exactly(id) => *id,
            Wish::Named(name) => self.named_session(name)?,
            Wish::Any => allowed.first().copied().unwrap_or_else(|| self.next_completion_session()),
        };
        if allowed.is_empty() || allowed.contains(&id) { Ok(id) } else { Err(super::sessions::unknown(id)) }
    }

    fn named_session(&self, name: &str) -> Result<SessionId> {
        let found = match name.strip_prefix("0x") {
            Some(_) if name.len() == 66 => self.session_by_sid(name).ok_or_else(|| super::sessions::no_such(name)),
            _ => digits("session_id", name).map(SessionId),
        };
        let found = found.and_then(|id| {
            let core = self.shared.core.lock();
            if core.sessions.contains_key(&id) { Ok(id) } else { Err(super::sessions::absent(&core, id)) }
        });
        if found.is_ok() {
            return found;
        }
        match self.shared.settings.now().unknown_session {
            // A damaged session is not an unknown one: its tasks must not go into session 0.
            UnknownSession::Default if found.as_ref().is_err_and(|error| error.kind() != ErrorKind::Internal) => {
                Ok(SessionId(0))
            }
            UnknownSession::Default | UnknownSession::Reject => found,
        }
    }

    /// Refuses a model that the caller may not use; the session's model stands for one that the request does not name.
    fn check_model(&self, session: SessionId, asked: Option<&str>, allowed: &[String]) -> Result<()> {
        let own = if asked.is_none() { self.session(session)?.spec.model } else { None };
        allows(&"this key", allowed, asked.or(own.as_deref()))
    }

    /// Whether every miner that could get the request is an upstream.
    fn only_upstreams(&self, session: SessionId, model: Option<&str>) -> bool {
        self.candidates(session, model).iter().all(|miner| miner.kind == MinerKind::Upstream)
    }

    /// Whether an upstream that could get the request takes the bodies of that API as they are.
    pub(crate) fn is_spoken(&self, api: &str, session: SessionId, model: Option<&str>) -> bool {
        self.candidates(session, model).iter().any(|miner| miner.kind == MinerKind::Upstream && miner.speaks(api))
    }

    /// The miners that could get the request under any model that its model's name stands for. If an active miner lists
    /// a model, only the miners that list it are candidates for that model.
    fn candidates(&self, session: SessionId, model: Option<&str>) -> Vec<MinerInfo> {
        let own = self.session(session).ok().and_then(|session| session.spec.model);
        let miners = self.miners();
        let Some(asked) = model.or(own.as_deref()) else { return miners };
        let of = |model: &str| {
            let lists = |miner: &MinerInfo| meant(&miner.models, model).is_some();
            let is_listed = miners.iter().any(|miner| miner.active && lists(miner));
            let serves = |miner: &&MinerInfo| lists(miner) || !is_listed && miner.models.is_empty();
            miners.iter().filter(serves).cloned().collect::<Vec<_>>()
        };
        let settings = self.shared.settings.now();
        settings.aliases.models(asked).into_iter().flat_map(of).collect()
    }
}

/// Refuses a model that is not among those that a key or a session may use. `whose` is the subject of the error.
pub(super) fn allows(whose: &dyn Display, allowed: &[String], model: Option<&str>) -> Result<()> {
    let names = allowed.join(", ");
    let words = match model {
        Some(model) if meant(allowed, model).is_some() => return Ok(()),
        Some(model) => format!("{whose} may not use the model {model:?}: it may use {names}"),
        None => format!("{whose} may use only some models, and the request names none: name one of {names}"),
    };
    let error = Error::new(ErrorKind::PermissionDenied, words);
    Err(error.with_code("model_not_allowed").with_param("model"))
}

impl Wish<'_> {
    /// Whether the caller names a session. A named session is part of the work that an idempotency key identifies.
    fn names_one(&self) -> bool {
        match self {
            Self::Exactly(_) | Self::Named(_) => true,
            Self::Any => false,
        }
    }
}

impl RepeatKey {
    /// The key as the store keeps it, with a fingerprint of the work and, if the caller named one, of the session.
    fn of(self, session: Option<SessionId>, request: &TaskRequest, said: Option<Fingerprint>) -> Result<Idempotency> {
        if self.key.is_empty() || self.key.len() > 256 {
            return Err(Error::invalid("Idempotency-Key", "an idempotency key has 1 to 256 bytes"));
        }
        let mut hasher = Sha256::new();
        if let Some(session) = session {
            hasher.update(session.0.to_be_bytes());
        }
        let mut work = request.work();
        if let Some(Fingerprint(body)) = said {
            hasher.update(body);
            // It has members for the reader, too.
            work.original = None;
        }
        hasher.update(serde_json::to_vec(&work).map_err(Error::internal)?);
        Ok(Idempotency { scope: self.scope, key: self.key, fingerprint: hasher.finalize().into() })
    }
}

impl Shared {
    /// Checks the fields that the router itself acts on, and lowers them to the limits of the configuration.
    fn checked(&self, mut request: TaskRequest) -> Result<TaskRequest> {
        let settings = self.settings.now();
        let limits = &settings.limits;
        self.check_webhook(&request)?;
        if request.prompt_type > 1 {
            return Err(Error::invalid(
                "prompt_type",
                "prompt_type must be 0 (the model's template is applied) or 1 (raw)",
            ));
        }
        for (name, value) in [("timeout", &mut request.timeout), ("precommit_timeout", &mut request.precommit_timeout)]
        {
            if let Some(seconds) = value {
                if !seconds.is_finite() || *seconds <= 0.0 {
                    return Err(Error::invalid(name, format!("{name} must be a number of seconds greater than 0")));
                }
                *seconds = seconds.min(limits.max_timeout_secs as f64);
            }
        }
        if let Some(most) = &mut request.max_miners {
            if *most == 0 {
                return Err(Error::invalid("max_miners", "max_miners must be at least 1"));
            }
            *most = (*most).min(limits.max_answers);
        }
        if request.priority.is_some_and(|priority| priority > 9) {
            return Err(Error::invalid("priority", "priority must be 0 to 9"));
        }
        for tokens in [&mut request.max_tokens, &mut request.max_completion_tokens].into_iter().flatten() {
            *tokens = (*tokens).min(limits.max_tokens);
        }
        Ok(request)
    }
}
