//! Measures a load of twice the fleet's capacity, and a fleet of which half fails.

use std::ops::RangeInclusive;

use crate::Outcome;
use crate::report::{Gate, Row};

use super::Series;
use super::fleet::{MinerModel, capacity, mixed};
use super::product::Product;
use super::random::Random;
use super::reference::{Choice, Fifo, Queues};
use super::workload::{Request, Source, stretch};
use super::world::{Fate, Policy, play, work};

/// The milliseconds after which a client goes away, equal to the product's default timeout.
const PATIENCE: u64 = 60_000;
/// The part of the time in which the slots fill at first; it does not count.
const FILLING: u64 = 10;

pub(super) fn measure(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    overload(source, seeds.clone(), rows)?;
    for (what, failing) in [("half of the miners fail", 1.0), ("half of the miners fail every second time", 0.5)] {
        failures(source, what, failing, seeds.clone(), rows)?;
    }
    Ok(())
}

fn overload(source: &Source<'_>, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet = mixed();
    let (mut ours, mut most, mut queues) = (Series::default(), Series::default(), Series::default());
    let (mut late, mut refused) = (Series::default(), Series::default());
    for seed in seeds {
        let mut patient = source.lengths(false, &mut Random::new(seed))?;
        let rate = 2.0 * capacity(&fleet, &patient);
        stretch(&mut patient, rate);
        let requests: Vec<Request> =
            patient.iter().map(|one| Request { deadline: one.at + PATIENCE, ..one.clone() }).collect();
        // The fleet's capacity if no client goes away and every slot is always busy.
        let capacity = done_in_time(&patient, &play(&mut Fifo::new(&fleet, &patient), &fleet, &patient, seed)?);
        let fates = play(&mut Product::new(&fleet), &fleet, &requests, seed)?;
        ours.0.push(done_in_time(&requests, &fates));
        most.0.push(capacity);
        let choice = Choice::LeastOutstandingPerSlot;
        let mut reference = Queues::new(choice, &fleet, &requests, seed);
        queues.0.push(done_in_time(&requests, &play(&mut reference, &fleet, &requests, seed)?));
        let count = requests.len() as f64;
        refused.0.push(fates.iter().filter(|fate| fate.refused).count() as f64 * 100.0 / count);
        let in_vain = fates.iter().filter(|fate| !fate.refused && fate.done.is_none()).count();
        late.0.push(in_vain as f64 * 100.0 / count);
    }
    let what = "work done in time at twice the load";
    rows.push(ours.beside(what, "s a second", "all that the fleet can", &most, Some(Gate::RatioAtLeast(0.95))));
    rows.push(ours.beside(what, "s a second", "least outstanding/slots", &queues, None));
    rows.push(refused.row("requests that are refused at once", "%"));
    rows.push(late.row("requests that are taken in vain", "%"));
    Ok(())
}

fn failures(source: &Source<'_>, what: &str, failing: f64, seeds: RangeInclusive<u64>, rows: &mut Vec<Row>) -> Outcome {
    let fleet: Vec<MinerModel> = mixed()
        .into_iter()
        .enumerate()
        .map(|(n, miner)| MinerModel { failing: if n % 2 == 0 { failing } else { 0.0 }, ..miner })
        .collect();
    let sound: Vec<MinerModel> = fleet.iter().filter(|miner| miner.failing == 0.0).cloned().collect();
    let (mut retries, mut naive) = (Series::default(), Series::default());
    let (mut done, mut naive_done) = (Series::default(), Series::default());
    for seed in seeds {
        let mut requests = source.lengths(false, &mut Random::new(seed))?;
        // Nearly as much load as the sound half can serve.
        let rate = 0.8 * capacity(&sound, &requests);
        stretch(&mut requests, rate);
        let look = |policy: &mut dyn Policy, again: &mut Series, done: &mut Series| -> Outcome {
            let fates = play(policy, &fleet, &requests, seed)?;
            let count = requests.len() as f64;
            again
                .0
                .push(fates.iter().map(|fate| f64::from(fate.attempts.saturating_sub(1))).sum::<f64>() * 100.0 / count);
            done.0.push(fates.iter().filter(|fate| fate.done.is_some()).count() as f64 * 100.0 / count);
            Ok(())
        };
        look(&mut Product::new(&fleet), &mut retries, &mut done)?;
        let choice = Choice::LeastOutstandingPerSlot;
        look(&mut Queues::new(choice, &fleet, &requests, seed), &mut naive, &mut naive_done)?;
    }
    let name = "least outstanding/slots, 3 tries";
    rows.push(retries.beside(format!("retries where {what}"), "%", name, &naive, Some(Gate::AtMost(20.0))));
    rows.push(done.beside(format!("requests done where {what}"), "%", name, &naive_done, None));
    Ok(())
}

/// Work a second in answers that were complete in time, after the slots have filled.
fn done_in_time(requests: &[Request], fates: &[Fate]) -> f64 {
    let until = requests.last().map_or(1, |one| one.at);
    work(requests, fates, until / FILLING, until)
}
