//! Kills the router with SIGKILL again and again while clients submit, and checks its promises: an acknowledged task is
//! never lost and never made twice, its ids are never given out again, and a result that was reported never changes.
//!
//! `CORTENSOR_CHAOS_CYCLES` is the number of kills (default 3). `CORTENSOR_CHAOS_SEED` determines the clients' actions
//! and the moments of the kills (default 1). `cargo xtask chaos` sets both.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]
#![cfg(unix)]

mod client;
mod journal;
mod router;
mod upstream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use client::Client;
use cortensor_router_testkit::random::Random;
use journal::Journal;
use router::Router;
use upstream::Upstream;

/// The number of clients. More than two processors keep busy with them, so that every kill interrupts work.
const CLIENTS: u64 = 6;

#[test]
fn no_kill_loses_doubles_or_changes_a_task() {
    let cycles = setting("CORTENSOR_CHAOS_CYCLES", 3);
    let seed = setting("CORTENSOR_CHAOS_SEED", 1);
    let mut chance = Random::new(seed);
    let data = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(seed);
    let router = Router::new(data.path(), upstream.port());
    router.start();
    let journal = Journal::default();
    let sessions = journal::create_sessions(&router, &journal);

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Clients must end even if this thread panics, so that the panic is seen.
        let _ending = Ending(&stop);
        for id in 0..CLIENTS {
            let (mut client, stop) = (Client::new(id, seed, &router, &journal, sessions.clone()), &stop);
            scope.spawn(move || client.run(stop));
        }
        for _ in 0..cycles {
            thread::sleep(Duration::from_millis(chance.below(250)));
            router.kill();
            while chance.below(8) == 0 {
                router.start_and_kill_within(Duration::from_millis(chance.below(60)));
            }
            router.start();
        }
    });

    let counts = journal.verify(&router, &sessions);
    println!("chaos: {cycles} kills, seed {seed}: {counts}");
    assert!(journal.violations().is_empty(), "seed {seed}:\n{}", journal.violations().join("\n"));
    assert!(counts.acknowledged > cycles, "too little was submitted for this to mean anything: {counts}");
    router.kill();
}

/// Tells the clients to end when it is dropped.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
