//! The words in which routers lend each other free slots of their miners.
//!
//! A router whose tasks wait tells the others what its first tasks need. Each of them lets [`Deputy`]s wait in its own
//! queue, in the order of the tasks that they stand for. When the turn of one has come, the slot that it got is lent:
//! the router that asked gives it to the best of its waiting tasks, which need not be the one that was stood in for.

use std::sync::Arc;

use cortensor_router_model::{Fence, Gid, SessionId, SessionMode, TaskId};

use super::demand::Demand;
use super::rules::MinerKey;
use super::skills::Skills;

/// The needs that all tasks of one lane have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The model; `None`: any.
    pub model: Option<Arc<str>>,
    /// Whether any other model will do if no miner has that one.
    pub any_model: bool,
    /// Whether they ask for embeddings.
    pub embedding: bool,
    /// The things that a miner must be able to do for them, beside answering prompts.
    pub skills: Skills,
    /// Which kinds of miners may have them.
    pub mode: SessionMode,
}

/// A task that waits at one router, as another one is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Want {
    /// The task.
    pub gid: Gid,
    /// The band that it waits in.
    pub band: u8,
    /// Its place within the band. Tags of all routers count in the same unit.
    pub tag: u64,
    /// Its session.
    pub session: SessionId,
    /// Estimated tokens of the prompt.
    pub prompt_tokens: u64,
    /// The most tokens of the answer.
    pub max_tokens: u64,
    /// Hashes of the prompt's leading blocks, longest prefix last.
    pub prefix: Box<[u64]>,
    /// Whether the miner must be able to continue a text.
    pub continues: bool,
    /// Whether it has an attempt that is slow to begin, and a miner is wanted that races it. Then no miner of an owner in
    /// `apart` may have it, and all tasks that wait go before it.
    pub races: bool,
    /// The identities and owners of the miners that answer it already.
    pub apart: Vec<(Arc<str>, Arc<str>)>,
    /// The routers with miners that may have it, by their numbers in ascending order. Other routers are not told of them.
    pub hosts: Vec<u32>,
}

/// The first tasks of a lane that wait although other routers have miners for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The needs of the lane.
    pub need: Need,
    /// Its first tasks, in order.
    pub wants: Vec<Want>,
}

/// A task of another router, for which a deputy waits here.
#[derive(Debug, Clone, PartialEq)]
pub struct Deputy {
    /// The needs of its lane.
    pub need: Need,
    /// The task.
    pub want: Want,
}

/// A task of a router that is gone, whose only attempt a miner here has on a lent slot.
#[derive(Debug, Clone)]
pub struct Heir {
    /// The task.
    pub gid: Gid,
    /// Its number in its session.
    pub id: TaskId,
    /// Its needs. It wants one answer.
    pub demand: Box<Demand>,
    /// The attempt, by the fence that its router gave it.
    pub fence: Fence,
    /// The fence under which the slot was taken here. The loan may have ended.
    pub slot: Fence,
    /// The miner.
    pub miner: MinerKey,
    /// Whether the first token has come.
    pub begun: bool,
}
