//! Looks up once in the store what this router does not know: another one may have made it a moment ago.

use std::sync::Arc;

use super::super::intake::{Checked, Intake, Wish};
use super::super::shared::{Router, Shared};
use crate::Result;
use crate::model::SessionId;
use crate::store::SessionName;

impl Router {
    /// Finds the session and checks the request, as [`check`](Self::check) does, and looks a session up that another
    /// router may have made.
    ///
    /// # Errors
    /// Those of [`check`](Self::check); the store's.
    pub(crate) async fn checked(&self, intake: Intake<'_>) -> Result<Checked> {
        if self.learns() {
            self.learn_session(&intake.session).await?;
        }
        self.check(intake)
    }

    /// Makes sure that a session is known here if another router has made it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn learn_session(&self, wish: &Wish<'_>) -> Result<()> {
        if self.shared.membership.is_none() {
            return Ok(());
        }
        let name = match wish {
            Wish::Exactly(id) => SessionName::Id(*id),
            Wish::Named(name) if name.starts_with("0x") && name.len() == 66 => SessionName::Sid(name.to_string()),
            Wish::Named(name) => match name.parse() {
                Ok(id) => SessionName::Id(SessionId(id)),
                Err(_) => return Ok(()),
            },
            Wish::Any => return Ok(()),
        };
        self.shared.learn_session(name).await
    }

    /// Makes sure that a key is known here if another router, or a program that is none, has made it. Gives whether it is
    /// news.
    ///
    /// # Errors
    /// The store's.
    #[cfg(feature = "listener")]
    pub(crate) async fn learn_key(&self, id: &str) -> Result<bool> {
        let shared = &self.shared;
        let Some((fleet, _)) = shared.fleet() else { return Ok(false) };
        if shared.keys.get(id).is_some() {
            return Ok(false);
        }
        let Some(key) = fleet.key(id.to_owned()).await? else { return Ok(false) };
        let _no_changes = shared.keys.changing.lock().await;
        shared.take_key(key).await?;
        Ok(true)
    }

    /// Whether other routers, or programs that are none, may make sessions and keys.
    pub(crate) fn learns(&self) -> bool {
        self.shared.membership.is_some()
    }

    /// Whether this router has heard nothing of the others for so long that it cannot say whether a key still counts.
    #[cfg(feature = "listener")]
    pub(crate) fn is_stale(&self) -> bool {
        self.shared.membership.as_ref().is_some_and(super::Membership::is_stale)
    }
}

impl Shared {
    async fn learn_session(self: &Arc<Self>, name: SessionName) -> Result<()> {
        let Some((fleet, _)) = self.fleet() else { return Ok(()) };
        let is_known = {
            let core = self.core.lock();
            match &name {
                SessionName::Id(id) => core.sessions.contains_key(id) || core.corrupt_sessions.contains(id),
                SessionName::Sid(sid) => core.sids.contains_key(sid),
            }
        };
        if is_known {
            return Ok(());
        }
        if let Some((session, _)) = fleet.session(name).await? {
            let _no_changes = self.session_changes.lock().await;
            if !self.core.lock().sessions.contains_key(&session.id) {
                self.adopt_session(session);
            }
        }
        Ok(())
    }
}
