//! The terms of a session: what its tasks may ask for, and what they may use together.

use std::sync::Arc;

use super::intake::allows;
use super::quota::{Meter, StreamPermit};
use super::shared::{Router, Shared};
use crate::config::KeyLimits;
use crate::model::{Session, SessionId, SessionQuota, Timestamp};
use crate::{Error, ErrorKind, Result};

/// The permits of an open stream: one of its key, and one of its session.
pub(crate) type StreamPermits = [Option<StreamPermit>; 2];

impl From<SessionQuota> for KeyLimits {
    fn from(limits: SessionQuota) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            tasks_per_minute: limits.tasks_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            tokens_per_day: limits.tokens_per_day,
            tokens_per_month: limits.tokens_per_month,
            concurrent_tasks: limits.concurrent_tasks,
            concurrent_streams: limits.concurrent_streams,
        }
    }
}

impl Shared {
    /// Checks a request for a task that names this model. Gives the session's meter, if the session has limits.
    ///
    /// # Errors
    /// `Conflict` if the session has expired; `PermissionDenied` if its tasks may not use the model; `Overloaded` if it
    /// had as many requests as it may.
    pub(super) fn terms(&self, session: &Session, model: Option<&str>, now: Timestamp) -> Result<Option<Arc<Meter>>> {
        let spec = &session.spec;
        if let Some(at) = spec.expires_at.filter(|at| now.as_secs() >= at.get()) {
            let words =
                format!("session {} expired at {at}: create another one, or set a later expires_at", session.id);
            return Err(Error::new(ErrorKind::Conflict, words).with_code("session_expired").with_param("session_id"));
        }
        if !spec.models.is_empty() {
            allows(&format_args!("session {}", session.id), &spec.models, model.or(spec.model.as_deref()))?;
        }
        if spec.limits.is_none() {
            return Ok(None);
        }
        let meter = self.session_meters.find(|| session.id.to_string());
        if let Some(meter) = &meter {
            meter.take_request()?;
        }
        Ok(meter)
    }

    /// The meter follows the limits of a session that is new, or has changed.
    pub(super) fn meter_session(&self, session: &Session) {
        self.session_meters.of(&session.id.to_string(), &session.spec.limits.into());
    }

    /// Notes what a session has used up before it gets its first limits.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn note_spent_by(&self, session: &Session) -> Result<()> {
        self.session_meters.learn(&*self.store, &session.id.to_string(), &session.spec.limits.into()).await
    }
}

impl Router {
    /// Takes a place among the open streams of a key with that meter, and of a session.
    ///
    /// # Errors
    /// `Overloaded` with the code `rate_limited` if one of them has as many as it may.
    pub(crate) fn stream_permits(&self, key: Option<&Arc<Meter>>, session: SessionId) -> Result<StreamPermits> {
        let session = self.shared.session_meters.find(|| session.to_string());
        Ok([key.map(Meter::stream).transpose()?, session.as_ref().map(Meter::stream).transpose()?])
    }
}
