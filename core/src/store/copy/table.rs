//! The kinds of rows that a copy carries: their columns are the same in every store that keeps rows.

use std::cmp::Ordering;

use rusqlite::types::ValueRef;
use serde::Serialize;

use crate::store::UsageCounts;
use crate::store::columns::{self, AcceptColumns, ENDED_AT, EndColumns};

/// A kind of rows. The order is that in which they are written: a session before its tasks, a task before its webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyKind {
    /// The sessions.
    Sessions,
    /// The greatest id that a task of each session ever had.
    TaskIds,
    /// The tasks, ended or not, with their answers and their idempotency keys.
    Tasks,
    /// The deliveries of webhooks.
    Webhooks,
    /// The API keys.
    Keys,
    /// The miners that are remembered.
    Miners,
    /// The managed upstreams.
    Upstreams,
    /// The counts of ended tasks, also of those that were deleted.
    Usage,
    /// The entries of the audit log.
    Audit,
}

/// The form of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Form {
    /// An integer.
    Int,
    /// 0 or 1; PostgreSQL has a type of its own for it.
    Flag,
    /// A floating-point number.
    Real,
    /// A text without U+0000.
    Text,
    /// A text that may have any character. PostgreSQL keeps it as bytes.
    Answer,
    /// Bytes.
    Bytes,
}

/// A column: its name in SQL, and the form of its values.
pub(in crate::store) type Column = (&'static str, Form);

const BODY: &[Column] = &[("id", Form::Text), ("body", Form::Text)];

const TASK: &[Column] = &[
    ("gid", Form::Int),
    ("session_id", Form::Int),
    ("id", Form::Int),
    ("band", Form::Int),
    ("bytes", Form::Int),
    ("attempts", Form::Int),
    ("fence", Form::Int),
    ("created_at", Form::Int),
    ("started_at", Form::Int),
    ("first_token_at", Form::Int),
    ("precommitted_at", Form::Int),
    ("committed_at", Form::Int),
    ("ended_at", Form::Int),
    ("deadline", Form::Int),
    ("key_id", Form::Text),
    ("idem_scope", Form::Text),
    ("idem_key", Form::Text),
    ("idem_fp", Form::Bytes),
    ("assigned_miners", Form::Text),
    ("request", Form::Text),
    ("\"end\"", Form::Text),
    ("text", Form::Answer),
    ("raw", Form::Bytes),
];

const MINER: &[Column] = &[
    ("id", Form::Text),
    ("name", Form::Text),
    ("public_key", Form::Text),
    ("kind", Form::Text),
    ("owner", Form::Text),
    ("models", Form::Text),
    ("reputation", Form::Real),
    ("created_at", Form::Int),
    ("last_seen", Form::Int),
    ("revoked", Form::Flag),
];

const AUDIT: &[Column] = &[
    ("number", Form::Int),
    ("at", Form::Int),
    ("act", Form::Text),
    ("subject", Form::Text),
    ("key_id", Form::Text),
    ("detail", Form::Text),
];

/// The columns that name a row of usage.
const GROUP: [Column; 5] = [
    ("day", Form::Int),
    ("key_id", Form::Text),
    ("session_id", Form::Int),
    ("model", Form::Text),
    ("miner", Form::Text),
];

impl CopyKind {
    /// All kinds, in the order in which they are written.
    pub const ALL: [Self; 9] = [
        Self::Sessions,
        Self::TaskIds,
        Self::Tasks,
        Self::Webhooks,
        Self::Keys,
        Self::Miners,
        Self::Upstreams,
        Self::Usage,
        Self::Audit,
    ];

    /// The kind's name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::TaskIds => "task ids",
            Self::Tasks => "tasks",
            Self::Webhooks => "webhooks",
            Self::Keys => "keys",
            Self::Miners => "miners",
            Self::Upstreams => "upstreams",
            Self::Usage => "usage",
            Self::Audit => "audit",
        }
    }

    /// The table in which both stores keep the rows. The ids of tasks have another one in each.
    pub(in crate::store) fn table(self) -> &'static str {
        match self {
            Self::Sessions => "session",
            Self::TaskIds => "session_count",
            Self::Tasks => "task",
            Self::Webhooks => "outbox",
            Self::Keys => "api_token",
            Self::Miners => "miner",
            Self::Upstreams => "upstream",
            Self::Usage => "usage",
            Self::Audit => "audit",
        }
    }

    /// The columns, those of the primary key first.
    pub(in crate::store) fn columns(self) -> Vec<Column> {
        match self {
            Self::Sessions => vec![("id", Form::Int), ("body", Form::Text)],
            Self::TaskIds => vec![("session_id", Form::Int), ("last_task_id", Form::Int)],
            Self::Tasks => TASK.to_vec(),
            Self::Webhooks => vec![("gid", Form::Int), ("body", Form::Text), ("pending", Form::Flag)],
            Self::Keys | Self::Upstreams => BODY.to_vec(),
            Self::Miners => MINER.to_vec(),
            Self::Usage => GROUP.into_iter().chain(UsageCounts::NAMES.map(|name| (name, Form::Int))).collect(),
            Self::Audit => AUDIT.to_vec(),
        }
    }

    /// The names of the columns, for a statement.
    pub(in crate::store) fn names(self) -> String {
        joined(&self.columns())
    }

    /// The columns of the primary key.
    pub(in crate::store) fn key(self) -> Vec<Column> {
        let columns = if self == Self::Usage { GROUP.len() } else { 1 };
        self.columns().into_iter().take(columns).collect()
    }

    /// The condition that a row comes behind that one, and the order; `mark` begins the name of a parameter.
    pub(in crate::store) fn behind(self, after: bool, mark: char) -> (String, String) {
        let key = self.key();
        let (names, marks) = (joined(&key), (1..=key.len()).map(|at| format!("{mark}{at}")).collect::<Vec<_>>());
        let behind = if after { format!("WHERE ({names}) > ({})", marks.join(", ")) } else { String::new() };
        (behind, format!("ORDER BY {names}"))
    }
}

fn joined(columns: &[Column]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// A value of a row, in a form that is the same in every store. The bytes of a text may be damaged.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
}

/// A row that was read.
#[derive(Debug)]
pub(in crate::store) struct Found {
    pub(in crate::store) values: Vec<Value>,
    /// The reason why the row is not what was written, as far as its store can tell.
    pub(in crate::store) fault: Option<String>,
}

impl Value {
    /// The number, or 0 where there is none.
    pub(in crate::store) fn int(&self) -> i64 {
        self.some_int().unwrap_or_default()
    }

    pub(in crate::store) fn some_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    pub(in crate::store) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Text(bytes) | Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The value as `SQLite` has it.
    pub(in crate::store) fn as_sqlite(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// The value as people read it.
    pub(in crate::store) fn shown(&self) -> String {
        match self {
            Self::Null => "none".to_owned(),
            Self::Int(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Text(bytes) | Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// The bytes that the value takes, roughly.
    pub(in crate::store) fn weight(&self) -> usize {
        8 + self.bytes().map_or(0, <[u8]>::len)
    }

    /// The order of values of a primary key, which is the same in every store.
    pub(in crate::store) fn order(&self, other: &Self) -> Ordering {
        self.some_int().cmp(&other.some_int()).then_with(|| self.bytes().cmp(&other.bytes()))
    }
}

/// The columns of a task, as the stores know them.
pub(in crate::store) fn task_columns(values: &[Value]) -> Option<(AcceptColumns<'_>, EndColumns<'_>)> {
    let values: &[Value; TASK.len()] = values.try_into().ok()?;
    let (int, bytes) = (|at: usize| values[at].int(), |at: usize| values[at].bytes());
    Some(columns::in_order(int, values[ENDED_AT].some_int(), bytes, bytes))
}
