//! Measures several routers on one PostgreSQL of the run's own, with its commits on the disk, beside what that server does by
//! itself in the same run.

mod deaths;
mod members;
mod relay;
mod roster;
mod takeover;
mod writers;

use cortensor_router_testkit::Postgres;

use crate::report::Row;
use crate::{Context, Outcome, runtime};

/// The clients of pgbench.
const CLIENTS: u32 = 16;

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let Some(server) = Postgres::start_durable() else { return Ok(()) };
    let runtime = runtime()?;
    let raw = server.commits_per_second(CLIENTS, context.pick(2, 8))?;
    rows.push(Row::new("fleet", "PostgreSQL alone: commits of one row, 16 clients", raw, "commits/s"));
    runtime.block_on(relay::measure(context, &server, raw, rows))?;
    runtime.block_on(writers::measure(context, &server, rows))?;
    runtime.block_on(takeover::measure(context, &server, rows))?;
    runtime.block_on(deaths::measure(context, &server, rows))?;
    runtime.block_on(roster::measure(context, &server, rows))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
