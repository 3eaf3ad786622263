//! The database of the fleet: a server, a way to it for each router, and a standby that may take its place.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cortensor_router_testkit::{Postgres, Proxy};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

/// The number of routers.
pub(crate) const ROUTERS: usize = 3;

/// The server, and the proxies to it.
pub(crate) struct Database {
    server: Mutex<Postgres>,
    standby: Mutex<Option<Postgres>>,
    /// The way of each router to the server.
    pub(super) ways: Vec<Proxy>,
    /// The way by which the standby reads the server's log.
    log: Proxy,
    /// The milliseconds after `begun` until which commits may be missing.
    forgets_until: AtomicU64,
    begun: Instant,
    runtime: Runtime,
}

impl Database {
    /// Starts the server, and its standby if it is wanted. `None`: PostgreSQL is not installed.
    pub(super) fn start(with_standby: bool) -> Option<Self> {
        let server = Postgres::start()?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let at = server.address();
        let ways = (0..ROUTERS).map(|_| runtime.block_on(Proxy::to(at))).collect();
        let log = runtime.block_on(Proxy::to(at));
        let standby = with_standby.then(|| server.standby(log.address));
        Some(Self {
            server: Mutex::new(server),
            standby: Mutex::new(standby),
            ways,
            log,
            forgets_until: AtomicU64::new(0),
            begun: Instant::now(),
            runtime,
        })
    }

    /// A proxy to a port of this machine.
    pub(super) fn proxy_to(&self, port: u16) -> Proxy {
        self.runtime.block_on(Proxy::to(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }

    /// The URL of the database for that router.
    pub(super) fn url(&self, router: usize) -> String {
        format!("postgres://router@{}/postgres", self.ways[router].address)
    }

    /// Ends the server as a crash does.
    pub(super) fn stop(&self) {
        self.server.lock().stop();
    }

    /// Starts the server again.
    pub(super) fn restart(&self) {
        self.server.lock().restart();
    }

    /// Cuts all connections of the routers, from the server's side. A stopped server has none.
    pub(super) fn cut_connections(&self) {
        let server = self.server.lock();
        if server.runs() {
            server.cut_connections();
        }
    }

    /// Lets the standby take the server's place. It lacks what was committed within `behind`. Afterwards there is a new
    /// standby. Tasks may be unknown until `heals` later.
    pub(super) fn fail_over(&self, behind: Duration, heals: Duration) {
        let Some(standby) = self.standby.lock().take() else { return };
        self.log.set(cortensor_router_testkit::proxy::Faults::black_hole());
        self.forget_for(Duration::from_mins(1));
        thread::sleep(behind);
        let mut server = self.server.lock();
        server.stop();
        self.log.cut();
        standby.promote();
        let at = standby.address();
        self.ways.iter().for_each(|way| way.aim(at));
        *server = standby;
        self.log.mend();
        self.log.aim(at);
        self.forget_for(heals);
        *self.standby.lock() = Some(server.standby(self.log.address));
    }

    fn forget_for(&self, time: Duration) {
        let until = self.begun.elapsed() + time;
        self.forgets_until.store(until.as_millis() as u64, Ordering::SeqCst);
    }

    /// Whether commits may be missing at present.
    pub(super) fn may_forget(&self) -> bool {
        u128::from(self.forgets_until.load(Ordering::SeqCst)) > self.begun.elapsed().as_millis()
    }

    fn count(&self, sql: &str) -> u64 {
        let found = self.server.lock().psql(sql).expect("the database answers");
        found.parse().expect("a number")
    }

    /// The number of open tasks.
    pub(super) fn open(&self) -> u64 {
        self.count("SELECT count(*) FROM cortensor.task WHERE ended_at IS NULL")
    }

    /// The number of tasks that have ended, and of those that were counted as usage.
    pub(super) fn ends_and_counts(&self) -> (u64, u64) {
        let ended = self.count("SELECT count(*) FROM cortensor.task WHERE ended_at IS NOT NULL");
        (ended, self.count("SELECT coalesce(sum(requests), 0) FROM cortensor.usage"))
    }

    /// The open tasks and the routers, as the rows have them.
    pub(super) fn state(&self) -> String {
        let rows = |sql: &str| self.server.lock().psql(sql).unwrap_or_default();
        let open = "SELECT gid, session_id, id, owner, moves, idem_key FROM cortensor.task WHERE ended_at IS NULL";
        let routers = "SELECT epoch, name, state, lease_until - clock_timestamp(), gone_at FROM cortensor.router \
                       ORDER BY epoch DESC LIMIT 12";
        format!("open tasks:\n{}\nrouters:\n{}", rows(open), rows(routers))
    }

    /// Checks that no id and no epoch was given twice, as far as rows tell.
    pub(super) fn is_sound(&self) {
        let twice = "SELECT count(*) FROM (SELECT idem_key FROM cortensor.task WHERE idem_key IS NOT NULL \
                     GROUP BY idem_key HAVING count(*) > 1) found";
        assert_eq!(self.count(twice), 0, "a key has two tasks");
        let foreign = "SELECT count(*) FROM cortensor.task WHERE gid >> 33 > (SELECT max(epoch) FROM cortensor.router)";
        assert_eq!(self.count(foreign), 0, "a task has a number of a router that never was");
    }
}
