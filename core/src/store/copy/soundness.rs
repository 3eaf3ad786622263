//! Whether a row can be read: what cannot be read in its old place is of no use in the new one.

use super::table::{CopyKind, Form, Value, task_columns};
use crate::model::{ActKind, NodeKind, Session, WebhookDelivery};
use crate::store::columns::{self, Damage, parse};
use crate::store::{ApiKey, UpstreamRecord};

/// The reason why a row cannot be read; `None`: it can.
pub(super) fn fault(kind: CopyKind, values: &[Value]) -> Option<String> {
    check(kind, values).err().map(|Damage(column, why)| format!("column {column}: {why}"))
}

fn check(kind: CopyKind, values: &[Value]) -> Result<(), Damage> {
    for ((name, form), value) in kind.columns().into_iter().zip(values) {
        check_form(name, form, value)?;
    }
    let bytes = |at: usize| values.get(at).and_then(Value::bytes).unwrap_or_default();
    let same = |is_same: bool| {
        if is_same { Ok(()) } else { Err(Damage("body", "it is that of another row".to_owned())) }
    };
    match kind {
        CopyKind::Sessions => {
            let session: Session = parse("body", bytes(1))?;
            same(values.first().map(Value::int) == Some(session.id.0.cast_signed()))
        }
        CopyKind::Tasks => {
            let (accept, end) =
                task_columns(values).ok_or_else(|| Damage("of the row", "some are missing".to_owned()))?;
            columns::task(&accept, &end).map(drop)
        }
        CopyKind::Webhooks => parse::<WebhookDelivery>("body", bytes(1)).map(drop),
        CopyKind::Keys => same(parse::<ApiKey>("body", bytes(1))?.id.as_bytes() == bytes(0)),
        CopyKind::Upstreams => same(parse::<UpstreamRecord>("body", bytes(1))?.name().as_bytes() == bytes(0)),
        CopyKind::Miners => {
            // In this column an empty text stands for none.
            if !bytes(3).is_empty() {
                word::<NodeKind>("kind", bytes(3))?;
            }
            parse::<Vec<String>>("models", bytes(5)).map(drop)
        }
        CopyKind::Audit => {
            word::<ActKind>("act", bytes(2))?;
            parse::<serde_json::Value>("detail", bytes(5)).map(drop)
        }
        CopyKind::TaskIds | CopyKind::Usage => Ok(()),
    }
}

fn check_form(name: &'static str, form: Form, value: &Value) -> Result<(), Damage> {
    let fits = match (form, value) {
        (_, Value::Null)
        | (Form::Int | Form::Flag, Value::Int(_))
        | (Form::Real, Value::Real(_))
        | (Form::Bytes, Value::Bytes(_)) => true,
        (Form::Text | Form::Answer, Value::Text(text)) => {
            return std::str::from_utf8(text).map(drop).map_err(|error| Damage(name, error.to_string()));
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(Damage(name, "its value has another type".to_owned())) }
}

fn word<T: std::str::FromStr<Err = crate::Error>>(name: &'static str, bytes: &[u8]) -> Result<(), Damage> {
    let text = std::str::from_utf8(bytes).map_err(|error| Damage(name, error.to_string()))?;
    text.parse::<T>().map(drop).map_err(|error| Damage(name, error.to_string()))
}
