//! The figures of a world in words.

use std::fmt::Write as _;

use crate::plan::SLOTS;
use crate::shares::Unfairness;
use crate::words::KINDS;
use crate::world::World;

/// Tokens that an answer has in a second.
const TOKENS_PER_SEC: u64 = 40;
/// The bytes of a frame with a piece of an answer, and of one with a task.
const PIECE: u64 = 110;
const TASK: u64 = 1_500;
/// The bytes of a miner in the roster that a router sends to one that joins.
const ROSTER: u64 = 290;

/// The value below which that share of the values lies.
fn quantile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let at = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or_default()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The figures as a text.
pub(crate) fn of(world: &World) -> String {
    let (plan, counts, mut out) = (&world.plan, &world.counts, String::new());
    let (seconds, routers) = (plan.seconds as f64, plan.routers as f64);
    let begun = (counts.own + counts.elsewhere).max(1);
    let mut waits = counts.waits.clone();
    let _ = writeln!(
        out,
        "  tasks            {:.0}/s began, {:.0} % of them elsewhere; wait p50 {} ms, p99 {} ms",
        begun as f64 / seconds,
        counts.elsewhere as f64 * 100.0 / begun as f64,
        quantile(&mut waits, 0.5),
        quantile(&mut waits, 0.99),
    );
    let busy = counts.slot_ms as f64 / (plan.miners as f64 * f64::from(SLOTS) * seconds * 1e3);
    let _ = writeln!(out, "  slots            {:.1} % of their time with a task", busy * 100.0);
    let about: u64 = [0, 3, 4, 5, 6].iter().map(|kind| counts.frames[*kind]).sum();
    let _ = writeln!(
        out,
        "  frames of loans  {:.0}/s, {:.1} a task, {:.1} a task elsewhere; {:.2} MB/s in all, {:.0} kB/s a router",
        about as f64 / seconds,
        about as f64 / begun as f64,
        about as f64 / counts.elsewhere.max(1) as f64,
        megabytes(counts.bytes) / seconds,
        counts.bytes as f64 / 1e3 / seconds / routers,
    );
    let kinds = KINDS.iter().zip(counts.frames).map(|(name, count)| format!("{name} {:.0}", count as f64 / seconds));
    let _ = writeln!(out, "                   a second: {}", kinds.collect::<Vec<_>>().join(", "));
    let _ = writeln!(
        out,
        "  loans            {} used, {} returned, {} not used in time",
        counts.used, counts.returned, counts.lapsed
    );
    let pieces = counts.elsewhere_ms * TOKENS_PER_SEC / 1_000;
    let _ = writeln!(
        out,
        "  texts elsewhere  {:.0} frames/s, {:.1} MB/s (tasks of {TASK} bytes, {TOKENS_PER_SEC} tokens/s of {PIECE})",
        (pieces + counts.elsewhere) as f64 / seconds,
        megabytes(pieces * PIECE + counts.elsewhere * TASK) / seconds,
    );
    let _ = writeln!(
        out,
        "  transactions     {:.0}/s: {:.0} with {:.1} writes each, and {routers:.0} beats",
        counts.commits as f64 / seconds + routers,
        counts.commits as f64 / seconds,
        counts.writes as f64 / counts.commits.max(1) as f64,
    );
    let others = plan.routers as u64 - 1;
    let _ = writeln!(
        out,
        "  a router joins   {others} links, {:.1} MB of rosters; {} links in all",
        megabytes(plan.miners as u64 * ROSTER),
        plan.routers as u64 * others / 2
    );
    let median = |times: &[u64]| quantile(&mut times.to_vec(), 0.5) as f64 / 1e3;
    let _ = writeln!(
        out,
        "  engines          {:.0} us a look at the queue ({:.1} looks/s a router), {:.1} us an event (medians)",
        median(&world.looks),
        world.looks.len() as f64 / seconds / routers,
        median(&world.steps),
    );
    out
}

/// The figures of a comparison with one queue as a text.
pub(crate) fn fairness(unfair: &Unfairness) -> String {
    format!(
        "  fairness error   {:.1} % at most for a session ({:.0} tasks each), {:.1} % for those at busy routers together\n\
         \x20                  a session at a busy router got {:.3} of what one elsewhere got\n",
        unfair.session * 100.0,
        unfair.tasks,
        unfair.busy * 100.0,
        unfair.ratio,
    )
}
