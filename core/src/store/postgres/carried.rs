//! The rows of a copy in SQL: how they are read, and how they are written as arrays, one for each column.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::rows::Utf8;
use crate::model::{MAX_JSON_INTEGER, Session};
use crate::store::UsageCounts;
use crate::store::copy::{CopyKind, Form, Found, Value};

/// The rows of a kind, as every store has them.
pub(super) fn rows_of(kind: CopyKind) -> String {
    match kind {
        CopyKind::TaskIds => "(SELECT session_id, next_id - 1 AS last_task_id FROM $s.session_ids) ids".to_owned(),
        // Each router has rows of its own.
        CopyKind::Usage => {
            let group = "day, key_id, session_id, model, miner";
            let sums = UsageCounts::NAMES.map(|name| format!("least(sum({name}), {MAX_JSON_INTEGER})::int8 AS {name}"));
            format!("(SELECT {group}, {} FROM $s.usage GROUP BY {group}) usage", sums.join(", "))
        }
        kind => format!("$s.{}", kind.table()),
    }
}

/// A column as it is read.
pub(super) fn selected(name: &str, form: Form) -> String {
    match form {
        // Some integers are shorter here.
        Form::Int => format!("{name}::int8"),
        _ => name.to_owned(),
    }
}

/// Makes a row of what the server gave.
pub(super) fn read(found: &Row, columns: &[(&'static str, Form)]) -> Found {
    let value = |at: usize, form: Form| match form {
        Form::Int => found.get::<_, Option<i64>>(at).map_or(Value::Null, Value::Int),
        Form::Flag => found.get::<_, Option<bool>>(at).map_or(Value::Null, |flag| Value::Int(flag.into())),
        Form::Real => found.get::<_, Option<f64>>(at).map_or(Value::Null, Value::Real),
        Form::Text => found.get::<_, Option<&str>>(at).map_or(Value::Null, |text| Value::Text(text.into())),
        Form::Answer => found.get::<_, Option<&[u8]>>(at).map_or(Value::Null, |text| Value::Text(text.into())),
        Form::Bytes => found.get::<_, Option<&[u8]>>(at).map_or(Value::Null, |bytes| Value::Bytes(bytes.into())),
    };
    Found { values: columns.iter().enumerate().map(|(at, (_, form))| value(at, *form)).collect(), fault: None }
}

/// The hexadecimal name of a session, by which the database finds it.
pub(super) fn sid(values: &[Value]) -> String {
    let body = values.get(1).and_then(Value::bytes).unwrap_or_default();
    serde_json::from_slice::<Session>(body).map(|session| session.sid).unwrap_or_default()
}

/// The statement that writes rows, given one array for each column. A session's name comes behind its columns.
pub(super) fn insert(kind: CopyKind) -> String {
    let mut names = kind.names();
    let mut forms: Vec<Form> = kind.columns().into_iter().map(|(_, form)| form).collect();
    if kind == CopyKind::Sessions {
        names.push_str(", sid");
        forms.push(Form::Text);
    }
    let arrays = forms.into_iter().zip(1..).map(|(form, at)| format!("${at}::{}[]", sql_type(form)));
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    let (into, values) = match kind {
        CopyKind::TaskIds => (
            "session_ids(session_id, next_id, given)".to_owned(),
            "session_id, last_task_id + 1, last_task_id".to_owned(),
        ),
        // Nobody has them: the next router that starts does.
        CopyKind::Tasks | CopyKind::Webhooks => (format!("{}({names}, owner)", kind.table()), format!("{names}, 0")),
        kind => (format!("{}({names})", kind.table()), names.clone()),
    };
    format!("INSERT INTO $s.{into} SELECT {values} FROM unnest({arrays}) AS u({names})")
}

fn sql_type(form: Form) -> &'static str {
    match form {
        Form::Int => "int8",
        Form::Flag => "bool",
        Form::Real => "float8",
        Form::Text => "text",
        Form::Answer | Form::Bytes => "bytea",
    }
}

/// The values of one column.
#[derive(Debug)]
pub(super) enum Array<'a> {
    Numbers(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
    Reals(Vec<Option<f64>>),
    Texts(Vec<Option<Utf8<'a>>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl<'a> Array<'a> {
    pub(super) fn of(form: Form, values: impl Iterator<Item = &'a Value>) -> Self {
        match form {
            Form::Int => Self::Numbers(values.map(Value::some_int).collect()),
            Form::Flag => Self::Flags(values.map(|value| value.some_int().map(|flag| flag != 0)).collect()),
            Form::Real => {
                let real = |value: &Value| if let Value::Real(number) = value { Some(*number) } else { None };
                Self::Reals(values.map(real).collect())
            }
            Form::Text => Self::Texts(values.map(|value| value.bytes().map(Utf8)).collect()),
            Form::Answer | Form::Bytes => Self::Bytes(values.map(Value::bytes).collect()),
        }
    }

    pub(super) fn param(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Numbers(values) => (values, Type::INT8_ARRAY),
            Self::Flags(values) => (values, Type::BOOL_ARRAY),
            Self::Reals(values) => (values, Type::FLOAT8_ARRAY),
            Self::Texts(values) => (values, Type::TEXT_ARRAY),
            Self::Bytes(values) => (values, Type::BYTEA_ARRAY),
        }
    }
}
