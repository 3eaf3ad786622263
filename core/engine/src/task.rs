//! The engine's record of a task, and the questions about it.

mod changes;

use smallvec::SmallVec;

use cortensor_router_model::{Fence, Gid, SessionId, TaskState, Timestamp};

use super::answerers::Answerers;
use super::attempt::Attempt;
use super::demand::Demand;
use super::lane::{LaneKey, Place};
use super::lend::Want;
use super::line::Load;
use super::phase::{Phase, Phases};
use super::rules::{MinerKey, MinerRules};
use super::timer::Timer;
use super::trials::Trials;

/// The deadline of a stream that has begun and whose deadline was for its first token.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// A task that has not ended.
#[derive(Debug)]
pub(super) struct TaskEntry {
    /// In the memory in which it came in.
    demand: Box<Demand>,
    lane: LaneKey,
    place: Place,
    cost: u64,
    /// The number of answers that were wanted at first.
    asked: u32,
    phase: Phases,
    state: TaskState,
    queued: bool,
    /// Attempts that are under way or done.
    attempts: SmallVec<[Attempt; 1]>,
    /// The number of attempts that were made, without those that the miner declined.
    tries: u32,
    /// Whether a miner of a former model of its list has tried it.
    worked_on: bool,
    trials: Trials,
    retry_at: Option<Timestamp>,
    unservable_at: Option<Timestamp>,
    /// The milliseconds from the submission to the task's first deadline.
    patience_ms: u64,
    /// The attempt whose tokens are streamed.
    primary: Option<Fence>,
    /// Whether a client has seen tokens that were not taken back.
    shown: bool,
    /// Whether the next attempt continues the text so far.
    continuing: bool,
    /// Whether the text comes from several miners, one after the other.
    continued: bool,
    answerers: Answerers,
    /// Whether one more miner was asked because the answers did not agree.
    tie_broken: bool,
    /// Whether the task only checks the answer of another task.
    recheck: bool,
    /// Whether the task stands in line for one of another router.
    deputy: bool,
    /// Whether it stands for a race against an attempt at another router.
    racer: bool,
}

impl TaskEntry {
    /// A task that has just come in, in that lane and at that place.
    pub(super) fn new(demand: Box<Demand>, lane: LaneKey, place: Place, cost: u64) -> Self {
        let phase = Phases::begin(if demand.held { Phase::Held } else { Phase::Open });
        Self {
            asked: demand.required,
            patience_ms: demand.deadline.since(place.since()),
            demand,
            lane,
            place,
            cost,
            phase,
            state: TaskState::Queued,
            queued: false,
            attempts: SmallVec::new(),
            tries: 0,
            worked_on: false,
            trials: Trials::default(),
            retry_at: None,
            unservable_at: None,
            primary: None,
            shown: false,
            continuing: false,
            continued: false,
            answerers: Answerers::default(),
            tie_broken: false,
            recheck: false,
            deputy: false,
            racer: false,
        }
    }

    /// A task in the background that compares the answer of `ended`, which one miner gave alone, with the answer of
    /// another miner. `answerer` are the rules of the first miner.
    pub(super) fn recheck(ended: Self, demand: Box<Demand>, place: Place, answerer: &MinerRules) -> Self {
        let mut task = Self::new(demand, ended.lane, place, ended.cost);
        task.recheck = true;
        task.tries = 1;
        if let Some(answer) = ended.attempts.first() {
            task.primary = Some(answer.fence());
            task.answerers.add(answer.fence(), answerer);
        }
        task.attempts = ended.attempts;
        task
    }

    /// A task that stands in line for that one of another router, which the miners in `apart` answer already.
    pub(super) fn deputy(demand: Box<Demand>, lane: LaneKey, place: Place, want: &Want) -> Self {
        let mut task = Self::new(demand, lane, place, 0);
        (task.deputy, task.continuing, task.racer) = (true, want.continues, want.races);
        for (identity, owner) in &want.apart {
            task.answerers.add_elsewhere(identity.clone(), owner.clone());
        }
        task
    }

    /// The needs of the task at present. They change with its deadline, and with the answers that it still wants.
    pub(super) fn demand(&self) -> &Demand {
        &self.demand
    }

    pub(super) fn session(&self) -> SessionId {
        self.demand.session
    }

    pub(super) fn lane(&self) -> &LaneKey {
        &self.lane
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The cost that its session is charged.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// The number of answers that were wanted at first.
    pub(super) fn asked(&self) -> u32 {
        self.asked
    }

    /// The milliseconds from the submission to the task's first deadline.
    pub(super) fn patience_ms(&self) -> u64 {
        self.patience_ms
    }

    /// The state that clients see.
    pub(super) fn state(&self) -> TaskState {
        self.state
    }

    /// The number of attempts that were made, without those that the miner declined.
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether a miner has tried it.
    pub(super) fn was_worked_on(&self) -> bool {
        self.worked_on || self.tries > 0
    }

    /// The miners that tried it in vain.
    pub(super) fn trials(&self) -> &Trials {
        &self.trials
    }

    /// The miners that got it, if several miners answer it.
    pub(super) fn answerers(&self) -> &Answerers {
        &self.answerers
    }

    /// Attempts that are under way or done.
    pub(super) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Whether that miner has an attempt that is under way or done.
    pub(super) fn is_with(&self, miner: MinerKey) -> bool {
        self.attempts.iter().any(|attempt| attempt.miner() == miner)
    }

    /// An attempt that is under way or done.
    pub(super) fn attempt_mut(&mut self, fence: Fence) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.fence() == fence)
    }

    /// The attempts that are under way.
    pub(super) fn under_way(&self) -> Vec<Fence> {
        self.attempts.iter().filter(|attempt| !attempt.is_done()).map(Attempt::fence).collect()
    }

    /// The number of answers that are in.
    pub(super) fn done(&self) -> u32 {
        self.attempts.iter().filter(|attempt| attempt.is_done()).count() as u32
    }

    /// Whether the attempt's tokens are the ones that are streamed.
    pub(super) fn streams(&self, fence: Fence) -> bool {
        self.primary == Some(fence)
    }

    /// Whether the attempt whose tokens are streamed has not finished its answer.
    pub(super) fn breaks_off(&self) -> bool {
        self.attempts.iter().any(|attempt| self.streams(attempt.fence()) && !attempt.is_done())
    }

    /// Whether a client has seen tokens that were not taken back.
    pub(super) fn is_shown(&self) -> bool {
        self.shown
    }

    /// Whether it waits for a miner that continues its text.
    pub(super) fn is_continuing(&self) -> bool {
        self.continuing
    }

    /// Whether it only checks the answer of another task.
    pub(super) fn is_recheck(&self) -> bool {
        self.recheck
    }

    /// Whether it stands in line for a task of another router.
    pub(super) fn is_deputy(&self) -> bool {
        self.deputy
    }

    /// Whether it stands for a race against an attempt at another router.
    pub(super) fn is_racer(&self) -> bool {
        self.racer
    }

    /// The only attempt, if no token of it has come. Another attempt may race it.
    pub(super) fn unbegun(&self) -> Option<&Attempt> {
        match self.attempts.as_slice() {
            [only] if !only.has_begun() && !only.is_done() && !self.is_ending() => Some(only),
            _ => None,
        }
    }

    /// Whether it is in the queue.
    pub(super) fn is_queued(&self) -> bool {
        self.queued
    }

    /// Whether its answers are being compared.
    pub(super) fn is_judging(&self) -> bool {
        self.phase.now() == Phase::Judging
    }

    /// Whether its end is being written.
    pub(super) fn is_ending(&self) -> bool {
        self.phase.now() == Phase::Ending
    }

    /// Whether it still needs a miner.
    pub(super) fn wants_miner(&self) -> bool {
        self.phase.now() == Phase::Open && (self.attempts.len() as u32) < self.demand.required
    }

    /// Whether it waits for a retry.
    pub(super) fn waits_for_retry(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Whether several miners were asked for an answer, however many of them still work.
    pub(super) fn redundant(&self) -> bool {
        self.asked > 1
    }

    /// Whether two miners race for its first token.
    pub(super) fn races(&self) -> bool {
        self.attempts.len() as u32 > self.demand.required
    }

    /// Whether every miner that may have the other tasks of the lane may also have this task.
    pub(super) fn is_plain(&self) -> bool {
        self.attempts.is_empty()
            && self.answerers.is_empty()
            && !self.trials.is_refused()
            && !self.trials.is_declined()
            && !self.continuing
            && !self.deputy
    }

    /// Whether no miner has had it, so that any miner may have it that may have tasks of the lane.
    pub(super) fn is_new(&self) -> bool {
        self.is_plain() && self.trials.is_empty()
    }

    /// The time until which its miner may be silent if its last sign of life came at `heard_at`.
    pub(super) fn silent_until(&self, heard_at: Timestamp, progress_timeout_ms: u64) -> Timestamp {
        let until = heard_at.plus(progress_timeout_ms);
        if self.demand.streaming { until } else { until.max(self.demand.deadline.plus(1)) }
    }

    /// The room that it takes in the bounds of the queue; `None`: it only checks another task in the background, or waits
    /// at another router.
    pub(super) fn load(&self) -> Option<Load> {
        (!self.recheck && !self.deputy).then(|| Load::new(self.demand.bytes, self.cost))
    }

    /// All its timers that may be set, apart from those of its attempts.
    pub(super) fn timers(&self, gid: Gid) -> impl Iterator<Item = (Timestamp, Timer)> {
        let precommit = self.demand.judged.then_some((self.demand.precommit_by, Timer::Precommit(gid)));
        let retry = self.retry_at.map(|at| (at, Timer::Retry(gid)));
        let unservable = self.unservable_at.map(|at| (at, Timer::Unservable(gid)));
        [Some((self.demand.deadline, Timer::Deadline(gid))), precommit, retry, unservable].into_iter().flatten()
    }

    /// The attempt of the one miner that answered it, if no other miner had a part in the answer.
    pub(super) fn sole_answer(&self) -> Option<&Attempt> {
        match self.attempts.as_slice() {
            [answer] if answer.is_done() && !self.redundant() && !self.continued => Some(answer),
            _ => None,
        }
    }

    /// Whether a caller waits for it or it has other models to go to, no miner has it, and its failure for lack of miners is not set yet.
    pub(super) fn is_lonely(&self) -> bool {
        (self.demand.attached || !self.demand.targets.is_empty())
            && self.queued
            && self.attempts.is_empty()
            && self.unservable_at.is_none()
    }

    /// Checks that every change of its phase was allowed.
    ///
    /// # Errors
    /// A text that names the first change that was not allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        self.phase.check()
    }
}
