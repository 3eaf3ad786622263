//! Measures how a session that submits all its requests at once affects the other sessions.

use std::ops::RangeInclusive;

use crate::Outcome;
use crate::report::{Gate, Row, quantile};

use super::Series;
use super::fleet::{MinerModel, capacity, mixed};
use super::product::Product;
use super::random::Random;
use super::reference::Fifo;
use super::workload::{Request, SESSIONS, Source, stretch};
use super::world::{Fate, play, seconds, work};

/// The number of requests that one session submits at once.
const DUMPED: usize = 2_000;
/// The time of that submit, as a share of the time that the workload spans.
const WHEN: f64 = 0.2;

/// Requests of which some come all at once, in a session of their own.
pub(super) struct Dump {
    pub(super) requests: Vec<Request>,
    /// The time at which they come.
    pub(super) from: u64,
}

impl Dump {
    pub(super) fn new(source: &Source<'_>, fleet: &[MinerModel], seed: u64) -> Outcome<Self> {
        let mut requests = source.lengths(false, &mut Random::new(seed))?;
        let rate = 0.6 * capacity(fleet, &requests);
        stretch(&mut requests, rate);
        let from = (requests.last().map_or(0, |one| one.at) as f64 * WHEN) as u64;
        // They resemble those of the others.
        let mut random = Random::new(seed ^ 0xd0_0d);
        let dump: Vec<Request> = (0..DUMPED)
            .map(|_| {
                let like = &requests[random.range(0, requests.len() as u64 - 1) as usize];
                Request { at: from, session: SESSIONS, ..like.clone() }
            })
            .collect();
        requests.extend(dump);
        Ok(Self { requests, from })
    }

    /// The time at which the last of them was done.
    pub(super) fn end(&self, fates: &[Fate]) -> u64 {
        let dumped = self.requests.iter().zip(fates).filter(|(one, _)| one.session == SESSIONS);
        dumped.filter_map(|(_, fate)| fate.done).max().unwrap_or(u64::MAX)
    }

    /// The seconds that requests of other sessions waited if they arrived between the dump and that time.
    pub(super) fn wait(&self, fates: &[Fate], until: u64, share: f64) -> f64 {
        let is_beside = |one: &Request| one.session != SESSIONS && (self.from..until).contains(&one.at);
        let beside = self.requests.iter().zip(fates).filter(|(one, _)| is_beside(one));
        quantile(&mut seconds(beside, |fate| fate.began), share)
    }
}

pub(super) fn measure(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = mixed();
    let (mut ours, mut fifo) = ([Series::default(), Series::default()], [Series::default(), Series::default()]);
    let (mut ours_ends, mut fifo_ends) = (Series::default(), Series::default());
    let (mut ours_work, mut fifo_work) = (Series::default(), Series::default());
    for seed in seeds {
        let dump = Dump::new(source, &fleet, seed)?;
        let (requests, from) = (&dump.requests, dump.from);
        let by_us = play(&mut Product::new(&fleet), &fleet, requests, seed)?;
        let in_order = play(&mut Fifo::new(&fleet, requests), &fleet, requests, seed)?;
        let (our_end, fifo_end) = (dump.end(&by_us), dump.end(&in_order));
        // The requests that arrive while either policy still has a part of that work.
        let until = our_end.max(fifo_end);
        for (share, index) in [(0.5, 0), (0.99, 1)] {
            ours[index].0.push(dump.wait(&by_us, until, share));
            fifo[index].0.push(dump.wait(&in_order, until, share));
        }
        ours_ends.0.push((our_end - from) as f64 / 1_000.0);
        fifo_ends.0.push((fifo_end - from) as f64 / 1_000.0);
        // The time while both policies have more work than they can do.
        ours_work.0.push(work(requests, &by_us, from, fifo_end));
        fifo_work.0.push(work(requests, &in_order, from, fifo_end));
    }
    let gate = Some(Gate::RatioAtMost(0.05));
    let what = "others' wait beside a session that dumps 2 000";
    rows.push(ours[1].beside(format!("{what}, p99"), "s", "order of arrival", &fifo[1], gate));
    rows.push(ours[0].beside(format!("{what}, p50"), "s", "order of arrival", &fifo[0], None));
    let gate = Some(Gate::RatioAtLeast(0.98));
    rows.push(ours_work.beside("work done in that time", "s a second", "order of arrival", &fifo_work, gate));
    rows.push(ours_ends.beside("the dump is done after", "s", "order of arrival", &fifo_ends, None));
    Ok(())
}
