//! Measures how costs grow: with what the router has stored or knows, with the size of a request or an answer, and with
//! the number of streams. Each is a curve with its exponent, the slope of a line through the logarithms of cost and
//! size: 0 for a cost that does not depend on the size, 1 for one that grows with it.

use std::time::Duration;

use cortensor_router::Router;
use cortensor_router::config::{Config, Durability};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec};
use serde_json::json;

use crate::chart::Curve;
use crate::load::Load;
use crate::mock::{Mock, Mode, PROMPT, chat, chat_of};
use crate::report::{Gate, Row, median};
use crate::requests::MEMORY;
use crate::target::Target;
use crate::{Context, Outcome, history, memory, runtime, wire};

/// The exponent up to which a cost counts as independent of the size.
const FLAT: f64 = 0.1;
/// The exponent up to which a cost grows no faster than the size.
const LINEAR: f64 = 1.1;
/// The connections of each load.
const CONNECTIONS: usize = 8;

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let curves = [ended, sessions, miners, upstreams, prompts, answers, streams];
    for curve in curves {
        let (curve, most) = curve(context)?;
        context.keep(&curve)?;
        let (first, last) = curve.ends();
        let note = format!("{:.1} {} at {}, {:.1} at {}", first.1, curve.unit, first.0, last.1, last.0);
        let row = Row::new("growth", format!("{} by {}", curve.cost, curve.size), curve.exponent(), "exponent");
        rows.push(row.gate(Gate::AtMost(most)).note(note));
    }
    Ok(())
}

/// The sizes of a curve; a quick run leaves out those beyond `quick`.
fn sizes(context: &Context, all: &[usize], quick: usize) -> Vec<usize> {
    all.iter().copied().filter(|size| *size <= context.pick(quick, usize::MAX)).collect()
}

/// The median of some rounds in which the sizes take turns.
fn in_turns(
    context: &Context,
    sizes: &[usize],
    mut measure: impl FnMut(usize) -> Outcome<f64>,
) -> Outcome<Vec<(usize, f64)>> {
    let mut costs = vec![Vec::new(); sizes.len()];
    for _ in 0..context.pick(3, 5) {
        for (size, costs) in sizes.iter().zip(&mut costs) {
            costs.push(measure(*size)?);
        }
    }
    Ok(sizes.iter().copied().zip(costs.into_iter().map(median)).collect())
}

/// The router's own processor time for an answer under a load, in microseconds.
fn cost(router: &Target, bodies: Vec<String>, connections: usize, time: Duration) -> Outcome<f64> {
    let load = Load { address: router.address, path: router.path, bodies, connections, events: 0 };
    let before = router.exact_time();
    let sample = load.run(time)?;
    // The warm-up adds a tenth to the measured time.
    let used = router.exact_time().saturating_sub(before).mul_f64(1.0 / 1.1);
    Ok(used.as_secs_f64() * 1e6 / sample.answers.max(1) as f64)
}

fn round(context: &Context) -> Duration {
    context.pick(Duration::from_millis(500), Duration::from_secs(1))
}

/// A task beside ended ones in the file of the store.
fn ended(context: &Context) -> Outcome<(Curve, f64)> {
    let counts = sizes(context, &[0, 1_000, 10_000, 100_000, 1_000_000], 100_000);
    let runtime = runtime()?;
    let mut routers = Vec::new();
    for count in &counts {
        let dir = context.fresh_dir("ended")?;
        let router = runtime.block_on(async {
            history::fill(&dir, *count as u64, true).await?;
            let router = history::open(&dir, Durability::Relaxed).await?;
            let miner = |job: Job| job.finish(Answer::default().text("ok"));
            router.add_miner(MinerSpec::new("prompt", 8), miner).map_err(|error| error.to_string())?;
            Ok::<_, String>(router)
        })?;
        routers.push((*count, router));
    }
    let points = in_turns(context, &counts, |count| {
        let router = routers.iter().find(|(size, _)| *size == count).map(|(_, router)| router);
        runtime.block_on(task(router.ok_or("there is no such router")?, context.pick(300, 1_000)))
    })?;
    runtime.block_on(async {
        for (_, router) in &routers {
            router.close().await;
        }
    });
    Ok((Curve::new("ended", "time of a task (relaxed)", "us", "ended tasks", points), FLAT))
}

/// The median microseconds of a task.
async fn task(router: &Router, count: usize) -> Outcome<f64> {
    let mut micros = Vec::with_capacity(count);
    for _ in 0..count {
        micros.push(history::run(router).await? * 1e3);
    }
    Ok(median(micros))
}

/// A request to one of many sessions.
fn sessions(context: &Context) -> Outcome<(Curve, f64)> {
    let counts = sizes(context, &[10, 100, 1_000, 10_000], usize::MAX);
    let mock = Mock::start(1)?;
    let mut routers = Vec::new();
    for count in &counts {
        let router = Target::router(context, MEMORY, "memory", Some(mock.address))?;
        let ids = open_sessions(&router, *count)?;
        let bodies: Vec<String> =
            ids.iter().map(|id| chat_of(&format!("session-{id}"), Mode::Mock, false, PROMPT)).collect();
        routers.push((*count, router, bodies));
    }
    let points = in_turns(context, &counts, |count| {
        let found = routers.iter().find(|(size, ..)| *size == count);
        let (_, router, bodies) = found.ok_or("there is no such router")?;
        cost(router, bodies.clone(), CONNECTIONS, round(context))
    })?;
    Ok((Curve::new("sessions", "processor time of an answer", "us", "sessions", points), FLAT))
}

/// Opens sessions over the REST API. Gives their ids.
fn open_sessions(router: &Target, count: usize) -> Outcome<Vec<u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let mut socket = crate::load::connect(router.address).await?;
        let mut ids = Vec::with_capacity(count);
        let mut answer = Vec::new();
        for number in 0..count {
            answer.clear();
            let body = json!({ "name": format!("session {number}") }).to_string();
            let request = wire::post_to(router.address, "/api/v1/sessions", &body);
            crate::load::exchange(&mut socket, &request, &mut answer).await?;
            let text = String::from_utf8_lossy(&answer);
            let record = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
            let id = record.and_then(|record: serde_json::Value| record["id"].as_u64());
            ids.push(id.ok_or_else(|| format!("no session was opened: {text}"))?);
        }
        Ok(ids)
    })
}

/// A task with many miners, in one program.
fn miners(context: &Context) -> Outcome<(Curve, f64)> {
    let counts = sizes(context, &[1, 10, 100, 1_000], usize::MAX);
    let runtime = runtime()?;
    let mut routers = Vec::new();
    for count in &counts {
        let text = |error: cortensor_router::Error| error.to_string();
        let router = runtime.block_on(Router::builder().config(Config::default()).open()).map_err(text)?;
        for number in 0..*count {
            let miner = |job: Job| job.finish(Answer::default().text("ok"));
            router.add_miner(MinerSpec::new(format!("miner-{number}"), 8), miner).map_err(text)?;
        }
        routers.push((*count, router));
    }
    let points = in_turns(context, &counts, |count| {
        let router = routers.iter().find(|(size, _)| *size == count).map(|(_, router)| router);
        runtime.block_on(task(router.ok_or("there is no such router")?, context.pick(2_000, 10_000)))
    })?;
    runtime.block_on(async {
        for (_, router) in &routers {
            router.close().await;
        }
    });
    Ok((Curve::new("miners", "time of a task", "us", "miners", points), FLAT))
}

/// A request with many upstreams.
fn upstreams(context: &Context) -> Outcome<(Curve, f64)> {
    let counts = sizes(context, &[1, 3, 10, 30, 100], usize::MAX);
    let mock = Mock::start(1)?;
    let mut routers = Vec::new();
    for count in &counts {
        let addresses = vec![mock.address; *count];
        routers.push((*count, Target::router_before(context, MEMORY, "memory", &addresses)?));
    }
    let points = in_turns(context, &counts, |count| {
        let router = routers.iter().find(|(size, _)| *size == count).map(|(_, router)| router);
        let router = router.ok_or("there is no such router")?;
        cost(router, vec![chat(Mode::Mock, false)], CONNECTIONS, round(context))
    })?;
    Ok((Curve::new("upstreams", "processor time of an answer", "us", "upstreams", points), FLAT))
}

/// A request by the size of its prompt.
fn prompts(context: &Context) -> Outcome<(Curve, f64)> {
    let bytes = sizes(context, &[1_000, 10_000, 100_000, 1_000_000, 10_000_000], 1_000_000);
    let mock = Mock::start(1)?;
    let router = Target::router(context, MEMORY, "memory", Some(mock.address))?;
    let points = in_turns(context, &bytes, |bytes| {
        let prompt = &"words and words, ".repeat(bytes / 17 + 1)[..bytes];
        cost(&router, vec![chat_of("mock", Mode::Mock, false, prompt)], 4, round(context))
    })?;
    Ok((Curve::new("prompts", "processor time of an answer", "us", "bytes of the prompt", points), LINEAR))
}

/// A request by the size of its answer.
fn answers(context: &Context) -> Outcome<(Curve, f64)> {
    let bytes = sizes(context, &[1_000, 10_000, 100_000, 1_000_000], usize::MAX);
    let mock = Mock::start(1)?;
    let router = Target::router(context, MEMORY, "memory", Some(mock.address))?;
    let points =
        in_turns(context, &bytes, |bytes| cost(&router, vec![chat(Mode::Sized(bytes), false)], 4, round(context)))?;
    Ok((Curve::new("answers", "processor time of an answer", "us", "bytes of the answer", points), LINEAR))
}

/// A frame by the number of open streams, which give a thousand frames a second together.
fn streams(context: &Context) -> Outcome<(Curve, f64)> {
    let counts = sizes(context, &[1, 10, 100, 1_000, 5_000], 1_000);
    let counts: Vec<usize> = counts.into_iter().filter(|count| *count <= memory::most_streams()).collect();
    let mut points = Vec::new();
    for count in counts {
        let mock = Mock::start(1)?;
        let router = Target::router(context, MEMORY, "memory", Some(mock.address))?;
        let mut open = memory::open_streams(&router, &mock, count, Mode::Every(count as u64))?;
        let time = context.pick(Duration::from_secs(2), Duration::from_secs(5));
        let mut costs = Vec::new();
        for _ in 0..3 {
            let before = router.exact_time();
            let frames = open.read_for(time)?;
            let used = router.exact_time().saturating_sub(before);
            costs.push(used.as_secs_f64() * 1e6 / frames.max(1) as f64);
        }
        points.push((count, median(costs)));
    }
    Ok((Curve::new("streams", "processor time of a frame", "us", "open streams", points), FLAT))
}
