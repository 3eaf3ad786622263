//! Breaks processes, disks, clocks and connections while clients submit, and checks the promises of the router: an
//! acknowledged task is never lost and never made twice, its ids are never given out again, a result that was reported
//! never changes, every answer belongs to its own prompt, and the pieces of a stream that is resumed after each fault
//! are the stored answer.
//!
//! `CORTENSOR_CHAOS_CYCLES` is the number of cycles (default 3); each draws one or two faults. `CORTENSOR_CHAOS_SEED`
//! determines the faults, their times and the clients' actions (default 1). `cargo xtask chaos` sets both. The module
//! `fleet` does so with several routers on one database.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what a test does not expect fails it, and it reports")]
#![cfg(unix)]

mod answer;
mod client;
mod clock;
mod faults;
#[cfg(feature = "postgres")]
mod fleet;
mod journal;
mod links;
mod miners;
mod process;
mod reading;
mod router;
mod service;
mod teeth;
mod upstream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use client::Client;
use clock::Clock;
use cortensor_router_testkit::random::Random;
use cortensor_router_testkit::setting;
use faults::{Deck, Fault, Rig};
use journal::Journal;
use links::Links;
use miners::Miners;
use router::Router;
use upstream::Upstream;

/// The number of clients. More than two processors keep busy with them, so that every fault interrupts work.
const CLIENTS: u64 = 6;

#[test]
fn no_fault_loses_doubles_or_changes_a_task() {
    let cycles = setting("CORTENSOR_CHAOS_CYCLES").unwrap_or(3);
    let seed = setting("CORTENSOR_CHAOS_SEED").unwrap_or(1);
    println!("chaos: {cycles} cycles, seed {seed}");
    let mut chance = Random::new(seed);
    let data = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(seed, upstream::QUICK);
    let links = Links::start(upstream.port());
    let clock = Clock::new(data.path());
    let router = Router::new(data.path(), &links, clock.as_ref());
    router.start();
    let miners = Miners::start(links.miners.address, upstream.port());
    let journal = Journal::new(Fault::ALL.map(Fault::name));
    let sessions = journal::create_sessions(&router);

    let stop = AtomicBool::new(false);
    let mut deck = Deck::new(clock.is_some());
    let rig = Rig { router: &router, miners: &miners, links: &links, clock: clock.as_ref() };
    thread::scope(|scope| {
        // Clients must end even if this thread panics, so that the panic is seen.
        let _ending = Ending(&stop);
        for id in 0..CLIENTS {
            let (mut client, stop) = (Client::new(id, seed, &router, &journal, sessions.clone()), &stop);
            scope.spawn(move || client.run(stop));
        }
        for _ in 0..cycles {
            let faults = deck.draw(&mut chance);
            thread::sleep(Duration::from_millis(chance.below(200)));
            journal.under(faults.iter().map(|fault| *fault as usize));
            for fault in &faults {
                rig.begin(*fault, &mut chance, &mut deck);
            }
            let longest = faults.iter().map(|fault| fault.time(&mut chance)).max().unwrap_or_default();
            thread::sleep(longest);
            faults.iter().rev().for_each(|fault| rig.end(*fault, &mut chance));
            thread::sleep(Duration::from_millis(chance.below(200)));
            journal.under([]);
        }
    });

    let counts = journal.verify(&router, &sessions);
    println!("{}", journal.table());
    println!("links: {}", deck.kinds.words());
    println!("chaos: {cycles} cycles, seed {seed}: {counts}");
    if clock.is_none() {
        println!("chaos: jumps of the clock were left out; they need libfaketime (apt-get install faketime)");
    }
    assert!(journal.violations().is_empty(), "seed {seed}:\n{}", journal.violations().join("\n"));
    assert!(counts.acknowledged > cycles, "too little was submitted for this to mean anything: {counts}");
    if cycles >= 30 {
        assert!(counts.workers >= 3, "the upstream and both miners must have worked: {counts}");
        assert!(counts.refusals.contains_key("store_unavailable"), "the full disk was not felt: {counts}");
        let streams = counts.streams;
        assert!(streams.resumed > 0 && streams.restarts > 0, "no stream was broken: {counts}");
    }
    router.kill();
}

/// Tells the clients to end when it is dropped.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
