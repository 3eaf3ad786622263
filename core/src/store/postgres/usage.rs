//! Reads the table of usage.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::link::{Link, Params};
use super::row::uint;
use super::schema::quoted;
use crate::model::{Day, MAX_JSON_INTEGER, SessionId};
use crate::store::columns::{bound, int};
use crate::store::usage::{
    COUNTS, UsageCounts, UsageGroup, UsagePage, UsageQuery, UsageRow, column_of, name_of, session_of,
};

/// The groups that have a row on that day.
pub(super) async fn rows_of(
    link: &Link,
    schema: &str,
    day: Day,
) -> Result<BTreeSet<UsageGroup>, tokio_postgres::Error> {
    let sql = format!("SELECT DISTINCT session_id, key_id, model, miner FROM {}.usage WHERE day = $1", quoted(schema));
    let rows = link.query(&sql, &[(&int(day.number()), Type::INT8)]).await?;
    let group = |row: &Row| UsageGroup {
        day,
        key_id: row.get(1),
        session: Some(uint(row, 0)).filter(|_| row.get::<_, i64>(0) != session_of(None)).map(SessionId),
        model: row.get(2),
        miner: row.get(3),
    };
    Ok(rows.iter().map(group).collect())
}

/// Reads a page of usage. The caller's transaction makes it one moment's.
pub(super) async fn page(link: &Link, schema: &str, query: &UsageQuery) -> Result<UsagePage, tokio_postgres::Error> {
    // No text of the database has U+0000, and a parameter with it is an error.
    if [&query.key_id, &query.model, &query.miner].into_iter().flatten().any(|name| name.contains('\0')) {
        return Ok(UsagePage::default());
    }
    let by = column_of(query.by);
    let hit = format!(
        "WITH hit AS (SELECT * FROM {}.usage WHERE day BETWEEN $1 AND $2
             AND ($3 IS NULL OR key_id = $3) AND ($4 IS NULL OR session_id = $4)
             AND ($5 IS NULL OR model = $5) AND ($6 IS NULL OR miner = $6)
             AND ($7 IS NULL OR key_id = $7 OR session_id = ANY($8)))",
        quoted(schema)
    );
    let (own, sessions) = match &query.visible {
        Some((key, sessions)) => (Some(key), sessions.iter().map(|id| int(id.0)).collect::<Vec<_>>()),
        None => (None, Vec::new()),
    };
    let (from, to) = (bound(query.from.number()), bound(query.to.number()));
    let session = query.session.map(|id| int(id.0));
    let (limit, offset) = (bound(query.limit), bound(query.offset));
    let params: Params<'_> = &[
        (&from, Type::INT8),
        (&to, Type::INT8),
        (&query.key_id, Type::TEXT),
        (&session, Type::INT8),
        (&query.model, Type::TEXT),
        (&query.miner, Type::TEXT),
        (&own, Type::TEXT),
        (&sessions, Type::INT8_ARRAY),
        (&limit, Type::INT8),
        (&offset, Type::INT8),
    ];
    let total = link.query(&format!("{hit} SELECT count(DISTINCT {by}) FROM hit"), &params[..8]).await?;
    let sums = UsageCounts::NAMES.map(|name| format!("least(sum({name}), {MAX_JSON_INTEGER})::int8")).join(", ");
    let select = format!(
        "{hit}, part AS (SELECT DISTINCT {by} AS name FROM hit ORDER BY name LIMIT $9 OFFSET $10)
         SELECT {by}, model, {sums} FROM hit WHERE {by} IN (SELECT name FROM part) GROUP BY {by}, model
         ORDER BY {by}, model"
    );
    let row = |row: &Row| UsageRow {
        name: if query.by.is_number() { name_of(query.by, row.get(0)) } else { row.get(0) },
        model: row.get(1),
        counts: UsageCounts::from_values(std::array::from_fn::<_, COUNTS, _>(|at| uint(row, at + 2))),
    };
    let rows = link.query(&select, params).await?;
    Ok(UsagePage { rows: rows.iter().map(row).collect(), total: total.first().map_or(0, |row| uint(row, 0)) })
}
