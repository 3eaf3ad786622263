//! Whether the files are still those that the store was opened with. A file that was removed or replaced under a running router takes
//! what is written to it along; `SQLite` and the locks go by open files and do not notice.
//!
//! Files are looked at by their paths alone: to open and close the database a second time would drop `SQLite`'s locks on it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use parking_lot::Mutex;

use super::place::{FILE, LOCK};
use crate::{Error, Result};

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Ok(Self { device: found.dev(), inode: found.ino() })
        }
        // Elsewhere an open file cannot be removed or replaced; that it is there is all that can be asked.
        #[cfg(not(unix))]
        {
            let _ = found;
            Ok(Self {})
        }
    }
}

#[derive(Debug)]
struct Known {
    path: PathBuf,
    identity: Identity,
}

impl Known {
    fn of(path: PathBuf) -> io::Result<Self> {
        let identity = Identity::of(&path)?;
        Ok(Self { path, identity })
    }

    fn check(&self) -> Result<()> {
        let path = self.path.display();
        let happened = match Identity::of(&self.path) {
            Ok(found) if found == self.identity => return Ok(()),
            Ok(_) => "was replaced".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "was removed".to_owned(),
            Err(error) => format!("cannot be looked at ({error})"),
        };
        Err(Error::store(format!(
            "{path} {happened} while the router has it open, so nothing more is written: put it back, or stop the router and start it anew"
        )))
    }
}

/// The files of an open store.
#[derive(Debug)]
pub(super) struct Files {
    database: Known,
    lock: Known,
    /// The log and its index belong to a connection: known once that has written.
    log: Mutex<Vec<Known>>,
}

impl Files {
    /// Those that are in the directory now.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        Ok(Self { database: Known::of(dir.join(FILE))?, lock: Known::of(dir.join(LOCK))?, log: Mutex::default() })
    }

    /// A new connection writes: its log is another one.
    pub(super) fn forget_log(&self) {
        self.log.lock().clear();
    }

    /// A connection has written: from now on its log must stay.
    pub(super) fn know_log(&self) {
        let mut log = self.log.lock();
        if log.is_empty() {
            for end in ["-wal", "-shm"] {
                let mut path = self.database.path.clone().into_os_string();
                path.push(end);
                log.extend(Known::of(path.into()));
            }
        }
    }

    /// Whether a connection may be opened: the paths lead to the database that was opened at first, and to the log that is written.
    pub(super) fn check_database(&self) -> Result<()> {
        self.database.check()?;
        self.log.lock().iter().try_for_each(Known::check)
    }

    /// Whether all of them are there.
    pub(super) fn check(&self) -> Result<()> {
        self.check_database()?;
        self.lock.check()
    }
}
