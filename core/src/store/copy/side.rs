//! The stores between which a copy goes: what each of them can do for it.

use std::path::PathBuf;

use super::table::{CopyKind, Found, Value};
use crate::config::{Config, check_schema};
use crate::secrecy::shown_url;
#[cfg(feature = "postgres")]
use crate::store::PostgresOptions;
use crate::store::{Durability, SqliteOptions};
use crate::{Error, Result};

/// The place of a store.
#[derive(Clone, PartialEq, Eq)]
pub enum CopyPlace {
    /// A data directory.
    Directory(PathBuf),
    /// A schema of a PostgreSQL database.
    Database {
        /// The URL of the database.
        url: String,
        /// The schema.
        schema: String,
    },
}

impl CopyPlace {
    /// The place that a text names: the URL of a database, with that schema, or a directory.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL of something else, and for a wrong name of a schema. The message shows no URL.
    pub fn of(text: &str, schema: &str) -> Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            check_schema(schema)?;
            return Ok(Self::Database { url: text.to_owned(), schema: schema.to_owned() });
        }
        if text.trim().is_empty() || text.contains("://") {
            let words = "a store is a data directory, or a URL like postgres://USER:PASSWORD@HOST:5432/DATABASE";
            return Err(Error::invalid("storage.url", words));
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }

    /// The place of the store of a configuration; `None`: it keeps its tasks in memory.
    pub fn configured(config: &Config) -> Option<Self> {
        let storage = &config.storage;
        match (&storage.url, &storage.data_dir) {
            _ if storage.durability == Durability::Memory => None,
            (Some(url), _) => Some(Self::Database { url: url.clone(), schema: storage.schema.clone() }),
            (None, Some(dir)) => Some(Self::Directory(dir.clone())),
            (None, None) => None,
        }
    }

    /// The place without the URL's secrets.
    pub fn shown(&self) -> String {
        match self {
            Self::Directory(dir) => dir.display().to_string(),
            Self::Database { url, schema } => format!("{}, schema {schema}", shown_url(url)),
        }
    }

    /// Whether both are one place, as far as their names tell.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(this), Self::Directory(that)) => {
                this == that || this.canonicalize().is_ok_and(|this| that.canonicalize().is_ok_and(|that| this == that))
            }
            (this, that) => this == that,
        }
    }
}

/// Shows no password.
impl std::fmt::Debug for CopyPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

/// The bounds of a copy.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// The bounds of a store in a file.
    pub sqlite: SqliteOptions,
    /// The bounds of a store in a database; the schema is that of its place.
    #[cfg(feature = "postgres")]
    pub postgres: PostgresOptions,
    /// Whether rows that cannot be read are left out. Otherwise the first one ends the copy.
    pub skip_damaged: bool,
}

impl CopyOptions {
    /// The bounds of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            sqlite: SqliteOptions::from(config),
            #[cfg(feature = "postgres")]
            postgres: PostgresOptions::from(config),
            skip_damaged: false,
        }
    }
}

/// Numbers that must never be given out twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct CopyCounters {
    /// The starts of routers so far, on which fences and the numbers of pieces rest.
    pub epoch: u64,
    /// The greatest global id of a task.
    pub last_gid: u64,
    /// The greatest fence.
    pub last_fence: u64,
    /// The greatest id of a session.
    pub last_session: u64,
    /// The greatest number of an entry of the audit log.
    pub last_audit: u64,
}

impl CopyCounters {
    /// The greater one of each.
    pub(in crate::store) fn max(self, other: Self) -> Self {
        Self {
            epoch: self.epoch.max(other.epoch),
            last_gid: self.last_gid.max(other.last_gid),
            last_fence: self.last_fence.max(other.last_fence),
            last_session: self.last_session.max(other.last_session),
            last_audit: self.last_audit.max(other.last_audit),
        }
    }
}

/// Bytes of rows of one page after which no further row is read.
pub(in crate::store) const PAGE_BYTES: usize = 4 << 20;

/// The greatest number of rows of one page.
pub(in crate::store) const PAGE_ROWS: usize = 512;

/// A store as one side of a copy. Nobody else uses it meanwhile, and everything happens in one transaction: it ends
/// when the side is dropped, and only [`commit`](Self::commit) keeps what was written.
pub(in crate::store) trait Side {
    /// The numbers that were given out.
    fn counters(&self) -> Result<CopyCounters>;

    /// The number of rows.
    fn count(&self, kind: CopyKind) -> Result<u64>;

    /// Reads the rows that come behind a primary key, in its order: as many as memory should hold. None: there are no
    /// more.
    fn page(&self, kind: CopyKind, after: Option<&[Value]>) -> Result<Vec<Found>>;

    /// The reason why the store cannot keep a row; `None`: it can.
    fn refusal(&self, kind: CopyKind, values: &[Value]) -> Option<String>;

    /// Deletes the sessions that every router has, which nobody has used.
    fn clear(&self) -> Result<()>;

    /// Writes rows.
    fn write(&self, kind: CopyKind, rows: &[Vec<Value>]) -> Result<()>;

    /// Writes the sums over the rows and the numbers that were given out. Gives those that the store has now.
    fn finish(&self, counters: CopyCounters) -> Result<CopyCounters>;

    /// Makes everything that was written durable.
    fn commit(&self) -> Result<()>;
}
