//! The counts that a batch changes. They are written once, at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use tokio_postgres::types::{ToSql, Type};

use super::link::Link;
use super::sql::Sql;
use crate::model::{Day, SessionId, Task, TaskId};
use crate::store::columns::int;
use crate::store::usage::{COUNTS, UsageCounts, UsageGroup, count_in, session_of};

/// The number of days of which the writer remembers the rows of usage.
const DAYS: usize = 4;

/// The changes of one batch.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sessions: BTreeMap<SessionId, Count>,
    usage: BTreeMap<UsageGroup, UsageCounts>,
    pub(super) last_gid: u64,
    pub(super) last_fence: u64,
}

#[derive(Debug, Default)]
struct Count {
    /// The id after the greatest one that is new; 0: none is.
    next: u64,
    /// The new tasks.
    taken: i64,
    total: i64,
    open: i64,
    ended_bytes: i64,
}

impl Sums {
    /// Counts a new task.
    pub(super) fn accepted(&mut self, gid: u64, session: SessionId, id: TaskId, ended: bool) {
        let count = self.sessions.entry(session).or_default();
        count.next = count.next.max(id.0.saturating_add(1));
        count.taken += 1;
        count.total += 1;
        count.open += i64::from(!ended);
        self.last_gid = self.last_gid.max(gid);
    }

    /// Counts the end of a task that was open before this batch.
    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.entry(session).or_default().open -= 1;
    }

    /// Counts what an ended task used; `group` is the row of usage for it.
    pub(super) fn ended(&mut self, task: &Task, bytes: u64, group: UsageGroup) {
        self.sessions.entry(task.session_id).or_default().ended_bytes += int(bytes);
        self.last_fence = self.last_fence.max(task.fence.0);
        self.usage.entry(group).or_default().add(&UsageCounts::of(task));
    }

    /// Counts the deletion of an ended task.
    pub(super) fn deleted(&mut self, session: SessionId, bytes: i64) {
        let count = self.sessions.entry(session).or_default();
        count.total -= 1;
        count.ended_bytes -= bytes;
    }

    /// Writes the counts.
    pub(super) async fn write(&self, link: &Link, sql: &Sql, epoch: i64) -> Result<(), tokio_postgres::Error> {
        let count = async {
            let column = |of: fn(&Count) -> i64| self.sessions.values().map(of).collect::<Vec<_>>();
            let sessions: Vec<i64> = self.sessions.keys().map(|id| int(id.0)).collect();
            let [total, open, bytes] = [column(|c| c.total), column(|c| c.open), column(|c| c.ended_bytes)];
            let [taken, next] = [column(|c| c.taken), column(|c| int(c.next))];
            if sessions.is_empty() {
                return Ok(Vec::new());
            }
            let params: [(&(dyn ToSql + Sync), Type); 7] = [
                (&epoch, Type::INT8),
                (&sessions, Type::INT8_ARRAY),
                (&total, Type::INT8_ARRAY),
                (&open, Type::INT8_ARRAY),
                (&bytes, Type::INT8_ARRAY),
                (&taken, Type::INT8_ARRAY),
                (&next, Type::INT8_ARRAY),
            ];
            link.query(&sql.count, &params).await
        };
        let ids = async {
            let used = self.sessions.iter().filter(|(_, count)| count.next > 0);
            let (sessions, next): (Vec<i64>, Vec<i64>) = used.map(|(id, count)| (int(id.0), int(count.next))).unzip();
            if sessions.is_empty() {
                return Ok(Vec::new());
            }
            link.query(&sql.ids, &[(&sessions, Type::INT8_ARRAY), (&next, Type::INT8_ARRAY)]).await
        };
        tokio::try_join!(biased; count, ids, self.write_usage(link, sql, epoch))?;
        Ok(())
    }

    async fn write_usage(&self, link: &Link, sql: &Sql, epoch: i64) -> Result<(), tokio_postgres::Error> {
        if self.usage.is_empty() {
            return Ok(());
        }
        let numbers = |of: &dyn Fn(&UsageGroup, &UsageCounts) -> i64| {
            self.usage.iter().map(|(group, counts)| of(group, counts)).collect::<Vec<i64>>()
        };
        let texts = |of: fn(&UsageGroup) -> &str| self.usage.keys().map(of).collect::<Vec<_>>();
        let days = numbers(&|group, _| int(group.day.number()));
        let sessions = numbers(&|group, _| session_of(group.session));
        let [keys, models, miners] = [texts(|g| &g.key_id), texts(|g| &g.model), texts(|g| &g.miner)];
        let counts: [Vec<i64>; COUNTS] = std::array::from_fn(|at| numbers(&|_, counts| int(counts.values()[at])));
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&epoch, Type::INT8),
            (&days, Type::INT8_ARRAY),
            (&keys, Type::TEXT_ARRAY),
            (&sessions, Type::INT8_ARRAY),
            (&models, Type::TEXT_ARRAY),
            (&miners, Type::TEXT_ARRAY),
        ];
        for counts in &counts {
            params.push((counts, Type::INT8_ARRAY));
        }
        link.query(&sql.usage, &params).await.map(drop)
    }
}

/// The rows of usage that the last days have, as far as this router knows. It may know of rows that a failed transaction
/// took back; the bound then holds all the more.
#[derive(Debug)]
pub(super) struct UsageRows {
    /// The rows that one day may have, and as many for the rest of each key.
    most: u64,
    days: BTreeMap<Day, BTreeSet<UsageGroup>>,
}

impl UsageRows {
    pub(super) fn new(most: u64) -> Self {
        Self { most, days: BTreeMap::new() }
    }

    /// Whether the rows of a day are known.
    pub(super) fn knows(&self, day: Day) -> bool {
        self.days.contains_key(&day)
    }

    /// Learns the rows of a day.
    pub(super) fn learn(&mut self, day: Day, rows: BTreeSet<UsageGroup>) {
        if self.days.len() >= DAYS {
            // The clock may have gone back, so that the new day is older than all others: those then make room, not it.
            self.days.pop_first();
        }
        self.days.insert(day, rows);
    }

    /// The row that counts the tasks of a group: its own, or a coarser one.
    pub(super) fn place(&mut self, group: UsageGroup) -> UsageGroup {
        let rows = self.days.entry(group.day).or_default();
        let count = rows.len() as u64;
        let mut place = group.clone();
        let Ok(new) = count_in::<Infallible>(group, count, self.most, |group| {
            place = group.clone();
            Ok(rows.contains(group))
        });
        rows.extend(new);
        place
    }

    /// Forgets everything, because rows were deleted.
    pub(super) fn changed(&mut self) {
        self.days.clear();
    }
}
