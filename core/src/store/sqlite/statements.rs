//! The statements of every batch. They are prepared once for a connection and kept beside it: finding one by its text
//! in the connection's cache takes 1,300 instructions, and a batch of one task has six of them.

use rusqlite::{Connection, Statement};

use super::super::TaskSpec;
use super::super::columns::{AcceptColumns, EndColumns, int};
use super::audit::AuditTable;
use super::meta::Meta;
use super::options::SqliteOptions;
use super::row::text;
use super::sum::UPPER;
use super::usage::UsageTable;
use crate::model::Task;

/// The statements of one connection.
#[derive(Debug)]
pub(super) struct Statements<'db> {
    pub(super) begin: Statement<'db>,
    pub(super) commit: Statement<'db>,
    /// Writes a task that has not ended; its other columns have their defaults.
    accept: Statement<'db>,
    /// Writes a task with its end.
    accept_ended: Statement<'db>,
    finish: Statement<'db>,
    pub(super) session_count: Statement<'db>,
    pub(super) block_count: Statement<'db>,
    pub(super) empty_block: Statement<'db>,
    pub(super) meta: Statement<'db>,
    pub(super) usage: UsageTable<'db>,
    pub(super) audit: AuditTable<'db>,
}

impl<'db> Statements<'db> {
    /// Prepares the statements.
    pub(super) fn of(db: &'db Connection, options: &SqliteOptions) -> rusqlite::Result<Self> {
        Ok(Self {
            begin: db.prepare("BEGIN IMMEDIATE")?,
            commit: db.prepare("COMMIT")?,
            accept: db.prepare(
                "INSERT INTO task(gid, session_id, id, band, sum, idem_scope, idem_key, idem_fp, key_id,
                     created_at, deadline, request)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT(idem_scope, idem_key) WHERE idem_key IS NOT NULL DO NOTHING",
            )?,
            accept_ended: db.prepare(
                "INSERT INTO task(gid, session_id, id, band, sum, idem_scope, idem_key, idem_fp, key_id,
                     created_at, deadline, request, bytes, attempts, fence, started_at, first_token_at,
                     precommitted_at, committed_at, ended_at, assigned_miners, \"end\", text, raw)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
                     ?21, ?22, ?23, ?24)
                 ON CONFLICT(idem_scope, idem_key) WHERE idem_key IS NOT NULL DO NOTHING",
            )?,
            finish: db.prepare(
                "UPDATE task SET sum = (sum & ?4) | ?5, created_at = ?6, deadline = ?7, request = ?8, bytes = ?9,
                     attempts = ?10, fence = ?11, started_at = ?12, first_token_at = ?13, precommitted_at = ?14,
                     committed_at = ?15, ended_at = ?16, assigned_miners = ?17, \"end\" = ?18, text = ?19, raw = ?20
                 WHERE gid = ?1 AND session_id = ?2 AND id = ?3 AND ended_at IS NULL",
            )?,
            session_count: db.prepare(
                "INSERT INTO session_count VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                     last_task_id = max(last_task_id, excluded.last_task_id),
                     total = total + excluded.total, open = open + excluded.open",
            )?,
            block_count: db.prepare(
                "INSERT INTO task_count VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                     total = total + excluded.total, open = open + excluded.open",
            )?,
            empty_block: db.prepare("DELETE FROM task_count WHERE session_id = ?1 AND block = ?2 AND total = 0")?,
            meta: db.prepare(Meta::UPDATE)?,
            usage: UsageTable::of(db, options.usage_rows)?,
            audit: AuditTable::of(db, options.audit_rows)?,
        })
    }

    /// Writes a new task, with its end if `ended` is set. Gives the number of written rows.
    pub(super) fn accept(&mut self, new: &TaskSpec, end: &EndColumns<'_>, ended: bool) -> rusqlite::Result<usize> {
        let accept = AcceptColumns::of(new);
        let statement = if ended { &mut self.accept_ended } else { &mut self.accept };
        let sum = accept.half() | end.half(accept.gid);
        numbers(statement, 1, [accept.gid, accept.session_id, accept.id, accept.band, sum])?;
        statement.raw_bind_parameter(6, text(accept.idem_scope))?;
        statement.raw_bind_parameter(7, text(accept.idem_key))?;
        statement.raw_bind_parameter(8, accept.idem_fp)?;
        statement.raw_bind_parameter(9, text(end.key_id))?;
        bind_open(statement, 10, end)?;
        if ended {
            bind_end(statement, 13, end)?;
        }
        done(statement)
    }

    /// Writes the end of a task. Gives the number of changed rows.
    pub(super) fn finish(&mut self, task: &Task, end: &EndColumns<'_>) -> rusqlite::Result<usize> {
        let statement = &mut self.finish;
        let gid = int(task.gid.0);
        numbers(statement, 1, [gid, int(task.session_id.0), int(task.id.0), UPPER, end.half(gid)])?;
        bind_open(statement, 6, end)?;
        bind_end(statement, 9, end)?;
        done(statement)
    }
}

/// Executes a statement with a task's bound values, and releases the values.
fn done(statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
    let count = statement.raw_execute();
    statement.clear_bindings();
    count
}

/// Binds the three columns that a task has before its end, from that parameter on.
fn bind_open(statement: &mut Statement<'_>, first: usize, end: &EndColumns<'_>) -> rusqlite::Result<()> {
    numbers(statement, first, [end.created_at, end.deadline])?;
    statement.raw_bind_parameter(first + 2, text(Some(end.request)))
}

/// Binds the other twelve columns of an end, from that parameter on.
fn bind_end(statement: &mut Statement<'_>, first: usize, end: &EndColumns<'_>) -> rusqlite::Result<()> {
    numbers(
        statement,
        first,
        [end.bytes, end.attempts, end.fence, end.started_at, end.first_token_at, end.precommitted_at, end.committed_at],
    )?;
    statement.raw_bind_parameter(first + 7, end.ended_at)?;
    for (at, value) in (first + 8..).zip([end.assigned_miners, end.end, end.text]) {
        statement.raw_bind_parameter(at, text(value))?;
    }
    statement.raw_bind_parameter(first + 11, end.raw)
}

fn numbers<const N: usize>(statement: &mut Statement<'_>, first: usize, values: [i64; N]) -> rusqlite::Result<()> {
    (first..).zip(values).try_for_each(|(at, number)| statement.raw_bind_parameter(at, number))
}
