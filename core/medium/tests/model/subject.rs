//! The stores that play the sequences.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cortensor_router::config::Durability;
use cortensor_router::internals::store::{
    MemoryStore, Pending, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store, check_integrity,
};
use cortensor_router_medium::{Fault, Medium, Operation, Strike};
use cortensor_router_testkit::Postgres;
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
pub(crate) fn subjects() -> Vec<(&'static str, Make)> {
    let mut subjects: Vec<(&'static str, Make)> = vec![
        ("memory", || Box::new(Memory::new(0))),
        ("memory with a budget", || Box::new(Memory::new(20_000))),
        ("SQLite, full", || Box::new(File::new(Durability::Full))),
        ("SQLite, relaxed", || Box::new(File::new(Durability::Relaxed))),
    ];
    if server().is_some() {
        subjects.push(("PostgreSQL", || Box::new(Database::new())));
    }
    subjects
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

/// The server of this process; `None`: PostgreSQL is not installed.
fn server() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::start).as_ref()
}

/// The store in a database, each in a schema of its own. How the server keeps what it has committed is not its subject.
struct Database {
    /// `None` only while the store is opened again.
    store: Option<PostgresStore>,
    schema: String,
}

impl Database {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let schema = format!("model_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Self { store: Some(Self::open(&schema)), schema }
    }

    fn open(schema: &str) -> PostgresStore {
        let url = server().unwrap().url();
        let options = PostgresOptions { schema: schema.to_owned(), ..PostgresOptions::default() };
        PostgresStore::open(&url, Durability::Full, options)
            .unwrap_or_else(|error| panic!("the store does not open: {error}"))
    }
}

impl Subject for Database {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self, _: Stop) {
        drop(self.store.take());
        self.store = Some(Self::open(&self.schema));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.store.take());
        server().unwrap().psql(&format!("DROP SCHEMA {} CASCADE", self.schema)).unwrap();
    }
}
