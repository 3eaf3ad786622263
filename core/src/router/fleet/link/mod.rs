//! Links: one connection to each other router of the fleet. By it a router reads the others' tasks as they run, and hears
//! at once that something has changed. Everything also works without them, by the rows in the database, but later.
//!
//! Of two routers the one with the smaller certificate dials first. The other one tries it too after a while, because it
//! may be the only one that can.

mod asking;
mod borrowed;
mod door;
mod exchange;
mod frame;
mod handshakes;
mod heirs;
mod identity;
mod lent;
mod lent_work;
mod mirror;
mod parcel;
mod partner;
mod peer;
mod reading;
mod recital;
mod roster;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::frame::Pulse;
use self::identity::{Allowed, Hash, Identity, NAME};
use self::lent::LoanBook;
pub(super) use self::mirror::Mirrored;
use self::partner::Partner;
pub(in crate::router) use self::peer::PeerLink;
use self::roster::Roster;
use super::super::shared::Shared;
use crate::Result;
use crate::config::FleetConfig;
use crate::miner::link::End;
use crate::miner::{Door, Network, Transport, chain};
use crate::model::Gid;
use crate::reach::bare;
use crate::store::{Member, Reach};

/// The time within which a connection must be made, with its handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The time for which figures of this router are told to others.
const LOOK: Duration = Duration::from_millis(250);

/// The time after which a router dials that is not the one to dial first.
const SECOND: Duration = Duration::from_secs(3);

/// The links of a router.
pub(in crate::router) struct Links {
    identity: Identity,
    /// The address under which others reach the door; empty: they cannot.
    address: String,
    network: Arc<dyn Network>,
    config: FleetConfig,
    acceptor: TlsAcceptor,
    /// The certificates of the other routers.
    allowed: Allowed,
    /// The place at which links come in, until somebody waits there.
    door: Mutex<Option<Box<dyn Door>>>,
    others: Mutex<HashMap<Hash, Other>>,
    /// The routers with which this one has loans, or may have.
    partners: Mutex<HashMap<Hash, Arc<Partner>>>,
    /// The number of the last one.
    last_partner: AtomicU32,
    /// The routers that have left, and on whose tasks this one works until it is known whether they are dead.
    departed: Mutex<Vec<Arc<Partner>>>,
    /// The miners of this router, as all links tell them.
    roster: Mutex<Roster>,
    /// Whether a miner has come, gone or changed since the roster was made.
    roster_is_stale: AtomicBool,
    /// The figures of this router, as all links tell them, and when they were looked at.
    figures: Mutex<Option<(Instant, Pulse)>>,
    /// The slots that this router lends.
    pub(in crate::router) book: Mutex<LoanBook>,
    /// The tasks for which slots of other routers are asked for, since when.
    asked: Mutex<HashMap<Gid, Instant>>,
    /// Notified when tasks wait that miners of other routers might serve.
    waits: Notify,
}

/// Another router, as the database names it.
struct Other {
    name: String,
    address: String,
    link: Option<Arc<PeerLink>>,
    is_dialled: bool,
    /// The time since which there is no link.
    since: Instant,
    /// Whether a failure to connect was reported since the last link.
    is_reported: bool,
}

impl Links {
    /// The way in which other routers reach this one.
    pub(super) fn reach(&self) -> Reach {
        Reach { address: self.address.clone(), certificate: self.identity.hash }
    }

    /// The link to the router with that certificate.
    pub(super) fn to(&self, certificate: Hash) -> Option<Arc<PeerLink>> {
        self.others.lock().get(&certificate).and_then(|other| other.link.clone())
    }

    /// Tells all other routers that something has changed in the database.
    pub(super) fn tell_news(&self) {
        for other in self.others.lock().values() {
            if let Some(link) = &other.link {
                link.tell_news();
            }
        }
    }

    /// Learns who is there, cuts the links to those that are not there any more, and gives those that are to be dialled.
    fn learn(&self, members: &[Member]) -> Vec<Hash> {
        let own = self.identity.hash;
        let reachable = members.iter().filter_map(|member| Some((member, member.reach.as_ref()?)));
        let known: Vec<(&Member, &Reach)> =
            reachable.filter(|(_, reach)| reach.certificate != own).take(self.config.max_links).collect();
        *self.allowed.write() = known.iter().map(|(_, reach)| reach.certificate).collect::<BTreeSet<Hash>>();
        let mut others = self.others.lock();
        others.retain(|certificate, other| {
            let is_known = known.iter().any(|(_, reach)| reach.certificate == *certificate);
            if let Some(link) = other.link.as_ref().filter(|_| !is_known) {
                link.link.close(1000, "the router is gone");
            }
            is_known
        });
        let mut due = Vec::new();
        for (member, reach) in known {
            let other = others.entry(reach.certificate).or_insert_with(|| Other {
                name: member.name.clone(),
                address: String::new(),
                link: None,
                is_dialled: false,
                since: Instant::now(),
                is_reported: false,
            });
            other.address.clone_from(&reach.address);
            let is_first = own < reach.certificate || self.address.is_empty();
            let is_due = is_first || other.since.elapsed() >= SECOND;
            if other.link.is_none() && !other.is_dialled && is_due && !reach.address.is_empty() {
                other.is_dialled = true;
                due.push(reach.certificate);
            }
        }
        due
    }

    /// Makes a link of this router count, unless there is one that counts more. Of two connections both routers keep the
    /// one that the router with the smaller certificate dialled, and of two such ones the newer.
    pub(super) fn admit(&self, link: &Arc<PeerLink>) -> bool {
        let mut others = self.others.lock();
        let Some(other) = others.get_mut(&link.certificate) else { return false };
        let is_first = |link: &PeerLink| link.dialled == (self.identity.hash < link.certificate);
        if let Some(known) = &other.link {
            if is_first(known) && !is_first(link) {
                return false;
            }
            known.link.close(1000, "a newer connection takes its place");
        }
        (other.link, other.is_reported) = (Some(link.clone()), false);
        tracing::info!(router = other.name, "linked to another router");
        true
    }

    /// Tells all other routers which miners this one has.
    fn tell_roster(&self) {
        self.roster_is_stale.store(true, Ordering::Release);
        for other in self.others.lock().values() {
            if let Some(link) = &other.link {
                link.tell_roster();
            }
        }
    }

    /// The router with that certificate, as one with which slots are lent and borrowed.
    fn partner(&self, certificate: Hash, shared: &Arc<Shared>) -> Arc<Partner> {
        let name = self.others.lock().get(&certificate).map(|other| other.name.clone()).unwrap_or_default();
        let mut partners = self.partners.lock();
        let new = || {
            let number = self.last_partner.fetch_add(1, Ordering::Relaxed) + 1;
            Partner::new(shared, certificate, number, &name)
        };
        partners.entry(certificate).or_insert_with(new).clone()
    }

    /// The slots that are lent to the router with that certificate, and those that are borrowed from it.
    pub(super) fn loans_with(&self, certificate: &Hash) -> (u64, u64) {
        let borrowed = self.partners.lock().get(certificate).map_or(0, |partner| partner.borrows());
        (self.book.lock().lent_to(certificate), borrowed)
    }

    /// Notes the end of a link.
    fn part(&self, link: &Arc<PeerLink>, end: End) {
        let mut others = self.others.lock();
        let Some(other) = others.get_mut(&link.certificate) else { return };
        if other.link.as_ref().is_some_and(|known| Arc::ptr_eq(known, link)) {
            (other.link, other.since) = (None, Instant::now());
            tracing::info!(router = other.name, ?end, "the link to another router has ended");
        }
    }

    /// Connects to a router.
    ///
    /// # Errors
    /// The reason in words.
    async fn dial(&self, certificate: Hash) -> Result<Box<dyn Transport>, String> {
        let address = self.others.lock().get(&certificate).map(|other| other.address.clone()).unwrap_or_default();
        let (host, port) = address.rsplit_once(':').ok_or("its address is no HOST:PORT")?;
        let host = bare(host);
        let port = port.parse().map_err(|_| "its address has no port")?;
        let connecting = async {
            let stream = self.network.connect(host, port).await.map_err(|error| chain(&error))?;
            let tls = self.identity.client(certificate).map_err(|error| error.to_string())?;
            let name = ServerName::try_from(NAME).map_err(|error| error.to_string())?;
            TlsConnector::from(tls).connect(name, stream).await.map_err(|error| chain(&error))
        };
        match tokio::time::timeout(HANDSHAKE, connecting).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(words)) => Err(words),
            Err(_) => Err(format!("it does not answer within {} s", HANDSHAKE.as_secs())),
        }
    }

    /// Notes that a router was dialled, and tells the operator once if it was not reached.
    fn dialled(&self, certificate: Hash, failure: Option<&str>) {
        let mut others = self.others.lock();
        let Some(other) = others.get_mut(&certificate) else { return };
        other.is_dialled = false;
        let Some(failure) = failure else { return };
        // Just after its start the other router may not have heard of this one.
        let is_news = other.since.elapsed() > SECOND * 2 && !std::mem::replace(&mut other.is_reported, true);
        let (router, address) = (&other.name, &other.address);
        if is_news {
            tracing::warn!(
                router,
                address,
                failure,
                "another router cannot be reached: its tasks are read by their rows"
            );
        } else {
            tracing::debug!(router, address, failure, "another router was not reached");
        }
    }
}

impl Shared {
    /// Counts the end of a loan. `side`: `lent` or `borrowed`.
    fn count_loan(&self, side: &'static str, end: super::figures::LoanEnd) {
        if let Some(membership) = &self.membership {
            membership.figures.loan(side, end);
        }
    }

    /// Forgets a router with which there are no loans any more.
    fn forget_partner(&self, partner: &Arc<Partner>) {
        let Some(links) = self.links() else { return };
        let mut partners = links.partners.lock();
        if partners.get(&partner.certificate).is_some_and(|known| Arc::ptr_eq(known, partner)) {
            partners.remove(&partner.certificate);
        }
    }

    /// Tells all other routers which miners this one has.
    pub(in crate::router) fn miners_changed(&self) {
        if let Some(links) = self.links() {
            links.tell_roster();
        }
    }

    /// The present figures of this router. They are looked at once for all links.
    fn pulse(&self) -> Pulse {
        let (Some(links), Some(membership)) = (self.links(), &self.membership) else { return Pulse::default() };
        let mut known = links.figures.lock();
        if let Some((_, pulse)) = known.filter(|(at, _)| at.elapsed() < LOOK) {
            return pulse;
        }
        let epoch = membership.epoch();
        let core = self.core.lock();
        let (queued, running) = core.stands();
        let miners = core.own_miners().count() as u64;
        let free = core.engine.free_slots();
        let pulse = Pulse { miners, queued, running, free, epoch, ..Pulse::default() };
        *known = Some((Instant::now(), pulse));
        pulse
    }

    /// Lets the other routers be told with the next pulses that miners of this one have changed.
    pub(in crate::router) fn miners_shift(&self) {
        if let Some(links) = self.links() {
            links.roster_is_stale.store(true, Ordering::Release);
        }
    }

    /// The slots that are lent at present.
    pub(in crate::router) fn lent(&self) -> u64 {
        self.links().map_or(0, |links| links.book.lock().lent())
    }

    /// The links of this router; `None`: it has none.
    pub(super) fn links(&self) -> Option<&Arc<Links>> {
        self.membership.as_ref()?.links.as_ref()
    }

    /// The link to the member with that epoch.
    pub(super) fn link_to(&self, epoch: u64) -> Option<Arc<PeerLink>> {
        let membership = self.membership.as_ref()?;
        let certificate = {
            let seen = membership.seen.lock();
            let member = seen.members.iter().find(|member| member.epoch == epoch)?;
            member.reach.as_ref()?.certificate
        };
        membership.links.as_ref()?.to(certificate)
    }

    /// Dials the members to which there is no link.
    pub(super) fn tend_known(self: &Arc<Self>) {
        let (Some(links), Some(membership)) = (self.links(), &self.membership) else { return };
        let due = links.learn(&membership.seen.lock().members);
        let gone: Vec<Arc<Partner>> = {
            let (allowed, partners, departed) = (links.allowed.read(), links.partners.lock(), links.departed.lock());
            let all = partners.values().chain(departed.iter());
            all.filter(|partner| !allowed.contains(&partner.certificate)).cloned().collect()
        };
        for partner in gone {
            self.bury(partner);
        }
        for certificate in due {
            let (shared, links) = (self.clone(), links.clone());
            let work = async move {
                let dialled = tokio::select! {
                    () = shared.stop.cancelled() => return,
                    dialled = links.dial(certificate) => dialled,
                };
                let failure = match dialled {
                    // It closes the connection of a router that it does not know, after the handshake.
                    Ok(stream) => {
                        let was_heard = shared.keep_link(stream, certificate, true).await;
                        let words = "it does not take this router: it has not heard of it, or has links enough";
                        (!was_heard).then(|| words.to_owned())
                    }
                    Err(words) => Some(words),
                };
                links.dialled(certificate, failure.as_deref());
            };
            self.background.spawn_on(work, &self.runtime);
        }
    }

    /// Runs a link to its end. It counts from the first sign of life of the other router on. Gives whether it came to that.
    async fn keep_link(self: &Arc<Self>, stream: Box<dyn Transport>, certificate: Hash, dialled: bool) -> bool {
        let Some(links) = self.links() else { return false };
        let link = PeerLink::new(certificate, dialled, &links.config, self);
        let dead = Duration::from_millis(links.config.link_timeout_ms);
        let end = tokio::select! {
            () = async {
                self.stop.cancelled().await;
                link.link.close(1001, "the router closes");
                std::future::pending::<()>().await;
            } => End::Told,
            end = link.run(stream, dead) => end,
        };
        links.part(&link, end);
        if let Some(partner) = link.partner() {
            partner.part(&link, end);
        }
        link.was_heard()
    }
}
