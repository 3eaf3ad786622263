//! Measures three routers that lend each other slots beside one engine with all miners: waits, caches and fairness.

use std::ops::RangeInclusive;

use crate::Outcome;
use crate::report::{Gate, Row, quantile};

use super::Series;
use super::fairness::Dump;
use super::fleet::{MinerModel, alike, capacity, mixed};
use super::product::Product;
use super::random::Random;
use super::routers::Routers;
use super::workload::{Request, Source, stretch};
use super::world::{Fate, Policy, play, seconds, work};

/// The most by which three routers may be worse than one.
const MOST: f64 = 1.1;
/// The seconds that count as no wait: nobody tells shorter ones apart beside a first token.
const FLOOR: f64 = 0.05;

/// The fates of the requests with one engine, and with three.
struct Both([Vec<Fate>; 2]);

impl Both {
    fn play(
        fleet: &[MinerModel],
        requests: &[Request],
        seed: u64,
        entry: fn(usize, &Request) -> usize,
    ) -> Outcome<Self> {
        let mut one = Product::new(fleet);
        let mut three = Routers::new(fleet, entry);
        let each = |policy: &mut dyn Policy| play(policy, fleet, requests, seed);
        Ok(Self([each(&mut one)?, each(&mut three)?]))
    }

    /// Adds a figure of each to the series.
    fn add(&self, to: &mut [Series; 2], of: impl Fn(&[Fate]) -> f64) {
        for (series, fates) in to.iter_mut().zip(&self.0) {
            series.0.push(of(fates));
        }
    }
}

/// The row of three routers beside one.
fn row([one, three]: &[Series; 2], what: &str, unit: &'static str, gate: Gate) -> Row {
    three.beside(format!("three routers: {what}"), unit, "one", one, Some(gate))
}

/// The 99th of a hundred such times.
fn p99(requests: &[Request], fates: &[Fate], until: impl Fn(&Fate) -> Option<u64>) -> f64 {
    quantile(&mut seconds(requests.iter().zip(fates), until), 0.99).max(FLOOR)
}

pub(super) fn measure(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    waits(source, seeds.clone(), rows)?;
    caches(source, seeds.clone(), rows)?;
    fairness(source, seeds, rows)
}

fn waits(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = mixed();
    for load in [0.5, 0.7, 0.85] {
        let mut waits = <[Series; 2]>::default();
        for seed in seeds.clone() {
            let mut requests = source.lengths(true, &mut Random::new(seed))?;
            let rate = load * capacity(&fleet, &requests);
            stretch(&mut requests, rate);
            // One client, as where one engine is compared with other policies. Its requests come to all routers in turn.
            for one in &mut requests {
                one.session = 0;
            }
            let both = Both::play(&fleet, &requests, seed, |request, _| request)?;
            both.add(&mut waits, |fates| p99(&requests, fates, |fate| fate.began));
        }
        rows.push(row(&waits, &format!("wait at {load} load, p99"), "s", Gate::RatioAtMost(MOST)));
    }
    Ok(())
}

fn caches(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = alike();
    for load in [0.5, 0.8, 0.95] {
        let (mut hit, mut first) = (<[Series; 2]>::default(), <[Series; 2]>::default());
        for seed in seeds.clone() {
            let mut requests = source.conversations(&mut Random::new(seed))?;
            let rate = load * capacity(&fleet, &requests);
            stretch(&mut requests, rate);
            let prompt: u64 = requests.iter().map(|one| one.prompt).sum();
            // A client stays at its router.
            let both = Both::play(&fleet, &requests, seed, |_, one| one.session as usize)?;
            both.add(&mut hit, |fates| {
                fates.iter().map(|fate| fate.cached).sum::<u64>() as f64 * 100.0 / prompt as f64
            });
            both.add(&mut first, |fates| p99(&requests, fates, |fate| fate.first_token));
        }
        let gate = Gate::RatioAtLeast(0.91);
        rows.push(row(&hit, &format!("prompt tokens in the cache at {load} load"), "%", gate));
        rows.push(row(&first, &format!("first token at {load} load, p99"), "s", Gate::RatioAtMost(MOST)));
    }
    Ok(())
}

fn fairness(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = mixed();
    let (mut p99, mut p50, mut rate) = (<[Series; 2]>::default(), <[Series; 2]>::default(), <[Series; 2]>::default());
    for seed in seeds {
        let dump = Dump::new(source, &fleet, seed)?;
        let both = Both::play(&fleet, &dump.requests, seed, |_, one| one.session as usize)?;
        let until = both.0.iter().map(|fates| dump.end(fates)).max().unwrap_or(u64::MAX);
        both.add(&mut p99, |fates| dump.wait(fates, until, 0.99).max(FLOOR));
        both.add(&mut p50, |fates| dump.wait(fates, until, 0.5).max(FLOOR));
        both.add(&mut rate, |fates| work(&dump.requests, fates, dump.from, until));
    }
    let what = "others' wait beside a session that dumps 2 000";
    rows.push(row(&p99, &format!("{what}, p99"), "s", Gate::RatioAtMost(MOST)));
    rows.push(row(&p50, &format!("{what}, p50"), "s", Gate::RatioAtMost(MOST)));
    rows.push(row(&rate, "work done in that time", "s a second", Gate::RatioAtLeast(0.91)));
    Ok(())
}
