//! Tasks that other routers own. Callers read such a task as any other: it waits in memory, its text comes over the link
//! to its owner, and its row tells of its end. Where there is no link, the row is read every half second.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::super::live::{Live, LiveState, wake};
use super::super::shared::Shared;
use super::super::transcript::Transcript;
use crate::engine::Event;
use crate::model::{Task, TaskState};
use crate::store::Placed;
use crate::task::{TaskEnd, TaskSpec, add_hashes};
use crate::{Error, ErrorKind};

/// The time between two looks at a row.
const LOOK: Duration = Duration::from_millis(500);

/// The distance of the numbers of texts that come whole from a row to those of this router's own pieces, which are never
/// as many. A client that resumes at another router must not find a piece with a number that it has seen here.
const WHOLE: u64 = 1 << 31;

/// The times of [`LOOK`] that pass between two looks at a row whose task's text comes over a link.
const SELDOM: u32 = 20;

/// The time, beside a lease and a fifth of it, for which no way to the text is found before readers hear that it comes from
/// the row. Until then the owner may be dead, or may have claimed the task a moment ago.
const WAYLESS: Duration = Duration::from_secs(4);

/// The time for which the text of a task that has ended is read from its owner before it is taken from the row.
const REST: Duration = Duration::from_secs(2);

/// The number of looks that do not find a row before the task counts as deleted: longer than its owner takes to notice
/// that it is gone.
const MISSED: u32 = 140;

impl Shared {
    /// Makes a readable task of one that another router has and that has not ended.
    pub(in crate::router) fn follow_stored(self: &Arc<Self>, task: &Task) -> Arc<Live> {
        let base = self.core.lock().engine.first_base();
        let window = self.settings.now().limits.stream_window_bytes;
        let transcript = Transcript::new(u32::MAX as usize, window as usize).numbered_from(base);
        let live = Live::new(Arc::new(TaskSpec::of_stored(task)), transcript, &self.memory, true);
        {
            let mut state = live.state.lock();
            state.accepted = Some(Ok(()));
            (state.rejoined, state.followed) = (true, true);
            state.text_is_due = self.has_links();
        }
        self.follow(&live);
        live
    }

    /// Lets a task of this router be another's. The engine must not have it any more. Whoever waits for it waits on.
    pub(super) fn depart(self: &Arc<Self>, live: &Arc<Live>) {
        let (attempts, wakers) = {
            let mut state = live.state.lock();
            state.followed = true;
            (state.outcome, state.error, state.closed) = (None, None, None);
            state.ended_at = None;
            state.answers.clear();
            state.transcript.seal();
            state.charge = None;
            (std::mem::take(&mut state.attempts), state.take_wakers())
        };
        attempts.iter().for_each(|attempt| attempt.finish());
        wake(wakers);
        live.detached.store(true, Ordering::Release);
        let forgotten = self.core.lock().forget_ended(live.spec.gid);
        drop(forgotten);
        if live.attached.load(Ordering::Acquire) > 0 {
            self.follow(live);
        }
    }

    /// Reads the task over the link to its owner, and by its row, until it has an end or nobody waits for it any more.
    fn follow(self: &Arc<Self>, live: &Arc<Live>) {
        let (shared, gid, live) = (self.clone(), live.spec.gid, Arc::downgrade(live));
        self.background.spawn_on(
            async move {
                let (mut missed, mut wayless, mut view) = (0, None, View::default());
                loop {
                    let Some((fleet, membership)) = shared.fleet() else { return };
                    let patience = membership.gone_after() + WAYLESS;
                    let found = fleet.place(gid).await;
                    let Some(live) = live.upgrade() else { return };
                    match found {
                        Ok(Some(placed)) if placed.task.state == TaskState::Ended => {
                            view.finish(&shared, placed.owner, &live).await;
                            return shared.show_stored_end(&live, placed.task);
                        }
                        Ok(None) if missed >= MISSED => {
                            return show(&live, |state| state.end = Some(Err(live.sign(deleted()))));
                        }
                        // A failover may have lost the row; its owner then writes it again.
                        Ok(None) => missed += 1,
                        // The store is away, or another router works on it.
                        Ok(Some(placed)) => {
                            missed = 0;
                            view.turn_to(&shared, placed.owner, &live);
                            // The next owner may go on with the text: whoever resumes waits for it.
                            if !shared.is_member(placed.owner) {
                                wayless = None;
                            }
                        }
                        Err(_) => view.turn_back(&shared, &live),
                    }
                    wayless = if view.is_over() { wayless.or_else(|| Some(Instant::now())) } else { None };
                    if wayless.is_some_and(|since| since.elapsed() >= patience) {
                        wake(live.text_comes_whole());
                    }
                    let reader = Arc::downgrade(&live);
                    drop(live);
                    tokio::select! {
                        () = shared.stop.cancelled() => return turn_away(&reader, shared.leaving_error()),
                        () = view.rest(&reader) => {}
                    }
                }
            },
            &self.runtime,
        );
    }

    /// Finds out why the store has not taken the end of a task, and shows what is true.
    pub(in crate::router) async fn settle_elsewhere(self: Arc<Self>, live: Arc<Live>) {
        let Some((fleet, _)) = self.fleet() else { return };
        let gid = live.spec.gid;
        for _ in 0..3 {
            match fleet.place(gid).await {
                Ok(Some(Placed { task, .. })) if task.state == TaskState::Ended => {
                    tracing::info!(%gid, "another router ended a task that this one has ended, too: its end counts");
                    adopt(&mut live.state.lock(), task, None);
                    self.step(Event::Committed(gid));
                    // It may be this router's own end, of which the store's answer was lost.
                    if live.spec.request.webhook.is_some()
                        && let Err(error) = self.compare_deliveries().await
                    {
                        tracing::warn!(%gid, %error, "the webhook of a task is looked for later");
                    }
                    return;
                }
                Ok(Some(Placed { is_own: false, owner, .. })) => {
                    tracing::warn!(%gid, owner, "a task that this router has ended is another's now");
                    self.step(Event::Moved(gid));
                    return self.depart(&live);
                }
                // A failover has lost the task, or the end crossed another change.
                Ok(_) => {
                    let Some(row) = live.state.lock().closed.as_ref().map(|end| end.row.clone()) else { return };
                    match self.store.record(live.spec.clone(), row).await {
                        Ok(true) => return self.step(Event::Committed(gid)),
                        Ok(false) => {}
                        Err(error) => return self.end_refused(&live, error),
                    }
                }
                Err(error) => return self.end_refused(&live, error),
            }
        }
        tracing::error!(%gid, "the end of a task was not written: the store has no unfinished row of it");
        self.step(Event::Unwritten(gid));
    }
}

/// The text of another router's task over the link to its owner.
#[derive(Default)]
struct View {
    #[cfg(feature = "postgres")]
    mirrored: Option<super::link::Mirrored>,
    /// The owner that was asked last, and when.
    #[cfg(feature = "postgres")]
    asked: Option<(u64, Instant)>,
}

impl View {
    /// Reads from that owner, unless the text already comes from it. One that has just refused is not asked again at once.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_self, reason = "without links there is nothing to read")
    )]
    fn turn_to(&mut self, shared: &Arc<Shared>, owner: u64, live: &Arc<Live>) {
        #[cfg(feature = "postgres")]
        {
            let is_refused = self.mirrored.as_ref().is_some_and(super::link::Mirrored::is_refused);
            let is_other = self.asked.is_none_or(|(asked, _)| asked != owner);
            let is_due = self.asked.is_none_or(|(_, at)| at.elapsed() >= LOOK);
            if !is_refused && (is_other || self.is_over() && is_due) {
                self.asked = Some((owner, Instant::now()));
                // The reading before ends first.
                self.mirrored = None;
                self.mirrored = shared.mirror(owner, live);
            }
        }
        #[cfg(not(feature = "postgres"))]
        let _ = (shared, owner, live);
    }

    /// Reads from the owner that was known last, while the store does not say who it is.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_self, reason = "without links there is nothing to read")
    )]
    fn turn_back(&mut self, shared: &Arc<Shared>, live: &Arc<Live>) {
        #[cfg(feature = "postgres")]
        if let Some((owner, _)) = self.asked {
            self.turn_to(shared, owner, live);
        }
        #[cfg(not(feature = "postgres"))]
        let _ = (shared, live);
    }

    /// Whether no text comes over a link.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_self, reason = "without links there is nothing to ask")
    )]
    fn is_over(&self) -> bool {
        #[cfg(feature = "postgres")]
        return self.mirrored.as_ref().is_none_or(super::link::Mirrored::is_over);
        #[cfg(not(feature = "postgres"))]
        true
    }

    /// Reads the rest of a text that has ended from that owner, who may still have its pieces.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_async, reason = "without links there is nothing to read")
    )]
    async fn finish(&mut self, shared: &Arc<Shared>, owner: u64, live: &Arc<Live>) {
        #[cfg(feature = "postgres")]
        if !live.state.lock().text_is_whole && shared.has_links() {
            self.mirrored = None;
            self.mirrored = shared.mirror(owner, live);
            // Whatever is missing then comes from the row.
            let _ = tokio::time::timeout(REST, self.over()).await;
            self.mirrored = None;
        }
        #[cfg(not(feature = "postgres"))]
        let _ = (shared, owner, live, REST);
    }

    /// Waits until the row should be looked at: for a moment, or as long as text comes and somebody reads it.
    async fn rest(&self, live: &Weak<Live>) {
        for _ in 0..SELDOM {
            let was_over = self.is_over();
            #[cfg(feature = "postgres")]
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.over(), if !was_over => return,
            }
            #[cfg(not(feature = "postgres"))]
            tokio::time::sleep(LOOK).await;
            if was_over || live.strong_count() == 0 {
                return;
            }
            #[cfg(feature = "postgres")]
            if let Some(mirrored) = &self.mirrored {
                mirrored.catch_up();
            }
        }
    }

    /// Waits until no text comes over a link any more.
    #[cfg(feature = "postgres")]
    async fn over(&self) {
        if let Some(mirrored) = &self.mirrored {
            mirrored.over().await;
        }
    }
}

impl Shared {
    /// Shows the end that the store has of a task, whatever this router thought of it.
    pub(super) fn show_stored_end(&self, live: &Live, task: Task) {
        let base = self.core.lock().engine.first_base() + WHOLE;
        show(live, |state| adopt(state, task, Some(base)));
    }
}

/// Gives a task the end that the store has of it. Readers of another text start over, after the mark with that number.
fn adopt(state: &mut LiveState, mut task: Task, base: Option<u64>) {
    add_hashes(&mut task);
    state.outcome = task.outcome;
    state.error.clone_from(&task.error);
    state.ended_at = task.ended_at;
    state.answers.clear();
    if !state.text_is_whole && state.transcript.text() != task.text.as_str() {
        // Readers of the first part of this very text need not start over.
        let so_far = state.transcript.text();
        state.read_before = (!so_far.is_empty() && task.text.starts_with(so_far)).then_some(so_far.len());
        match base {
            Some(base) => state.transcript.begin_at(task.fence, base),
            None => state.transcript.begin(task.fence),
        }
        if !task.text.is_empty() {
            state.transcript.push(task.fence, &task.text, None);
        }
    }
    state.transcript.seal();
    state.closed = Some(TaskEnd::stored(task));
    // Callers may have got an error of the store.
    state.end = None;
    state.unwritten = None;
}

/// Shows the end of a task that the engine does not have.
fn show(live: &Live, end: impl FnOnce(&mut LiveState)) {
    let wakers = {
        let mut state = live.state.lock();
        end(&mut state);
        state.state = TaskState::Ended;
        if state.end.is_none() {
            state.end = state.closed.as_ref().map(|end| end.result.clone());
        }
        state.accepted = Some(Ok(()));
        state.take_wakers()
    };
    wake(wakers);
}

fn turn_away(live: &Weak<Live>, why: Error) {
    if let Some(live) = live.upgrade() {
        wake(live.turn_away(why));
    }
}

fn deleted() -> Error {
    Error::new(ErrorKind::NotFound, "the task was deleted at another router").with_code("task_not_found")
}
