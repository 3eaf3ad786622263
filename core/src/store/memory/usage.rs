//! Usage in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::super::usage::{UsageCounts, UsageGroup, UsagePage, UsageQuery, UsageRow, count_in, name_of};
use crate::model::{Day, Task};

/// The counts of ended tasks.
#[derive(Debug, Default)]
pub(super) struct UsageBook {
    /// The rows that one day may have, and as many for the rest of each key.
    most: u64,
    rows: BTreeMap<UsageGroup, UsageCounts>,
    /// The number of rows of each day.
    days: BTreeMap<Day, u64>,
    /// The group of the task that was counted last, and counts of it that its row does not have yet. Most tasks belong
    /// to the group of the task before, and adding to these counts needs no look-up.
    last: Option<(UsageGroup, UsageCounts)>,
}

impl UsageBook {
    pub(super) fn new(most: u64) -> Self {
        Self { most, ..Self::default() }
    }

    /// Counts an ended task.
    pub(super) fn count(&mut self, task: &Task) {
        let counts = UsageCounts::of(task);
        if let Some((group, sum)) = &mut self.last
            && group.is_of(task)
        {
            return sum.add(&counts);
        }
        self.settle();
        self.last = Some((UsageGroup::of(task), counts));
    }

    /// Adds the counts of the last group to its row.
    fn settle(&mut self) {
        let Some((group, counts)) = self.last.take() else { return };
        let of_day = self.days.entry(group.day).or_default();
        let Ok(new) = count_in::<Infallible>(group, *of_day, self.most, |group| {
            Ok(self.rows.get_mut(group).map(|row| row.add(&counts)).is_some())
        });
        if let Some(group) = new {
            self.rows.insert(group, counts);
            *of_day += 1;
        }
    }

    /// Reads a page.
    pub(super) fn page(&mut self, query: &UsageQuery) -> UsagePage {
        self.settle();
        let mut parts: BTreeMap<(i64, &str), BTreeMap<&str, UsageCounts>> = BTreeMap::new();
        for (group, counts) in self.rows.iter().filter(|(group, _)| query.takes(group)) {
            let part = parts.entry(group.place(query.by)).or_default();
            part.entry(&group.model).or_default().add(counts);
        }
        let (skip, take) =
            (query.offset.try_into().unwrap_or(usize::MAX), query.limit.try_into().unwrap_or(usize::MAX));
        let total = parts.len() as u64;
        let rows = parts.into_iter().skip(skip).take(take).flat_map(|((number, text), models)| {
            models.into_iter().map(move |(model, counts)| UsageRow {
                name: if query.by.is_number() { name_of(query.by, number) } else { text.to_owned() },
                model: model.to_owned(),
                counts,
            })
        });
        UsagePage { rows: rows.collect(), total }
    }

    /// Deletes the rows of days before that one. Gives their number.
    pub(super) fn forget(&mut self, before: Day) -> u64 {
        self.settle();
        let count = self.rows.len();
        self.rows.retain(|group, _| group.day >= before);
        self.days.retain(|day, _| *day >= before);
        (count - self.rows.len()) as u64
    }
}
