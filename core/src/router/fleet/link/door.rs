//! The door at which the links of other routers come in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::handshakes::Handshakes;
use super::identity::{Allowed, Identity, hash};
use super::{HANDSHAKE, Links};
use crate::config::Config;
use crate::miner::{Network, Transport};
use crate::router::shared::Shared;
use crate::{Error, ErrorKind, Result};

/// The pause after a connection that the system did not give.
const PAUSE: Duration = Duration::from_millis(100);

impl Links {
    /// Makes the certificate of this router, and opens the door for the links of others. `None`: the network has no doors.
    ///
    /// # Errors
    /// `InvalidArgument` names the setting of an address that cannot be used.
    pub(in crate::router) async fn open(config: &Config, network: Arc<dyn Network>) -> Result<Option<Arc<Self>>> {
        let settings = &config.fleet;
        if !settings.links {
            return Ok(None);
        }
        let host = match &settings.host {
            Some(host) => host.clone(),
            None => own_address(config.storage.url.as_deref()).to_string(),
        };
        let door = match network.listen(&host, settings.port).await {
            Ok(door) => door,
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => return Ok(None),
            Err(error) => {
                let is_in_use = error.kind() == std::io::ErrorKind::AddrInUse;
                let param = if is_in_use { "fleet.port" } else { "fleet.host" };
                let port = settings.port;
                let words = format!(
                    "this router cannot take links of other routers at {host} port {port}: {error}: set fleet.host to an \
                     address of this machine and fleet.port to a free port, or fleet.links to false"
                );
                return Err(Error::new(ErrorKind::InvalidArgument, words).with_param(param));
            }
        };
        let address = settings.address.clone().unwrap_or_else(|| {
            let host =
                host.parse().map_or(host.clone(), |ip: IpAddr| if ip.is_ipv6() { format!("[{ip}]") } else { host });
            format!("{host}:{}", door.port())
        });
        let identity = Identity::new()?;
        let allowed = Allowed::new(RwLock::default());
        let acceptor = TlsAcceptor::from(identity.server(&allowed)?);
        tracing::info!(
            address,
            "other routers of the fleet reach this one here, by TLS with certificates of their own"
        );
        Ok(Some(Arc::new(Self {
            identity,
            address,
            network,
            config: settings.clone(),
            acceptor,
            allowed,
            door: Mutex::new(Some(door)),
            others: Mutex::default(),
            partners: Mutex::default(),
            last_partner: std::sync::atomic::AtomicU32::new(0),
            departed: Mutex::default(),
            roster: Mutex::default(),
            roster_is_stale: std::sync::atomic::AtomicBool::new(true),
            figures: Mutex::default(),
            book: Mutex::default(),
            asked: Mutex::default(),
            waits: Notify::new(),
        })))
    }
}

impl Shared {
    /// Takes the links of other routers until the router closes.
    pub(in crate::router) async fn take_links(self: Arc<Self>) {
        let Some(links) = self.links().cloned() else { return };
        let Some(mut door) = links.door.lock().take() else { return };
        let handshakes = Arc::new(Handshakes::default());
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = door.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a link of another router was not taken");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (shared, links, place) = (self.clone(), links.clone(), handshakes.enter(from));
            let work = async move {
                let shaken = tokio::select! {
                    shaken = tokio::time::timeout(HANDSHAKE, links.acceptor.accept(stream)) => shaken,
                    () = place.lost() => {
                        return tracing::debug!(%from, "a connection without a handshake made room for another one");
                    }
                };
                drop(place);
                let stream = match shaken {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => {
                        return tracing::debug!(%error, "somebody who is no router of this fleet was refused");
                    }
                    Err(_) => return tracing::debug!("a router did not finish its handshake in time"),
                };
                let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first().map(hash));
                if let Some(certificate) = shown {
                    let stream: Box<dyn Transport> = Box::new(stream);
                    shared.keep_link(stream, certificate, false).await;
                }
            };
            self.background.spawn_on(work, &self.runtime);
        }
    }
}

/// The address of this machine from which it reaches the database. A database on this machine is reached from loopback.
fn own_address(database: Option<&str>) -> IpAddr {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    database.and_then(crate::store::way_to).unwrap_or(loopback)
}
