//! The store on a medium whose n-th operation fails, for every kind of operation and every n, and on one that loses its
//! power: what was acknowledged is there, no answer is wrong, and the store serves again once the medium does.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod ledger;

use std::path::Path;
use std::time::{Duration, Instant};

use cortensor_router::config::Durability;
use cortensor_router::internals::store::{SqliteOptions, SqliteStore, Store as _, check_integrity};
use cortensor_router_medium::{Fault, Medium, Operation, Strike};
use cortensor_router_testkit::random::Random;

use ledger::{Damage, Ledger};

/// The number of tasks in a run.
const TASKS: u64 = 8;

/// The greatest n: no run has as many operations of one kind.
const MOST: u64 = 5_000;

fn open(dir: &Path, durability: Durability) -> cortensor_router::Result<SqliteStore> {
    let options = SqliteOptions {
        // The log is written back often, so that faults meet that too.
        checkpoint_pages: 8,
        watch: Duration::from_millis(2),
        ..SqliteOptions::default()
    };
    SqliteStore::open_with(dir, durability, options)
}

/// Tries until it succeeds, for as long as a store may take to see that its medium is back.
fn until(what: &str, mut attempt: impl FnMut() -> bool) {
    let from = Instant::now();
    while !attempt() {
        assert!(from.elapsed() < Duration::from_secs(10), "{what}: not within 10 s");
        std::thread::yield_now();
    }
}

/// One run: work while the fault strikes, work after it, and restarts. Gives the number of operations that failed.
fn run(durability: Durability, strike: Strike, seed: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let medium = Medium::over(dir.path());
    let mut ledger = Ledger::default();
    let mut random = Random::new(seed);
    // A router made the files long ago.
    drop(open(dir.path(), durability).unwrap());

    medium.fail(strike);
    let mut struck = 0;
    let store = open(dir.path(), durability).unwrap_or_else(|error| {
        struck = medium.heal();
        assert!(struck > 0, "the store does not open although nothing failed: {error}");
        open(dir.path(), durability).unwrap_or_else(|error| panic!("{strike:?}: not even afterwards: {error}"))
    });
    ledger.recover(&store, Damage::Honest);
    Ledger::put_session(&store);
    for id in 1..=TASKS {
        if id % 4 == 0 {
            ledger.record(&store, id);
        } else {
            ledger.accept(&store, id);
        }
        ledger.put_key(&store, id);
        if id % 2 == 1 {
            ledger.finish(&store, id);
        }
        ledger.check(&store, Damage::Honest);
    }
    let damage = |struck: u64| match (strike.fault == Fault::Lie && struck > 0, durability) {
        (true, _) => Damage::Lied,
        (false, Durability::Full) => Damage::Honest,
        (false, _) => Damage::Lossy,
    };
    if strike.lasts {
        // A medium that stopped at its n-th operation has the state of a machine that lost its power there.
        lose_power(&medium, durability, ledger.clone(), damage(1), strike, &mut random);
    }
    struck += medium.heal();
    until("the store takes a task again", || ledger.accept(&store, TASKS + 1));
    until("the store takes an end again", || ledger.finish(&store, TASKS + 1));
    until("the store takes a task with its end again", || ledger.record(&store, TASKS + 2));
    until("everything can be read again", || ledger.check(&store, Damage::Honest));

    lose_power(&medium, durability, ledger.clone(), damage(struck), strike, &mut random);
    drop(store);
    let found = check_integrity(dir.path()).unwrap();
    assert!(found.is_ok(), "{strike:?}: {found:#?}");
    let store = open(dir.path(), durability).unwrap();
    assert!(
        ledger.recover(&store, Damage::Honest) && ledger.check(&store, Damage::Honest),
        "{strike:?}: a row cannot be read"
    );
    struck
}

fn lose_power(
    medium: &Medium,
    durability: Durability,
    ledger: Ledger,
    damage: Damage,
    strike: Strike,
    random: &mut Random,
) {
    let after = tempfile::tempdir().unwrap();
    medium.power_loss(after.path(), |below| random.below(below));
    restarted(after.path(), durability, ledger, damage, strike);
}

/// Opens the files that a power loss left.
fn restarted(dir: &Path, durability: Durability, mut ledger: Ledger, damage: Damage, strike: Strike) {
    match open(dir, durability) {
        Ok(store) => {
            let recovered = ledger.recover(&store, damage);
            let whole = ledger.check(&store, damage);
            assert!(damage == Damage::Lied || (recovered && whole), "{strike:?}: a row cannot be read");
        }
        // A file that is damaged at its root is refused as a whole.
        Err(error) => assert!(damage == Damage::Lied, "{strike:?}: the files cannot be opened: {error}"),
    }
}

/// Lets each operation of that kind fail, once and for good, by turns of the durabilities: a place that is left out for
/// one of them is not for the other. With `CORTENSOR_EVERY_FAILURE` none is left out.
fn every(operation: Operation, fault: Fault) {
    let step: u64 = if std::env::var_os("CORTENSOR_EVERY_FAILURE").is_some() { 1 } else { 2 };
    for (durability, turn) in [(Durability::Full, 0), (Durability::Relaxed, 1)] {
        for (lasts, shift) in [(false, 0), (true, 1)] {
            // Each call would wait for the lock in vain.
            if lasts && operation == Operation::Lock && fault == Fault::Full {
                continue;
            }
            let mut struck = 0;
            for nth in (1 + (turn + shift) % step..MOST).step_by(step as usize) {
                if run(durability, Strike { operation, nth, fault, lasts }, nth) == 0 {
                    break;
                }
                struck += 1;
            }
            assert!(struck < (MOST - 1) / step, "{operation:?} never ended");
            println!("{operation:?} {fault:?} {durability:?} lasts={lasts}: {struck} places");
        }
    }
}

macro_rules! every {
    ($($name:ident: $operation:ident $fault:ident;)*) => {
        $(#[test] fn $name() { every(Operation::$operation, Fault::$fault); })*
    };
}

every! {
    an_open_fails: Open Error;
    a_read_fails: Read Error;
    a_write_fails: Write Error;
    a_write_finds_no_room: Write Full;
    a_write_stops_half_way: Write Half;
    a_write_is_torn_by_the_power_loss: Write Lie;
    a_sync_fails: Sync Error;
    a_sync_does_nothing: Sync Lie;
    a_truncation_fails: Truncate Error;
    a_lock_fails: Lock Error;
    a_lock_is_held: Lock Full;
    shared_memory_cannot_be_mapped: Map Error;
    a_deletion_fails: Delete Error;
}

/// The tests above mean something only if the medium loses what was not synced.
#[test]
fn a_sync_that_did_nothing_loses_what_was_acknowledged() {
    let count = |dir: &Path| open(dir, Durability::Full).unwrap().keys().wait().unwrap().len();
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let medium = Medium::over(dir.path());
    drop(open(dir.path(), Durability::Full).unwrap());
    let store = open(dir.path(), Durability::Full).unwrap();
    let mut ledger = Ledger::default();
    assert!(ledger.put_key(&store, 0));
    medium.fail(Strike { operation: Operation::Sync, nth: 1, fault: Fault::Lie, lasts: true });
    assert!(ledger.put_key(&store, 1));
    assert!(medium.heal() > 0);
    medium.power_loss(after.path(), |_| 0);
    drop(store);
    assert_eq!((count(after.path()), count(dir.path())), (1, 2));
}
