//! The routers of the fleet as processes that are killed, paused, asked to end and started again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cortensor_router_testkit::Proxy;
use parking_lot::Mutex;

use super::super::process::Process;
use super::super::router::SETTINGS;
use super::super::service::Service;
use super::database::{Database, ROUTERS};

/// The time within which a router starts, whatever hinders it at first.
const PATIENCE: Duration = Duration::from_mins(1);

/// The figures of the metrics that are shown at the end.
const FIGURES: [&str; 5] = [
    "cortensor_fleet_tasks_claimed_total",
    "cortensor_fleet_moved_total",
    "cortensor_fleet_rejoins_total",
    "cortensor_fleet_reconciled_total",
    "cortensor_fleet_loans_total{side=\"borrowed\",end=\"used\"}",
];

/// The routers.
pub(crate) struct Members<'a> {
    database: &'a Database,
    data: PathBuf,
    lease: Duration,
    places: Vec<Place>,
    starts: AtomicU64,
    turn: AtomicU64,
}

/// One router, with its present process if one runs.
struct Place {
    running: Mutex<Option<Process>>,
    /// The port of its listener; 0: it never listened.
    port: AtomicU16,
    /// The port for the links of the others, and the way to it.
    link_port: u16,
    link: Proxy,
    /// The way of miners to its listener.
    door: Proxy,
}

impl<'a> Members<'a> {
    /// Starts all routers.
    pub(super) fn start(data: &Path, database: &'a Database, lease: Duration) -> Self {
        let places = (0..ROUTERS).map(|_| {
            let link_port = free_port();
            let (link, door) = (database.proxy_to(link_port), database.proxy_to(1));
            Place { running: Mutex::new(None), port: AtomicU16::new(0), link_port, link, door }
        });
        let (places, data) = (places.collect(), data.to_path_buf());
        let members = Self { database, data, lease, places, starts: AtomicU64::new(0), turn: AtomicU64::new(0) };
        (0..ROUTERS).for_each(|at| members.revive(at));
        members
    }

    /// The ways of miners to the routers.
    pub(super) fn doors(&self) -> Vec<SocketAddr> {
        self.places.iter().map(|place| place.door.address).collect()
    }

    /// The way of the others to a router.
    pub(super) fn link(&self, at: usize) -> &Proxy {
        &self.places[at].link
    }

    /// Starts a router unless it runs. A start that fails is tried again, as by a supervisor.
    pub(super) fn revive(&self, at: usize) {
        let place = &self.places[at];
        let mut running = place.running.lock();
        if running.is_some() {
            return;
        }
        let begun = Instant::now();
        loop {
            self.starts.fetch_add(1, Ordering::SeqCst);
            let mut process = self.spawn(at);
            match process.listens() {
                Ok(port) => {
                    place.port.store(port, Ordering::SeqCst);
                    place.door.aim(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                    *running = Some(process);
                    return;
                }
                Err(seen) => assert!(begun.elapsed() < PATIENCE, "router {at} does not start: {seen}"),
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn spawn(&self, at: usize) -> Process {
        let place = &self.places[at];
        let settings = [
            format!("name=router-{at}"),
            format!("storage.lease_ms={}", self.lease.as_millis()),
            format!("fleet.port={}", place.link_port),
            format!("fleet.address={}", place.link.address),
            "fleet.link_timeout_ms=3000".to_owned(),
            "listen.drain_timeout_ms=300".to_owned(),
        ];
        let url = self.database.url(at);
        let mut arguments = vec!["serve", "--port", "0", "--store", &url];
        arguments.extend(SETTINGS.iter().flat_map(|setting| ["--set", setting]));
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
        let home = self.data.join(format!("router-{at}"));
        std::fs::create_dir_all(&home).unwrap();
        Process::spawn(&arguments, &[("HOME", home.to_str().expect("a path in UTF-8"))]).named(format!("router-{at}"))
    }

    /// Kills a router with SIGKILL.
    pub(super) fn kill(&self, at: usize) {
        *self.places[at].running.lock() = None;
    }

    /// Pauses a router, or lets it go on.
    pub(super) fn pause(&self, at: usize, paused: bool) {
        self.places[at].running.lock().iter().for_each(|process| process.pause(paused));
    }

    /// Asks a router to drain and end.
    pub(super) fn terminate(&self, at: usize) {
        self.places[at].running.lock().iter().for_each(Process::terminate);
    }

    /// Waits for the end of a router that was asked to. `false`: it goes on.
    pub(super) fn has_ended(&self, at: usize, within: Duration) -> bool {
        let mut running = self.places[at].running.lock();
        let has_ended = running.as_mut().is_none_or(|process| process.ends_within(within));
        *running = None;
        has_ended
    }

    /// How often a router was started.
    pub(super) fn starts(&self) -> u64 {
        self.starts.load(Ordering::SeqCst)
    }

    /// Some figures of the routers that run, in words.
    pub(super) fn figures(&self) -> String {
        let mut sums = [0.0; FIGURES.len()];
        for _ in 0..ROUTERS {
            let Some(answer) = self.ask("GET", "/metrics", &[], None) else { continue };
            let text = answer.text().unwrap_or_default();
            for (name, sum) in FIGURES.iter().zip(&mut sums) {
                let its = text.lines().filter(|line| line.starts_with(name));
                *sum += its.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
            }
        }
        let words = FIGURES
            .iter()
            .zip(sums)
            .map(|(name, sum)| format!("{} {sum}", name.trim_start_matches("cortensor_fleet_")));
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Service for Members<'_> {
    /// Every request goes to another router than the one before.
    fn address(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        let port = self.places[turn % ROUTERS].port.load(Ordering::SeqCst);
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    fn is_busy(&self) -> bool {
        self.database.open() > 0
    }

    fn state(&self) -> String {
        self.database.state()
    }

    fn may_forget(&self) -> bool {
        self.database.may_forget()
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
