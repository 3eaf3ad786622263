//! Sorts the operations of a batch into stages. One stage is at most three statements, whatever their order, because no
//! two of its operations touch one task, one id or one key.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Answer;
use super::rows::{EndRow, NewRow};
use crate::Result;
use crate::model::{Gid, SessionId, Task, TaskId};
use crate::store::TaskSpec;
use crate::store::op::Op;

/// A task that is written together with its end.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) new: &'a TaskSpec,
    pub(super) end: EndRow<'a>,
    /// The place of the operation that accepts the task; `None`: it was never accepted, and one operation does both.
    pub(super) accept: Option<usize>,
    /// The place of the operation that ends it.
    pub(super) finish: usize,
}

/// Operations that are done together. A place is that of an operation in its batch.
#[derive(Debug, Default)]
pub(super) struct Stage<'a> {
    pub(super) new: Vec<(usize, NewRow<'a>)>,
    pub(super) whole: Vec<Whole<'a>>,
    pub(super) ends: Vec<(usize, EndRow<'a>)>,
    gids: BTreeMap<Gid, Held>,
    ids: BTreeSet<(SessionId, TaskId)>,
    keys: BTreeSet<(&'a str, &'a str)>,
}

/// The operations of a stage for one task.
#[derive(Debug, Clone, Copy)]
struct Held {
    ids: (SessionId, TaskId),
    accept: Option<usize>,
    ends: bool,
}

/// The parts of a batch.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Stage(Stage<'a>),
    /// An operation that is done by itself.
    Alone(usize, &'a Op),
}

/// Sorts the operations of a batch, in their order. Operations that cannot be encoded get their answer at once.
pub(super) fn parts<'a>(ops: &'a [Op], answers: &mut [Option<Answer>]) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut stage = Stage::default();
    for (at, op) in ops.iter().enumerate() {
        let added = stage.add(at, op).or_else(|| {
            if !stage.is_empty() {
                parts.push(Part::Stage(std::mem::take(&mut stage)));
            }
            stage.add(at, op)
        });
        let added = added.unwrap_or_else(|| {
            parts.push(Part::Alone(at, op));
            Ok(None)
        });
        match added {
            Ok(answer) => answers[at] = answer,
            Err(error) => answers[at] = Some(Answer::failed(op, error)),
        }
    }
    if !stage.is_empty() {
        parts.push(Part::Stage(stage));
    }
    parts
}

impl<'a> Stage<'a> {
    fn is_empty(&self) -> bool {
        self.gids.is_empty()
    }

    /// Adds an operation, or gives the answer that follows from the others. `None`: the operation must come after them.
    fn add(&mut self, at: usize, op: &'a Op) -> Option<Result<Option<Answer>>> {
        match op {
            Op::Accept(new, _) => self.is_free(new).then(|| {
                let row = NewRow::of(new)?;
                self.hold(new, Some(at), false);
                self.new.push((at, row));
                Ok(None)
            }),
            Op::Record(new, end, _) => self.is_free(new).then(|| {
                let end = EndRow::of(end)?;
                self.hold(new, None, true);
                self.whole.push(Whole { new, end, accept: None, finish: at });
                Ok(None)
            }),
            Op::Finish(task, _) => self.finish(at, task),
            _ => None,
        }
    }

    fn finish(&mut self, at: usize, task: &'a Task) -> Option<Result<Option<Answer>>> {
        let ids = (task.session_id, task.id);
        let Some(held) = self.gids.get_mut(&task.gid) else {
            return Some(EndRow::of(task).map(|end| {
                self.gids.insert(task.gid, Held { ids, accept: None, ends: true });
                self.ends.push((at, end));
                None
            }));
        };
        if held.ids != ids {
            return None;
        }
        if held.ends {
            // Whatever becomes of the end before, this one is too late or has no task.
            return Some(Ok(Some(Answer::Changed(Ok(false)))));
        }
        let accept = held.accept?;
        let place = self.new.iter().rposition(|(at, _)| *at == accept)?;
        Some(EndRow::of(task).map(|end| {
            held.ends = true;
            let (_, row) = self.new.swap_remove(place);
            self.whole.push(Whole { new: row.new, end, accept: Some(accept), finish: at });
            None
        }))
    }

    /// Whether nothing of the stage has the task's number, id or key.
    fn is_free(&self, new: &TaskSpec) -> bool {
        !self.gids.contains_key(&new.gid)
            && !self.ids.contains(&(new.session_id, new.id))
            && new.idempotency.as_ref().is_none_or(|key| !self.keys.contains(&(&*key.scope, &*key.key)))
    }

    fn hold(&mut self, new: &'a TaskSpec, accept: Option<usize>, ends: bool) {
        self.gids.insert(new.gid, Held { ids: (new.session_id, new.id), accept, ends });
        self.ids.insert((new.session_id, new.id));
        self.keys.extend(new.idempotency.as_ref().map(|key| (&*key.scope, &*key.key)));
    }
}
