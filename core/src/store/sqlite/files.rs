//! Detects that a file was removed or replaced while the router uses it. Everything that is written to such a file is
//! lost, and neither `SQLite` nor the locks notice, because they hold the open file.
//!
//! Only paths are checked: opening and closing the database a second time would drop `SQLite`'s locks on it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use parking_lot::Mutex;

use super::place::{FILE, LOCK};
use crate::{Error, Result};

/// The identity of the file that a path leads to.
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
        // On these systems an open file cannot be removed or replaced, so its presence is enough.
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
    /// The write-ahead log and its index. They belong to a connection and are known after its first write.
    log: Mutex<Vec<Known>>,
}

impl Files {
    /// Records the files that are in the directory now.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        Ok(Self { database: Known::of(dir.join(FILE))?, lock: Known::of(dir.join(LOCK))?, log: Mutex::default() })
    }

    /// Forgets the log before its connection is given up, because a new connection makes a new one.
    pub(super) fn forget_log(&self) {
        self.log.lock().clear();
    }

    /// Records the log after a connection has written to it. The log must stay from then on.
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

    /// Whether a connection may be opened: the paths must lead to the original database and to the log in use.
    pub(super) fn check_database(&self) -> Result<()> {
        self.database.check()?;
        self.log.lock().iter().try_for_each(Known::check)
    }

    /// Whether all files are the original ones.
    pub(super) fn check(&self) -> Result<()> {
        self.check_database()?;
        self.lock.check()
    }
}
