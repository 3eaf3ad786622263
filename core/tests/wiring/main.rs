//! Runs the listener, the miner socket and miners that dial in over simulated networks, whose faults are drawn by a
//! seed, and checks what clients see.
//!
//! A world has one router, an upstream, two to four miners and two to four clients, each on a host of its own with a
//! clock of its own. Links are cut both ways or one way, held, slowed down and made to lose messages; miners, the
//! upstream and the router crash and start again; the router is also stopped in good order. The router keeps its tasks
//! in a store that outlives it, acknowledges late and is full at times: SQLite in some worlds, memory in the others. In
//! some worlds the listener speaks TLS.
//!
//! `CORTENSOR_WIRING_SEEDS` is the number of worlds, `CORTENSOR_WIRING_SEED` the first seed. `cargo xtask wiring` sets
//! both.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what a test does not expect fails it, and it reports")]

mod certificate;
mod client;
mod disk;
mod faults;
mod http;
mod journal;
mod miner;
mod router;
mod upstream;
mod verify;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use cortensor_router_testkit::setting;
use parking_lot::Mutex;

use self::journal::Counts;

#[test]
fn no_fault_of_the_network_breaks_a_promise() {
    let first = setting("CORTENSOR_WIRING_SEED").unwrap_or(1);
    let worlds = setting("CORTENSOR_WIRING_SEEDS").unwrap_or(200);
    let (next, total, broken) = (AtomicU64::new(first), Mutex::new(Counts::default()), Mutex::new(Vec::new()));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + worlds || !broken.lock().is_empty() {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| world::run(seed, worlds == 1))) {
                        Ok(Ok(counts)) => total.lock().add(&counts),
                        Ok(Err(why)) => broken.lock().push((seed, why)),
                        Err(_) => broken.lock().push((seed, "a host panicked; its message is above".to_owned())),
                    }
                }
            });
        }
    });
    let total = total.into_inner();
    println!("wiring: {worlds} worlds from seed {first} in {:.1?}: {total}", begun.elapsed());
    if let Some((seed, why)) = broken.into_inner().into_iter().min() {
        panic!("seed {seed}: {why}\nreplay it: cargo xtask wiring --seed {seed}");
    }
    if worlds >= 100 {
        total.check_coverage();
    }
}
