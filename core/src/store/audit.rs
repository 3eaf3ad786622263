//! The audit log: who made which change of keys, miners and sessions, and when.
//!
//! A store writes the entry in the transaction of the change itself. After any crash there is therefore no such change
//! without its entry, and no entry without its change. The log is bounded: the newest entries stay.

use serde::Serialize;
use serde_json::{Value, json};

use super::{ApiKey, MinerRecord, UpstreamRecord};
use crate::model::{ActKind, Timestamp};
#[cfg(feature = "listener")]
use crate::model::{Session, SessionId};

/// The name of the embedding program in the audit log.
pub(crate) const HOST: &str = "host";

/// The name of the project's own command in the audit log.
pub const COMMAND: &str = "command";

/// A change of keys, miners or sessions, and who made it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
pub struct Act {
    /// When the change was made, in Unix milliseconds.
    #[cfg_attr(feature = "listener", schema(value_type = u64))]
    pub at: Timestamp,
    /// The kind of the change.
    pub act: ActKind,
    /// The id of what was changed: of a key, a miner or a session.
    pub subject: String,
    /// The id of the key, or the name of the token, with which the change was made. `command`: the command changed the
    /// data directory itself, or used the token that the router keeps for it. `host`: the embedding program.
    pub key_id: String,
    /// Details, which depend on the kind: the record of a new key, old and new limits, names. Never a secret.
    #[cfg_attr(feature = "listener", schema(value_type = Object))]
    pub detail: Value,
}

impl Act {
    fn new(at: Timestamp, by: &str, act: ActKind, subject: &str, detail: Value) -> Self {
        Self { at, act, subject: subject.to_owned(), key_id: by.to_owned(), detail }
    }

    /// The making of a key.
    pub fn key_created(at: Timestamp, by: &str, key: &ApiKey) -> Self {
        let detail = json!({
            "name": key.name, "scopes": key.scopes, "sessions": key.sessions, "models": key.models,
            "expires_at": key.expires_at.map_or(0, u64::from), "limits": key.limits,
        });
        Self::new(at, by, ActKind::KeyCreated, &key.id, detail)
    }

    /// The change of a key's limits.
    pub fn key_limited(at: Timestamp, by: &str, before: &ApiKey, after: &ApiKey) -> Self {
        let detail = json!({"name": after.name, "before": before.limits, "limits": after.limits});
        Self::new(at, by, ActKind::KeyLimited, &after.id, detail)
    }

    /// The end of a key.
    pub fn key_revoked(at: Timestamp, by: &str, id: &str, key: Option<&ApiKey>) -> Self {
        let detail = key.map_or_else(|| json!({}), |key| json!({"name": key.name, "scopes": key.scopes}));
        Self::new(at, by, ActKind::KeyRevoked, id, detail)
    }

    /// The enrolment of a miner's key.
    #[cfg(feature = "listener")]
    pub(crate) fn miner_enrolled(at: Timestamp, by: &str, miner: &MinerRecord) -> Self {
        let detail = json!({"name": miner.name, "owner": miner.owner, "models": miner.models});
        Self::new(at, by, ActKind::MinerEnrolled, &miner.id, detail)
    }

    /// The end of a miner's key.
    #[cfg(feature = "listener")]
    pub(crate) fn miner_revoked(at: Timestamp, by: &str, miner: &MinerRecord) -> Self {
        Self::new(at, by, ActKind::MinerRevoked, &miner.id, json!({"name": miner.name}))
    }

    /// The deletion of a miner's record.
    pub(crate) fn miner_forgotten(at: Timestamp, by: &str, id: &str, miner: Option<&MinerRecord>) -> Self {
        let detail = miner.map_or_else(|| json!({}), |miner| json!({"name": miner.name}));
        Self::new(at, by, ActKind::MinerForgotten, id, detail)
    }

    /// The closing of a session.
    #[cfg(feature = "listener")]
    pub(crate) fn session_closed(at: Timestamp, by: &str, session: &Session) -> Self {
        let SessionId(id) = session.id;
        Self::new(at, by, ActKind::SessionClosed, &id.to_string(), json!({"name": session.spec.name}))
    }
}

impl Act {
    /// A new reading of the configuration, by that caller. `detail` names keys alone.
    pub fn config_reloaded(at: Timestamp, by: &str, detail: Value) -> Self {
        Self::new(at, by, ActKind::ConfigReloaded, "configuration", detail)
    }

    /// A change of a managed upstream.
    pub fn upstream(at: Timestamp, by: &str, act: ActKind, upstream: &UpstreamRecord) -> Self {
        Self::new(at, by, act, upstream.name(), upstream.told())
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// The number of the entry. Numbers grow by one and are never given out twice.
    pub number: u64,
    /// The act.
    #[serde(flatten)]
    pub act: Act,
}

/// Selects entries of the audit log.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditQuery {
    /// Only changes of this kind.
    pub act: Option<ActKind>,
    /// The number of the entry after which the page begins; `None`: the page is the newest one.
    pub after: Option<u64>,
    /// The greatest number of entries on the page.
    pub limit: u64,
}

/// A page of the audit log, oldest entry first.
#[derive(Debug, Clone, Default)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// The numbers of entries of this page whose rows are damaged. The router shows nothing of them.
    pub corrupt: Vec<u64>,
    /// The number of entries that the log has of this kind.
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_word() {
        let words = "key_created key_limited key_revoked miner_enrolled miner_revoked miner_forgotten session_closed \
                     config_reloaded upstream_added upstream_changed upstream_removed";
        for word in words.split(' ') {
            let kind: ActKind = word.parse().unwrap();
            assert_eq!(kind.as_str(), word);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        let error = "reboot".parse::<ActKind>().unwrap_err();
        assert!(error.message().contains("key_created, key_limited"), "{error}");
    }

    #[test]
    fn an_act_holds_no_secret() {
        let key = ApiKey { id: "k".into(), name: "n".into(), hash: "the hash".into(), ..ApiKey::default() };
        for act in [
            Act::key_created(Timestamp(1), "ops", &key),
            Act::key_limited(Timestamp(1), "ops", &key, &key),
            Act::key_revoked(Timestamp(1), "ops", "k", Some(&key)),
        ] {
            assert_eq!((act.subject.as_str(), act.detail["name"].as_str()), ("k", Some("n")));
            assert!(!serde_json::to_string(&act).unwrap().contains("the hash"), "{act:?}");
        }
    }
}
