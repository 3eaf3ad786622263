//! Lets only one process at a time use a data directory. There are two OS locks: one on a file that names the holder,
//! and one on the directory itself, which holds even if that file is removed.
//!
//! The locks belong to open files and end with the process, however it ends. The content of the file is only for users
//! and for `doctor`.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::place::{LOCK, private};
use super::unusable;
use crate::{Error, ErrorKind, Result};

/// The time within which a holder that is closing, or a check by [`holder`], must be done.
const PATIENCE: Duration = Duration::from_millis(500);

/// The process that holds a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The id of the process.
    pub pid: u32,
    /// The URL at which this machine reaches the process, if it announced one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The lock on a data directory, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// The lock on the directory; `None` if the system does not lock directories.
    dir: Option<File>,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `Conflict`, which names the process that holds the lock.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK);
        let failed = |e: &dyn std::fmt::Display| Error::store(format!("cannot lock {}: {e}", path.display()));
        let file = private(&path).map_err(|e| unusable::place(&path, &e))?;
        let since = Instant::now();
        if !patiently(&file, since).map_err(|e| failed(&e))? {
            return Err(in_use(dir));
        }
        let of_dir = match File::open(dir).and_then(|file| patiently(&file, since).map(|locked| locked.then_some(file)))
        {
            Ok(Some(file)) => Some(file),
            Ok(None) => return Err(in_use(dir)),
            // Windows does not open directories, and network file systems lock only files.
            Err(error) => {
                tracing::debug!(dir = %dir.display(), %error, "the directory itself is not locked");
                None
            }
        };
        let mut lock = Self { file, dir: of_dir };
        lock.write(None).map_err(|e| failed(&e))?;
        Ok(lock)
    }

    /// Writes the URL at which this process listens into the lock file.
    pub(super) fn announce(&mut self, url: &str) -> Result<()> {
        self.write(Some(url.to_owned())).map_err(|e| Error::store(format!("cannot write {LOCK}: {e}")))
    }

    fn write(&mut self, url: Option<String>) -> std::io::Result<()> {
        let holder = Holder { pid: std::process::id(), url };
        self.file.set_len(0)?;
        self.file.rewind()?;
        serde_json::to_writer(&self.file, &holder)?;
        self.file.write_all(b"\n")
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file must stay. If it were deleted, two processes could lock two files of one name.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
        let _ = self.dir.as_ref().map(File::unlock);
    }
}

/// Locks the file, and waits a little for a holder that is just closing. Gives `false` if another process holds it.
fn patiently(file: &File, since: Instant) -> std::io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => sleep(Duration::from_millis(10)),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn read(dir: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(dir.join(LOCK)).ok()?.take(4_096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// The process that holds the data directory now; `None` if no process does.
///
/// ```
/// use cortensor_router::internals::store::{Durability, SqliteStore, Store, sqlite};
/// let dir = tempfile::tempdir().unwrap();
/// let store = SqliteStore::open(dir.path(), Durability::Relaxed).unwrap();
/// store.announce("http://127.0.0.1:5010").unwrap();
/// let holder = sqlite::holder(dir.path()).unwrap();
/// assert_eq!(holder.pid, std::process::id());
/// assert_eq!(holder.url.as_deref(), Some("http://127.0.0.1:5010"));
/// store.close().wait().unwrap();
/// assert_eq!(sqlite::holder(dir.path()), None);
/// ```
pub fn holder(dir: &Path) -> Option<Holder> {
    let holder = read(dir)?;
    // A holder that was killed left its record behind. Only the lock tells whether the process lives.
    match File::open(dir.join(LOCK)).ok()?.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder),
        _ => None,
    }
}

fn in_use(dir: &Path) -> Error {
    let who = match read(dir) {
        Some(Holder { pid, url: Some(url) }) => format!("process {pid}, which listens on {url}"),
        Some(Holder { pid, url: None }) => format!("process {pid}"),
        None => "another process".to_owned(),
    };
    Error::new(
        ErrorKind::Conflict,
        format!("the data directory {} is in use by {who}: stop it, or use another data_dir", dir.display()),
    )
    .with_param("storage.data_dir")
    .with_code("data_dir_in_use")
}
