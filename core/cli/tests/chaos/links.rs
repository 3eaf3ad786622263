//! The connections between clients, router, miners and upstream, each through a proxy.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use cortensor_router_testkit::Proxy;
use cortensor_router_testkit::proxy::{Faults, Way};
use cortensor_router_testkit::random::Random;

/// The proxies.
pub(crate) struct Links {
    /// From the clients to the router.
    pub(crate) clients: Proxy,
    /// From the miners to the router.
    pub(crate) miners: Proxy,
    /// From the router to its upstream.
    pub(crate) upstream: Proxy,
    /// The runtime of the proxies.
    _runtime: tokio::runtime::Runtime,
}

/// The kinds of faults of a link.
const KINDS: [&str; 9] =
    ["slow", "narrow", "sliced", "reset", "half closed", "one way", "black hole", "refused", "cut"];

impl Links {
    /// Starts the proxies. The router's port is not known yet.
    pub(crate) fn start(upstream: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (clients, miners, upstream) =
            runtime.block_on(async { tokio::join!(Proxy::to(at(1)), Proxy::to(at(1)), Proxy::to(at(upstream))) });
        Self { clients, miners, upstream, _runtime: runtime }
    }

    /// Passes new connections on to the router on that port.
    pub(crate) fn aim(&self, port: u16) {
        let router = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.clients.aim(router);
        self.miners.aim(router);
    }
}

/// The kinds of faults that links have had. Every kind comes once before any comes again.
#[derive(Default)]
pub(crate) struct Kinds {
    left: Vec<usize>,
    counts: [u64; KINDS.len()],
}

impl Kinds {
    /// Breaks a link in the next of the [`KINDS`].
    pub(crate) fn spoil(&mut self, link: &Proxy, chance: &mut Random) {
        let all: Vec<usize> = (0..KINDS.len()).collect();
        let kind = card(&mut self.left, &all, chance);
        self.counts[kind] += 1;
        spoil(link, kind, chance);
    }

    /// How often each kind came, in words.
    pub(crate) fn words(&self) -> String {
        KINDS.iter().zip(self.counts).fold(String::new(), |mut text, (name, count)| {
            let _ = write!(text, "{}{name} {count}", if text.is_empty() { "" } else { ", " });
            text
        })
    }
}

/// Takes a card; an empty pile is filled again.
pub(crate) fn card<T: Copy>(left: &mut Vec<T>, all: &[T], chance: &mut Random) -> T {
    if left.is_empty() {
        left.extend_from_slice(all);
    }
    let place = chance.below(left.len() as u64) as usize;
    left.swap_remove(place)
}

fn spoil(link: &Proxy, kind: usize, chance: &mut Random) {
    let millis = |chance: &mut Random, most| Duration::from_millis(chance.below(most));
    let one = |way: Way, up: bool| {
        if up { Faults { up: way, ..Faults::default() } } else { Faults { down: way, ..Faults::default() } }
    };
    let (up, bytes) = (chance.chance(50), chance.range(1, 900));
    link.set(match kind {
        0 => Faults::both(Way::slow(millis(chance, 100), millis(chance, 50))),
        1 => Faults::both(Way { bytes_per_sec: Some(chance.range(4_000, 20_000) as u32), ..Way::default() }),
        2 => Faults::both(Way { slice: Some(1), ..Way::default() }),
        3 => one(Way { reset_after: Some(bytes), ..Way::default() }, up),
        4 => one(Way { close_after: Some(bytes), ..Way::default() }, up),
        5 => one(Way::held(), up),
        6 => Faults::black_hole(),
        7 => Faults::refused(),
        _ => return link.cut(),
    });
}
