//! The door for the links of other routers, over real connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cortensor_router::internals::store::SharedMemory;
use cortensor_router::miner::{Coming, Connecting, Door, Network, Opening, Transport};
use cortensor_router::{Config, Router};
use cortensor_router_testkit::within;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

const LEASE: Duration = Duration::from_secs(3);

/// The network of this machine, which a router without a database must be given.
struct Loopback {
    /// Whether others can be reached.
    dials: bool,
}

impl Network for Loopback {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            if !self.dials {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
            Ok(Box::new(TcpStream::connect((host, port)).await?) as Box<dyn Transport>)
        })
    }

    fn listen<'a>(&'a self, host: &'a str, port: u16) -> Opening<'a> {
        Box::pin(async move { Ok(Box::new(Entry(TcpListener::bind((host, port)).await?)) as Box<dyn Door>) })
    }
}

struct Entry(TcpListener);

impl Door for Entry {
    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn accept(&mut self) -> Coming<'_> {
        Box::pin(async move {
            let (stream, from) = self.0.accept().await?;
            Ok((Box::new(stream) as Box<dyn Transport>, from.ip()))
        })
    }
}

async fn open(database: &SharedMemory, name: &str, dials: bool) -> Router {
    let mut config = Config::default();
    config.storage.lease_ms = LEASE.as_millis() as u64;
    let store = Arc::new(database.join(name).unwrap());
    Router::builder().config(config).store(store).network(Arc::new(Loopback { dials })).open().await.unwrap()
}

/// Strangers that connect and keep silent would hold every place for half a minute, if they could keep it.
#[cfg_attr(not(target_os = "linux"), ignore = "the loopback has one address there")]
#[tokio::test]
async fn silent_connections_keep_no_router_out() {
    let database = SharedMemory::new(LEASE);
    let first = open(&database, "first", false).await;
    // Its address stands in the store with its first beat.
    let door: SocketAddr = within(async {
        loop {
            match first.fleet().members.first().map(|own| own.address.parse()) {
                Some(Ok(address)) => break address,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    // The first router reaches nobody: the second one must come in by its door, behind all of these.
    let (silent, second) = within(async {
        let mut silent = Vec::new();
        for _ in 0..448 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            silent.push(socket.connect(door).await.unwrap());
        }
        let second = open(&database, "second", true).await;
        let is_linked = |router: &Router| {
            let fleet = router.status().fleet;
            fleet.members == 2 && fleet.unlinked == 0
        };
        while !is_linked(&first) || !is_linked(&second) {
            sleep(Duration::from_millis(20)).await;
        }
        (silent, second)
    })
    .await;
    drop(silent);
    first.close().await;
    second.close().await;
}
