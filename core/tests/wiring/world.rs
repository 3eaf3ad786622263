//! One world: its hosts, its network, and the deeds of its plan.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cortensor_router::internals::store::MemoryStore;
use cortensor_router_testkit::random::Random;
use tokio::sync::Notify;
use turmoil::{Builder, Sim};

use crate::certificate::CERTIFICATE;
use crate::client::Client;
use crate::disk::{File, Kept};
use crate::faults::{Deed, plan};
use crate::http::Door;
use crate::journal::{Counts, Journal};
use crate::{miner, router, upstream, verify};

/// The latency of a link without faults, at most.
const LATENCY: Duration = Duration::from_millis(40);
/// The share of messages after which a link that loses messages breaks.
const LOSS: f64 = 0.02;
/// One of this many worlds keeps its tasks in a database on the disk.
const FILES: u64 = 3;
/// One of this many worlds has a listener that speaks TLS.
const ENCRYPTED: u64 = 4;
/// The time by which everything must have ended. Tasks that were restored may wait for their deadline.
const END: Duration = Duration::from_mins(2);

/// Runs the world of that seed. If `tells` is set, it prints what happened.
///
/// # Errors
/// Everything that happened, and the promises that were broken.
pub(crate) fn run(seed: u64, tells: bool) -> Result<Counts, String> {
    let journal = Rc::new(Journal::default());
    let outcome = play(seed, &journal);
    if tells {
        print!("{}", journal.story());
    }
    outcome.map_err(|why| if tells { why } else { format!("{}{why}", journal.story()) })
}

fn play(seed: u64, journal: &Rc<Journal>) -> Result<Counts, String> {
    let mut chance = Random::new(seed);
    let (miners, clients) = (chance.range(2, 4), chance.range(2, 4));
    let dir = tempfile::tempdir().map_err(|error| format!("no directory for the database: {error}"))?;
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(5))
        .simulation_duration(END)
        .max_message_latency(LATENCY)
        .repair_rate(0.2)
        .tcp_capacity(chance.range(4, 64) as usize)
        .build();
    // The store deletes nothing, so that everything can be checked at the end.
    let kept = match seed % FILES {
        0 => Kept::File(Arc::new(File::new(dir.path()))),
        _ => Kept::Memory(Arc::new(MemoryStore::new(0))),
    };
    let (full, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let tls = seed.is_multiple_of(ENCRYPTED);
    let door = Rc::new(if tls { Door::tls(CERTIFICATE.connector()) } else { Door::plain() });
    sim.host("upstream", move || upstream::run(seed));
    {
        let (full, stop) = (Arc::clone(&full), Arc::clone(&stop));
        sim.host("router", move || router::run(kept.clone(), Arc::clone(&full), Arc::clone(&stop), (seed, tls)));
    }
    for number in 0..miners {
        let (name, runs) = (format!("miner-{number}"), Cell::new(0));
        sim.host(name.clone(), move || {
            runs.set(runs.get() + 1);
            miner::run(name.clone(), seed.wrapping_mul(100) + number, runs.get(), tls)
        });
    }
    for number in 0..clients {
        let chance = Random::new(seed.wrapping_mul(1_000) + number);
        let client = Client::new(number, chance, Rc::clone(&door), Rc::clone(journal));
        sim.client(format!("client-{number}"), client.run());
    }
    sim.client("checker", verify::run(door, Rc::clone(journal), miners + 1));
    let mut plan = plan(&mut chance, miners, clients).into_iter().peekable();
    loop {
        while let Some((_, deed)) = plan.next_if(|(at, _)| *at <= sim.elapsed()) {
            journal.tell_at(sim.elapsed(), format_args!("{deed:?}"));
            if let Some(name) = deed.name() {
                journal.count(|counts| *counts.faults.entry(name).or_default() += 1);
            }
            carry_out(&mut sim, &deed, &full, &stop);
        }
        match sim.step() {
            Ok(false) => {}
            Ok(true) => return journal.outcome(),
            Err(error) => {
                let broken = journal.outcome().err().unwrap_or_default();
                return Err(format!("{error}: tasks are left that do not end, or a host failed\n{broken}"));
            }
        }
    }
}

fn carry_out(sim: &mut Sim<'_>, deed: &Deed, full: &AtomicBool, stop: &Notify) {
    match deed {
        Deed::Partition(host) => sim.partition("router", host.as_str()),
        Deed::OneWay(from, to) => sim.partition_oneway(from.as_str(), to.as_str()),
        Deed::Hold(host) => sim.hold("router", host.as_str()),
        Deed::Slow(host, latency) => sim.set_link_latency("router", host.as_str(), *latency),
        Deed::Loss(host) => sim.set_link_fail_rate("router", host.as_str(), LOSS),
        Deed::Heal(host) => {
            let host = host.as_str();
            sim.set_link_fail_rate("router", host, 0.0);
            sim.set_link_latency("router", host, LATENCY / 2);
            sim.release("router", host);
        }
        Deed::Crash(host) => sim.crash(host.as_str()),
        Deed::Start(host) if sim.is_host_running(host.as_str()) => {}
        Deed::Start(host) => sim.bounce(host.as_str()),
        Deed::Full(now) => full.store(*now, Ordering::SeqCst),
        Deed::Stop => stop.notify_waiters(),
    }
}
