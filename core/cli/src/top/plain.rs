//! The state of a router as plain text or JSON, once.

use super::board::Board;
use super::head::time;
use super::panes::{PANES, Pane, Sort};
use super::rates::Readings;
use crate::client::Client;
use crate::exit::Done;
use crate::output::{self, text};
use crate::overview::number;

/// Prints the state once.
pub(super) async fn show(client: &Client, json: bool) -> Done {
    let board = Board::read(client, &mut Readings::default(), false).await?;
    if json {
        return output::json(&board.json());
    }
    let (status, rates) = (&board.status, &board.rates);
    output::fields(&[
        ("router", format!("{} {}", client.base(), text(status, "version"))),
        ("status", text(status, "status")),
        ("uptime", output::span(number(status, "uptime"))),
        ("queued", text(status, "queued_tasks")),
        ("running", text(status, "running_tasks")),
        ("first token", format!("{} (p95 {}) since the start", time(rates.first_token), time(rates.first_token_p95))),
    ])?;
    for pane in PANES {
        let rows: Vec<Vec<String>> = pane
            .rows(&board, "", Sort::default())
            .into_iter()
            .map(|row| row.cells.into_iter().map(|cell| cell.words).collect())
            .collect();
        output::line("")?;
        if let Some(why) = board.upstreams.unseen.as_ref().filter(|_| pane == Pane::Upstreams) {
            output::line(&format!("upstreams cannot be seen: {why}"))?;
        } else if rows.is_empty() {
            output::line(&format!("no {}", pane.name()))?;
        } else {
            output::table(pane.columns(), &rows)?;
        }
    }
    Ok(())
}
