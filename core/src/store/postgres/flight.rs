//! Operations that are on their way into the database, or wait for it to come back.

use std::time::{Duration, Instant};

use super::answer::Answer;
use super::seat::Seat;
use crate::Error;
use crate::store::op::Op;

/// The operations of one batch.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) ops: Vec<Op>,
    /// The bytes of the operations.
    weight: u64,
    since: Instant,
    /// Set once the commit was asked for, until its outcome is known.
    pub(super) doubt: Option<Doubt>,
}

/// A commit whose outcome is not known yet.
#[derive(Debug)]
pub(super) struct Doubt {
    /// The number of the batch.
    pub(super) number: u64,
    /// The seat that holds if it was committed.
    pub(super) seat: Seat,
    /// The answers that hold if it was committed, one for each operation.
    pub(super) answers: Vec<Answer>,
}

impl Flight {
    pub(super) fn of(ops: Vec<Op>) -> Self {
        Self { weight: weight_of(&ops), ops, since: Instant::now(), doubt: None }
    }

    /// Adds operations that came within `short` after the others, so that a long wait has few flights. Gives them back if
    /// they do not fit.
    pub(super) fn join(&mut self, ops: Vec<Op>, most: usize, short: Duration) -> Result<(), Vec<Op>> {
        if self.doubt.is_some() || self.ops.len() + ops.len() > most || self.since.elapsed() > short {
            return Err(ops);
        }
        self.weight += weight_of(&ops);
        self.ops.extend(ops);
        Ok(())
    }

    /// Divides a flight that was refused because of one operation.
    pub(super) fn halves(mut self) -> [Self; 2] {
        let rest = self.ops.split_off(self.ops.len() / 2);
        let part = |ops: Vec<Op>| Self { weight: weight_of(&ops), ops, since: self.since, doubt: None };
        let rest = part(rest);
        [part(std::mem::take(&mut self.ops)), rest]
    }

    /// The bytes that wait.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// Refuses the operations that have waited too long: ends after `long`, all others after `short`. Gives their number.
    pub(super) fn expire(&mut self, short: Duration, long: Duration, error: &Error) -> u64 {
        let waited = self.since.elapsed();
        if waited < short {
            return 0;
        }
        let is_late = |op: &Op| waited >= long || !waits(op);
        let mut refused = 0;
        let mut answers = self.doubt.as_mut().map(|doubt| std::mem::take(&mut doubt.answers).into_iter());
        let mut kept = Vec::new();
        for op in std::mem::take(&mut self.ops) {
            let answer = answers.as_mut().and_then(Iterator::next);
            if is_late(&op) {
                refused += 1;
                op.fail(error.clone());
                continue;
            }
            self.ops.push(op);
            kept.extend(answer);
        }
        if let Some(doubt) = &mut self.doubt {
            doubt.answers = kept;
        }
        if refused > 0 {
            self.weight = weight_of(&self.ops);
        }
        refused
    }

    /// Answers that nothing was done. Gives the number of operations.
    pub(super) fn fail(self, error: &Error) -> u64 {
        let count = self.ops.len() as u64;
        self.ops.into_iter().for_each(|op| op.fail(error.clone()));
        count
    }
}

fn weight_of(ops: &[Op]) -> u64 {
    ops.iter().map(Op::weight).sum()
}

/// Whether an operation waits long for a database that is away: the end of a task, whose work is done.
pub(super) fn waits(op: &Op) -> bool {
    matches!(op, Op::Finish(..) | Op::Record(..))
}
