//! Drives a target without libFuzzer: the corpus first, then changes of it until the plan is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cortensor_router_testkit::random::Random;

use crate::corpus::{corpus, failures};
use crate::mutation::changed;
use crate::targets::Target;

/// The most tries to make a failing input shorter.
const SHRINKS: u32 = 20_000;

/// How long a run lasts.
#[derive(Debug, Clone, Copy)]
pub enum Plan {
    /// That number of inputs beyond the corpus.
    Inputs(u64),
    /// As many inputs as fit into that time.
    Time(Duration),
}

/// Gives the target its corpus and changes of it. Equal seeds give equal inputs. Returns the number of inputs.
///
/// # Panics
/// If an input breaks a rule. The shortest such input that was found is in the directory of the target's failures.
pub fn run(target: &Target, seed: u64, plan: Plan) -> u64 {
    let corpus = corpus(target);
    for data in &corpus {
        tried(target, seed, data);
    }
    let mut random = Random::new(seed);
    let (from, mut count) = (Instant::now(), 0);
    while match plan {
        Plan::Inputs(most) => count < most,
        Plan::Time(time) => from.elapsed() < time,
    } {
        tried(target, seed, &changed(&mut random, &corpus, target.words));
        count += 1;
    }
    count + corpus.len() as u64
}

fn tried(target: &Target, seed: u64, data: &[u8]) {
    if let Some(broken) = broken(target, data) {
        // The tries to make the input shorter fail by the hundred, and their messages say nothing new.
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let short = shortened(target, data);
        std::panic::set_hook(told);
        let path = kept(target, &short);
        panic!(
            "{}: {broken}\nwith seed {seed}; the input, made shorter, is {}:\n{}",
            target.name,
            path.display(),
            short.escape_ascii()
        );
    }
}

/// The message of the rule that an input breaks.
fn broken(target: &Target, data: &[u8]) -> Option<String> {
    let why = catch_unwind(AssertUnwindSafe(|| target.check(data))).err()?;
    let text = why.downcast_ref::<String>().cloned();
    Some(text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// Leaves out parts of a failing input, ever smaller ones, as long as it fails.
fn shortened(target: &Target, data: &[u8]) -> Vec<u8> {
    let (mut short, mut size, mut tries) = (data.to_vec(), data.len() / 2, 0);
    while size > 0 && tries < SHRINKS {
        let mut at = 0;
        while at < short.len() && tries < SHRINKS {
            let mut less = short.clone();
            less.drain(at..(at + size).min(short.len()));
            tries += 1;
            if broken(target, &less).is_some() {
                short = less;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    short
}

fn kept(target: &Target, data: &[u8]) -> PathBuf {
    let dir = failures(target);
    let path = dir.join(format!("crash-{:016x}", hash(data)));
    if let Err(error) = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, data)) {
        panic!("{}: {error}", path.display());
    }
    path
}

/// FNV-1a, to name a file by its content.
fn hash(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
