//! The sessions of clients that begin with a handshake. A session belongs to the caller that began it: with another
//! token it does not exist.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::model::RequestId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::ListenConfig;
use crate::model::hex;
use crate::{Error, ErrorKind, Result};

/// All sessions of one listener.
pub(in crate::listener) struct Sessions {
    most: usize,
    idle: Duration,
    open: Mutex<HashMap<String, Session>>,
}

struct Session {
    /// The id of the caller that began it.
    owner: Arc<str>,
    /// The time of its last request.
    used: Instant,
    /// The requests that are being answered.
    running: HashMap<RequestId, CancellationToken>,
}

impl Session {
    fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    fn is_over(&self, idle: Duration) -> bool {
        self.is_idle() && self.used.elapsed() >= idle
    }
}

impl Sessions {
    /// No sessions, and the bounds of their number and their idle time.
    pub(in crate::listener) fn new(config: &ListenConfig) -> Self {
        let idle = Duration::from_millis(config.mcp_idle_ms);
        Self { most: config.max_mcp_sessions, idle, open: Mutex::default() }
    }

    /// Begins a session and gives its id.
    ///
    /// # Errors
    /// `Overloaded` when no session can give way.
    pub(super) fn begin(&self, owner: Arc<str>) -> Result<String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
        let id = hex(&bytes);
        let mut open = self.open.lock();
        open.retain(|_, session| !session.is_over(self.idle));
        if open.len() >= self.most {
            let Some(oldest) = replaced_by(&open, &owner) else {
                let words = format!(
                    "{} sessions of the Model Context Protocol are open (listen.max_mcp_sessions): end one, or wait",
                    self.most
                );
                return Err(Error::new(ErrorKind::Overloaded, words).with_retry_after_ms(1_000));
            };
            open.remove(&oldest);
        }
        open.insert(id.clone(), Session { owner, used: Instant::now(), running: HashMap::new() });
        Ok(id)
    }

    /// Begins a request in a session of that caller.
    ///
    /// # Errors
    /// `NotFound` when the caller has no such session; `InvalidArgument` when a request of that id is being answered.
    pub(super) fn enter(self: &Arc<Self>, id: &str, owner: &str, request: &RequestId) -> Result<Running> {
        let cancelled = self.with(id, owner, |session| {
            if session.running.contains_key(request) {
                let words = format!("a request of the id {request} is being answered: choose another id");
                return Err(Error::invalid("id", words));
            }
            let token = CancellationToken::new();
            session.running.insert(request.clone(), token.clone());
            Ok(token)
        })??;
        Ok(Running { sessions: self.clone(), session: id.to_owned(), request: request.clone(), cancelled })
    }

    /// Notes that the caller still uses its session.
    ///
    /// # Errors
    /// `NotFound` when the caller has no such session.
    pub(super) fn touch(&self, id: &str, owner: &str) -> Result<()> {
        self.with(id, owner, |_| ())
    }

    /// Cancels a request that is being answered. One that was answered already stays as it is.
    ///
    /// # Errors
    /// `NotFound` when the caller has no such session.
    pub(super) fn cancel(&self, id: &str, owner: &str, request: &RequestId) -> Result<()> {
        self.with(id, owner, |session| session.running.get(request).map(CancellationToken::cancel))?;
        Ok(())
    }

    /// Ends a session and cancels its requests.
    ///
    /// # Errors
    /// `NotFound` when the caller has no such session.
    pub(super) fn end(&self, id: &str, owner: &str) -> Result<()> {
        let mut open = self.open.lock();
        let known = open.get(id).is_some_and(|session| *session.owner == *owner && !session.is_over(self.idle));
        let session = if known { open.remove(id) } else { None };
        session.ok_or_else(unknown)?.running.values().for_each(CancellationToken::cancel);
        Ok(())
    }

    fn with<T>(&self, id: &str, owner: &str, what: impl FnOnce(&mut Session) -> T) -> Result<T> {
        let mut open = self.open.lock();
        let session = open.get_mut(id).filter(|session| *session.owner == *owner).ok_or_else(unknown)?;
        if session.is_over(self.idle) {
            open.remove(id);
            return Err(unknown());
        }
        session.used = Instant::now();
        Ok(what(session))
    }
}

/// The session that gives way to a new one of that caller: the oldest idle session of the caller that has most, if it
/// has at least two more than the new one's caller, else of the new one's caller. No caller can keep all others out.
fn replaced_by(open: &HashMap<String, Session>, owner: &str) -> Option<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for session in open.values() {
        *counts.entry(&session.owner).or_default() += 1;
    }
    let count = |owner: &str| counts.get(owner).copied().unwrap_or_default();
    let own = count(owner);
    let may_go = |session: &Session| session.is_idle() && (*session.owner == *owner || count(&session.owner) > own + 1);
    let candidates = open.iter().filter(|(_, session)| may_go(session));
    candidates.max_by_key(|(_, session)| (count(&session.owner), Reverse(session.used))).map(|(id, _)| id.clone())
}

fn unknown() -> Error {
    Error::not_found("there is no such session of the Model Context Protocol: begin one with initialize")
        .with_code("mcp_session_not_found")
        .with_param("Mcp-Session-Id")
}

/// A request that is being answered. Dropping it means that it is not any more.
pub(super) struct Running {
    sessions: Arc<Sessions>,
    session: String,
    request: RequestId,
    /// Cancelled when the client no longer wants the answer.
    pub(super) cancelled: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(session) = self.sessions.open.lock().get_mut(&self.session) {
            session.running.remove(&self.request);
            session.used = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(most: usize, idle_ms: u64) -> Arc<Sessions> {
        Arc::new(Sessions::new(&ListenConfig::default().max_mcp_sessions(most).mcp_idle_ms(idle_ms)))
    }

    #[test]
    fn a_session_is_its_callers_alone() {
        let sessions = sessions(4, 1_000);
        let id = sessions.begin("one".into()).unwrap();
        assert!(sessions.touch(&id, "one").is_ok());
        for (id, owner) in [(id.as_str(), "two"), ("0", "one"), ("", "one")] {
            assert_eq!(sessions.touch(id, owner).unwrap_err().kind(), ErrorKind::NotFound);
            assert!(sessions.end(id, owner).is_err() && sessions.cancel(id, owner, &RequestId::Number(1)).is_err());
            assert!(sessions.enter(id, owner, &RequestId::Number(1)).is_err());
        }
        sessions.end(&id, "one").unwrap();
        assert!(sessions.touch(&id, "one").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_session_ends_and_one_at_work_does_not() {
        let sessions = sessions(4, 1_000);
        let (idle, busy) = (sessions.begin("one".into()).unwrap(), sessions.begin("one".into()).unwrap());
        let running = sessions.enter(&busy, "one", &RequestId::Number(1)).unwrap();
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert!(sessions.touch(&idle, "one").is_err());
        drop(running);
        assert!(sessions.touch(&busy, "one").is_ok());
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert!(sessions.touch(&busy, "one").is_err());
        assert!(sessions.open.lock().is_empty());
    }

    #[test]
    fn in_a_full_table_the_caller_with_most_gives_way() {
        let sessions = sessions(2, 60_000);
        let first = sessions.begin("one".into()).unwrap();
        let second = sessions.begin("one".into()).unwrap();
        let running = sessions.enter(&first, "one", &RequestId::Number(1)).unwrap();
        let third = sessions.begin("one".into()).unwrap();
        assert!(sessions.touch(&second, "one").is_err() && sessions.touch(&first, "one").is_ok());
        let other = sessions.begin("two".into()).unwrap();
        assert!(sessions.touch(&third, "one").is_err() && sessions.touch(&other, "two").is_ok());
        assert_eq!(sessions.begin("three".into()).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(running);
        assert_eq!(sessions.begin("three".into()).unwrap_err().kind(), ErrorKind::Overloaded);
        sessions.begin("one".into()).unwrap();
        assert!(sessions.touch(&first, "one").is_err() && sessions.touch(&other, "two").is_ok());
    }

    #[test]
    fn a_request_is_cancelled_by_its_id_and_an_id_is_used_once_at_a_time() {
        let sessions = sessions(2, 60_000);
        let id = sessions.begin("one".into()).unwrap();
        let (number, text) = (RequestId::Number(1), RequestId::String("1".into()));
        let (one, other) = (sessions.enter(&id, "one", &number).unwrap(), sessions.enter(&id, "one", &text).unwrap());
        assert_eq!(sessions.enter(&id, "one", &number).err().unwrap().details().param.as_deref(), Some("id"));
        sessions.cancel(&id, "one", &number).unwrap();
        assert!(one.cancelled.is_cancelled() && !other.cancelled.is_cancelled());
        drop(one);
        assert!(sessions.enter(&id, "one", &number).is_ok());
        sessions.end(&id, "one").unwrap();
        assert!(other.cancelled.is_cancelled());
    }
}
