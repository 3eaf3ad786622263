//! The faults of a world: when they begin, and when they end.

use std::time::Duration;

use cortensor_router_testkit::random::Random;

/// The time at which the network is whole again and every host runs.
pub(crate) const WHOLE: Duration = Duration::from_secs(12);

/// The number of the faults, each of which has a name.
pub(crate) const KINDS: usize = 10;

/// Something that a world does at its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Deed {
    /// No message passes between the router and the host.
    Partition(String),
    /// No message passes from the first host to the second.
    OneWay(String, String),
    /// Messages between the router and the host wait.
    Hold(String),
    /// Messages between the router and the host take that long.
    Slow(String, Duration),
    /// The link between the router and the host breaks now and then, and messages are lost.
    Loss(String),
    /// The link between the router and the host is whole, and messages that wait pass.
    Heal(String),
    /// The host stops at once.
    Crash(String),
    /// A host that has stopped starts.
    Start(String),
    /// The router's disk is full, or has room again.
    Full(bool),
    /// The router stops in good order and starts again.
    Stop,
}

/// The deeds of a world with those miners and clients, in the order of their times. The last ones heal every link.
pub(crate) fn plan(chance: &mut Random, miners: u64, clients: u64) -> Vec<(Duration, Deed)> {
    let mut plan = Vec::new();
    for _ in 0..chance.range(3, 8) {
        let at = Duration::from_millis(chance.range(300, 8_500));
        let until = at + Duration::from_millis(chance.range(50, 3_000));
        let miner = format!("miner-{}", chance.below(miners));
        let host = match chance.below(10) {
            0..5 => miner.clone(),
            5..7 => "upstream".to_owned(),
            _ => format!("client-{}", chance.below(clients)),
        };
        let (begin, end) = match chance.below(9) {
            0 => (Deed::Partition(host.clone()), Deed::Heal(host)),
            1 if chance.chance(50) => (Deed::OneWay("router".to_owned(), host.clone()), Deed::Heal(host)),
            1 => (Deed::OneWay(host.clone(), "router".to_owned()), Deed::Heal(host)),
            2 => (Deed::Hold(host.clone()), Deed::Heal(host)),
            3 => (Deed::Slow(host.clone(), Duration::from_millis(chance.range(100, 900))), Deed::Heal(host)),
            4 => (Deed::Loss(host.clone()), Deed::Heal(host)),
            5 if chance.chance(40) => (Deed::Crash("upstream".to_owned()), Deed::Start("upstream".to_owned())),
            5 => (Deed::Crash(miner.clone()), Deed::Start(miner)),
            6 => (Deed::Crash("router".to_owned()), Deed::Start("router".to_owned())),
            7 => (Deed::Full(true), Deed::Full(false)),
            _ => {
                plan.push((at, Deed::Stop));
                continue;
            }
        };
        plan.push((at, begin));
        plan.push((until, end));
    }
    plan.sort_by_key(|(at, _)| *at);
    let miners = (0..miners).map(|number| format!("miner-{number}"));
    let clients = (0..clients).map(|number| format!("client-{number}"));
    let upstream = std::iter::once("upstream".to_owned());
    plan.extend(miners.chain(clients).chain(upstream).map(|host| (WHOLE, Deed::Heal(host))));
    plan
}

impl Deed {
    /// The name of the fault that the deed begins.
    pub(crate) fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Partition(_) => "partition",
            Self::OneWay(..) => "one way",
            Self::Hold(_) => "hold",
            Self::Slow(..) => "slow",
            Self::Loss(_) => "loss",
            Self::Crash(host) if host == "router" => "crash of the router",
            Self::Crash(host) if host == "upstream" => "crash of the upstream",
            Self::Crash(_) => "crash of a miner",
            Self::Full(true) => "full disk",
            Self::Stop => "stop of the router",
            Self::Heal(_) | Self::Start(_) | Self::Full(false) => return None,
        })
    }
}
