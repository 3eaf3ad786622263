//! Makes a failing world smaller: it leaves out what happens in it while the failure stays.

use std::collections::BTreeSet;

use crate::world::World;

/// The numbers of `all` that can be left out together while `fails` holds for what is left out. Halves are tried first,
/// then ever smaller parts.
fn left_out(all: u64, mut fails: impl FnMut(&BTreeSet<u64>) -> bool) -> BTreeSet<u64> {
    let mut out = BTreeSet::new();
    let mut size = all / 2;
    while size > 0 {
        let kept: Vec<u64> = (1..=all).filter(|number| !out.contains(number)).collect();
        for part in kept.chunks(size as usize) {
            let more: BTreeSet<u64> = out.iter().chain(part).copied().collect();
            if fails(&more) {
                out = more;
            }
        }
        size /= 2;
    }
    out
}

/// The beginning of a failure without its numbers, by which a smaller world is seen to fail alike.
fn kind(broken: &str) -> String {
    broken.chars().filter(|letter| !letter.is_ascii_digit()).take(24).collect()
}

/// Finds a small part of the world with that seed that fails as the whole world does, and plays it aloud. Gives the
/// failure; `None`: the world does not fail.
pub(crate) fn shrunk(seed: u64) -> Option<String> {
    let broken = World::new(seed, false).run().err()?;
    let all = World::new(seed, false).planned();
    let out = left_out(all, |out| {
        let smaller = World::new(seed, false).without(out.clone()).run().err();
        smaller.is_some_and(|other| kind(&other) == kind(&broken))
    });
    eprintln!("sim: {} of {all} planned events are left", all - out.len() as u64);
    World::new(seed, true).without(out).run().err()
}

#[test]
fn what_a_failure_does_not_need_is_left_out() {
    let needs = |needed: &'static [u64]| move |out: &BTreeSet<u64>| needed.iter().all(|one| !out.contains(one));
    for needed in [&[][..], &[1], &[3, 17], &[20, 19, 1]] {
        let kept: Vec<u64> = {
            let out = left_out(20, needs(needed));
            (1..=20).filter(|number| !out.contains(number)).collect()
        };
        let mut needed = needed.to_vec();
        needed.sort_unstable();
        assert_eq!(kept, needed);
    }
    assert_eq!(kind("I4: a reader of task 12 has"), kind("I4: a reader of task 7 has"));
}
