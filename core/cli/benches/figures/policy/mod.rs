//! Measures the quality of the dispatch policy: the engine in a simulated world of model miners, beside widely used
//! policies with equal requests. The figures do not depend on the machine; equal seeds give equal figures.

mod affinity;
mod apart;
mod fairness;
mod fleet;
mod overload;
mod product;
mod reference;
mod routers;
mod wait;
mod world;

use crate::report::{Gate, Row, median};
use crate::{Context, Outcome};

use cortensor_router_testkit::random;
use cortensor_router_testkit::workload::{self, Source};

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let source = match &context.traces {
        Some(dir) => Source::Traces(dir),
        None => Source::Synthetic,
    };
    let seeds = 1..=context.pick(2, 8);
    wait::measure(&source, seeds.clone(), rows)?;
    affinity::measure(&source, seeds.clone(), rows)?;
    fairness::measure(&source, seeds.clone(), rows)?;
    overload::measure(&source, seeds.clone(), rows)?;
    apart::measure(&source, seeds, rows)
}

/// The least value of a reference in seconds (the unit of the clock), so that no ratio divides by zero.
const LEAST: f64 = 0.001;

/// The values of one figure, one for each seed.
#[derive(Debug, Default)]
struct Series(Vec<f64>);

impl Series {
    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// A row with the mean, and with the range over the seeds.
    fn row(&self, what: impl Into<String>, unit: &'static str) -> Row {
        let note = format!("seeds {:.2} to {:.2}", self.least(), self.most());
        Row::new("policy", what, self.mean(), unit).note(note)
    }

    /// A row beside a reference. Its ratio is the median of the seeds' own ratios.
    fn beside(&self, what: impl Into<String>, unit: &'static str, name: &str, other: &Self, gate: Option<Gate>) -> Row {
        let ratios = Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other.max(LEAST)).collect());
        let (least, most) = (self.least(), self.most());
        let note = format!("seeds {least:.2} to {most:.2}, {:.3} x to {:.3} x", ratios.least(), ratios.most());
        let row = Row::new("policy", what, self.mean(), unit)
            .beside_at(name, other.mean(), median(ratios.0.clone()))
            .note(note);
        match gate {
            Some(gate) => row.gate(gate),
            None => row,
        }
    }
}
