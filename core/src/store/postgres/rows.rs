//! The values of many tasks as arrays, one for each column, so that one statement writes all of them.

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use super::stage::Whole;
use crate::Result;
use crate::model::Task;
use crate::store::TaskSpec;
use crate::store::columns::{AcceptColumns, EndColumns, Ending, end_columns, ending, int, json};
use crate::store::weight::weight;

/// A text whose bytes are UTF-8 already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Utf8<'a>(pub(super) &'a [u8]);

impl ToSql for Utf8<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    accepts!(TEXT);
    to_sql_checked!();
}

/// A new task with its request as JSON.
#[derive(Debug)]
pub(super) struct NewRow<'a> {
    pub(super) new: &'a TaskSpec,
    request: Vec<u8>,
}

impl<'a> NewRow<'a> {
    pub(super) fn of(new: &'a TaskSpec) -> Result<Self> {
        Ok(Self { new, request: json(&*new.request)? })
    }
}

/// The end of a task, encoded.
#[derive(Debug)]
pub(super) struct EndRow<'a> {
    pub(super) task: &'a Task,
    pub(super) bytes: u64,
    request: Vec<u8>,
    ending: Ending,
}

impl<'a> EndRow<'a> {
    pub(super) fn of(task: &'a Task) -> Result<Self> {
        Ok(Self { task, bytes: weight(task), request: json(&*task.request)?, ending: ending(task)? })
    }

    fn columns(&self) -> EndColumns<'_> {
        end_columns(self.task, self.bytes, &self.request, &self.ending)
    }
}

/// The columns of a statement, in the order of its parameters from `$2` on.
#[derive(Debug, Default)]
pub(super) struct Arrays<'a>(Vec<Array<'a>>);

/// The values of one column.
#[derive(Debug)]
enum Array<'a> {
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<Utf8<'a>>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl<'a> Arrays<'a> {
    /// The columns of tasks that have not ended.
    pub(super) fn of_new(rows: &'a [(usize, NewRow<'a>)]) -> Self {
        let columns = |row: &'a NewRow<'a>| (AcceptColumns::of(row.new), EndColumns::open(row.new, &row.request));
        let columns: Vec<_> = rows.iter().map(|(_, row)| columns(row)).collect();
        let mut arrays = Self::default();
        arrays.accepted(&columns);
        arrays.texts(columns.iter().map(|(_, end)| Some(end.request)));
        arrays
    }

    /// The columns of tasks that are written together with their ends.
    pub(super) fn of_whole(rows: &'a [Whole<'a>]) -> Self {
        let columns: Vec<_> = rows.iter().map(|row| (AcceptColumns::of(row.new), row.end.columns())).collect();
        let mut arrays = Self::default();
        arrays.accepted(&columns);
        arrays.ended(columns.iter().map(|(_, end)| end));
        arrays
    }

    /// The columns of ends of tasks that are there.
    pub(super) fn of_ends(rows: impl Iterator<Item = &'a EndRow<'a>> + Clone) -> Self {
        let columns: Vec<_> = rows.clone().map(EndRow::columns).collect();
        let mut arrays = Self::default();
        arrays.numbers(rows.clone().map(|end| Some(int(end.task.gid.0))));
        arrays.numbers(rows.clone().map(|end| Some(int(end.task.session_id.0))));
        arrays.numbers(rows.map(|end| Some(int(end.task.id.0))));
        arrays.numbers(columns.iter().map(|end| Some(end.created_at)));
        arrays.numbers(columns.iter().map(|end| Some(end.deadline)));
        arrays.ended(columns.iter());
        arrays
    }

    /// The columns that both kinds of new tasks have.
    fn accepted(&mut self, columns: &[(AcceptColumns<'a>, EndColumns<'a>)]) {
        self.numbers(columns.iter().map(|(new, _)| Some(new.gid)));
        self.numbers(columns.iter().map(|(new, _)| Some(new.session_id)));
        self.numbers(columns.iter().map(|(new, _)| Some(new.id)));
        self.numbers(columns.iter().map(|(new, _)| Some(new.band)));
        self.numbers(columns.iter().map(|(_, end)| Some(end.created_at)));
        self.numbers(columns.iter().map(|(_, end)| Some(end.deadline)));
        self.texts(columns.iter().map(|(_, end)| end.key_id));
        self.texts(columns.iter().map(|(new, _)| new.idem_scope));
        self.texts(columns.iter().map(|(new, _)| new.idem_key));
        self.bytes(columns.iter().map(|(new, _)| new.idem_fp));
    }

    /// The columns of ends, in the order of the statements.
    fn ended<'c>(&mut self, ends: impl Iterator<Item = &'c EndColumns<'a>> + Clone)
    where
        'a: 'c,
    {
        self.numbers(ends.clone().map(|end| Some(end.bytes)));
        self.numbers(ends.clone().map(|end| Some(end.attempts)));
        self.numbers(ends.clone().map(|end| Some(end.fence)));
        self.numbers(ends.clone().map(|end| Some(end.started_at)));
        self.numbers(ends.clone().map(|end| Some(end.first_token_at)));
        self.numbers(ends.clone().map(|end| Some(end.precommitted_at)));
        self.numbers(ends.clone().map(|end| Some(end.committed_at)));
        self.numbers(ends.clone().map(|end| end.ended_at));
        self.texts(ends.clone().map(|end| end.assigned_miners));
        self.texts(ends.clone().map(|end| Some(end.request)));
        self.texts(ends.clone().map(|end| end.end));
        self.bytes(ends.clone().map(|end| end.text));
        self.bytes(ends.map(|end| end.raw));
    }

    fn numbers(&mut self, values: impl Iterator<Item = Option<i64>>) {
        self.0.push(Array::Numbers(values.collect()));
    }

    fn texts(&mut self, values: impl Iterator<Item = Option<&'a [u8]>>) {
        self.0.push(Array::Texts(values.map(|value| value.map(Utf8)).collect()));
    }

    fn bytes(&mut self, values: impl Iterator<Item = Option<&'a [u8]>>) {
        self.0.push(Array::Bytes(values.collect()));
    }

    /// The parameters of the statement, after the epoch.
    pub(super) fn params<'p>(&'p self, epoch: &'p i64) -> Vec<(&'p (dyn ToSql + Sync), Type)> {
        let arrays = self.0.iter().map(|array| -> (&(dyn ToSql + Sync), Type) {
            match array {
                Array::Numbers(values) => (values, Type::INT8_ARRAY),
                Array::Texts(values) => (values, Type::TEXT_ARRAY),
                Array::Bytes(values) => (values, Type::BYTEA_ARRAY),
            }
        });
        let epoch: (&(dyn ToSql + Sync), Type) = (epoch, Type::INT8);
        std::iter::once(epoch).chain(arrays).collect()
    }
}
