//! How long requests wait for a miner, at three loads, on sixteen unlike miners.

use std::ops::RangeInclusive;

use crate::Outcome;
use crate::report::{Gate, Row, quantile};

use super::Series;
use super::fleet::{capacity, mixed};
use super::product::Product;
use super::random::Random;
use super::reference::{Choice, Fifo, Queues};
use super::workload::{Request, Source, stretch};
use super::world::{Fate, Policy, play};

pub(super) fn measure(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = mixed();
    for load in [0.5, 0.7, 0.85] {
        let (mut ours, mut per_slot, mut in_turn) = (Series::default(), Series::default(), Series::default());
        let (mut fifo, mut outstanding, mut random) = (Series::default(), Series::default(), Series::default());
        for seed in seeds.clone() {
            let mut requests = source.lengths(true, &mut Random::new(seed))?;
            let rate = load * capacity(&fleet, &requests);
            stretch(&mut requests, rate);
            let wait = |policy: &mut dyn Policy| -> Outcome<f64> {
                Ok(p99_wait(&requests, &play(policy, &fleet, &requests, seed)?))
            };
            let queues = |choice| Queues::new(choice, &fleet, &requests, seed);
            ours.0.push(wait(&mut Product::new(&fleet))?);
            per_slot.0.push(wait(&mut queues(Choice::LeastOutstandingPerSlot))?);
            in_turn.0.push(wait(&mut queues(Choice::RoundRobin))?);
            outstanding.0.push(wait(&mut queues(Choice::LeastOutstanding))?);
            random.0.push(wait(&mut queues(Choice::Random))?);
            fifo.0.push(wait(&mut Fifo::new(&fleet, &requests))?);
        }
        let what = format!("p99 wait at {load} load");
        let gate = Some(Gate::RatioAtMost(0.6));
        rows.push(ours.beside(what.clone(), "s", "least outstanding/slots", &per_slot, gate));
        let gate = Some(Gate::RatioAtMost(0.01));
        rows.push(ours.beside(what.clone(), "s", "round robin", &in_turn, gate));
        for (name, other) in [("least outstanding", outstanding), ("random", random), ("one queue, fastest", fifo)] {
            rows.push(ours.beside(what.clone(), "s", name, &other, None));
        }
    }
    Ok(())
}

/// Seconds; one that never began waited for ever.
fn p99_wait(requests: &[Request], fates: &[Fate]) -> f64 {
    let mut waits: Vec<f64> = requests
        .iter()
        .zip(fates)
        .map(|(one, fate)| fate.began.map_or(f64::INFINITY, |began| (began - one.at) as f64 / 1_000.0))
        .collect();
    quantile(&mut waits, 0.99)
}
