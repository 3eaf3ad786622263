//! A TCP proxy whose connections can be cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy.
#[derive(Debug)]
pub struct Proxy {
    /// The address on which the proxy listens.
    pub address: SocketAddr,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    open: bool,
    cuts: u64,
}

impl Proxy {
    /// Starts a proxy that passes connections on to that address.
    pub async fn to(target: SocketAddr) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (state, watch) = watch::channel(State { open: true, cuts: 0 });
        tokio::spawn(async move {
            loop {
                let Ok((mut near, _)) = socket.accept().await else { return };
                let mut watch = watch.clone();
                let now = *watch.borrow_and_update();
                if !now.open {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    let (_, _) = (near.set_nodelay(true), far.set_nodelay(true));
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = watch.wait_for(|state| state.cuts != now.cuts) => {}
                    }
                });
            }
        });
        Self { address, state }
    }

    /// The URL at which miners dial in.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Cuts every connection. New connections fail until [`mend`](Self::mend) is called.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.open = false;
            state.cuts += 1;
        });
    }

    /// Passes new connections on again.
    pub fn mend(&self) {
        self.state.send_modify(|state| state.open = true);
    }
}
