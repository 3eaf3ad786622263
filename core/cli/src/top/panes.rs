//! The lists of `top`: tasks, miners, sessions and upstreams, each with its columns and rows.

use std::cmp::Ordering;

use cortensor_router::model::Timestamp;
use serde_json::Value;

use super::board::Board;
use crate::output::{self, text};
use crate::overview::{miners_of, number};
use crate::table::one_line;
use crate::tasks::state_of;

/// The characters of a prompt that a row keeps.
const PROMPT: usize = 300;

/// A list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Tasks,
    Miners,
    Sessions,
    Upstreams,
}

pub(super) const PANES: [Pane; 4] = [Pane::Tasks, Pane::Miners, Pane::Sessions, Pane::Upstreams];

/// A row: what it stands for, and its cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) id: RowId,
    pub(super) cells: Vec<Cell>,
}

/// The thing that a row stands for. It stays the same when rows come, go or change their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowId {
    Task { session: u64, id: u64 },
    Miner(String),
    Session(u64),
    Upstream(String),
}

/// A cell: its words, and the number by which it is sorted, if it has one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) words: String,
    number: Option<f64>,
}

impl Pane {
    /// The word in the pane's title.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Miners => "miners",
            Self::Sessions => "sessions",
            Self::Upstreams => "upstreams",
        }
    }

    /// The heads of the columns; the last one takes the room that is left.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Tasks => &["SESSION", "TASK", "STATE", "QUEUE", "AGE", "TRIES", "MODEL", "MINER", "PROMPT"],
            Self::Miners => &["MINER", "STATUS", "BUSY", "FIRST TOKEN", "TOKENS/S", "DONE", "FAILED", "KIND", "MODELS"],
            Self::Sessions => &["SESSION", "STATE", "ACTIVE", "TASKS", "PRIORITY", "MINERS", "MODEL", "NAME"],
            Self::Upstreams => {
                &["UPSTREAM", "STATE", "SOURCE", "BUSY", "PROBED", "GROUP", "STARTS", "IDLE", "REMARK OR URL"]
            }
        }
    }

    /// The rows that have the filter's words in them, in the order of that column.
    pub(super) fn rows(self, board: &Board, filter: &str, sort: Sort) -> Vec<Row> {
        let now = Timestamp::wall_clock().as_secs();
        let mut rows: Vec<Row> = match self {
            Self::Tasks => board.tasks.iter().map(|task| task_row(task, &board.miners, now)).collect(),
            Self::Miners => board.miners.iter().map(miner_row).collect(),
            Self::Sessions => board.sessions.iter().map(session_row).collect(),
            Self::Upstreams => board.upstreams.all.iter().map(|upstream| upstream_row(upstream, now)).collect(),
        };
        let filter = filter.to_lowercase();
        let has = |cell: &Cell| cell.words.to_lowercase().contains(&filter);
        rows.retain(|row| filter.is_empty() || row.cells.iter().any(has));
        rows.sort_by(|a, b| sort.compare(a, b));
        rows
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sort {
    /// The column; `None` is the order in which the router gave the rows.
    pub(super) column: Option<usize>,
    pub(super) reversed: bool,
}

impl Sort {
    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let Some(column) = self.column else { return Ordering::Equal };
        let (Some(a), Some(b)) = (a.cells.get(column), b.cells.get(column)) else { return Ordering::Equal };
        let order = match (a.number, b.number) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            // Rows without a value come last.
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => a.words.cmp(&b.words),
        };
        if self.reversed { order.reverse() } else { order }
    }

    /// The next column in turn.
    pub(super) fn next(self, columns: usize) -> Self {
        let column = self.column.map_or(0, |column| column + 1);
        Self { column: (column < columns).then_some(column), ..self }
    }
}

fn words(text: &str) -> Cell {
    let start: String = text.chars().take(PROMPT).collect();
    Cell { words: one_line(&start), number: None }
}

fn count(value: &Value, name: &str) -> Cell {
    let number = number(value, name);
    Cell { words: number.to_string(), number: Some(number as f64) }
}

fn measured(value: &Value, name: &str, unit: &str) -> Cell {
    let number = value.get(name).and_then(Value::as_f64).filter(|number| *number > 0.0);
    Cell { words: number.map_or_else(String::new, |number| format!("{number:.0}{unit}")), number }
}

fn task_row(task: &Value, miners: &[Value], now: u64) -> Row {
    let age = now.saturating_sub(number(task, "created_at"));
    let place = task.get("queue_position").and_then(Value::as_u64);
    let cells = vec![
        count(task, "session_id"),
        count(task, "id"),
        words(&state_of(task)),
        Cell {
            words: place.map(|place| place.to_string()).unwrap_or_default(),
            number: place.map(|place| place as f64),
        },
        Cell { words: output::span(age), number: Some(age as f64) },
        count(task, "attempts"),
        words(&text(task, "model")),
        words(&miners_of(task, miners).join(", ")),
        words(&text(task, "prompt")),
    ];
    Row { id: RowId::Task { session: number(task, "session_id"), id: number(task, "id") }, cells }
}

fn miner_row(miner: &Value) -> Row {
    let models = text(miner, "models");
    let busy = format!("{}/{}", text(miner, "in_flight"), text(miner, "capacity"));
    let cells = vec![
        words(&text(miner, "id")),
        words(&text(miner, "status")),
        Cell { words: busy, number: Some(number(miner, "in_flight") as f64) },
        measured(miner, "first_token_ms", " ms"),
        measured(miner, "tokens_per_second", ""),
        count(miner, "completed"),
        count(miner, "failed"),
        words(&text(miner, "kind")),
        words(if models.is_empty() { "any" } else { &models }),
    ];
    Row { id: RowId::Miner(text(miner, "id")), cells }
}

fn session_row(session: &Value) -> Row {
    let cells = vec![
        count(session, "id"),
        words(&text(session, "state")),
        count(session, "active_tasks"),
        count(session, "total_tasks"),
        count(session, "priority"),
        count(session, "miners_count"),
        words(&text(session, "model")),
        words(&text(session, "name")),
    ];
    Row { id: RowId::Session(number(session, "id")), cells }
}

/// The time since a moment in Unix seconds, if there is one.
fn since(value: &Value, name: &str, now: u64) -> Cell {
    let age = value.get(name).and_then(Value::as_u64).map(|at| now.saturating_sub(at));
    Cell { words: age.map(output::span).unwrap_or_default(), number: age.map(|age| age as f64) }
}

fn upstream_row(upstream: &Value, now: u64) -> Row {
    let (probe, server) = (&upstream["last_probe"], &upstream["server"]);
    let busy = format!("{}/{}", text(upstream, "in_flight"), text(upstream, "credits"));
    let starts = server.is_object().then(|| count(server, "starts"));
    // One bad probe does not change the state yet, and is a remark already.
    let remarks = [text(upstream, "reason"), text(probe, "error")];
    let place = || format!("{}  {}", text(upstream, "url"), text(upstream, "models"));
    let remark = remarks.into_iter().find(|remark| !remark.is_empty()).unwrap_or_else(place);
    let cells = vec![
        words(&text(upstream, "name")),
        words(&text(upstream, "state")),
        words(&text(upstream, "source")),
        Cell { words: busy, number: Some(number(upstream, "in_flight") as f64) },
        since(probe, "at", now),
        words(&text(server, "group")),
        starts.unwrap_or_else(|| words("")),
        since(server, "idle_since", now),
        words(&remark),
    ];
    Row { id: RowId::Upstream(text(upstream, "name")), cells }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn board() -> Board {
        let miners = vec![
            json!({"id": "slow", "address": "0x1", "status": "busy", "in_flight": 2, "capacity": 4, "first_token_ms": 900.0}),
            json!({"id": "fast", "address": "0x2", "status": "idle", "in_flight": 0, "capacity": 10, "first_token_ms": 80.4}),
        ];
        let tasks = vec![
            json!({"id": 9, "session_id": 0, "state": "acked", "assigned_miners": ["0x1"], "prompt": "a\u{1b}[2Jb\nc"}),
            json!({"id": 10, "session_id": 0, "state": "queued", "queue_position": 1, "prompt": "second"}),
        ];
        Board {
            miners,
            tasks,
            sessions: vec![json!({"id": 3, "name": "research", "state": "open"})],
            upstreams: crate::overview::Upstreams {
                all: vec![
                    json!({"name": "gpu\u{1b}[2J", "state": "failed", "reason": "it failed: why", "last_probe": null,
                           "server": {"group": "g", "starts": 3, "idle_since": null}}),
                    json!({"name": "far", "state": "up", "reason": null, "last_probe": {"at": 1, "error": "refused"},
                           "server": null}),
                ],
                ..crate::overview::Upstreams::default()
            },
            ..Board::default()
        }
    }

    fn first_cells(rows: &[Row], column: usize) -> Vec<&str> {
        rows.iter().map(|row| row.cells[column].words.as_str()).collect()
    }

    #[test]
    fn every_row_has_a_cell_for_each_column_and_no_control_characters() {
        for pane in PANES {
            for row in pane.rows(&board(), "", Sort::default()) {
                assert_eq!(row.cells.len(), pane.columns().len(), "{pane:?}");
                assert!(row.cells.iter().all(|cell| !cell.words.contains(char::is_control)), "{row:?}");
            }
        }
    }

    #[test]
    fn numbers_sort_as_numbers_and_rows_without_one_come_last() {
        let rows = |column, reversed| Pane::Tasks.rows(&board(), "", Sort { column: Some(column), reversed });
        assert_eq!(first_cells(&rows(1, false), 1), ["9", "10"]);
        assert_eq!(first_cells(&rows(1, true), 1), ["10", "9"]);
        assert_eq!(first_cells(&rows(3, true), 1), ["10", "9"], "9 has no place");
        let miners = Pane::Miners.rows(&board(), "", Sort { column: Some(3), reversed: false });
        assert_eq!(first_cells(&miners, 3), ["80 ms", "900 ms"]);
    }

    #[test]
    fn a_filter_looks_into_all_cells() {
        assert_eq!(Pane::Tasks.rows(&board(), "SLOW", Sort::default()).len(), 1, "by its miner's name");
        assert!(Pane::Sessions.rows(&board(), "nothing", Sort::default()).is_empty());
    }

    #[test]
    fn an_upstream_shows_its_server_and_a_bad_probe_before_it_counts() {
        let rows = Pane::Upstreams.rows(&board(), "", Sort::default());
        assert_eq!(first_cells(&rows, 6), ["3", ""]);
        assert_eq!(first_cells(&rows, 8), ["it failed: why", "refused"]);
    }

    #[test]
    fn the_order_goes_through_all_columns_and_back() {
        let columns = Pane::Sessions.columns().len();
        let mut sort = Sort::default();
        for _ in 0..=columns {
            sort = sort.next(columns);
        }
        assert_eq!(sort, Sort::default());
    }
}
