//! Measures the share of the prompts that the miners' caches hold, and its effect on the time to the first token.

use std::ops::RangeInclusive;

use crate::Outcome;
use crate::report::{Gate, Row, quantile};

use super::Series;
use super::fleet::{alike, capacity};
use super::product::Product;
use super::random::Random;
use super::reference::{Choice, Queues};
use super::workload::{Request, Source, stretch};
use super::world::{Policy, play, seconds};

/// The results of one policy.
#[derive(Default)]
struct Seen {
    hit: Series,
    p50: Series,
    p99: Series,
}

impl Seen {
    fn play(&mut self, policy: &mut dyn Policy, requests: &[Request], seed: u64) -> Outcome {
        let fates = play(policy, &alike(), requests, seed)?;
        let prompt: u64 = requests.iter().map(|one| one.prompt).sum();
        let cached: u64 = fates.iter().map(|fate| fate.cached).sum();
        let mut first = seconds(requests.iter().zip(&fates), |fate| fate.first_token);
        self.hit.0.push(cached as f64 * 100.0 / prompt as f64);
        self.p50.0.push(quantile(&mut first, 0.5));
        self.p99.0.push(quantile(&mut first, 0.99));
        Ok(())
    }
}

pub(super) fn measure(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = alike();
    for load in [0.5, 0.8, 0.95] {
        let (mut ours, mut least, mut hash) = (Seen::default(), Seen::default(), Seen::default());
        for seed in seeds.clone() {
            let mut requests = source.conversations(&mut Random::new(seed))?;
            let rate = load * capacity(&fleet, &requests);
            stretch(&mut requests, rate);
            ours.play(&mut Product::new(&fleet), &requests, seed)?;
            least.play(&mut Queues::new(Choice::LeastOutstanding, &fleet, &requests, seed), &requests, seed)?;
            hash.play(&mut Queues::new(Choice::PrefixHash, &fleet, &requests, seed), &requests, seed)?;
        }
        let what = format!("prompt tokens in the cache at {load} load");
        let gate = (load <= 0.8).then_some(Gate::RatioAtLeast(0.85));
        rows.push(ours.hit.beside(what.clone(), "%", "prefix hash", &hash.hit, gate));
        rows.push(ours.hit.beside(what, "%", "least outstanding", &least.hit, None));
        let what = format!("first token at {load} load");
        let gate = (load > 0.9).then_some(Gate::RatioAtMost(1.0));
        rows.push(ours.p99.beside(format!("{what}, p99"), "s", "least outstanding", &least.p99, gate));
        rows.push(ours.p99.beside(format!("{what}, p99"), "s", "prefix hash", &hash.p99, None));
        rows.push(ours.p50.beside(format!("{what}, p50"), "s", "least outstanding", &least.p50, None));
        rows.push(ours.p50.beside(format!("{what}, p50"), "s", "prefix hash", &hash.p50, None));
    }
    Ok(())
}
