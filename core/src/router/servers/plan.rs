//! Decides which model servers start and which ones go. It is a function of what the router sees, so that tests can play
//! all cases.

use std::sync::Arc;

use crate::engine::MinerKey;
use crate::model::Timestamp;

/// The phase of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Phase {
    /// It does not run.
    Stopped,
    /// It runs and is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It gets no more tasks, or is ending.
    Stopping,
    /// It ended by itself, or did not get ready.
    Failed,
}

impl Phase {
    /// Whether the server has processes.
    pub(super) fn runs(self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Stopping)
    }
}

/// A server as the plan sees it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) key: MinerKey,
    pub(super) name: Arc<str>,
    pub(super) group: Option<Arc<str>>,
    pub(super) on_demand: bool,
    pub(super) phase: Phase,
    /// The time at which the phase began.
    pub(super) since: Timestamp,
    /// The time at which the oldest task came in that waits for it; `None`: no task does.
    pub(super) called: Option<Timestamp>,
    /// Its tasks.
    pub(super) in_flight: u32,
    /// The time at which it last had a task.
    pub(super) busy_at: Timestamp,
    pub(super) took_ms: u64,
    pub(super) idle_stop_ms: u64,
    pub(super) min_stay_ms: u64,
    /// The time from which on it may be started.
    pub(super) retry_at: Timestamp,
    /// Whether the upstream was removed or replaced, so that it never starts again.
    pub(super) retired: bool,
}

/// A decision about one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// It starts.
    Start(MinerKey),
    /// It is stopped, because it has had nothing to do for too long.
    Rest(MinerKey),
    /// It finishes its tasks and is then stopped, because tasks wait for the other server of its group.
    GiveWay(MinerKey, Arc<str>),
}

impl Seen {
    fn wants_to_start(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Failed)
            && !self.retired
            && (!self.on_demand || self.called.is_some())
    }

    /// Whether the two must not run at the same time. A server that was replaced has the name of the one that follows.
    fn excludes(&self, other: &Self) -> bool {
        self.key != other.key && (self.name == other.name || self.group.is_some() && self.group == other.group)
    }

    /// The time until which it keeps its place although tasks wait for another server of its group.
    fn stays_until(&self) -> Timestamp {
        let works = self.in_flight > 0;
        self.since.plus(if works { self.min_stay_ms.max(self.took_ms) } else { self.min_stay_ms })
    }
}

/// The decisions at that time, and the time at which the next one may be due without anything else happening.
pub(super) fn plan(seen: &[Seen], now: Timestamp) -> (Vec<Decision>, Option<Timestamp>) {
    let (mut decisions, mut next) = (Vec::new(), None::<Timestamp>);
    let mut look_at = |at: Timestamp| next = Some(next.map_or(at, |known| known.min(at)));
    let mut waiting: Vec<&Seen> = Vec::new();
    for one in seen.iter().filter(|one| one.wants_to_start()) {
        if one.retry_at > now {
            look_at(one.retry_at);
        } else {
            waiting.push(one);
        }
    }
    // The server for which a task has waited longest goes first.
    waiting.sort_by_key(|one| (one.called.unwrap_or(Timestamp(0)), one.key));
    let mut starting: Vec<&Seen> = Vec::new();
    let mut leaving: Vec<MinerKey> = Vec::new();
    for one in waiting {
        let mut is_free = !starting.iter().any(|other| one.excludes(other));
        for other in seen.iter().filter(|other| other.phase.runs() && one.excludes(other)) {
            is_free = false;
            if other.phase != Phase::Ready || other.retired || leaving.contains(&other.key) {
                continue;
            }
            if other.stays_until() <= now {
                leaving.push(other.key);
                decisions.push(Decision::GiveWay(other.key, one.name.clone()));
            } else {
                look_at(other.stays_until());
            }
        }
        if is_free {
            starting.push(one);
            decisions.push(Decision::Start(one.key));
        }
    }
    for one in seen.iter().filter(|one| one.phase == Phase::Ready && !one.retired && one.idle_stop_ms > 0) {
        if one.in_flight > 0 || leaving.contains(&one.key) {
            continue;
        }
        let due = one.busy_at.plus(one.idle_stop_ms);
        if due <= now {
            decisions.push(Decision::Rest(one.key));
        } else {
            look_at(due);
        }
    }
    (decisions, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(key: u32, group: Option<&str>) -> Seen {
        Seen {
            key: MinerKey(key),
            name: Arc::from(format!("s{key}")),
            group: group.map(Arc::from),
            on_demand: true,
            phase: Phase::Stopped,
            since: Timestamp(0),
            called: None,
            in_flight: 0,
            busy_at: Timestamp(0),
            took_ms: 0,
            idle_stop_ms: 0,
            min_stay_ms: 100,
            retry_at: Timestamp(0),
            retired: false,
        }
    }

    fn called(key: u32, group: Option<&str>, since: u64) -> Seen {
        Seen { called: Some(Timestamp(since)), ..server(key, group) }
    }

    fn ready(key: u32, group: Option<&str>, since: u64) -> Seen {
        Seen { phase: Phase::Ready, since: Timestamp(since), busy_at: Timestamp(since), ..server(key, group) }
    }

    fn start(key: u32) -> Decision {
        Decision::Start(MinerKey(key))
    }

    fn give_way(key: u32, to: u32) -> Decision {
        Decision::GiveWay(MinerKey(key), Arc::from(format!("s{to}")))
    }

    #[test]
    fn each_case_has_its_decision() {
        let gpu = Some("gpu");
        let at = |millis: u64| Some(Timestamp(millis));
        for (case, seen, decisions, next) in [
            ("nothing to do", vec![server(1, None)], vec![], None),
            ("always on", vec![Seen { on_demand: false, ..server(1, None) }], vec![start(1)], None),
            ("a task waits", vec![called(1, None, 900)], vec![start(1)], None),
            ("two groups", vec![called(1, gpu, 900), called(2, Some("cpu"), 900)], vec![start(1), start(2)], None),
            ("the oldest task first", vec![called(1, gpu, 900), called(2, gpu, 800)], vec![start(2)], None),
            (
                "too soon after a failure",
                vec![Seen { phase: Phase::Failed, retry_at: Timestamp(1_500), ..called(1, None, 900) }],
                vec![],
                at(1_500),
            ),
            (
                "a server that failed does not hold up its group",
                vec![
                    Seen { phase: Phase::Failed, retry_at: Timestamp(1_500), ..called(1, gpu, 800) },
                    called(2, gpu, 900),
                ],
                vec![start(2)],
                at(1_500),
            ),
            ("the other stays", vec![ready(1, gpu, 950), called(2, gpu, 990)], vec![], at(1_050)),
            ("the other goes", vec![ready(1, gpu, 900), called(2, gpu, 990)], vec![give_way(1, 2)], None),
            (
                "the other works, and its start took longer than its stay",
                vec![Seen { in_flight: 1, took_ms: 400, ..ready(1, gpu, 900) }, called(2, gpu, 990)],
                vec![],
                at(1_300),
            ),
            (
                "the other has worked long enough",
                vec![Seen { in_flight: 1, took_ms: 400, ..ready(1, gpu, 500) }, called(2, gpu, 990)],
                vec![give_way(1, 2)],
                None,
            ),
            (
                "the other only begins",
                vec![Seen { phase: Phase::Starting, ..ready(1, gpu, 0) }, called(2, gpu, 990)],
                vec![],
                None,
            ),
            (
                "the other still ends",
                vec![Seen { phase: Phase::Stopping, ..ready(1, gpu, 0) }, called(2, gpu, 990), called(3, gpu, 995)],
                vec![],
                None,
            ),
            (
                "two want the same place",
                vec![ready(1, gpu, 0), called(2, gpu, 990), called(3, gpu, 995)],
                vec![give_way(1, 2)],
                None,
            ),
            (
                "the old server of that name must end first",
                vec![
                    Seen { retired: true, ..ready(1, None, 0) },
                    Seen { name: Arc::from("s1"), on_demand: false, ..server(2, None) },
                ],
                vec![],
                None,
            ),
            ("a removed server never starts", vec![Seen { retired: true, ..called(1, None, 1) }], vec![], None),
            (
                "idle for long enough",
                vec![Seen { idle_stop_ms: 50, ..ready(1, None, 950) }],
                vec![Decision::Rest(MinerKey(1))],
                None,
            ),
            ("idle", vec![Seen { idle_stop_ms: 51, ..ready(1, None, 950) }], vec![], at(1_001)),
            ("it works", vec![Seen { idle_stop_ms: 1, in_flight: 1, ..ready(1, None, 950) }], vec![], None),
        ] {
            assert_eq!(plan(&seen, Timestamp(1_000)), (decisions, next), "{case}");
        }
    }

    /// Plays servers of one group for which tasks come in without end. Gives how often each of them started, and for how
    /// many milliseconds it worked.
    fn play(count: u32, load_ms: u64, min_stay_ms: u64, total_ms: u64) -> Vec<(u32, u64)> {
        let mut servers: Vec<Seen> =
            (1..=count).map(|key| Seen { min_stay_ms, took_ms: load_ms, ..called(key, Some("gpu"), 0) }).collect();
        let mut done = vec![(0, 0); count as usize];
        for now in 0..total_ms {
            for (server, done) in servers.iter_mut().zip(&mut done) {
                let ready_at = server.since.plus(load_ms);
                match server.phase {
                    Phase::Starting if ready_at.0 <= now => {
                        (server.phase, server.since, server.called) = (Phase::Ready, Timestamp(now), None);
                        server.in_flight = 1;
                    }
                    Phase::Ready => done.1 += 1,
                    Phase::Stopping => {
                        (server.phase, server.called, server.in_flight) = (Phase::Stopped, Some(Timestamp(now)), 0);
                    }
                    _ => {}
                }
            }
            let (decisions, _) = plan(&servers, Timestamp(now));
            for decision in decisions {
                let (Decision::Start(key) | Decision::Rest(key) | Decision::GiveWay(key, _)) = &decision;
                let at = key.0 as usize - 1;
                servers[at].since = Timestamp(now);
                servers[at].phase = if decision == Decision::Start(*key) { Phase::Starting } else { Phase::Stopping };
                done[at].0 += u32::from(decision == Decision::Start(*key));
            }
            assert!(servers.iter().filter(|one| one.phase.runs()).count() <= 1, "two servers of a group run");
        }
        done
    }

    #[test]
    fn servers_of_a_group_share_the_machine_and_do_not_thrash() {
        for (count, load_ms, min_stay_ms) in [(2, 50, 500), (2, 2_000, 500), (3, 300, 0), (5, 100, 400)] {
            let total = 60_000;
            let done = play(count, load_ms, min_stay_ms, total);
            let times: Vec<u64> = done.iter().map(|(_, worked)| *worked).collect();
            let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            let slice = min_stay_ms.max(load_ms) + load_ms + 2;
            assert!(most - least <= slice, "one of them starves: {times:?}");
            let worked: u64 = times.iter().sum();
            assert!(2 * worked + slice >= total, "they mostly start: {times:?} of {total}");
        }
    }
}
