//! The watched directories, and the faults that were asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::image::Image;
use crate::vfs;

/// An operation of `SQLite` on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opens a file.
    Open,
    /// Reads from a file.
    Read,
    /// Writes to a file.
    Write,
    /// Makes writes durable.
    Sync,
    /// Cuts a file, or makes it longer.
    Truncate,
    /// Locks a file or a part of the memory that connections share.
    Lock,
    /// Maps the memory that connections share.
    Map,
    /// Deletes a file.
    Delete,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 8] =
        [Self::Open, Self::Read, Self::Write, Self::Sync, Self::Truncate, Self::Lock, Self::Map, Self::Delete];
}

/// The way in which an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, and the caller gets an I/O error.
    Error,
    /// Nothing happens, and the caller gets the error of a full disk; a lock is held by somebody else.
    Full,
    /// Half of a write happens, and the caller gets an I/O error. Like [`Error`](Self::Error) for other operations.
    Half,
    /// The caller is told that all is well, and a power loss shows that it was not: a sync did nothing, or half of a
    /// write is there. Other operations happen.
    Lie,
}

/// A fault to come.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    /// The kind of operation that fails.
    pub operation: Operation,
    /// The number of the operation that fails, counted from now, from 1.
    pub nth: u64,
    /// The way in which it fails.
    pub fault: Fault,
    /// Whether every further operation of the kind fails too, until [`Medium::heal`].
    pub lasts: bool,
}

#[derive(Debug, Default)]
struct Plan {
    strike: Option<Strike>,
    seen: u64,
    struck: u64,
}

/// A watched directory, as the functions that `SQLite` calls see it.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    plan: Mutex<Plan>,
    pub(crate) image: Mutex<Image>,
}

static DISKS: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());

impl Disk {
    /// The watched directory in which a file lies.
    pub(crate) fn of(path: &Path) -> Option<Arc<Self>> {
        DISKS.lock().iter().filter_map(Weak::upgrade).find(|disk| path.starts_with(&disk.root))
    }

    /// Counts an operation. Gives the way in which it must fail.
    pub(crate) fn meets(&self, operation: Operation) -> Option<Fault> {
        let mut plan = self.plan.lock();
        let strike = plan.strike.filter(|strike| strike.operation == operation)?;
        plan.seen += 1;
        let hit = plan.seen == strike.nth || (strike.lasts && plan.seen > strike.nth);
        plan.struck += u64::from(hit);
        hit.then_some(strike.fault)
    }
}

/// A directory whose files fail when the test says so. Dropping it ends the watch.
#[derive(Debug)]
pub struct Medium {
    disk: Arc<Disk>,
}

impl Medium {
    /// Watches the files that are opened below this directory from now on.
    ///
    /// # Panics
    /// When the directory cannot be resolved, or `SQLite` refuses another file system.
    pub fn over(dir: &Path) -> Self {
        vfs::install();
        #[allow(clippy::unwrap_used, reason = "a test without its directory fails")]
        let root = dir.canonicalize().unwrap();
        let disk = Arc::new(Disk { root, plan: Mutex::default(), image: Mutex::default() });
        let mut disks = DISKS.lock();
        disks.retain(|disk| disk.strong_count() > 0);
        disks.push(Arc::downgrade(&disk));
        drop(disks);
        Self { disk }
    }

    /// Makes an operation fail. Replaces the fault that was asked for before.
    pub fn fail(&self, strike: Strike) {
        *self.disk.plan.lock() = Plan { strike: Some(strike), ..Plan::default() };
    }

    /// The number of operations that have failed since the fault was asked for.
    pub fn struck(&self) -> u64 {
        self.disk.plan.lock().struck
    }

    /// Ends the fault. Gives the number of operations that failed.
    pub fn heal(&self) -> u64 {
        std::mem::take(&mut *self.disk.plan.lock()).struck
    }

    /// Writes the files into another directory as they would be found after a power loss at this moment. `chance` gives
    /// a number below its argument.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn power_loss(&self, into: &Path, chance: impl FnMut(u64) -> u64) {
        for (path, content) in self.disk.image.lock().after_power_loss(chance) {
            if let Some(name) = path.file_name() {
                #[allow(clippy::unwrap_used, reason = "a test without its files fails")]
                std::fs::write(into.join(name), content).unwrap();
            }
        }
    }
}
