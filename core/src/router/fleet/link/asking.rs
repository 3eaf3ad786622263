//! Asks other routers for slots while tasks wait here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Links;
use super::frame::Frame;
use super::identity::Hash;
use super::lent::{MOST_WANTS, STANDS};
use super::partner::Partner;
use crate::engine::{Need, Want, Wanted};
use crate::model::Gid;
use crate::router::shared::Shared;

/// The routers that are asked at first. More are asked while a task still waits.
const FAN_OUT: usize = 4;

/// The least time between two looks at the queue.
const GAP: Duration = Duration::from_millis(4);

/// The greatest time between two looks at the queue while tasks wait.
const ROUND: Duration = Duration::from_millis(20);

/// The last question for one lane.
struct Asked {
    /// Its first task, and the time since which it is the first.
    first: (Gid, Instant),
    /// The routers that were asked, with the tasks and the time.
    told: HashMap<Hash, (Vec<Gid>, Instant)>,
}

/// The number of routers to ask for a task that has waited so long.
fn breadth(waited: Duration) -> usize {
    match waited.as_millis() as usize {
        0..20 => FAN_OUT,
        20..40 => 2 * FAN_OUT,
        40..100 => 4 * FAN_OUT,
        more => 4 * FAN_OUT * (1 + more / 100),
    }
}

impl Links {
    /// Asks the routers that have miners for these lanes.
    fn ask(&self, wanted: Vec<Wanted>, asked: &mut BTreeMap<Need, Asked>) {
        let now = Instant::now();
        let partners: Vec<Arc<Partner>> = self.partners.lock().values().cloned().collect();
        let linked = partners.into_iter().filter_map(|partner| {
            let free = partner.link()?.free();
            Some((partner, free))
        });
        let partners: Vec<(Arc<Partner>, u64)> = linked.collect();
        for (need, before) in asked.iter() {
            if !wanted.iter().any(|lane| lane.need == *need) {
                for (partner, _) in partners.iter().filter(|(one, _)| before.told.contains_key(&one.certificate)) {
                    partner.post(&Frame::Want { need: need.into(), tasks: Vec::new() });
                }
            }
        }
        asked.retain(|need, _| wanted.iter().any(|lane| lane.need == *need));
        self.note_asked(&wanted, now);
        for Wanted { need, wants } in wanted {
            let Some(first) = wants.first().map(|want| want.gid) else { continue };
            let entry =
                asked.entry(need.clone()).or_insert_with(|| Asked { first: (first, now), told: HashMap::new() });
            if entry.first.0 != first {
                entry.first = (first, now);
            }
            // The tasks of which each router has miners that may have them.
            let mut hosts: Vec<_> = partners
                .iter()
                .map(|(partner, free)| {
                    let serves = |want: &&Want| want.hosts.binary_search(&partner.number).is_ok();
                    (partner, *free, wants.iter().filter(serves).collect::<Vec<_>>())
                })
                .filter(|(_, _, wants)| !wants.is_empty())
                .collect();
            hosts.sort_by_key(|(partner, free, _)| {
                (!entry.told.contains_key(&partner.certificate), std::cmp::Reverse(*free), partner.certificate)
            });
            for (partner, _, wants) in hosts.into_iter().take(breadth(now - entry.first.1)) {
                let gids: Vec<Gid> = wants.iter().map(|want| want.gid).collect();
                let told = entry.told.get(&partner.certificate);
                let stands = told.is_some_and(|(tasks, at)| *tasks == gids && now - *at < STANDS / 2);
                if !stands {
                    let tasks = wants.into_iter().map(Into::into).collect();
                    partner.post(&Frame::Want { need: (&need).into(), tasks });
                    entry.told.insert(partner.certificate, (gids, now));
                }
            }
        }
    }

    /// Notes since when slots are asked for.
    fn note_asked(&self, wanted: &[Wanted], now: Instant) {
        let mut asked = self.asked.lock();
        let gids: Vec<Gid> = wanted.iter().flat_map(|lane| lane.wants.iter().map(|want| want.gid)).collect();
        asked.retain(|gid, at| gids.contains(gid) || now - *at < ROUND);
        for gid in gids {
            asked.entry(gid).or_insert(now);
        }
    }

    /// Notes that a slot came for which that task was named.
    pub(super) fn loan_came(&self, gid: Gid, shared: &Shared) {
        if let Some(at) = self.asked.lock().remove(&gid)
            && let Some(membership) = &shared.membership
        {
            membership.figures.loan_wait.observe(at.elapsed().as_secs_f64());
        }
    }
}

impl Shared {
    /// Lets other routers be asked for slots, if tasks wait that their miners might serve.
    pub(in crate::router) fn ask_others(&self, engine: &crate::engine::Engine) {
        if engine.may_borrow()
            && let Some(links) = self.links()
        {
            links.waits.notify_one();
        }
    }

    /// Asks other routers for slots until the router closes.
    pub(in crate::router) async fn keep_asking(self: Arc<Self>) {
        let Some(links) = self.links().cloned() else { return };
        let mut asked = BTreeMap::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = links.waits.notified() => {}
                () = tokio::time::sleep(ROUND), if !asked.is_empty() => {}
            }
            let wanted = self.core.lock().engine.wanted(MOST_WANTS);
            links.ask(wanted, &mut asked);
            tokio::time::sleep(GAP).await;
        }
    }
}
