//! Measures how long requests wait for a miner, at three loads, on sixteen different miners.

use std::ops::RangeInclusive;

use crate::Outcome;
use crate::report::{Gate, Row, quantile};

use super::Series;
use super::fleet::{MinerModel, capacity, mixed};
use super::product::Product;
use super::random::Random;
use super::reference::{Choice, Fifo, Queues};
use super::workload::{Request, Source, stretch};
use super::world::{Policy, play, seconds};

/// The waits of one policy, in seconds.
#[derive(Default)]
struct Waits {
    p50: Series,
    p99: Series,
}

impl Waits {
    fn play(&mut self, policy: &mut dyn Policy, fleet: &[MinerModel], requests: &[Request], seed: u64) -> Outcome {
        let fates = play(policy, fleet, requests, seed)?;
        let mut waits = seconds(requests.iter().zip(&fates), |fate| fate.began);
        self.p50.0.push(quantile(&mut waits, 0.5));
        self.p99.0.push(quantile(&mut waits, 0.99));
        Ok(())
    }
}

pub(super) fn measure(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = mixed();
    for load in [0.5, 0.7, 0.85] {
        let (mut ours, mut per_slot, mut in_turn) = (Waits::default(), Waits::default(), Waits::default());
        let (mut fifo, mut outstanding, mut random) = (Waits::default(), Waits::default(), Waits::default());
        let mut shared = Waits::default();
        for seed in seeds.clone() {
            let mut requests = source.lengths(true, &mut Random::new(seed))?;
            let rate = load * capacity(&fleet, &requests);
            stretch(&mut requests, rate);
            // With many clients, none may take more than its share, which delays clients that submit much at once.
            shared.play(&mut Product::new(&fleet), &fleet, &requests, seed)?;
            // With one client, only the choice of miners differs. The references do not distinguish clients.
            for one in &mut requests {
                one.session = 0;
            }
            ours.play(&mut Product::new(&fleet), &fleet, &requests, seed)?;
            fifo.play(&mut Fifo::new(&fleet, &requests), &fleet, &requests, seed)?;
            for (waits, choice) in [
                (&mut per_slot, Choice::LeastOutstandingPerSlot),
                (&mut in_turn, Choice::RoundRobin),
                (&mut outstanding, Choice::LeastOutstanding),
                (&mut random, Choice::Random),
            ] {
                waits.play(&mut Queues::new(choice, &fleet, &requests, seed), &fleet, &requests, seed)?;
            }
        }
        let what = format!("wait at {load} load, p99");
        let mut beside = |name: &str, other: &Waits, most: Option<f64>| {
            rows.push(ours.p99.beside(what.clone(), "s", name, &other.p99, most.map(Gate::RatioAtMost)));
        };
        beside("least outstanding/slots", &per_slot, Some(0.6));
        beside("round robin", &in_turn, Some(0.01));
        beside("least outstanding", &outstanding, None);
        beside("random", &random, None);
        beside("one queue, fastest", &fifo, None);
        let name = "least outstanding/slots";
        let what = format!("wait at {load} load of 100 sessions");
        rows.push(shared.p99.beside(format!("{what}, p99"), "s", name, &per_slot.p99, None));
        rows.push(shared.p50.beside(format!("{what}, p50"), "s", name, &per_slot.p50, None));
    }
    Ok(())
}
