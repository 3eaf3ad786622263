//! Lets many routers with many miners lend each other slots, with their real engines in virtual time, and prints what that
//! takes: frames and bytes over links, transactions of the database, waits, the share of each session, and the time and
//! memory of the engines themselves.
//!
//! Each task takes eight seconds on average, a frame a millisecond, and a commit two. Miners have four slots. Frames with
//! prompts and answers are counted beside those about loans, because they depend on the texts.
#![allow(clippy::disallowed_types, reason = "it measures the engine, and is no part of it")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that reports to the one who runs it")]

mod arrivals;
mod place;
mod plan;
mod random;
mod report;
mod shares;
mod words;
mod world;

use std::process::ExitCode;

use plan::Plan;
use shares::Unfairness;
use world::World;

/// The number after that argument.
fn argument(name: &str, default: u64) -> Result<u64, String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    match (arguments.next(), arguments.next()) {
        (None, _) => Ok(default),
        (_, Some(text)) => text.parse().map_err(|_| format!("{name} must be a number, not {text:?}")),
        _ => Err(format!("{name} needs a number")),
    }
}

fn main() -> ExitCode {
    let read = || {
        let plan = Plan {
            routers: argument("--routers", 100)? as usize,
            engines: argument("--routers", 100)? as usize,
            miners: argument("--miners", 10_000)? as usize,
            seconds: argument("--seconds", 16)?,
            seed: argument("--seed", 1)?,
            load: 0.0,
        };
        if plan.routers == 0 || plan.miners < plan.routers {
            return Err("every router needs a miner".to_owned());
        }
        Ok(plan)
    };
    let plan = match read() {
        Ok(plan) => plan,
        Err(wrong) => {
            println!("lending: {wrong}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "{} routers, {} miners of 4 slots, {} s of virtual time after as long a start",
        plan.routers, plan.miners, plan.seconds
    );
    for (name, load) in [("70 % load", 0.7), ("90 % load", 0.9), ("overload", 2.0)] {
        let mut world = World::new(&Plan { load, ..plan });
        world.run();
        if load < 0.8 {
            let bytes = world.roster_bytes;
            println!("{bytes} bytes of memory for each miner in each engine");
        }
        println!("\n{name}, a third of it at a tenth of the routers");
        print!("{}", report::of(&world));
    }
    let fair = plan.for_shares();
    println!(
        "\nshares beside those of one queue: {} routers, {} miners, {} s of overload after as long a start",
        fair.routers, fair.miners, fair.seconds
    );
    let [shared, central] = [fair, fair.central()].map(|plan| {
        let mut world = World::new(&plan);
        world.run();
        world
    });
    print!("{}", report::fairness(&Unfairness::between(&shared, &central)));
    ExitCode::SUCCESS
}
