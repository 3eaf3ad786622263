//! The table of usage.

use std::collections::BTreeMap;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Row, Statement, params};

use super::super::columns::{bound, int};
use super::super::usage::{
    COUNTS, UsageCounts, UsageGroup, UsagePage, UsageQuery, UsageRow, column_of, count_in, name_of, session_of,
};
use super::row::{RowError, check_whole, uint};
use crate::model::{Day, MAX_JSON_INTEGER};

/// The number of days for which the writer remembers how many rows they have.
const DAYS: usize = 4;

/// The columns that name a group.
const GROUP: &str = "day, key_id, session_id, model, miner";

/// The number of columns that name a group.
const NAMES: usize = 5;

/// The columns before the checksum.
pub(super) fn columns() -> String {
    format!("{GROUP}, {}", UsageCounts::NAMES.join(", "))
}

/// Whether the checksum of a row of [`columns`] is right.
pub(super) fn check(row: &Row<'_>) -> Result<(), RowError> {
    check_whole(row, NAMES + COUNTS)
}

/// The statements that count, and the rows that the last days have.
#[derive(Debug)]
pub(super) struct UsageTable<'db> {
    /// The rows that one day may have, and as many for the rest of each key.
    most: u64,
    update: Statement<'db>,
    insert: Statement<'db>,
    of_day: Statement<'db>,
    /// The number of rows of days. If a transaction fails, its connection is given up, and this with it.
    days: BTreeMap<Day, u64>,
}

impl<'db> UsageTable<'db> {
    pub(super) fn of(db: &'db Connection, most: u64) -> rusqlite::Result<Self> {
        let adds = UsageCounts::NAMES
            .iter()
            .zip(NAMES + 1..)
            .map(|(name, at)| (name, format!("min({name} + ?{at}, {MAX_JSON_INTEGER})")))
            .collect::<Vec<_>>();
        let sets = adds.iter().map(|(name, sum)| format!("{name} = {sum}")).collect::<Vec<_>>().join(", ");
        let sums = adds.iter().map(|(_, sum)| sum.as_str()).collect::<Vec<_>>().join(", ");
        let values = (1..=NAMES + COUNTS).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let columns = columns();
        Ok(Self {
            most,
            // A row that was damaged gets no sum, so that it stays damaged.
            update: db.prepare(&format!(
                "UPDATE usage SET {sets}, sum = CASE WHEN sum = row_sum({columns}) THEN row_sum({GROUP}, {sums}) END
                 WHERE day = ?1 AND key_id = ?2 AND session_id = ?3 AND model = ?4 AND miner = ?5"
            ))?,
            insert: db.prepare(&format!("INSERT INTO usage({columns}, sum) VALUES({values}, row_sum({values}))"))?,
            of_day: db.prepare("SELECT count(*) FROM usage WHERE day = ?1")?,
            days: BTreeMap::new(),
        })
    }

    /// Counts tasks of a group.
    pub(super) fn count(&mut self, group: UsageGroup, counts: &UsageCounts) -> rusqlite::Result<()> {
        let day = group.day;
        let rows = match self.days.get(&day) {
            Some(rows) => *rows,
            None => self.of_day.query_row([int(day.number())], |row| uint(row, 0))?,
        };
        let add = |group: &UsageGroup| write(&mut self.update, group, counts).map(|changed| changed > 0);
        let new = count_in(group, rows, self.most, add)?;
        if let Some(group) = &new {
            write(&mut self.insert, group, counts)?;
        }
        self.days.insert(day, rows + u64::from(new.is_some()));
        if self.days.len() > DAYS {
            self.days.pop_first();
        }
        Ok(())
    }

    /// Forgets how many rows the days have, because rows were deleted.
    pub(super) fn changed(&mut self) {
        self.days.clear();
    }
}

fn write(statement: &mut Statement<'_>, group: &UsageGroup, counts: &UsageCounts) -> rusqlite::Result<usize> {
    let names: [ToSqlOutput<'_>; NAMES] = [
        int(group.day.number()).into(),
        group.key_id.as_str().into(),
        session_of(group.session).into(),
        group.model.as_str().into(),
        group.miner.as_str().into(),
    ];
    let values = names.into_iter().chain(counts.values().map(|count| int(count).into()));
    for (at, value) in (1..).zip(values) {
        statement.raw_bind_parameter(at, value)?;
    }
    statement.raw_execute()
}

/// Reads a page of usage, as of one moment. Damaged rows are logged and left out.
pub(super) fn page(db: &Connection, query: &UsageQuery) -> Result<UsagePage, RowError> {
    let transaction = db.unchecked_transaction()?;
    let by = column_of(query.by);
    let columns = columns();
    let hit = format!(
        "WITH hit AS (SELECT *, sum IS row_sum({columns}) AS sound FROM usage WHERE day BETWEEN ?1 AND ?2
             AND (?3 IS NULL OR key_id = ?3) AND (?4 IS NULL OR session_id = ?4)
             AND (?5 IS NULL OR model = ?5) AND (?6 IS NULL OR miner = ?6)
             AND (?7 IS NULL OR key_id = ?7 OR session_id IN (SELECT value FROM json_each(?8))))"
    );
    let (own, sessions) = match &query.visible {
        Some((key, sessions)) => (Some(key), sessions.iter().map(|id| int(id.0)).collect::<Vec<_>>()),
        None => (None, Vec::new()),
    };
    let sessions =
        serde_json::to_string(&sessions).map_err(|error| RowError::Column("session_id", error.to_string()))?;
    let selected = params![
        int(query.from.number()),
        int(query.to.number()),
        query.key_id,
        query.session.map(|id| int(id.0)),
        query.model,
        query.miner,
        own,
        sessions,
    ];
    let (total, damaged) = db
        .prepare_cached(&format!(
            "{hit} SELECT count(DISTINCT CASE WHEN sound THEN {by} END), count(CASE WHEN NOT sound THEN 1 END) FROM hit"
        ))?
        .query_row(selected, |row| Ok((uint(row, 0)?, uint(row, 1)?)))?;
    if damaged > 0 {
        tracing::error!(rows = damaged, "rows of usage are damaged and left out");
    }
    let sums: Vec<String> = UsageCounts::NAMES
        .iter()
        .map(|name| format!("CAST(min(total({name}), {MAX_JSON_INTEGER}) AS INTEGER)"))
        .collect();
    let mut select = db.prepare_cached(&format!(
        "{hit}, part AS (SELECT DISTINCT {by} AS name FROM hit WHERE sound ORDER BY name LIMIT ?9 OFFSET ?10)
         SELECT {by}, model, {} FROM hit WHERE sound AND {by} IN (SELECT name FROM part) GROUP BY 1, 2 ORDER BY 1, 2",
        sums.join(", ")
    ))?;
    let (limit, offset) = (bound(query.limit), bound(query.offset));
    let mut page = UsagePage { rows: Vec::new(), total };
    let mut rows = select.query(&[selected, params![limit, offset]].concat()[..])?;
    while let Some(row) = rows.next()? {
        let mut values = [0; COUNTS];
        for (at, value) in (2..).zip(&mut values) {
            *value = uint(row, at)?;
        }
        page.rows.push(UsageRow {
            name: if query.by.is_number() { name_of(query.by, row.get(0)?) } else { row.get(0)? },
            model: row.get(1)?,
            counts: UsageCounts::from_values(values),
        });
    }
    drop(rows);
    transaction.finish()?;
    Ok(page)
}
