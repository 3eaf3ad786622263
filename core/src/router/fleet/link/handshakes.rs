//! The handshakes that are under way at the door for links.
//!
//! Anybody who reaches the door may connect to it and keep silent. The door has a bounded number of places for those who
//! have not shown a certificate yet, and never waits for one: a newcomer takes the place of the oldest connection from the
//! address that has the most. Whoever holds many places loses his own, and a router of the fleet, which needs its place for
//! some milliseconds, keeps it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::reach::counted;

/// The greatest number of handshakes under way.
const MOST: usize = 64;

#[derive(Default)]
pub(super) struct Handshakes(Mutex<Places>);

#[derive(Default)]
struct Places {
    /// The connections in the order in which they came.
    taken: BTreeMap<u64, Taken>,
    next: u64,
}

struct Taken {
    from: IpAddr,
    lost: CancellationToken,
}

/// A place, until it is dropped.
pub(super) struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    lost: CancellationToken,
}

impl Handshakes {
    /// Gives a place to a connection from that address.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Place {
        let lost = CancellationToken::new();
        let mut places = self.0.lock();
        if places.taken.len() >= MOST {
            places.make_room();
        }
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, Taken { from: counted(from), lost: lost.clone() });
        drop(places);
        Place { handshakes: Arc::clone(self), number, lost }
    }
}

impl Places {
    /// Takes the place of the oldest connection from the address that has the most.
    fn make_room(&mut self) {
        let mut counts = HashMap::<IpAddr, usize>::new();
        for taken in self.taken.values() {
            *counts.entry(taken.from).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let loser = self.taken.iter().find(|(_, taken)| counts.get(&taken.from) == Some(&most));
        if let Some(taken) = loser.map(|(number, _)| *number).and_then(|number| self.taken.remove(&number)) {
            taken.lost.cancel();
        }
    }
}

impl Place {
    /// Waits until another connection has this place.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.0.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn enter(handshakes: &Arc<Handshakes>, from: &str, times: usize) -> Vec<Place> {
        (0..times).map(|_| handshakes.enter(address(from))).collect()
    }

    fn lost(places: &[Place]) -> Vec<usize> {
        places.iter().enumerate().filter(|(_, place)| place.lost.is_cancelled()).map(|(at, _)| at).collect()
    }

    #[test]
    fn whoever_has_the_most_places_loses_the_oldest() {
        let handshakes = Arc::new(Handshakes::default());
        let members = enter(&handshakes, "192.0.2.1", 2);
        let strangers = enter(&handshakes, "198.51.100.7", MOST - 2);
        assert!(lost(&strangers).is_empty(), "there is room for all");
        let more = enter(&handshakes, "198.51.100.7", 3);
        let newcomer = enter(&handshakes, "192.0.2.9", 1);
        assert_eq!(lost(&strangers), [0, 1, 2, 3]);
        assert!(lost(&members).is_empty() && lost(&more).is_empty() && lost(&newcomer).is_empty());
        // A place that is given back is there for the next one.
        drop(members);
        enter(&handshakes, "203.0.113.5", 2);
        assert_eq!(lost(&strangers), [0, 1, 2, 3]);
        // One that is lost is given back once.
        drop(strangers);
        assert_eq!(handshakes.0.lock().taken.len(), 4);
    }

    #[test]
    fn addresses_that_one_client_may_choose_count_as_one() {
        let handshakes = Arc::new(Handshakes::default());
        let members = enter(&handshakes, "2001:db8:0:1::1", 2);
        let mut strangers: Vec<_> =
            (0..MOST - 2).map(|at| handshakes.enter(address(&format!("2001:db8:0:2::{at:x}")))).collect();
        strangers.push(handshakes.enter(address("2001:db8:0:2:ffff::")));
        assert_eq!((lost(&strangers), lost(&members)), (vec![0], vec![]));
    }
}
