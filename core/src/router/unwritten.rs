//! Ends that the store has refused. The router keeps each of them and writes it again until the store has it.
//!
//! A caller that waits for such an end gets the store's error at once; callers that ask later get the end once it is
//! written. A miner is told of its answer's fate only then. If an end cannot be kept, its task runs again as soon as the
//! store works, as it would at the next start.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::live::{Live, wake};
use super::shared::Shared;
use crate::engine::Event;
use crate::model::{Gid, TaskState};
use crate::{Error, ErrorKind, Result};

/// The wait before an end is written again for the first time. It doubles up to `storage.check_interval_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The fate of an end that the store has refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// The router keeps the end and writes it again.
    Kept,
    /// The router has given up the end. The task runs again if the store has it.
    Lost,
}

/// The ends that wait for the store.
#[derive(Default)]
pub(super) struct UnwrittenEnds {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    ends: Vec<KeptEnd>,
    /// The bytes of all kept ends, including those that are being written.
    bytes: u64,
    /// Whether the store may have unfinished tasks that are not in memory.
    strays: bool,
    /// Whether the router closes, so that no end is kept any more.
    closed: bool,
}

/// A task whose end is kept, and its bytes.
type KeptEnd = (Arc<Live>, u64);

impl UnwrittenEnds {
    /// Keeps the end of this task. `false`: the kept ends would take more than `most` bytes, or the router closes.
    fn keep(&self, live: &Arc<Live>, bytes: u64, most: u64) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.bytes.saturating_add(bytes) > most {
            return false;
        }
        waiting.bytes += bytes;
        waiting.ends.push((live.clone(), bytes));
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// Notes that the store may have unfinished tasks that are not in memory.
    pub(super) fn seek_strays(&self) {
        self.waiting.lock().strays = true;
        self.changed.notify_one();
    }

    fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.ends.is_empty() && !waiting.strays
    }

    /// Takes the kept ends. Their bytes stay counted until [`release`](Self::release).
    fn take(&self) -> (Vec<KeptEnd>, bool) {
        let mut waiting = self.waiting.lock();
        (std::mem::take(&mut waiting.ends), std::mem::take(&mut waiting.strays))
    }

    fn put_back(&self, kept: KeptEnd) {
        self.waiting.lock().ends.push(kept);
    }

    fn release(&self, bytes: u64) {
        self.waiting.lock().bytes -= bytes;
    }

    /// Takes the kept ends for the last time.
    fn close(&self) -> Vec<KeptEnd> {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.ends)
    }
}

impl Shared {
    /// Looks at the store's error for a write of a task. The store may have the task although it reported an error.
    pub(super) fn doubt(&self, error: &Error) {
        if error.kind() == ErrorKind::Unavailable {
            self.unwritten.seek_strays();
        }
    }

    /// Handles an end that the store has refused. The callers that wait get the store's error.
    pub(super) fn end_refused(self: &Arc<Self>, live: &Arc<Live>, error: Error) {
        let gid = live.spec.gid;
        let most = self.settings.now().limits.recent_bytes.min(self.memory.share_of_ended());
        let wakers = {
            let mut state = live.state.lock();
            let bytes = live.settled(&mut state);
            let kept = passes(&error) && state.may_be_written() && self.unwritten.keep(live, bytes, most);
            if kept {
                tracing::warn!(%gid, %error, "the store refused the end of a task: it is written again soon");
            } else {
                tracing::error!(%gid, %error, "the end of a task could not be written");
            }
            state.lost = Some(error);
            if kept {
                state.unwritten = Some(Unwritten::Kept);
                if state.row_waits {
                    // Whoever asks for the task must not wait until the store works again.
                    state.accepted = state.lost.clone().map(Err);
                }
                if state.end.is_none() {
                    state.end = Some(Err(Self::lost_end(live, &state)));
                }
                Some(state.take_wakers())
            } else {
                None
            }
        };
        match wakers {
            Some(wakers) => wake(wakers),
            None => self.step(Event::Unwritten(gid)),
        }
    }

    /// Writes ends that the store has refused until the router closes, and runs the tasks again whose ends are lost.
    pub(super) async fn write_again(self: Arc<Self>) {
        let longest = Duration::from_millis(self.settings.now().storage.check_interval_ms);
        let mut pause = FIRST_PAUSE.min(longest);
        loop {
            if self.unwritten.is_empty() {
                tokio::select! {
                    () = self.stop.cancelled() => break,
                    () = self.unwritten.changed.notified() => {}
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            // The store itself finds out when it can write again; until then no write is worth a try.
            let written = self.store.check().is_ok() && self.write_kept().await;
            pause = if written { FIRST_PAUSE } else { pause * 2 }.min(longest);
        }
        // The store may write by now, and no later chance comes.
        self.write_kept().await;
        let left = self.unwritten.close();
        if !left.is_empty() {
            tracing::warn!(tasks = left.len(), "the store did not write the ends of tasks: they run at the next start");
        }
        for kept in left {
            self.give_up(kept);
        }
    }

    /// Writes all kept ends once, and runs strays again. Returns whether the store took everything.
    async fn write_kept(self: &Arc<Self>) -> bool {
        let (ends, strays) = self.unwritten.take();
        let mut asked = Vec::with_capacity(ends.len());
        for (live, bytes) in ends {
            let row = {
                let state = live.state.lock();
                let end = state.closed.as_ref().filter(|_| state.may_be_written());
                end.map(|end| (end.row.clone(), state.row_waits))
            };
            match row {
                Some((row, row_waits)) => {
                    let written = self.write_row(&live, row, row_waits);
                    asked.push(((live, bytes), written));
                }
                None => self.give_up((live, bytes)),
            }
        }
        let mut all = true;
        for (kept, answer) in asked {
            let gid = kept.0.spec.gid;
            let written = match answer.await {
                Ok(false) if self.membership.is_some() => {
                    self.unwritten.release(kept.1);
                    self.clone().settle_elsewhere(kept.0).await;
                    continue;
                }
                Ok(false) => self.has_end(gid).await,
                answer => answer,
            };
            match written {
                Ok(true) => {
                    self.unwritten.release(kept.1);
                    tracing::info!(%gid, "the end of a task that the store had refused is written");
                    self.step(Event::Committed(gid));
                }
                Err(error) if passes(&error) => {
                    all = false;
                    self.unwritten.put_back(kept);
                }
                Ok(false) => {
                    tracing::error!(%gid, "the end of a task was not written: the store has no unfinished row of it");
                    self.give_up(kept);
                }
                Err(error) => {
                    tracing::error!(%gid, %error, "the end of a task could not be written");
                    self.give_up(kept);
                }
            }
        }
        if strays && let Err(error) = self.run_strays().await {
            tracing::warn!(%error, "the unfinished tasks of the store could not be read");
            self.unwritten.seek_strays();
            all = false;
        }
        all
    }

    /// Whether the store has an end of the task. An earlier write may have succeeded although the store reported an
    /// error, and no other process writes to the store, so that end is the one that was kept.
    async fn has_end(&self, gid: Gid) -> Result<bool> {
        Ok(self.store.task_by_gid(gid).await?.is_some_and(|task| task.state == TaskState::Ended))
    }

    fn give_up(self: &Arc<Self>, (live, bytes): KeptEnd) {
        self.unwritten.release(bytes);
        self.step(Event::Unwritten(live.spec.gid));
    }

    /// Runs the tasks that the store has as unfinished and that are not in memory, as at a start.
    pub(super) async fn run_strays(self: &Arc<Self>) -> Result<()> {
        let _one_at_a_time = self.restoring().await;
        let unfinished = self.store.unfinished().await?;
        let strays: Vec<Gid> = {
            let core = self.core.lock();
            unfinished.into_iter().filter(|gid| !core.live.contains_key(gid)).collect()
        };
        for gid in strays {
            if self.draining.load(Ordering::Acquire) {
                // The next start runs them.
                return Ok(());
            }
            // The row is read after the look into memory: a task that is not there cannot end meanwhile.
            match self.store.task_by_gid(gid).await {
                Ok(Some(task)) if task.state != TaskState::Ended => {
                    tracing::warn!(%gid, "a task whose end is not in the store runs again");
                    self.restore(&task, None, 0);
                }
                Ok(_) => {}
                Err(error) if passes(&error) => return Err(error),
                Err(error) => tracing::error!(%gid, %error, "an unfinished task cannot be read: it does not run again"),
            }
        }
        Ok(())
    }
}

/// Whether the store may take the write later.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded)
}
