//! The tasks of one session in the order of their ids, countable by position.
//!
//! Ids are kept in blocks, each with a count of its tasks. To find a page that begins far back, the store steps over
//! blocks, not over tasks.

use std::collections::BTreeMap;

use super::super::Wanted;
use crate::model::{Gid, TaskId};

/// The number of ids in one block.
const BLOCK: u64 = 256;

/// The tasks of one session.
#[derive(Debug, Default)]
pub(super) struct SessionTasks {
    /// The greatest id that was ever used, even if its task was purged.
    pub(super) last: TaskId,
    total: u64,
    open: u64,
    blocks: BTreeMap<u64, Block>,
}

#[derive(Debug, Default)]
struct Block {
    tasks: BTreeMap<u64, Place>,
    open: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    gid: Gid,
    ended: bool,
}

impl Block {
    fn count(&self, wanted: Wanted) -> u64 {
        wanted.of(self.tasks.len() as u64, self.open)
    }
}

impl SessionTasks {
    /// The number of tasks that the filter selects.
    pub(super) fn count(&self, wanted: Wanted) -> u64 {
        wanted.of(self.total, self.open)
    }

    /// The global id of the task with that id.
    pub(super) fn get(&self, id: TaskId) -> Option<Gid> {
        Some(self.blocks.get(&(id.0 / BLOCK))?.tasks.get(&id.0)?.gid)
    }

    /// Adds a task, which has `ended` or not. The id must not be in use.
    pub(super) fn insert(&mut self, id: TaskId, gid: Gid, ended: bool) {
        let (block, open) = (self.blocks.entry(id.0 / BLOCK).or_default(), u64::from(!ended));
        block.tasks.insert(id.0, Place { gid, ended });
        block.open += open;
        self.total += 1;
        self.open += open;
        self.last = self.last.max(id);
    }

    /// Marks a task as ended.
    pub(super) fn end(&mut self, id: TaskId) {
        let Some(block) = self.blocks.get_mut(&(id.0 / BLOCK)) else { return };
        if let Some(place) = block.tasks.get_mut(&id.0).filter(|place| !place.ended) {
            place.ended = true;
            block.open -= 1;
            self.open -= 1;
        }
    }

    /// Removes an ended task.
    pub(super) fn remove(&mut self, id: TaskId) {
        let number = id.0 / BLOCK;
        let Some(block) = self.blocks.get_mut(&number) else { return };
        if block.tasks.remove(&id.0).is_some() {
            self.total -= 1;
            if block.tasks.is_empty() {
                self.blocks.remove(&number);
            }
        }
    }

    /// The tasks that the filter selects, without the first `offset`, oldest first.
    pub(super) fn page(&self, wanted: Wanted, mut offset: u64) -> impl Iterator<Item = Gid> + '_ {
        let mut first = None;
        for (number, block) in &self.blocks {
            let count = block.count(wanted);
            if count > offset {
                first = Some(*number);
                break;
            }
            offset -= count;
        }
        let blocks = first.map(|number| self.blocks.range(number..)).into_iter().flatten();
        blocks
            .flat_map(|(_, block)| block.tasks.values())
            .filter(move |place| wanted.takes(place.ended))
            .skip(usize::try_from(offset).unwrap_or(usize::MAX))
            .map(|place| place.gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_over_holes_and_ended_tasks() {
        let mut tasks = SessionTasks::default();
        for id in (0..5_000).step_by(3) {
            tasks.insert(TaskId(id), Gid(id + 1), id % 10 == 0);
        }
        let ids: Vec<u64> = (0..5_000).step_by(3).collect();
        for id in ids.iter().filter(|id| *id % 2 == 0) {
            tasks.end(TaskId(*id));
        }
        for id in ids.iter().filter(|id| *id % 4 == 0) {
            tasks.remove(TaskId(*id));
        }
        for wanted in [Wanted::All, Wanted::Ended, Wanted::Open] {
            let all: Vec<u64> =
                ids.iter().copied().filter(|id| id % 4 != 0 && wanted.takes(id % 2 == 0)).map(|id| id + 1).collect();
            assert_eq!(tasks.count(wanted), all.len() as u64);
            for offset in [0, 1, 255, 256, 700, all.len() - 1, all.len(), all.len() + 9] {
                let page: Vec<u64> = tasks.page(wanted, offset as u64).take(7).map(|gid| gid.0).collect();
                let end = (offset + 7).min(all.len());
                assert_eq!(page, all.get(offset..end).unwrap_or_default(), "{wanted:?} after {offset}");
            }
        }
        assert_eq!(tasks.last, TaskId(4_998));
    }
}
