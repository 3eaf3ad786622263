//! Measures requests and streams through the listener, beside the mock upstream itself and other proxies.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::compare::{Body, Measured, Of, Round, Shape, beside, compare};
use crate::mock::{FRAMES, Mock, Mode};
use crate::proxies::{self, BARE, NGINX};
use crate::report::{Gate, Row, median};
use crate::target::Target;
use crate::{Context, Outcome};

/// The values of `durability` with which the product is measured.
pub(crate) const MEMORY: &str = "memory";
const FULL: &str = "full";
/// The load without a proxy.
pub(crate) const NONE: &str = "no proxy";

/// The floor, the other proxies, and the product last.
pub(crate) fn targets(context: &Context, mock: &Mock) -> Outcome<Vec<Target>> {
    let mut targets = vec![Target::none(mock.address)];
    targets.extend(proxies::all(context, mock.address)?);
    targets.push(Target::router(context, MEMORY, "memory", Some(mock.address))?);
    Ok(targets)
}

/// Measures complete answers.
pub(crate) fn unary(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "unary";
    let mock = Mock::start(2)?;
    let targets = targets(context, &mock)?;
    let mut one = compare(context, &targets, &Shape::whole(1))?;
    latencies(FIGURE, &mut one, rows);
    let row = Row::new(FIGURE, "c=1 added p50 beside nginx's", 0.0, "us");
    rows.push(one.against(row, Of::AddedTo(NONE), (MEMORY, NGINX), Gate::RatioAtMost(1.3)));
    for connections in [8, 32, 128] {
        let round = compare(context, &targets, &Shape::whole(connections))?;
        rates(FIGURE, "req/s", connections, &round, rows);
        if connections == 32 {
            let row = |what: &str, unit| Row::new(FIGURE, format!("c=32, memory {what}"), 0.0, unit);
            let beside = |reference| (MEMORY, reference);
            let nginx = row("beside nginx", "req/s");
            rows.push(round.against(nginx, Of::Rate, beside(NGINX), Gate::RatioAtLeast(0.7)));
            let bare = row("beside bare hyper", "req/s");
            rows.push(round.against(bare, Of::Rate, beside(BARE), Gate::RatioAtLeast(0.8)));
            let cost = row("processor time beside nginx", "us CPU");
            rows.push(round.against(cost, Of::Cost, beside(NGINX), Gate::RatioAtMost(1.7)));
        }
    }
    Ok(())
}

/// Measures streams that come in one piece, and paced ones.
pub(crate) fn streams(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "streams";
    let mock = Mock::start(2)?;
    let targets = targets(context, &mock)?;
    let mut one = compare(context, &targets, &Shape::stream(Mode::Mock, 1))?;
    latencies(FIGURE, &mut one, rows);
    let many = compare(context, &targets, &Shape::stream(Mode::Mock, 32))?;
    rates(FIGURE, "streams/s", 32, &many, rows);
    let row = |what: &str, unit| Row::new(FIGURE, format!("c=32, memory {what}"), 0.0, unit);
    let nginx = row("beside nginx", "streams/s");
    rows.push(many.against(nginx, Of::Rate, (MEMORY, NGINX), Gate::RatioAtLeast(0.7)));
    let bare = row("beside bare hyper", "streams/s");
    rows.push(many.against(bare, Of::Rate, (MEMORY, BARE), Gate::RatioAtLeast(0.8)));
    let cost = row("processor time beside nginx", "us CPU");
    rows.push(many.against(cost, Of::Cost, (MEMORY, NGINX), Gate::RatioAtMost(2.0)));

    let paced = compare(context, &targets, &Shape::stream(Mode::Paced, 200))?;
    for measured in paced.measured.iter().filter(|measured| measured.name != NONE) {
        let cost = measured.cost() / FRAMES as f64;
        rows.push(Row::new(FIGURE, format!("200 paced, {}", measured.name), cost, "us CPU/frame"));
    }
    let row = Row::new(FIGURE, "200 paced streams, processor time beside nginx", 0.0, "us CPU/stream");
    rows.push(paced.against(row, Of::Cost, (MEMORY, NGINX), Gate::RatioAtMost(1.05)));
    Ok(())
}

/// Measures what `durability = "full"` adds to `memory`, beside one sync of a file.
pub(crate) fn full(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "full";
    let mock = Mock::start(2)?;
    let targets = [
        Target::router(context, MEMORY, "memory", Some(mock.address))?,
        Target::router(context, FULL, "full", Some(mock.address))?,
    ];
    // A sync is measured before and after, on the same disk.
    let mut syncs = synced(context)?;
    let mut one = compare(context, &targets, &Shape::whole(1))?;
    syncs.extend(synced(context)?);
    let sync = median(syncs);
    latencies(FIGURE, &mut one, rows);
    let middle = |name| one.of(name).map_or(0.0, Measured::middle);
    let added = middle(FULL) - middle(MEMORY);
    let row = Row::new(FIGURE, "c=1 added p50 beside one fdatasync", added, "us").beside("fdatasync", sync);
    rows.push(row.gate(Gate::RatioAtMost(1.4)));
    let many = compare(context, &targets, &Shape::whole(32))?;
    rates(FIGURE, "req/s", 32, &many, rows);
    let cost = |name| many.of(name).map_or(0.0, Measured::cost);
    let row = Row::new(FIGURE, "c=32 added processor time", cost(FULL) - cost(MEMORY), "us CPU");
    rows.push(row.gate(Gate::AtMost(25.0)));

    // If every answer must be on disk first, more callers must get more answers, because they share the syncs.
    let mut last = None;
    for connections in [8, 32, 128] {
        let rate = compare(context, &targets[1..], &Shape::whole(connections))?.of(FULL).map_or(0.0, Measured::rate);
        let row = Row::new(FIGURE, format!("c={connections} full, rising"), rate, "req/s");
        rows.push(match last.replace((connections, rate)) {
            None => row,
            Some((fewer, before)) => row.beside(format!("c={fewer}"), before).gate(Gate::RatioAtLeast(1.0)),
        });
    }
    Ok(())
}

/// The microseconds of each of some syncs of a file to which a page was appended.
fn synced(context: &Context) -> Outcome<Vec<f64>> {
    let path = context.fresh_dir("sync")?.join("log");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::create(&path).map_err(failed)?;
    let mut took = Vec::new();
    for _ in 0..context.pick(100, 500) {
        file.write_all(&[b'x'; 4_096]).map_err(failed)?;
        let from = Instant::now();
        file.sync_data().map_err(failed)?;
        took.push(from.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}

/// Measures long answers and long prompts.
pub(crate) fn bodies(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "bodies";
    let mock = Mock::start(2)?;
    let targets = targets(context, &mock)?;
    let words = "words and words, ";
    let prompt = crate::mock::chat_of("mock", Mode::Mock, false, &words.repeat(1_000_000 / words.len()));
    for (what, body, gate) in
        [("answers of 100 KB", Body::Chat(Mode::Sized(100_000)), 0.7), ("prompts of 1 MB", Body::Text(prompt), 0.75)]
    {
        let round = compare(context, &targets, &Shape { body, stream: false, connections: 4 })?;
        for measured in &round.measured {
            let row = Row::new(FIGURE, format!("{what}, {}", measured.name), measured.rate(), "req/s");
            rows.push(row.note(format!("{:.0} us CPU each", measured.cost())));
        }
        let row = Row::new(FIGURE, format!("{what}, memory beside bare hyper"), 0.0, "req/s");
        rows.push(round.against(row, Of::Rate, (MEMORY, BARE), Gate::RatioAtLeast(gate)));
    }
    Ok(())
}

/// Measures latencies at half of the capacity: requests come at fixed times, whether earlier ones are answered or not,
/// and a latency counts from the time at which its request was to be sent.
pub(crate) fn open_loop(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "open-loop";
    let mock = Mock::start(2)?;
    let targets = targets(context, &mock)?;
    let time = context.pick(Duration::from_secs(1), Duration::from_secs(4));
    let product = targets.last().ok_or("there is no target")?;
    let capacity = Shape::whole(32).on(product).run(time)?.rate();
    let rate = capacity / 2.0;
    let shape = Shape::whole(64);
    let (mut middles, mut lasts) = (vec![Vec::new(); targets.len()], vec![Vec::new(); targets.len()]);
    for _ in 0..3 {
        for ((target, middles), lasts) in targets.iter().zip(&mut middles).zip(&mut lasts) {
            let mut sample =
                shape.on(target).on_schedule(rate, time).map_err(|error| format!("{}: {error}", target.name))?;
            middles.push(sample.latency_us(0.5));
            lasts.push(sample.latency_us(0.99));
        }
    }
    let what = |name: &str, share: &str| format!("{share} at half of the capacity, {name}");
    for ((target, middles), lasts) in targets.iter().zip(&middles).zip(&lasts) {
        let row = Row::new(FIGURE, what(target.name, "p50"), median(middles.clone()), "us");
        rows.push(row.note(format!("{rate:.0} requests a second; p99 {:.0} us", median(lasts.clone()))));
    }
    let place = |name: &str| targets.iter().position(|target| target.name == name);
    let added = |name: &str| -> Option<Vec<f64>> {
        let (floor, this) = (lasts.get(place(NONE)?)?, lasts.get(place(name)?)?);
        Some(this.iter().zip(floor).map(|(this, floor)| this - floor).collect())
    };
    let row = Row::new(FIGURE, "added p99 at half of the capacity, memory beside nginx", 0.0, "us");
    rows.push(match (added(MEMORY), added(NGINX)) {
        (Some(ours), Some(theirs)) => beside(row, ours, (NGINX, theirs), Some(Gate::RatioAtMost(1.3))),
        _ => row.note("nginx is not there"),
    });
    Ok(())
}

pub(crate) fn latencies(figure: &'static str, round: &mut Round, rows: &mut Vec<Row>) {
    let floor = round.of(NONE).map(Measured::middle);
    for measured in &mut round.measured {
        let middle = measured.middle();
        let last = measured.sum.latency_us(0.99);
        let added = floor.map_or_else(String::new, |floor| format!("{:.0} us added, ", middle - floor));
        let note = format!("{added}p99 {last:.0} us, {:.0} us CPU each", measured.cost());
        rows.push(Row::new(figure, format!("c=1 p50, {}", measured.name), middle, "us").note(note));
    }
}

pub(crate) fn rates(figure: &'static str, unit: &'static str, connections: usize, round: &Round, rows: &mut Vec<Row>) {
    for measured in &round.measured {
        let row = Row::new(figure, format!("c={connections}, {}", measured.name), measured.rate(), unit);
        rows.push(row.note(format!("p50 {:.0} us, {:.0} us CPU each", measured.middle(), measured.cost())));
    }
}
