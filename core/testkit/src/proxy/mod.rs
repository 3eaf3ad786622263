//! A TCP proxy that behaves as badly as a test wants: it delays, slices, holds, cuts and refuses.

mod faults;
mod pump;

pub use faults::{Faults, Way};

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::random::Random;
use pump::{Reset, pump};

/// The proxy. Its connections end with the runtime on which it was started.
#[derive(Debug)]
pub struct Proxy {
    /// The address on which the proxy listens.
    pub address: SocketAddr,
    state: watch::Sender<State>,
}

/// Everything that a test can switch at run time.
#[derive(Debug, Clone)]
struct State {
    target: SocketAddr,
    faults: Faults,
    /// The number of times that all connections were cut.
    cuts: u64,
}

impl Proxy {
    /// Starts a proxy that passes connections on to that address.
    pub async fn to(target: SocketAddr) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (state, watch) = watch::channel(State { target, faults: Faults::default(), cuts: 0 });
        tokio::spawn(accept(socket, watch));
        Self { address, state }
    }

    /// The URL at which miners dial in.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Passes new connections on to that address from now on.
    pub fn aim(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Behaves like that from now on, on all connections.
    pub fn set(&self, faults: Faults) {
        self.state.send_modify(|state| state.faults = faults);
    }

    /// Cuts every connection. New connections fail until [`mend`](Self::mend) is called.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.faults.drops = true;
            state.cuts += 1;
        });
    }

    /// Behaves well again. Bytes that were held are passed on; connections that were cut stay cut.
    pub fn mend(&self) {
        self.set(Faults::default());
    }
}

/// Accepts connections. While connections are to be refused, no socket listens.
async fn accept(socket: TcpListener, mut watch: watch::Receiver<State>) {
    let address = socket.local_addr().unwrap();
    let mut listening = Some(socket);
    for number in 0.. {
        let near = loop {
            let refuses = watch.borrow_and_update().faults.refuses;
            if refuses {
                listening = None;
            } else if listening.is_none() {
                listening = bind(address).await;
            }
            let accepted = async {
                match &listening {
                    Some(socket) => socket.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = accepted => match accepted {
                    Ok((near, _)) => break near,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                },
                changed = watch.changed() => if changed.is_err() {
                    return;
                },
            }
        };
        if !watch.borrow().faults.drops {
            tokio::spawn(pass(near, watch.clone(), Random::new(number)));
        }
    }
}

/// Listens on the address again. Another program may have taken the port, which ends the proxy.
async fn bind(address: SocketAddr) -> Option<TcpListener> {
    for _ in 0..200 {
        if let Ok(socket) = TcpListener::bind(address).await {
            return Some(socket);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{address} is taken");
}

/// Passes one connection on, to its end.
async fn pass(mut near: TcpStream, mut watch: watch::Receiver<State>, random: Random) {
    let State { target, cuts, .. } = watch.borrow_and_update().clone();
    let mut cut = watch.clone();
    let mut cut = pin!(async move { drop(cut.wait_for(|state| state.cuts != cuts).await) });
    // A black hole takes the connection and never opens the other half of it.
    let connected = async {
        watch.wait_for(|state| !(state.faults.up.held && state.faults.down.held)).await.ok()?;
        TcpStream::connect(target).await.ok()
    };
    let far = tokio::select! {
        far = connected => far,
        () = &mut cut => None,
    };
    let Some(mut far) = far else { return };
    let (_, _) = (near.set_nodelay(true), far.set_nodelay(true));
    let reset = {
        let ((from_near, to_near), (from_far, to_far)) = (near.split(), far.split());
        let up = pump(from_near, to_far, |faults| &faults.up, watch.clone(), random.clone());
        let down = pump(from_far, to_near, |faults| &faults.down, watch.clone(), random);
        tokio::select! {
            ended = async { tokio::try_join!(up, down) } => matches!(ended, Err(Reset)),
            () = &mut cut => false,
        }
    };
    if reset {
        let (_, _) = (near.set_zero_linger(), far.set_zero_linger());
    }
}
