//! Equal load on several targets. The targets take turns, round by round, so that other load on the machine affects all
//! of them, and a ratio is the median of the rounds' own ratios.

use std::time::Duration;

use crate::load::{Load, Sample};
use crate::mock::{Mode, PROMPT};
use crate::report::{Gate, Row, median};
use crate::target::Target;
use crate::{Context, Outcome};

/// A load without an address.
pub(crate) struct Shape {
    pub(crate) body: Body,
    /// Whether the answer is a stream.
    pub(crate) stream: bool,
    pub(crate) connections: usize,
}

/// The body of a load's requests.
pub(crate) enum Body {
    /// The usual chat, answered in this form, for the target's own name of the model.
    Chat(Mode),
    Text(String),
}

impl Shape {
    /// Whole answers to the usual chat.
    pub(crate) fn whole(connections: usize) -> Self {
        Self { body: Body::Chat(Mode::Mock), stream: false, connections }
    }

    /// Streams of this form.
    pub(crate) fn stream(mode: Mode, connections: usize) -> Self {
        Self { body: Body::Chat(mode), stream: true, connections }
    }

    /// The load on one target.
    pub(crate) fn on(&self, target: &Target) -> Load {
        let stream = self.stream;
        let body = match &self.body {
            Body::Chat(mode) => (target.say)(&target.model(*mode), *mode, stream, PROMPT),
            Body::Text(text) => text.clone(),
        };
        Load {
            address: if stream { target.streams } else { target.address },
            path: target.path,
            bodies: vec![body],
            connections: self.connections,
            events: if stream { target.frames } else { 0 },
        }
    }
}

/// The results of one target.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) sum: Sample,
    rates: Vec<f64>,
    middles: Vec<f64>,
    /// The processor time of an answer in each round, in microseconds.
    costs: Vec<f64>,
}

impl Measured {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// The median latency in microseconds.
    pub(crate) fn middle(&self) -> f64 {
        median(self.middles.clone())
    }

    /// The processor time of an answer in microseconds.
    pub(crate) fn cost(&self) -> f64 {
        median(self.costs.clone())
    }
}

/// The results of all targets with one load.
pub(crate) struct Round {
    pub(crate) measured: Vec<Measured>,
}

/// The values of two targets that are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    /// Answers a second.
    Rate,
    /// Processor time of an answer.
    Cost,
    /// The median latency beyond that of another target, which is the floor.
    AddedTo(&'static str),
}

impl Round {
    pub(crate) fn of(&self, name: &str) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.name == name)
    }

    /// The values of each round; `None` if the target is not there.
    fn values(&self, name: &str, of: Of) -> Option<Vec<f64>> {
        let measured = self.of(name)?;
        Some(match of {
            Of::Rate => measured.rates.clone(),
            Of::Cost => measured.costs.clone(),
            Of::AddedTo(floor) => {
                measured.middles.iter().zip(&self.of(floor)?.middles).map(|(middle, floor)| middle - floor).collect()
            }
        })
    }

    /// A row that compares two targets, with a gate if there is one. Without the reference, the row says so and has no
    /// gate.
    pub(crate) fn against(
        &self,
        row: Row,
        of: Of,
        (name, reference): (&str, &str),
        gate: impl Into<Option<Gate>>,
    ) -> Row {
        let (Some(these), Some(others)) = (self.values(name, of), self.values(reference, of)) else {
            return row.note(format!("{reference} is not there"));
        };
        beside(row, these, (reference, others), gate.into())
    }
}

/// A row that compares the values of two targets round by round, with a gate if there is one. Where the reference has no
/// value to compare with, the row says so and has no gate.
pub(crate) fn beside(row: Row, these: Vec<f64>, (reference, others): (&str, Vec<f64>), gate: Option<Gate>) -> Row {
    let ratios: Vec<f64> =
        these.iter().zip(&others).filter(|(_, other)| **other > 0.0).map(|(this, other)| this / other).collect();
    let row = row.with_value(median(these));
    // On a machine whose processors sleep between two requests, a proxy may add less than the floor varies.
    if ratios.len() * 2 <= others.len() {
        return row.note(format!("{reference} added nothing that was measured"));
    }
    let row = row.beside_at(reference, median(others), median(ratios));
    match gate {
        Some(gate) => row.gate(gate),
        None => row,
    }
}

/// The number of rounds and the time of each.
fn rounds(context: &Context) -> (usize, Duration) {
    context.pick((3, Duration::from_millis(700)), (5, Duration::from_secs(2)))
}

/// Puts the load on all targets in turns.
pub(crate) fn compare(context: &Context, targets: &[Target], shape: &Shape) -> Outcome<Round> {
    let (rounds, time) = rounds(context);
    let mut measured: Vec<Measured> = targets
        .iter()
        .map(|target| Measured {
            name: target.name,
            sum: Sample::default(),
            rates: Vec::new(),
            middles: Vec::new(),
            costs: Vec::new(),
        })
        .collect();
    for _ in 0..rounds {
        for (target, measured) in targets.iter().zip(&mut measured) {
            let before = target.processor_time();
            let mut sample = shape.on(target).run(time).map_err(|error| format!("{}: {error}", target.name))?;
            // The warm-up adds a tenth to the measured time.
            let used = (target.processor_time() - before).mul_f64(1.0 / 1.1);
            measured.costs.push(used.as_secs_f64() * 1e6 / (sample.answers.max(1) as f64));
            measured.rates.push(sample.rate());
            measured.middles.push(sample.latency_us(0.5));
            measured.sum.add(sample);
        }
    }
    Ok(Round { measured })
}
