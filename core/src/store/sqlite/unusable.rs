//! The errors for a data directory that cannot be used: each names the file, its fault, and what to do about it.

use std::io;
use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::{Error, ErrorKind};

/// The error for a directory or a file that the system does not open or create.
pub(super) fn place(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    let words = match error.kind() {
        io::ErrorKind::IsADirectory => {
            format!("{path} is a directory, but a file must have this name: move it away, or use another data_dir")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("{path} cannot be a directory, because it or a part of its path is a file: use another data_dir")
        }
        io::ErrorKind::PermissionDenied => format!(
            "{path} cannot be opened ({error}): give the user of this process the right to read and write it, \
             or use another data_dir"
        ),
        io::ErrorKind::ReadOnlyFilesystem => format!(
            "{path} is on a file system that is mounted read-only: mount it for writing, or use another data_dir"
        ),
        io::ErrorKind::StorageFull => format!("{path} cannot be written ({error}): make room, or use another data_dir"),
        _ => format!("{path} cannot be used: {error}"),
    };
    unavailable(words)
}

/// The error for a database that `SQLite` does not open or read at the start.
pub(super) fn database(path: &Path, error: &rusqlite::Error) -> Error {
    let path = path.display();
    let words = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return corrupt(format!(
                "{path} is damaged, or is no SQLite database ({error}): restore it from a back-up, \
                 move it away to begin with an empty store, or use another data_dir"
            ));
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            return corrupt(format!(
                "{path} is damaged ({error}): restore it from a back-up, or move it away to begin with an empty store; \
                 `cortensor-router doctor` lists what is damaged"
            ));
        }
        Some(ErrorCode::ReadOnly) => format!(
            "{path} is read-only ({error}): give the user of this process the right to write it and its directory, \
             or use another data_dir"
        ),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => format!(
            "{path} cannot be opened ({error}): it, {path}-wal and {path}-shm must be files that the user of this \
             process may read and write"
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{path} is locked by another program ({error}): end that program")
        }
        Some(ErrorCode::DiskFull) => format!("{path} cannot be written ({error}): make room, or use another data_dir"),
        _ => format!("{path} cannot be used: {error}"),
    };
    unavailable(words)
}

/// The error for a database that cannot be read at the start, given its connection.
pub(super) fn connected(db: &Connection, error: &rusqlite::Error) -> Error {
    database(Path::new(db.path().unwrap_or_default()), error)
}

/// Whether the error says that the file is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn corrupt(words: String) -> Error {
    Error::store_corrupt(words).with_param("storage.data_dir")
}

/// A retry by itself mends none of these faults, so no time for one is named.
fn unavailable(words: String) -> Error {
    Error::new(ErrorKind::Unavailable, words).with_code("store_unavailable").with_param("storage.data_dir")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use rusqlite::ffi;

    use super::super::{Durability, SqliteStore};
    use super::*;
    use crate::store::Store as _;
    use crate::store::samples::new_task;
    use crate::store::sqlite::place::FILE;

    /// A directory with a database of some pages.
    fn directory() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        for id in 1..=50 {
            store.accept(new_task(1, id).into()).wait().unwrap();
        }
        store.close().wait().unwrap();
        drop(store);
        let path = dir.path().join(FILE);
        (dir, path)
    }

    fn refusal(dir: &Path) -> Error {
        SqliteStore::open(dir, Durability::Full).and_then(|store| store.recover().wait()).map(drop).unwrap_err()
    }

    #[test]
    fn a_damaged_database_is_named_with_what_to_do() {
        for (name, damage) in [
            ("no database", (|_| b"these are notes, and no database at all".repeat(99)) as fn(Vec<u8>) -> Vec<u8>),
            ("a torn header", |mut bytes| {
                bytes[..16].fill(0);
                bytes
            }),
            ("a short file", |bytes| bytes[..bytes.len() / 2].to_vec()),
            ("pages of nothing", |mut bytes| {
                bytes[4_096..].fill(0xaa);
                bytes
            }),
            ("a torn schema", |mut bytes| {
                bytes[100..4_096].fill(0xaa);
                bytes
            }),
        ] {
            let (dir, path) = directory();
            let log = dir.path().join(format!("{FILE}-wal"));
            assert!(fs::metadata(&log).map_or(0, |log| log.len()) == 0, "the database has all");
            fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
            let error = refusal(dir.path());
            assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "store_corrupt"), "{name}: {error}");
            for words in [path.to_str().unwrap(), "damaged", "back-up", "move it away"] {
                assert!(error.message().contains(words), "{name}: {error}");
            }
        }
    }

    #[test]
    fn a_directory_and_a_file_in_the_wrong_place_are_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FILE)).unwrap();
        let error = refusal(dir.path());
        assert!(error.message().contains("router.db is a directory"), "{error}");
        assert_eq!((error.code(), error.details().param.as_deref()), ("store_unavailable", Some("storage.data_dir")));
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        for dir in [file.clone(), file.join("below")] {
            let error = refusal(&dir);
            assert!(error.message().contains("use another data_dir"), "{error}");
        }
    }

    #[test]
    fn every_refusal_of_the_system_says_what_to_do() {
        let path = Path::new("/d/router.db");
        for (kind, words) in [
            (io::ErrorKind::PermissionDenied, "the right to read and write it"),
            (io::ErrorKind::ReadOnlyFilesystem, "mount it for writing"),
            (io::ErrorKind::StorageFull, "make room"),
        ] {
            let error = place(path, &kind.into());
            assert!(error.message().starts_with("/d/router.db ") && error.message().contains(words), "{error}");
        }
        for (code, words) in [
            (ffi::SQLITE_READONLY, "is read-only"),
            (ffi::SQLITE_CANTOPEN, "cannot be opened"),
            (ffi::SQLITE_BUSY, "locked by another program"),
            (ffi::SQLITE_FULL, "make room"),
            (ffi::SQLITE_IOERR, "cannot be used"),
        ] {
            let error = database(path, &rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert!(error.message().starts_with("/d/router.db ") && error.message().contains(words), "{error}");
            assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "store_unavailable"));
        }
    }
}
