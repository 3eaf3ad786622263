//! The reads that wait for a store's reader.

use super::{
    Accepted, ApiKey, AuditPage, AuditQuery, Deliveries, Idempotency, MinerRecord, Resolver, TaskPage, TaskQuery,
    UpstreamRecord, UsagePage, UsageQuery,
};
#[cfg(feature = "postgres")]
use super::{ClaimWish, Placed, SessionName};
#[cfg(feature = "postgres")]
use crate::model::Session;
use crate::model::{Gid, SessionId, Task, TaskId, WebhookDelivery};

/// The kinds of reads.
#[derive(Debug)]
pub(super) enum Want {
    Task(SessionId, TaskId, Resolver<Option<Task>>),
    ByGid(Gid, Resolver<Option<Task>>),
    Key(Idempotency, Resolver<Option<Accepted>>),
    Unfinished(Resolver<Vec<Gid>>),
    Page(TaskQuery, Resolver<TaskPage>),
    Keys(Resolver<Vec<ApiKey>>),
    Miners(Resolver<Vec<MinerRecord>>),
    Upstreams(Resolver<Vec<UpstreamRecord>>),
    Deliveries(Deliveries, Resolver<Vec<(Gid, WebhookDelivery)>>),
    Usage(Box<UsageQuery>, Resolver<UsagePage>),
    Audit(AuditQuery, Resolver<AuditPage>),
    #[cfg(feature = "postgres")]
    Placed(Gid, Resolver<Option<Placed>>),
    #[cfg(feature = "postgres")]
    Orphans(Box<ClaimWish>, Resolver<Vec<Task>>),
    #[cfg(feature = "postgres")]
    Known(Vec<Gid>, Resolver<Vec<(Gid, bool)>>),
    #[cfg(feature = "postgres")]
    Session(SessionName, Resolver<Option<(Session, u64)>>),
    #[cfg(feature = "postgres")]
    ApiKey(String, Resolver<Option<ApiKey>>),
}

/// A read, and the number of writes that must be settled before it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) want: Want,
    pub(super) after: u64,
}
