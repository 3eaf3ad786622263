//! The memory of a router that knows ten thousand miners of another one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router_testkit::Postgres;

use super::members::{ask, linked, open, spawn};
use super::text;
use crate::report::Row;
use crate::{Context, Outcome};

const MINERS: u64 = 10_000;

pub(super) async fn measure(context: &Context, server: &Postgres, rows: &mut Vec<Row>) -> Outcome {
    let miners = context.pick(MINERS / 10, MINERS);
    let (knows, at) = spawn(context, server, "roster", "knows", &["limits.max_miners=100000"])?;
    let has = open(server, "roster", "has", |_| {}).await?;
    linked(std::slice::from_ref(&has), 2, 0).await?;
    let before = knows.resident_kib();
    let from = Instant::now();
    for number in 0..miners {
        let spec = MinerSpec::new(format!("miner-{number}"), 4).models(["small", "large"]);
        has.add_miner(spec, |job: cortensor_router::miner::Job| job.finish(Answer::default())).map_err(text)?;
    }
    while seen(at)? < miners {
        if from.elapsed() > Duration::from_mins(1) {
            return Err(format!("{} of {miners} miners are seen", seen(at)?));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (took, mib) = (from.elapsed().as_secs_f64(), (knows.resident_kib() - before) / 1_024.0);
    has.close().await;
    let note = format!("the roster was complete after {took:.1} s");
    rows.push(Row::new("fleet", format!("memory for {miners} miners of another router"), mib, "MiB").note(note));
    Ok(())
}

/// The miners that a router sees.
fn seen(at: SocketAddr) -> Outcome<u64> {
    let said = ask(at, "GET", "/api/v1/info", "")?;
    let body = said.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let info: serde_json::Value = serde_json::from_str(body).map_err(|error| format!("{error}: {said}"))?;
    info["node_stats"]["total_count"].as_u64().ok_or_else(|| format!("no miners in {info}"))
}
