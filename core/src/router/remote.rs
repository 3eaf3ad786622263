//! Miners that dialled in: their seats, and the ends of their connections.
//!
//! A miner has one [`Seat`], which outlives its connections. The newest connection wins. When the last connection
//! breaks, the seat stays for `miners.grace_ms`: a miner that comes back within that time and with the same epoch
//! continues its attempts. A miner that was silent for `miners.dead_ms`, and one whose listener stops, loses its seat at
//! once.

use std::future::Future;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::accept::Door;
use super::key_end::{KeyEnd, KeyLife};
use super::miners::{Dismissed, MinerHandle};
use super::seats::Remote;
use super::shared::{Router, Shared};
use super::slot::Entrance;
use crate::miner::link::{self, End, Link, Timing};
use crate::miner::protocol::frame::{Bye, Drain, ErrorFrame, Held, Intervals, Limits, RouterFrame, VERSION, Welcome};
use crate::miner::protocol::handshake::Admitted;
use crate::miner::protocol::hello::{check_resumed, common_features};
use crate::miner::remote::connection::Connection;
use crate::miner::remote::seat::SeatControl;
use crate::miner::remote::{Absence, Seat, SeatSettings, SessionLimits};
use crate::store::HOST;
use crate::{Error, ErrorKind, Result};

impl SeatControl for MinerHandle {
    fn credits(&self, credits: u32) {
        self.set_credits(credits);
    }

    fn drain(&self) {
        Self::drain(self);
    }
}

impl Router {
    /// The limits that the router announces to miners, among them the size of the largest frame that it sends.
    pub(crate) fn miner_limits(&self) -> Limits {
        let config = self.shared.settings.now();
        Limits {
            frame: config.miners.max_frame_bytes,
            // Encoding the client's JSON again may double its size because of control characters.
            task: config.limits.max_request_bytes.saturating_mul(2) + (64 << 10),
            window: config.miners.window_bytes,
            output: config.limits.max_output_bytes,
        }
    }

    /// Gives an admitted miner its seat, and the link through which the seat sends.
    ///
    /// # Errors
    /// `InvalidArgument` if the miner resumes too many tasks; `Conflict` if its name is taken; `Overloaded` if there
    /// are too many miners.
    pub(super) fn seated(&self, admitted: &Admitted) -> Result<(Arc<Seat>, Arc<Link>)> {
        let settings = self.shared.settings.now();
        check_resumed(&admitted.hello, settings.miners.max_resumed)?;
        let link = Arc::new(Link::new(settings.miners.write_buffer_bytes as usize));
        let welcome = || Welcome {
            v: VERSION,
            features: common_features(&admitted.hello),
            intervals: self.miner_intervals(),
            limits: self.miner_limits(),
            ..Welcome::default()
        };
        let seat = self.shared.seat(admitted, &link, welcome)?;
        Ok((seat, link))
    }

    /// Runs a seat's connection to its end. The end of the miner's token, and of the listener, `door`, end it.
    pub(super) async fn serve_seat<S>(
        &self,
        id: &str,
        seat: &Arc<Seat>,
        link: &Arc<Link>,
        (key_life, door): (Option<KeyLife>, &Door),
        socket: WebSocketStream<S>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shared = &self.shared;
        shared.update_presence(id, seat);
        let timing = {
            let settings = shared.settings.now();
            Timing {
                ping: Duration::from_millis(settings.miners.ping_ms),
                dead: Duration::from_millis(settings.miners.dead_ms),
            }
        };
        let connection = Connection { seat: Arc::clone(seat), link: Arc::clone(link), puzzled: AtomicBool::new(false) };
        let end = {
            let running = link::run(socket, link, &connection, timing);
            let announced = shared.announce_end(seat, link, key_life, door);
            tokio::pin!(running, announced);
            tokio::select! {
                end = &mut running => end,
                () = &mut announced => running.await,
            }
        };
        shared.connection_ended(id, seat, link, (end, door));
    }

    /// Refuses an enrolled miner from now on, and ends its connection. `false`: no such miner is enrolled.
    ///
    /// # Errors
    /// The store's error; the miner is refused all the same, until the next start.
    pub async fn revoke_miner(&self, id: &str) -> Result<bool> {
        self.refuse_miner(id, HOST).await
    }

    /// Refuses an enrolled miner for the caller with the key `by`.
    ///
    /// # Errors
    /// Those of [`revoke_miner`](Self::revoke_miner).
    pub(crate) async fn refuse_miner(&self, id: &str, by: &str) -> Result<bool> {
        let Some(written) = self.revoke_known(id, by) else { return Ok(false) };
        tracing::info!(miner = id, by, "a miner's key is revoked");
        self.dismiss(id);
        written.await?;
        self.shared.tell_others();
        Ok(true)
    }

    /// Ends the connection of a miner whose key is revoked.
    pub(super) fn dismiss(&self, id: &str) {
        if let Some((dismissed, seat)) = self.shared.evict(id, |_| true) {
            if let Some(gone) = dismissed {
                self.shared.see_off(gone);
            }
            seat.refuse(&revoked_error());
        }
    }

    /// Runs work in the background; the router's close waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        crate::miner::spawn(&self.shared.runtime, self.shared.background.track_future(work));
    }

    fn miner_intervals(&self) -> Intervals {
        let settings = self.shared.settings.now();
        let miners = &settings.miners;
        Intervals {
            ping_ms: miners.ping_ms,
            dead_ms: miners.dead_ms,
            flush_ms: miners.flush_ms,
            grace_ms: miners.grace_ms,
        }
    }
}

impl Shared {
    /// The miner's seat: the present one if the miner comes back with the same epoch, name and an open seat, or else a
    /// new one. Code of other miners runs only while the list of seats is free, because it may ask for that list.
    fn seat(
        self: &Arc<Self>,
        admitted: &Admitted,
        link: &Arc<Link>,
        welcome: impl Fn() -> Welcome,
    ) -> Result<Arc<Seat>> {
        let Admitted { identity, hello, spec, .. } = admitted;
        loop {
            let there = self.remotes.by_id.lock().get(&identity.id).map(|remote| Arc::clone(&remote.seat));
            let seated = match there {
                Some(seat) if seat.continues(hello.epoch, &spec.name) => {
                    self.go_on(&seat, admitted, link, welcome())?.then_some(seat)
                }
                there => self.take_seat(there.as_ref(), admitted, link, welcome())?,
            };
            // Otherwise another connection, or the end of the seat, was faster.
            if let Some(seat) = seated {
                return Ok(seat);
            }
        }
    }

    /// Lets a miner that has come back continue its seat. `false`: the seat is no longer the miner's.
    fn go_on(
        self: &Arc<Self>,
        seat: &Arc<Seat>,
        admitted: &Admitted,
        link: &Arc<Link>,
        welcome: Welcome,
    ) -> Result<bool> {
        let Admitted { identity, hello, spec, .. } = admitted;
        let _order = seat.order();
        let (key, moved, arrival) = {
            let mut by_id = self.remotes.by_id.lock();
            self.check_key(&identity.id)?;
            let ours = by_id.get_mut(&identity.id).filter(|remote| Arc::ptr_eq(&remote.seat, seat));
            let Some(remote) = ours.filter(|_| seat.continues(hello.epoch, &spec.name)) else { return Ok(false) };
            let moved = remote.models != spec.models;
            if moved {
                remote.models.clone_from(&spec.models);
            }
            // This happens under the lock, so that no grace period ends in between.
            (remote.key, moved, seat.connect(Arc::clone(link), held_by(admitted), welcome))
        };
        if moved {
            self.miner(key).set_models(spec.models.clone());
        }
        let resumed = seat.begin(arrival);
        tracing::info!(miner = %identity.id, resumed, "a miner is back");
        Ok(true)
    }

    /// Gives a miner a new seat instead of the one that is `there`, whose attempts are lost: the miner has restarted,
    /// changed its name or said goodbye. `None`: another one is there.
    fn take_seat(
        self: &Arc<Self>,
        there: Option<&Arc<Seat>>,
        admitted: &Admitted,
        link: &Arc<Link>,
        welcome: Welcome,
    ) -> Result<Option<Arc<Seat>>> {
        let Admitted { identity, hello, spec, .. } = admitted;
        let config = self.settings.now();
        let limits = SessionLimits {
            window: config.miners.window_bytes,
            output: config.limits.max_output_bytes,
            answer: config.limits.max_output_bytes,
            cancel_ms: config.miners.cancel_timeout_ms,
            attempts: config.miners.max_resumed.max(hello.max_concurrency as usize),
        };
        let router = Router { shared: self.clone() };
        let settings = SeatSettings {
            limits,
            max_task_bytes: router.miner_limits().task as usize,
            accept_ms: config.dispatch.accept_timeout_ms,
        };
        let process = (hello.epoch, spec.name.clone());
        let seat = Seat::new(settings, common_features(hello), hello.max_concurrency, process);
        let order = seat.order();
        let (gone, taken) = {
            let mut by_id = self.remotes.by_id.lock();
            self.check_key(&identity.id)?;
            if by_id.get(&identity.id).map(|remote| Arc::as_ptr(&remote.seat)) != there.map(Arc::as_ptr) {
                return Ok(None);
            }
            // The old miner leaves both lists before the new one comes, so that it is not taken for a double.
            let gone = by_id.remove(&identity.id).map(|old| (self.dismiss(old.key), old.seat));
            let taken = self.enlist(&identity.id, spec.clone(), seat.clone(), Entrance::default()).map(|enlisted| {
                let remote = Remote { seat: Arc::clone(&seat), key: enlisted.key, models: spec.models.clone() };
                by_id.insert(identity.id.clone(), remote);
                (enlisted, seat.connect(Arc::clone(link), held_by(admitted), welcome))
            });
            (gone, taken)
        };
        if let Some((dismissed, old)) = gone {
            if let Some(gone) = dismissed {
                self.see_off(gone);
            }
            old.abandon();
        }
        let (enlisted, arrival) = taken?;
        let handle = self.bring_in(enlisted);
        handle.set_credits(0);
        seat.controlled_by(Box::new(handle));
        seat.begin(arrival);
        drop(order);
        tracing::info!(miner = %identity.id, "a miner is connected");
        Ok(Some(seat))
    }

    /// Checks that the miner's key was not revoked since the handshake looked at it. The list of seats must be locked:
    /// a revocation marks the key first and looks at the list then.
    fn check_key(&self, id: &str) -> Result<()> {
        if self.known.lock().get(id).is_some_and(|record| record.revoked) {
            let refusal = revoked_error();
            return Err(Error::new(ErrorKind::PermissionDenied, refusal.message).with_code("revoked"));
        }
        Ok(())
    }

    /// Sets whether the miner can be reached: it can be while its seat has a connection. Threads that note the end of
    /// one connection and the beginning of the next at the same moment may do this in any order.
    fn update_presence(self: &Arc<Self>, id: &str, seat: &Arc<Seat>) {
        let key =
            self.remotes.by_id.lock().get(id).filter(|remote| Arc::ptr_eq(&remote.seat, seat)).map(|remote| remote.key);
        if let Some(key) = key {
            self.miner(key).set_up_if(|| seat.is_attached());
        }
    }

    /// Tells the miner when the router or its listener drains or closes, or that its token has ended. Completes after
    /// the close or the end of the token.
    async fn announce_end(&self, seat: &Arc<Seat>, link: &Arc<Link>, key_life: Option<KeyLife>, door: &Door) {
        let drained = async {
            self.drain_started.cancelled().await;
            link.post(drain_frame(self.settings.now().listen.drain_timeout_ms));
            self.stop.cancelled().await;
        };
        let turned_out = async {
            door.drains.cancelled().await;
            seat.retire(link);
            link.post(drain_frame(door.patience_ms));
            tokio::select! {
                () = seat.rests() => {}
                () = door.closes.cancelled() => {}
            }
        };
        let refused = async {
            match key_life {
                Some(life) => life.await,
                None => std::future::pending().await,
            }
        };
        let reason = tokio::select! {
            end = refused => return link.refuse(&match end {
                KeyEnd::Revoked => revoked_error(),
                KeyEnd::Expired => ErrorFrame::fatal("unauthorized", "the miner's token has expired"),
            }),
            () = drained => "the router is shutting down",
            () = self.stop.cancelled() => "the router is shutting down",
            () = turned_out => "the listener is stopped",
        };
        link.close_with(RouterFrame::from(Bye { reason: reason.to_owned() }).to_text(), 1001, reason);
    }

    fn connection_ended(self: &Arc<Self>, id: &str, seat: &Arc<Seat>, link: &Arc<Link>, (end, door): (End, &Door)) {
        // The time of silence counts as the time to come back. A miner whose listener has drained cannot come back.
        let for_good = end == End::Silent || door.drains.is_cancelled();
        let Some(absence) = seat.detach(link, for_good) else {
            return; // a newer connection has replaced this one
        };
        tracing::info!(miner = %id, ?end, "a miner's connection ended");
        let now = self.clock.now().as_secs();
        Router { shared: self.clone() }.change_miner(id, |record| record.last_seen = NonZeroU64::new(now));
        self.update_presence(id, seat);
        if absence.over || self.stop.is_cancelled() {
            self.vacate(id, seat, absence);
            return;
        }
        let (shared, id, seat) = (self.clone(), id.to_owned(), Arc::clone(seat));
        let grace = Duration::from_millis(self.settings.now().miners.grace_ms);
        self.background.spawn_on(
            async move {
                tokio::select! {
                    () = shared.stop.cancelled() => {}
                    () = tokio::time::sleep(grace) => {}
                }
                shared.vacate(&id, &seat, absence);
            },
            &self.runtime,
        );
    }

    /// Removes the miner, unless it has come back: other miners take over its tasks.
    fn vacate(self: &Arc<Self>, id: &str, seat: &Arc<Seat>, absence: Absence) {
        // The miner may have come back in the meantime.
        let gone = self.evict(id, |there| Arc::ptr_eq(there, seat) && seat.is_vacant(absence));
        if let Some((dismissed, _)) = gone {
            tracing::info!(miner = %id, "a miner did not come back: its tasks are lost to it");
            if let Some(gone) = dismissed {
                self.see_off(gone);
            }
            seat.abandon();
        }
    }

    /// Takes a seat out of the list, and its miner out of the tables at the same moment, so that a miner that comes back
    /// meets either both or none of them.
    fn evict(
        self: &Arc<Self>,
        id: &str,
        holds: impl FnOnce(&Arc<Seat>) -> bool,
    ) -> Option<(Option<Dismissed>, Arc<Seat>)> {
        let mut by_id = self.remotes.by_id.lock();
        if !by_id.get(id).is_some_and(|remote| holds(&remote.seat)) {
            return None;
        }
        by_id.remove(id).map(|gone| (self.dismiss(gone.key), gone.seat))
    }
}

/// The attempts that a miner says it has.
fn held_by(admitted: &Admitted) -> &[Held] {
    admitted.hello.resume.as_ref().map_or(&[][..], |resume| resume.inflight.as_slice())
}

fn drain_frame(deadline_ms: u64) -> String {
    RouterFrame::from(Drain { deadline_ms }).to_text()
}

fn revoked_error() -> ErrorFrame {
    ErrorFrame::fatal("revoked", "the miner's token or key was revoked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::SubmitOptions;
    use crate::miner::Job;
    use crate::miner::protocol::frame::Hello;
    use crate::miner::protocol::handshake::Credential;
    use crate::miner::protocol::hello::{Identity, spec_of};
    use crate::model::{Answer, MinerSpec, MinerStatus, SessionId, TaskRequest};
    use crate::store::MinerRecord;

    /// A miner of that epoch that the handshake has let in.
    fn admitted(epoch: u64) -> Admitted {
        let hello = Hello { miner_id: "gpu".into(), epoch, max_concurrency: 1, ..Hello::default() };
        let identity = Identity { id: "holder/gpu".into(), ..Identity::default() };
        let spec = spec_of(&identity, &hello).unwrap();
        Admitted { identity, hello: Box::new(hello), spec, credential: Credential::Token }
    }

    #[tokio::test]
    async fn code_of_other_miners_runs_while_the_list_of_seats_is_free() {
        let router = Router::open(Config::default()).await.unwrap();
        let first = admitted(1);
        let (seat, _link) = router.seated(&first).unwrap();
        router.shared.update_presence("holder/gpu", &seat);
        seat_handle(&router).set_credits(1);
        let task = router.submit(SessionId(0), TaskRequest::completion("hi"), SubmitOptions::default()).await.unwrap();
        let asks = router.clone();
        let host = move |job: Job| {
            let free = asks.shared.remotes.by_id.try_lock().is_some();
            job.finish(Answer::default().text(if free { "free" } else { "held" }));
        };
        router.add_miner(MinerSpec::new("host", 1), host).unwrap();
        // The miner has restarted: its task goes to the other miner at once.
        router.seated(&admitted(2)).unwrap();
        assert_eq!(task.result().await.unwrap().text(), "free");
        router.close().await;
    }

    #[tokio::test]
    async fn a_key_that_was_revoked_during_the_handshake_gets_no_seat() {
        let router = Router::open(Config::default()).await.unwrap();
        let record = MinerRecord { id: "holder/gpu".into(), revoked: true, ..MinerRecord::default() };
        router.shared.known.lock().insert(record.id.clone(), record);
        assert_eq!(router.seated(&admitted(1)).unwrap_err().code(), "revoked");
        assert!(router.miners().is_empty());
        router.close().await;
    }

    fn seat_handle(router: &Router) -> MinerHandle {
        let key = router.shared.remotes.by_id.lock().get("holder/gpu").unwrap().key;
        router.shared.miner(key)
    }

    #[tokio::test]
    async fn the_end_of_an_old_connection_that_is_noted_late_keeps_no_miner_from_work() {
        let router = Router::open(Config::default()).await.unwrap();
        let admitted = admitted(1);
        let id = &admitted.identity.id;
        let (seat, old) = router.seated(&admitted).unwrap();
        router.shared.update_presence(id, &seat);
        // One thread notes the end of the old connection while another one admits the new connection.
        seat.detach(&old, false).unwrap();
        let (again, new) = router.seated(&admitted).unwrap();
        assert!(Arc::ptr_eq(&seat, &again), "the miner continues its seat");
        router.shared.update_presence(id, &seat);
        router.shared.update_presence(id, &seat);
        let status = |router: &Router| router.miners().iter().find(|miner| miner.id == "gpu").map(|miner| miner.status);
        assert_eq!(status(&router), Some(MinerStatus::Idle));
        seat.detach(&new, false).unwrap();
        router.shared.update_presence(id, &seat);
        assert_eq!(status(&router), Some(MinerStatus::Down));
        router.close().await;
    }
}
