//! Records of the engine's present state, for the router and the simulator.

use cortensor_router_model::{Fence, Gid, SessionId, TaskId, TaskState};

use super::Engine;
use crate::breaker::BreakerState;
use crate::demand::Demand;
use crate::miner::MinerEntry;
use crate::rules::{MinerKey, MinerRules};
use crate::session::SessionEntry;

/// A task's state.
#[derive(Debug, Clone, Copy)]
pub struct TaskView {
    /// The state that clients see.
    pub state: TaskState,
    /// How many tasks are served before it, while it is queued.
    pub queue_position: Option<u64>,
    /// The number of attempts that were made.
    pub tries: u32,
    /// The cost that its session is charged.
    pub cost: u64,
}

/// A miner's state.
#[derive(Debug, Clone, Copy)]
pub struct MinerView {
    /// The number of tasks that it may have at present.
    pub credits: u32,
    /// The number of tasks that it has.
    pub in_flight: u32,
    /// Whether it takes no new tasks.
    pub draining: bool,
    /// The state of its breaker.
    pub breaker: BreakerState,
    /// Tokens a second of one task; 0 while unknown.
    pub tokens_per_second: f64,
    /// Milliseconds to the first token; 0 while unknown.
    pub first_token_ms: f64,
    /// Tasks it was given.
    pub served: u64,
    /// Tasks it finished.
    pub completed: u64,
    /// Attempts that failed by its fault.
    pub failed: u64,
    /// The share of recent attempts that failed by its fault, smoothed.
    pub errors: f64,
    /// How often its answers agree with those of others, smoothed; 1: always.
    pub reputation: f64,
    /// Whether it gets nothing because of its reputation.
    pub set_aside: bool,
    /// The session that it is kept for.
    pub reserved: Option<SessionId>,
    /// The greatest service class whose demands it meets.
    pub service_class: u32,
}

impl Engine {
    /// The breakers that changed in the last step, with their new states.
    pub fn switched_breakers(&self) -> &[(MinerKey, BreakerState)] {
        self.fleet.switched()
    }

    /// Whether a miner was kept for a session, or given back, in the last step.
    pub fn has_rekept(&self) -> bool {
        self.fleet.has_rekept()
    }

    /// A task that has not ended.
    pub fn task(&self, gid: Gid) -> Option<TaskView> {
        let task = self.tasks.get(gid)?;
        let queue_position = (task.state() == TaskState::Queued && task.is_queued())
            .then(|| self.line.position(task.lane(), gid, task.place()));
        Some(TaskView { state: task.state(), queue_position, tries: task.tries(), cost: task.cost() })
    }

    /// A miner that is there.
    pub fn miner(&self, key: MinerKey) -> Option<MinerView> {
        self.fleet.get(key).map(MinerEntry::view)
    }

    /// The rules of a miner that is there.
    pub fn rules(&self, key: MinerKey) -> Option<&MinerRules> {
        self.fleet.get(key).map(MinerEntry::rules)
    }

    /// The miners that could serve a task if they were up.
    pub fn absent(&self, gid: Gid) -> Vec<MinerKey> {
        let Some(task) = self.tasks.get(gid) else { return Vec::new() };
        let of_lane = self.fleet.of_lane(task.lane());
        let absent = of_lane.filter(|miner| !miner.takes_part() && miner.could_serve(task.lane()));
        let mut absent: Vec<MinerKey> = absent.map(MinerEntry::key).collect();
        absent.sort_unstable();
        absent
    }

    /// Whether the session's ids come in blocks and none is left.
    pub fn lacks_ids(&self, session: SessionId) -> bool {
        self.sessions.get(session).is_some_and(SessionEntry::lacks_ids)
    }

    /// Whether a miner is up that could serve the task, busy or not.
    pub fn attends(&self, task: &Demand) -> bool {
        self.fleet.attends(&self.lane_of(task))
    }

    /// The number of tasks that the miners could begin at once.
    pub fn free_slots(&self) -> u64 {
        let of = |miner: &MinerEntry| if miner.takes_part() { u64::from(miner.free()) } else { 0 };
        self.fleet.values().map(of).sum()
    }

    /// The tasks that wait for their first miner, in the order of their lanes. `unattended`: those that no miner could serve
    /// at present, unless a miner works on them or they go on from a text.
    pub fn waiting(&self, unattended: bool) -> Vec<Gid> {
        let lanes = self.line.lanes().filter(|lane| !unattended || !self.fleet.attends(lane));
        let stays = |gid: &Gid| {
            self.tasks.get(*gid).is_none_or(|task| {
                let begun =
                    if unattended { !task.attempts().is_empty() || task.is_continuing() } else { task.tries() > 0 };
                begun || task.demand().shadow
            })
        };
        lanes.flat_map(|lane| self.line.waiting_in(lane)).filter(|gid| !stays(gid)).collect()
    }

    /// Tasks of a session that have not ended.
    pub fn active_tasks(&self, session: SessionId) -> u64 {
        self.sessions.get(session).map_or(0, SessionEntry::active)
    }

    /// Tasks that were ever submitted to a session.
    pub fn taken_tasks(&self, session: SessionId) -> u64 {
        self.sessions.get(session).map_or(0, SessionEntry::taken)
    }

    /// The task of the attempt with this fence; `None`: the fence is not in force.
    pub fn owner_of(&self, fence: Fence) -> Option<Gid> {
        self.tasks.owner(fence)
    }

    /// Tasks that wait for a miner.
    pub fn queued(&self) -> u64 {
        self.line.tasks()
    }

    /// The number of tasks that have not ended, without checks in the background.
    pub fn unfinished(&self) -> u64 {
        self.tasks.unfinished()
    }

    /// Checks in the background that have not ended.
    pub fn rechecks(&self) -> u32 {
        self.tasks.rechecks()
    }

    /// The id that the next task of a session gets; `None` where the engine has no such session.
    pub fn next_task_id(&self, session: SessionId) -> Option<TaskId> {
        self.sessions.get(session).map(SessionEntry::next_task)
    }
}
