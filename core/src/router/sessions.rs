//! Sessions: records in memory, written through to the store.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::aliases::Aliases;
use super::core::Core;
use super::live::Live;
use super::shared::{Router, Shared};
use crate::config::DispatchConfig;
use crate::engine::{Event, SessionRules};
use crate::model::{Session, SessionId, SessionMode, SessionPatch, SessionSpec, SessionState, hex};
use crate::store::{Act, SessionName, damaged_session};
use crate::{Error, ErrorKind, Result};

/// The filter of a list of sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Only sessions in this state.
    pub state: Option<SessionState>,
    /// The maximum number of sessions on the page; `None`: unlimited.
    pub limit: Option<u64>,
    /// The number of sessions to skip.
    pub offset: u64,
    /// Only sessions with these ids; empty: all sessions.
    pub only: Vec<SessionId>,
}

/// The sessions that always exist. Session 1 is there because several published clients treat the number 0 as absent
/// and therefore ask for session 1.
pub(super) const STANDING: [SessionId; 2] = [SessionId(0), SessionId(1)];

/// The rules of a session that always exists.
pub(super) fn standing(id: SessionId) -> Result<SessionSpec> {
    let name = if id.0 == 0 { "default".to_owned() } else { format!("default-{id}") };
    SessionSpec::default().name(name).validated()
}

/// Whether a list shows the session. A session that always exists is shown only after a client has used or changed it.
fn is_listed(core: &Core, session: &Session) -> bool {
    !STANDING.contains(&session.id)
        || !session.active
        || core.tasks_of(session.id).0 > 0
        || standing(session.id).is_ok_and(|spec| spec != session.spec)
}

/// The sessions that a list shows, by id.
pub(super) fn listed_sessions(core: &Core) -> impl Iterator<Item = &Session> {
    core.sessions.values().filter(|session| is_listed(core, session))
}

/// A new random session hash: 0x and 64 hexadecimal digits.
pub(super) fn new_sid() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("the system gives no randomness: {e}")))?;
    Ok(format!("0x{}", hex(&bytes)))
}

/// The error for a session that is not in memory: it does not exist, or its row is damaged.
pub(super) fn absent(core: &Core, id: SessionId) -> Error {
    if core.corrupt_sessions.contains(&id) { damaged_session(id) } else { unknown(id) }
}

pub(super) fn unknown(id: SessionId) -> Error {
    no_such(&id.to_string())
}

/// The error for a session that does not exist.
pub(super) fn no_such(name: &str) -> Error {
    Error::not_found(format!("there is no session {name}")).with_code("session_not_found").with_param("session_id")
}

fn rules(session: &Session, dispatch: &DispatchConfig, aliases: &Aliases) -> SessionRules {
    let spec = &session.spec;
    let kept = spec.min_num_of_nodes.max(spec.redundant).max(1);
    let kept = spec.max_num_of_nodes.map_or(kept, |most| kept.min(most.get()));
    let period = spec.reserve_period.map_or(dispatch.reserve_period_secs, NonZeroU64::get);
    SessionRules {
        mode: spec.mode,
        // Miners are kept for the first model of a list.
        model: spec.model.as_deref().map(|model| Arc::from(aliases.first(model))),
        min_miners: spec.min_num_of_nodes,
        max_miners: spec.max_num_of_nodes,
        reserve: if spec.reserve_ephemeral_nodes && spec.mode != SessionMode::Dedicated { kept } else { 0 },
        reserve_ms: period.saturating_mul(1_000),
        sla: spec.sla,
        band: session.spec.priority,
        weight: session.spec.weight.max(1),
        affinity: session.spec.affinity.unwrap_or(true),
        max_tasks: session.spec.max_task_execution_count,
        open: session.active,
    }
}

/// The record with the fields that are computed at each read: counts of tasks, and miners.
fn shown(core: &Core, aliases: &Aliases, session: &Session) -> Session {
    let models = session.spec.model.as_deref().map(|model| aliases.models(model));
    let mut out = session.clone();
    (out.total_tasks, out.active_tasks) = core.tasks_of(session.id);
    for (key, slot) in core.miners.iter().filter(|(_, slot)| {
        let serves = |model: &&str| slot.spec.models.iter().any(|own| own == model);
        session.spec.mode.takes(slot.spec.dedicated)
            && (slot.spec.models.is_empty() || models.as_ref().is_none_or(|models| models.iter().any(serves)))
    }) {
        let kept_for = core.engine.miner(*key).and_then(|view| view.reserved);
        if kept_for.is_some_and(|other| other != session.id) {
            continue;
        }
        if kept_for.is_some() {
            out.reserved_nodes.push(slot.address.to_string());
        }
        out.miners_count += 1;
        if slot.spec.dedicated { &mut out.dedicated_nodes } else { &mut out.ephemeral_nodes }
            .push(slot.address.to_string());
    }
    out
}

impl Core {
    /// Forgets sessions that the store has deleted. Sessions with unfinished tasks stay until a later round. Returns
    /// the forgotten sessions' ended tasks, which the caller must free outside the lock.
    pub(super) fn forget_sessions(&mut self, mut gone: BTreeSet<SessionId>) -> Vec<Arc<Live>> {
        gone.retain(|id| self.engine.forget_session(*id));
        for id in &gone {
            if let Some(session) = self.sessions.remove(id) {
                self.sids.remove(&session.sid);
            }
        }
        self.forget_tasks_of(&gone)
    }
}

impl Shared {
    /// Puts a new, changed or recovered session into memory and gives its rules to the engine.
    pub(super) fn adopt_session(self: &Arc<Self>, session: Session) {
        self.next_session.fetch_max(session.id.0 + 1, Ordering::AcqRel);
        let event = self.rules_of(&session);
        self.meter_session(&session);
        {
            let mut core = self.core.lock();
            core.sids.insert(session.sid.clone(), session.id);
            core.sessions.insert(session.id, session);
        }
        self.step(event);
    }

    /// Gives the engine the rules of a session again, because the configuration has changed.
    pub(super) fn rule_session(self: &Arc<Self>, session: &Session) {
        self.step(self.rules_of(session));
    }

    fn rules_of(&self, session: &Session) -> Event {
        let settings = self.settings.now();
        Event::Session(session.id, rules(session, &settings.dispatch, &settings.aliases))
    }

    /// Changes a session in the store and in memory; the audit log records the act, if there is one. Changes run one
    /// after the other, and each runs to its end even if its caller stops waiting. The change is in the store when this
    /// returns.
    async fn change(
        self: &Arc<Self>,
        id: SessionId,
        with: impl Fn(&mut Session) -> Result<Option<Act>> + Send + Sync + 'static,
    ) -> Result<Session> {
        if self.membership.is_some() {
            return self.change_shared(id, with).await;
        }
        let shared = self.clone();
        self.see_through(async move {
            let _one_at_a_time = shared.session_changes.lock().await;
            let found = {
                let core = shared.core.lock();
                core.sessions.get(&id).cloned().ok_or_else(|| absent(&core, id))
            };
            let mut session = found?;
            let act = with(&mut session)?;
            session.updated_at = shared.clock.now().as_secs();
            shared.note_spent_by(&session).await?;
            shared.store.put_session(session.clone(), act).await?;
            shared.adopt_session(session.clone());
            Ok(shared.session_as_shown(&session))
        })
        .await
    }

    /// Changes a session whose row another router may change at the same time: what is changed is what the store has.
    async fn change_shared(
        self: &Arc<Self>,
        id: SessionId,
        with: impl Fn(&mut Session) -> Result<Option<Act>> + Send + Sync + 'static,
    ) -> Result<Session> {
        let shared = self.clone();
        self.see_through(async move {
            let Some((fleet, _)) = shared.fleet() else { return Err(Error::internal("there is no fleet")) };
            let _one_at_a_time = shared.session_changes.lock().await;
            for _ in 0..TRIES {
                let found = fleet.session(SessionName::Id(id)).await?;
                let (mut session, version) = found.ok_or_else(|| absent(&shared.core.lock(), id))?;
                let act = with(&mut session)?;
                session.updated_at = shared.clock.now().as_secs();
                shared.note_spent_by(&session).await?;
                if fleet.change_session(session.clone(), version, act).await? {
                    shared.adopt_session(session.clone());
                    shared.tell_others();
                    return Ok(shared.session_as_shown(&session));
                }
            }
            Err(Error::new(ErrorKind::Conflict, "other routers change the session at the same time: try again")
                .with_code("session_changed"))
        })
        .await
    }

    fn session_as_shown(&self, session: &Session) -> Session {
        shown(&self.core.lock(), &self.settings.now().aliases, session)
    }
}

/// How often a change of a session is tried that others change, too.
const TRIES: u32 = 3;

impl Router {
    /// Opens a session. The session is durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Overloaded` if `limits.max_sessions` sessions are open, or
    /// `limits.max_closed_sessions` are closed and not yet deleted.
    pub async fn create_session(&self, spec: SessionSpec) -> Result<Session> {
        let shared = &self.shared;
        if shared.closed.load(Ordering::Acquire) {
            return Err(Shared::closed_error());
        }
        let spec = spec.validated()?;
        let (open, closed) = {
            let core = shared.core.lock();
            let open = core.sessions.values().filter(|session| session.active).count();
            (open as u64, (core.sessions.len() - open) as u64)
        };
        if closed >= shared.settings.now().limits.max_closed_sessions {
            return Err(Error::new(
                ErrorKind::Overloaded,
                "as many closed sessions are kept as limits.max_closed_sessions allows: raise it, or lower \
                 retention.closed_session_secs",
            ));
        }
        if open >= shared.settings.now().limits.max_sessions {
            return Err(Error::new(
                ErrorKind::Overloaded,
                "as many sessions are open as limits.max_sessions allows: close some, or raise it",
            ));
        }
        let id = match shared.fleet() {
            Some((fleet, _)) => fleet.session_id().await?,
            None => SessionId(shared.next_session.fetch_add(1, Ordering::AcqRel)),
        };
        let session = Session::new(id, new_sid()?, spec, shared.clock.now());
        let router = self.clone();
        shared
            .see_through(async move {
                router.shared.store.put_session(session.clone(), None).await?;
                router.shared.adopt_session(session);
                router.shared.tell_others();
                router.session(id)
            })
            .await
    }

    /// One session.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn session(&self, id: SessionId) -> Result<Session> {
        let core = self.shared.core.lock();
        let settings = self.shared.settings.now();
        core.sessions.get(&id).map(|session| shown(&core, &settings.aliases, session)).ok_or_else(|| absent(&core, id))
    }

    /// The id of the session with this hash (0x and 64 hexadecimal digits).
    pub fn session_by_sid(&self, sid: &str) -> Option<SessionId> {
        self.shared.core.lock().sids.get(sid).copied()
    }

    /// A page of sessions in the order of their ids, and the number of sessions on all pages. Sessions 0 and 1, which
    /// always exist, are left out until they are used or changed.
    pub fn sessions(&self, filter: &SessionFilter) -> (Vec<Session>, u64) {
        let core = self.shared.core.lock();
        let matching = || {
            listed_sessions(&core).filter(|session| {
                filter.state.is_none_or(|state| session.state == state)
                    && (filter.only.is_empty() || filter.only.contains(&session.id))
            })
        };
        let limit = filter.limit.map_or(usize::MAX, |limit| limit as usize);
        let settings = self.shared.settings.now();
        let shown = |session| shown(&core, &settings.aliases, session);
        let page = matching().skip(filter.offset as usize).take(limit).map(shown).collect();
        (page, matching().count() as u64)
    }

    /// Changes the fields that the patch names.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidArgument` that names the field.
    pub async fn update_session(&self, id: SessionId, patch: SessionPatch) -> Result<Session> {
        self.shared
            .change(id, move |session| {
                session.spec = session.spec.patched(patch.clone())?;
                Ok(None)
            })
            .await
    }

    /// Closes a session: its present tasks finish, new ones are refused. Closing a closed session changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for session 0, which is always open.
    pub async fn close_session(&self, id: SessionId) -> Result<Session> {
        self.end_session(id, |_| None).await
    }

    /// Closes a session for an administrator with the key `by`.
    ///
    /// # Errors
    /// Those of [`close_session`](Self::close_session).
    #[cfg(feature = "listener")]
    pub(crate) async fn close_session_by(&self, id: SessionId, by: &str) -> Result<Session> {
        let (by, now) = (by.to_owned(), self.shared.clock.now());
        self.end_session(id, move |session| {
            tracing::info!(session = %session.id, by, "a session is closed");
            Some(Act::session_closed(now, &by, session))
        })
        .await
    }

    /// Closes a session. `act` makes the entry of the audit log for a session that was open.
    async fn end_session(
        &self,
        id: SessionId,
        act: impl Fn(&Session) -> Option<Act> + Send + Sync + 'static,
    ) -> Result<Session> {
        if id == SessionId(0) {
            return Err(Error::invalid("session_id", "session 0 is the default session and stays open"));
        }
        self.shared
            .change(id, move |session| {
                let act = if session.active { act(session) } else { None };
                session.active = false;
                session.state = SessionState::Closed;
                Ok(act)
            })
            .await
    }

    /// The session for a request that names none: the sessions of `completion_sessions` in turn, or session 0 if that
    /// list is empty.
    pub(super) fn next_completion_session(&self) -> SessionId {
        match self.shared.settings.now().completion_sessions.as_slice() {
            [] => SessionId(0),
            pool => SessionId(pool[self.shared.turn.fetch_add(1, Ordering::Relaxed) as usize % pool.len()]),
        }
    }
}
