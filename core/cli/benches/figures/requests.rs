//! Measures requests and streams through the listener. The references get equal load: the mock upstream directly,
//! nginx, and a bare proxy made of the same libraries. The targets take turns, round by round, so that other load on
//! the machine affects all of them.

use std::time::Duration;

use crate::load::{Load, Sample};
use crate::mock::{FRAMES, Mock, Mode, chat};
use crate::report::{Gate, Row, median};
use crate::target::Target;
use crate::{Context, Outcome};

/// The values of `durability` with which the product is measured.
const MEMORY: &str = "memory";
const FULL: &str = "full";

struct Measured {
    name: &'static str,
    sum: Sample,
    rates: Vec<f64>,
    middles: Vec<f64>,
    processor: Duration,
}

impl Measured {
    fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    fn middle(&self) -> f64 {
        median(self.middles.clone())
    }

    /// The processor time of an answer in microseconds.
    fn cost(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / (self.sum.answers.max(1) as f64)
    }
}

/// The results of all targets with one load.
struct Round {
    measured: Vec<Measured>,
}

impl Round {
    fn of(&self, name: &str) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.name == name)
    }

    /// The median of the ratios of all rounds.
    fn ratio(&self, name: &str, reference: &str) -> Option<(f64, f64)> {
        let (this, other) = (self.of(name)?, self.of(reference)?);
        let ratios = this.rates.iter().zip(&other.rates).map(|(this, other)| this / other.max(1e-9));
        Some((other.rate(), median(ratios.collect())))
    }
}

struct Shape {
    mode: Mode,
    stream: bool,
    connections: usize,
}

fn compare(context: &Context, targets: &[Target], shape: &Shape) -> Outcome<Round> {
    let (rounds, time) = context.pick((3, Duration::from_millis(700)), (5, Duration::from_secs(2)));
    let mut measured: Vec<Measured> = targets
        .iter()
        .map(|target| Measured {
            name: target.name,
            sum: Sample::default(),
            rates: Vec::new(),
            middles: Vec::new(),
            processor: Duration::ZERO,
        })
        .collect();
    for _ in 0..rounds {
        for (target, measured) in targets.iter().zip(&mut measured) {
            let load = Load {
                address: if shape.stream { target.streams } else { target.address },
                body: chat(shape.mode, shape.stream),
                connections: shape.connections,
                events: if shape.stream { FRAMES } else { 0 },
            };
            let before = target.processor_time();
            let mut sample = load.run(time).map_err(|error| format!("{}: {error}", target.name))?;
            // The warm-up adds a tenth to the measured time.
            measured.processor += (target.processor_time() - before).mul_f64(1.0 / 1.1);
            measured.rates.push(sample.rate());
            measured.middles.push(sample.latency_us(0.5));
            measured.sum.add(sample);
        }
    }
    Ok(Round { measured })
}

fn targets(context: &Context, mock: &Mock) -> Outcome<Vec<Target>> {
    let mut targets = vec![Target::none(mock.address)];
    match &context.nginx {
        Ok(binary) => targets.push(Target::nginx(binary, context.scratch(), mock.address)?),
        Err(why) => eprintln!("nginx is left out: {why}"),
    }
    targets.push(Target::bare(mock.address)?);
    targets.push(Target::router(context, MEMORY, "memory", Some(mock.address))?);
    targets.push(Target::router(context, FULL, "full", Some(mock.address))?);
    Ok(targets)
}

/// Measures complete answers.
pub(crate) fn unary(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "unary";
    let mock = Mock::start(2)?;
    let targets = targets(context, &mock)?;
    let shape = |connections| Shape { mode: Mode::Mock, stream: false, connections };

    let mut one = compare(context, &targets, &shape(1))?;
    latencies(FIGURE, &mut one, rows);
    let many = compare(context, &targets, &shape(32))?;
    rates(FIGURE, "req/s", &many, rows);
    for (name, reference, gate) in [(MEMORY, "nginx", 0.55), (MEMORY, "bare hyper", 0.8), (FULL, "nginx", 0.15)] {
        against(FIGURE, "req/s", &many, (name, reference), gate, rows);
    }

    // If every answer must be on disk first, more callers must get more answers, because they share the syncs.
    let mut last = None;
    let full = &targets[targets.len() - 1..];
    for connections in [8, 32, 128] {
        let rate = compare(context, full, &shape(connections))?.of(FULL).map_or(0.0, Measured::rate);
        let row = Row::new(FIGURE, format!("c={connections} full, rising"), rate, "req/s");
        rows.push(match last.replace((connections, rate)) {
            None => row,
            Some((fewer, before)) => row.beside(format!("c={fewer}"), before).gate(Gate::RatioAtLeast(1.0)),
        });
    }
    Ok(())
}

/// Measures streams that come in one piece, and paced ones.
pub(crate) fn streams(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "streams";
    let mock = Mock::start(2)?;
    let targets = targets(context, &mock)?;
    let shape = |mode, connections| Shape { mode, stream: true, connections };

    let mut one = compare(context, &targets, &shape(Mode::Mock, 1))?;
    latencies(FIGURE, &mut one, rows);
    let many = compare(context, &targets, &shape(Mode::Mock, 32))?;
    rates(FIGURE, "streams/s", &many, rows);
    against(FIGURE, "streams/s", &many, (MEMORY, "bare hyper"), 0.8, rows);

    let paced = compare(context, &targets, &shape(Mode::Paced, 32))?;
    let cost = |name| paced.of(name).map_or(0.0, Measured::cost) / FRAMES as f64;
    for measured in paced.measured.iter().filter(|measured| measured.name != "no proxy") {
        let row = Row::new(FIGURE, format!("c=32 paced, {}", measured.name), cost(measured.name), "us CPU/frame");
        rows.push(if measured.name == MEMORY {
            row.beside("bare hyper", cost("bare hyper")).gate(Gate::RatioAtMost(1.15))
        } else {
            row
        });
    }
    Ok(())
}

fn latencies(figure: &'static str, round: &mut Round, rows: &mut Vec<Row>) {
    let floor = round.of("no proxy").map_or(0.0, Measured::middle);
    for measured in &mut round.measured {
        let middle = measured.middle();
        let note = format!("p99 {:.0} us", measured.sum.latency_us(0.99));
        rows.push(Row::new(figure, format!("c=1 p50, {}", measured.name), middle, "us").note(note));
        if measured.name != "no proxy" {
            let row = Row::new(figure, format!("c=1 added p50, {}", measured.name), middle - floor, "us");
            let gated = measured.name == MEMORY && figure == "unary";
            rows.push(if gated { row.gate(Gate::AtMost(100.0)) } else { row });
        }
    }
}

fn rates(figure: &'static str, unit: &'static str, round: &Round, rows: &mut Vec<Row>) {
    for measured in &round.measured {
        let what = format!("c=32, {}", measured.name);
        let note = format!("p50 {:.0} us", measured.middle());
        let row = Row::new(figure, what, measured.rate(), unit);
        rows.push(if measured.name == "no proxy" {
            row.note(note)
        } else {
            row.note(format!("{note}, {:.0} us CPU each", measured.cost()))
        });
    }
}

fn against(
    figure: &'static str,
    unit: &'static str,
    round: &Round,
    (name, reference): (&str, &str),
    gate: f64,
    rows: &mut Vec<Row>,
) {
    let Some(measured) = round.of(name) else { return };
    let row = Row::new(figure, format!("c=32, {name} beside {reference}"), measured.rate(), unit);
    rows.push(match round.ratio(name, reference) {
        Some((rate, ratio)) => row.beside_at(reference, rate, ratio).gate(Gate::RatioAtLeast(gate)),
        None => row.note(format!("{reference} is not there")),
    });
}
