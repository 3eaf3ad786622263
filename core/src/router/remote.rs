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
use super::miners::MinerHandle;
use super::seats::Remote;
use super::shared::{Router, Shared};
use super::slot::Entrance;
use crate::Result;
use crate::miner::link::{self, End, Link, Timing};
use crate::miner::protocol::frame::{Bye, Drain, ErrorFrame, Intervals, Limits, RouterFrame, VERSION, Welcome};
use crate::miner::protocol::handshake::Admitted;
use crate::miner::protocol::hello::{check_resumed, common_features};
use crate::miner::remote::connection::Connection;
use crate::miner::remote::seat::SeatControl;
use crate::miner::remote::{Absence, Seat, SeatSettings, SessionLimits};
use crate::store::HOST;

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
        let config = &self.shared.config;
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
        check_resumed(&admitted.hello, self.shared.config.miners.max_resumed)?;
        let link = Arc::new(Link::new(self.shared.config.miners.write_buffer_bytes as usize));
        let welcome = Welcome {
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
        let timing = Timing {
            ping: Duration::from_millis(shared.config.miners.ping_ms),
            dead: Duration::from_millis(shared.config.miners.dead_ms),
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
        let gone = self.shared.remotes.by_id.lock().remove(id);
        if let Some(gone) = gone {
            self.shared.miner(gone.key).remove();
            gone.seat.refuse(&revoked_error());
        }
        written.await?;
        Ok(true)
    }

    /// Runs work in the background; the router's close waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        crate::miner::spawn(&self.shared.runtime, self.shared.background.track_future(work));
    }

    fn miner_intervals(&self) -> Intervals {
        let miners = &self.shared.config.miners;
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
    /// new one.
    fn seat(self: &Arc<Self>, admitted: &Admitted, link: &Arc<Link>, welcome: Welcome) -> Result<Arc<Seat>> {
        let Admitted { identity, hello, spec, .. } = admitted;
        let held = hello.resume.as_ref().map_or(&[][..], |resume| resume.inflight.as_slice());
        let mut by_id = self.remotes.by_id.lock();
        if let Some(remote) = by_id.get_mut(&identity.id) {
            if remote.seat.continues(hello.epoch, &spec.name) {
                if remote.models != spec.models {
                    remote.models.clone_from(&spec.models);
                    self.miner(remote.key).set_models(spec.models.clone());
                }
                // This happens under the lock, so that no grace period ends in between.
                let resumed = remote.seat.attach(Arc::clone(link), held, welcome);
                tracing::info!(miner = %identity.id, resumed, "a miner is back");
                return Ok(Arc::clone(&remote.seat));
            }
            // The miner has restarted, changed its name or said goodbye: the old seat's attempts are lost.
            if let Some(old) = by_id.remove(&identity.id) {
                self.miner(old.key).remove();
                old.seat.abandon();
            }
        }
        let limits = SessionLimits {
            window: self.config.miners.window_bytes,
            output: self.config.limits.max_output_bytes,
            cancel_ms: self.config.miners.cancel_timeout_ms,
            attempts: self.config.miners.max_resumed.max(hello.max_concurrency as usize),
        };
        let router = Router { shared: self.clone() };
        let settings = SeatSettings {
            limits,
            max_task_bytes: router.miner_limits().task as usize,
            accept_ms: self.config.dispatch.accept_timeout_ms,
        };
        let process = (hello.epoch, spec.name.clone());
        let seat = Seat::new(settings, common_features(hello), hello.max_concurrency, process);
        let models = spec.models.clone();
        let handle = self.join_as(&identity.id, spec.clone(), seat.clone(), Entrance::default())?;
        handle.set_credits(0);
        seat.controlled_by(Box::new(handle.clone()));
        let remote = Remote { seat: Arc::clone(&seat), key: handle.key, models };
        seat.attach(Arc::clone(link), held, welcome);
        by_id.insert(identity.id.clone(), remote);
        tracing::info!(miner = %identity.id, "a miner is connected");
        Ok(seat)
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
            link.post(drain_frame(self.config.listen.drain_timeout_ms));
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
        link.post(RouterFrame::from(Bye { reason: reason.to_owned() }).to_text());
        link.close(1001, reason);
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
        let grace = Duration::from_millis(self.config.miners.grace_ms);
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
        let gone = {
            let mut by_id = self.remotes.by_id.lock();
            // The miner may have come back in the meantime.
            let ours = by_id.get(id).is_some_and(|remote| Arc::ptr_eq(&remote.seat, seat)) && seat.is_vacant(absence);
            if ours { by_id.remove(id) } else { None }
        };
        if let Some(remote) = gone {
            tracing::info!(miner = %id, "a miner did not come back: its tasks are lost to it");
            self.miner(remote.key).remove();
            seat.abandon();
        }
    }
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
    use crate::miner::protocol::frame::Hello;
    use crate::miner::protocol::handshake::Credential;
    use crate::miner::protocol::hello::{Identity, spec_of};
    use crate::model::MinerStatus;

    #[tokio::test]
    async fn the_end_of_an_old_connection_that_is_noted_late_keeps_no_miner_from_work() {
        let router = Router::open(Config::default()).await.unwrap();
        let hello = Hello { miner_id: "gpu".into(), epoch: 1, max_concurrency: 1, ..Hello::default() };
        let identity = Identity { id: "holder/gpu".into(), ..Identity::default() };
        let spec = spec_of(&identity, &hello).unwrap();
        let admitted = Admitted { identity, hello: Box::new(hello), spec, credential: Credential::Token };
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
