//! The changes of a task, in the order in which they come in its life.

use cortensor_router_model::{Fence, TaskState, Timestamp};

use super::{NEVER, TaskEntry};
use crate::attempt::Attempt;
use crate::cost::cost_of;
use crate::effect::Role;
use crate::lane::LaneKey;
use crate::phase::Phase;
use crate::rules::{MinerKey, MinerRules};
use crate::trials::Trials;

impl TaskEntry {
    /// Lets a held task go to a miner. `false`: it is not held.
    pub(crate) fn release(&mut self) -> bool {
        let held = self.phase.now() == Phase::Held;
        if held {
            self.demand.held = false;
            self.phase.enter(Phase::Open);
        }
        held
    }

    /// Notes that no caller waits for it any more. Returns the time at which it was to fail for lack of miners.
    pub(crate) fn detach(&mut self) -> Option<Timestamp> {
        self.demand.attached = false;
        if self.demand.targets.is_empty() { self.unservable_at.take() } else { None }
    }

    /// Sends it to the next models of its list, of which the first `skipped` ones are left out, in that lane. Its
    /// attempts at the model before do not count. Returns the time of the retry that was set.
    pub(crate) fn retarget(&mut self, skipped: usize, lane: LaneKey, required: u32) -> Option<Timestamp> {
        self.demand.model = lane.model().cloned();
        self.demand.targets = self.demand.targets.get(skipped + 1..).unwrap_or_default().into();
        self.demand.required = required;
        self.lane = lane;
        self.worked_on = self.was_worked_on();
        self.tries = 0;
        self.trials = Trials::default();
        self.retry_at.take()
    }

    /// Puts it into the queue. `false`: it is there already.
    pub(crate) fn join_queue(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    /// Takes it out of the queue. `false`: it is not there.
    pub(crate) fn leave_queue(&mut self) -> bool {
        std::mem::replace(&mut self.queued, false)
    }

    /// Sets the time at which it fails if no miner is up for it.
    pub(crate) fn fail_at(&mut self, at: Timestamp) {
        self.unservable_at = Some(at);
    }

    /// Notes that it does not fail for lack of miners. Returns the time at which it was to fail.
    pub(crate) fn clear_failure(&mut self) -> Option<Timestamp> {
        self.unservable_at.take()
    }

    /// The part that its next attempt has. `hedge`: the attempt races another one.
    pub(crate) fn next_role(&self, hedge: bool) -> Role {
        match self.primary {
            _ if hedge => Role::Hedge,
            Some(_) => Role::Aside,
            None if self.continuing => Role::Continue,
            None => Role::Primary,
        }
    }

    /// Adds an attempt in that role at the miner with these rules.
    pub(crate) fn begin(&mut self, mut attempt: Attempt, role: Role, miner: &MinerRules) {
        if self.redundant() {
            self.answerers.add(attempt.fence(), miner);
        }
        if matches!(role, Role::Primary | Role::Continue) {
            self.primary = Some(attempt.fence());
            self.continued = role == Role::Continue;
        }
        if role == Role::Hedge {
            attempt.race();
        } else {
            self.tries += 1;
        }
        let state = if attempt.is_offered() { TaskState::Assigned } else { TaskState::Acked };
        self.state = self.state.max(state);
        self.attempts.push(attempt);
    }

    /// Notes that a miner took an offer. `false`: another miner did that before.
    pub(crate) fn acknowledge(&mut self) -> bool {
        let first = self.state < TaskState::Acked;
        if first {
            self.state = TaskState::Acked;
        }
        first
    }

    /// Lifts the deadline of a stream that was for its first token. Returns the deadline.
    pub(crate) fn lift_deadline(&mut self) -> Option<Timestamp> {
        let lifts = self.demand.open_ended && self.demand.deadline != NEVER;
        lifts.then(|| std::mem::replace(&mut self.demand.deadline, NEVER))
    }

    /// Sets a deadline that was lifted again, because the answer begins again. Returns the new deadline.
    pub(crate) fn renew_deadline(&mut self, now: Timestamp) -> Option<Timestamp> {
        if !self.demand.open_ended || self.demand.deadline != NEVER {
            return None;
        }
        self.demand.deadline = now.plus(self.patience_ms);
        Some(self.demand.deadline)
    }

    /// Streams the tokens of that attempt, which has won its race.
    pub(crate) fn stream(&mut self, winner: Fence) {
        self.primary = Some(winner);
    }

    /// Notes that a client has seen pieces of that attempt.
    pub(crate) fn show(&mut self, fence: Fence) {
        self.shown |= self.streams(fence);
    }

    /// Notes that the attempt's answer is in. Returns the attempt and the milliseconds that it took.
    pub(crate) fn finish(&mut self, fence: Fence, now: Timestamp) -> Option<(&Attempt, u64)> {
        let races = self.races();
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.fence() == fence)?;
        let took = attempt.finish(now);
        if races {
            self.primary = Some(fence);
        }
        Some((attempt, took))
    }

    /// Whether the task has all its answers, now that the answer of that attempt is in.
    pub(crate) fn is_complete_with(&self, fence: Fence) -> bool {
        // If answers are not compared, the first one is taken; for a stream, that is the answer that is streamed.
        let first = !self.demand.judged
            && self.demand.required > 1
            && (!self.demand.streaming || self.primary.is_none_or(|primary| primary == fence));
        first || self.done() == self.demand.required
    }

    /// The cost with that many tokens in each answer.
    pub(crate) fn cost_with(&self, tokens: u64) -> u64 {
        cost_of(self.demand.prompt_tokens, tokens, self.demand.required)
    }

    /// Whether its session pays for its answers. A tie-break is not charged again.
    pub(crate) fn is_charged(&self) -> bool {
        !self.demand.shadow && !self.tie_broken
    }

    /// Takes an attempt off the task.
    pub(crate) fn drop_attempt(&mut self, fence: Fence) -> Option<Attempt> {
        let at = self.attempts.iter().position(|attempt| attempt.fence() == fence)?;
        Some(self.attempts.remove(at))
    }

    /// Notes that the miner of an attempt, which was taken off the task, gave no answer. `declined`: the miner never
    /// took the offer; `finally`: it would refuse the task again. Returns whether the attempt's tokens were streamed.
    pub(crate) fn failed(&mut self, attempt: &Attempt, declined: bool, finally: bool) -> bool {
        let was_primary = self.streams(attempt.fence());
        if was_primary {
            self.primary = None;
        }
        self.trials.note(attempt.miner(), declined);
        if (declined || finally) && !attempt.is_hedge() {
            self.tries = self.tries.saturating_sub(1);
        }
        self.answerers.forget(attempt.fence());
        was_primary
    }

    /// Notes that the miner would refuse the task again.
    pub(crate) fn refused(&mut self, miner: MinerKey) {
        self.trials.note_refusal(miner);
    }

    /// Streams the first attempt that is left, because the one that was streamed is lost.
    pub(crate) fn promote(&mut self) -> Option<Fence> {
        let other = self.attempts.first()?.fence();
        self.primary = Some(other);
        Some(other)
    }

    /// Counts one more try, because an attempt sends its work to its miner again.
    pub(crate) fn try_again(&mut self) {
        self.tries += 1;
    }

    /// Notes that it waits for a miner again. `false`: other attempts are still there.
    pub(crate) fn wait_again(&mut self) -> bool {
        let alone = self.attempts.is_empty();
        if alone {
            self.state = TaskState::Queued;
        }
        alone
    }

    /// Takes back what clients have seen of its text.
    pub(crate) fn void(&mut self) {
        self.shown = false;
    }

    /// Sets whether it waits for a miner that continues its text.
    pub(crate) fn set_continuing(&mut self, continuing: bool) {
        self.continuing = continuing;
    }

    /// Sets the time of its retry. Returns the time that was set before.
    pub(crate) fn retry_at(&mut self, at: Timestamp) -> Option<Timestamp> {
        self.retry_at.replace(at)
    }

    /// Notes that the time of its retry has come.
    pub(crate) fn retry_due(&mut self) {
        self.retry_at = None;
    }

    /// Takes no more answers than those of the attempts that are there. Returns their number.
    pub(crate) fn settle_for_attempts(&mut self) -> u32 {
        self.demand.required = self.attempts.len() as u32;
        self.demand.required
    }

    /// Takes no more answers than those that are in.
    pub(crate) fn settle_for_done(&mut self) {
        self.demand.required = self.done();
    }

    /// Waits for the comparison of its answers.
    pub(crate) fn judge(&mut self) {
        self.phase.enter(Phase::Judging);
    }

    /// Whether one more miner may be asked because the answers do not agree.
    pub(crate) fn may_break_tie(&self, now: Timestamp) -> bool {
        self.demand.tie_break && !self.tie_broken && now < self.demand.deadline
    }

    /// Asks for one more answer because the answers do not agree.
    pub(crate) fn break_tie(&mut self) {
        self.tie_broken = true;
        self.phase.enter(Phase::Open);
        self.demand.required += 1;
    }

    /// Begins its end, which is written now.
    pub(crate) fn end(&mut self) {
        self.phase.enter(Phase::Ending);
        self.state = TaskState::Precommitted;
    }
}
