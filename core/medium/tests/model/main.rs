//! Plays random sequences of the store's operations on every store, and compares each answer with that of a reference
//! model: with batches, with failures of the medium, and with restarts in between.
//!
//! A failing sequence is made as short as possible and printed. Its seed goes to `regressions.txt` beside this file,
//! and every later run begins with the seeds of that file. `PROPTEST_CASES` sets the number of sequences.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod operation;
mod sequence;
mod subject;
mod trial;
mod world;

use proptest::test_runner::{Config, FileFailurePersistence};
use proptest_state_machine::{StateMachineTest, prop_state_machine};

use operation::Step;
use sequence::Sequence;
use trial::Trial;
use world::World;

/// The number of sequences if `PROPTEST_CASES` does not say another one.
const CASES: u32 = 24;

/// The greatest number of changes by which a failing sequence is made shorter.
const SHRINKS: u32 = 4_000;

/// All stores, each with its own trial of the sequence.
struct Stores;

impl StateMachineTest for Stores {
    type SystemUnderTest = Vec<Trial>;
    type Reference = Sequence;

    fn init_test(_: &World) -> Vec<Trial> {
        subject::subjects().into_iter().map(|(name, make)| Trial::new(name, make())).collect()
    }

    fn apply(mut trials: Vec<Trial>, _: &World, step: Step) -> Vec<Trial> {
        for trial in &mut trials {
            trial.play(&step);
        }
        trials
    }

    fn teardown(trials: Vec<Trial>, _: World) {
        trials.into_iter().for_each(Trial::finish);
    }
}

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    Config {
        cases,
        max_shrink_iters: SHRINKS,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/model/regressions.txt"))),
        ..Config::default()
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn every_store_answers_as_the_model_does(sequential 1..60 => Stores);
}
