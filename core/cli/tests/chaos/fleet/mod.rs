//! Breaks several routers on one PostgreSQL, their miners, their links and their database while clients submit, read and
//! resume at any of them, and checks the same promises as for one router. Each task is counted once, too.
//!
//! `CORTENSOR_CHAOS_CYCLES` is the number of times that each fault comes (default 1), and `CORTENSOR_CHAOS_SECONDS` the
//! time after which no further one comes. `CORTENSOR_CHAOS_LEASE_MS` is the lease of the routers (default 1500).
//! `CORTENSOR_CHAOS_FAILOVER=0` leaves out that a standby takes the place of the database, and `CORTENSOR_CHAOS_ONLY` all
//! faults whose names do not contain that text. The routers' logs go to the directory `CORTENSOR_CHAOS_LOGS`.
//!
//! ```text
//! cargo xtask chaos fleet --cycles 50
//! ```

mod database;
mod faults;
mod members;
mod miners;

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use cortensor_router_testkit::random::Random;
use cortensor_router_testkit::setting;

use super::client::Client;
use super::journal::{self, Journal};
use super::upstream::Upstream;
use super::{CLIENTS, Ending};
use database::Database;
use faults::{Fault, Plan, Rig};
use members::Members;
use miners::Miners;

/// The greatest number of milliseconds for an answer, so long that faults come in the middle of it.
const SLOWEST: u64 = 600;

#[test]
#[ignore = "it takes minutes: cargo xtask chaos fleet"]
fn no_fault_of_a_fleet_loses_doubles_or_changes_a_task() {
    let rounds = setting("CORTENSOR_CHAOS_CYCLES").unwrap_or(1);
    let seed = setting("CORTENSOR_CHAOS_SEED").unwrap_or(1);
    let most = setting("CORTENSOR_CHAOS_SECONDS").map(Duration::from_secs);
    let lease = Duration::from_millis(setting("CORTENSOR_CHAOS_LEASE_MS").unwrap_or(1_500));
    let fails_over = setting("CORTENSOR_CHAOS_FAILOVER").unwrap_or(1) != 0;
    let begun = Instant::now();
    let mut chance = Random::new(seed);
    let Some(database) = Database::start(fails_over) else { return };
    let data = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(seed, SLOWEST);
    let members = Members::start(data.path(), &database, lease);
    let miners = Miners::start(members.doors(), upstream.port());
    let journal = Journal::new(Fault::ALL.map(Fault::name));
    let sessions = journal::create_sessions(&members);

    let (stop, mut cycles) = (AtomicBool::new(false), 0);
    let only = std::env::var("CORTENSOR_CHAOS_ONLY").unwrap_or_default();
    let mut plan = Plan::new(rounds, fails_over, &only, &mut chance);
    let mut rig = Rig::new(&members, &miners, &database, lease);
    thread::scope(|scope| {
        let _ending = Ending(&stop);
        for id in 0..2 * CLIENTS {
            let (mut client, stop) = (Client::new(id, seed, &members, &journal, sessions.clone()), &stop);
            scope.spawn(move || client.run(stop));
        }
        while let Some(faults) = plan.next(&mut chance)
            && most.is_none_or(|most| begun.elapsed() < most)
        {
            cycles += 1;
            thread::sleep(Duration::from_millis(chance.below(300)));
            journal.under(faults.iter().map(|(fault, _)| *fault as usize));
            for (fault, at) in &faults {
                rig.begin(*fault, *at, &mut chance);
            }
            let longest = faults.iter().map(|(fault, _)| fault.time(lease, &mut chance)).max().unwrap_or_default();
            thread::sleep(longest);
            faults.iter().rev().for_each(|(fault, at)| rig.end(*fault, *at, &mut chance));
            thread::sleep(Duration::from_millis(chance.below(300)));
            journal.under([]);
        }
    });

    let counts = journal.verify(&members, &sessions);
    println!("{}", journal.table());
    println!("connections: {}", rig.kinds());
    println!("chaos fleet: {cycles} cycles in {} s, seed {seed}: {counts}", begun.elapsed().as_secs());
    println!("chaos fleet: {} starts, {}", members.starts(), members.figures());
    let violations = journal.violations();
    assert!(violations.is_empty(), "seed {seed}:\n{}", violations.join("\n"));
    assert!(counts.acknowledged > cycles, "too little was submitted for this to mean anything: {counts}");
    assert!(counts.workers >= 4, "most miners must have worked: {counts}");
    let (ended, counted) = database.ends_and_counts();
    // A failover may lose what the routers counted in its last moments.
    assert!(ended == counted || rig.has_failed_over(), "{ended} tasks ended, and {counted} were counted");
    if cycles >= 10 {
        assert!(counts.streams.resumed > 0, "no stream was broken: {counts}");
    }
    database.is_sound();
}
