//! The stores that play the sequences.

use std::path::Path;
use std::time::{Duration, Instant};

use cortensor_router::config::Durability;
use cortensor_router::internals::store::{MemoryStore, Pending, SqliteOptions, SqliteStore, Store, check_integrity};
use cortensor_router_medium::{Fault, Medium, Operation, Strike};
use cortensor_router_testkit::random::Random;
use tempfile::TempDir;

use crate::operation::{self, Stop};

/// A store under test. Another store joins by an implementation and one line in [`subjects`].
pub(crate) trait Subject {
    fn store(&self) -> &dyn Store;

    /// The bytes of ended tasks beyond which the store itself deletes the oldest; `None`: no bound.
    fn budget(&self) -> Option<u64> {
        None
    }

    /// The number of waiting writes from which on the store refuses new tasks; `None`: no bound.
    fn room(&self) -> Option<usize> {
        None
    }

    /// Makes a write that changes nothing, and lets it wait until [`strike`](Self::strike) or [`heal`](Self::heal).
    /// Writes that are asked for meanwhile are then one batch. `None`: the store has no batches.
    fn hold(&self) -> Option<Pending<bool>> {
        None
    }

    /// Lets the medium fail.
    fn strike(&self, strike: Strike) {
        let _ = strike;
    }

    /// Ends the failures of the medium.
    fn heal(&self) {}

    /// Stops the store and opens it again. A store that forgets everything when it stops goes on instead.
    fn reopen(&mut self, stop: Stop) {
        let _ = stop;
    }

    /// Checks the medium after the store was closed.
    fn inspect(self: Box<Self>) {}
}

/// Makes a store.
type Make = fn() -> Box<dyn Subject>;

/// All stores that must keep the rules of the trait.
pub(crate) fn subjects() -> [(&'static str, Make); 4] {
    [
        ("memory", || Box::new(Memory::new(0))),
        ("memory with a budget", || Box::new(Memory::new(20_000))),
        ("SQLite, full", || Box::new(File::new(Durability::Full))),
        ("SQLite, relaxed", || Box::new(File::new(Durability::Relaxed))),
    ]
}

/// The store in memory.
struct Memory {
    store: MemoryStore,
    budget: u64,
}

impl Memory {
    fn new(budget: u64) -> Self {
        Self { store: MemoryStore::new(budget), budget }
    }
}

impl Subject for Memory {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn budget(&self) -> Option<u64> {
        (self.budget != 0).then_some(self.budget)
    }
}

/// The store in a file, on a medium that fails.
struct File {
    /// `None` only while the store is opened again.
    store: Option<SqliteStore>,
    medium: Medium,
    dir: TempDir,
    durability: Durability,
}

/// The number of waiting writes from which on the file store refuses new tasks.
const ROOM: usize = 12;

/// How often a lock must be tried before it is certain that a transaction waits for it. A checkpoint gives up earlier.
const TRIES: u64 = 16;

fn open(dir: &Path, durability: Durability) -> SqliteStore {
    let options = SqliteOptions {
        // The log is written back often, so that faults meet that too.
        checkpoint_pages: 8,
        max_waiting_writes: ROOM,
        ..SqliteOptions::default()
    };
    SqliteStore::open_with(dir, durability, options).unwrap_or_else(|error| panic!("the store does not open: {error}"))
}

impl File {
    fn new(durability: Durability) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let medium = Medium::over(dir.path());
        Self { store: Some(open(dir.path(), durability)), medium, dir, durability }
    }
}

impl Subject for File {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn room(&self) -> Option<usize> {
        Some(ROOM)
    }

    fn hold(&self) -> Option<Pending<bool>> {
        let nothing = || self.store().delete_key("no key has this id".into(), Some(operation::act(0)));
        // A store that has just opened takes locks before it takes writes.
        nothing().wait().unwrap();
        self.medium.fail(Strike { operation: Operation::Lock, nth: 1, fault: Fault::Full, lasts: true });
        let first = nothing();
        let from = Instant::now();
        while self.medium.struck() < TRIES {
            assert!(from.elapsed() < Duration::from_secs(10), "the store does not try to write");
            std::thread::yield_now();
        }
        Some(first)
    }

    fn strike(&self, strike: Strike) {
        self.medium.fail(strike);
    }

    fn heal(&self) {
        self.medium.heal();
    }

    fn reopen(&mut self, stop: Stop) {
        let after = tempfile::tempdir().unwrap();
        match (stop, self.durability) {
            (Stop::Close, _) => {
                drop(self.store.take());
                self.store = Some(open(self.dir.path(), self.durability));
                return;
            }
            (Stop::PowerLoss(seed), Durability::Full) => {
                let mut random = Random::new(seed);
                self.medium.power_loss(after.path(), |below| random.below(below));
            }
            // A relaxed store promises nothing after a power loss. Each choice is the last one: all writes are there.
            (Stop::Kill | Stop::PowerLoss(_), _) => self.medium.power_loss(after.path(), |below| below - 1),
        }
        drop(self.store.take());
        self.medium = Medium::over(after.path());
        self.store = Some(open(after.path(), self.durability));
        self.dir = after;
    }

    fn inspect(self: Box<Self>) {
        drop(self.store);
        let found = check_integrity(self.dir.path()).unwrap();
        assert!(found.is_ok(), "{found:#?}");
    }
}
