//! The network between the routers of a fleet: connections that are cut or stand still, and routers that cannot be dialled.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cortensor_router::miner::{Coming, Connecting, Door, Network, Opening, Transport};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// Bytes that are on their way in one direction.
const WIRE: usize = 64 << 10;

/// The network between the routers of a world.
#[derive(Clone, Default)]
pub(crate) struct Mesh(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The doors, by their ports: the router behind each, and the way to it.
    doors: HashMap<u16, (u64, mpsc::UnboundedSender<Cable>)>,
    /// The connections, with the routers at their ends.
    wires: Vec<(u64, u64, Arc<Wire>)>,
    /// Routers that connect to nobody, and to which nobody connects.
    alone: Vec<u64>,
    next: u64,
}

/// The state of a connection.
#[derive(Default)]
struct Wire(Mutex<(Flow, Vec<Waker>)>);

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Flow {
    #[default]
    Free,
    Still,
    Cut,
}

impl Wire {
    fn set(&self, flow: Flow) {
        let wakers = {
            let mut state = self.0.lock();
            if state.0 != Flow::Cut {
                state.0 = flow;
            }
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Mesh {
    /// The network as one start of a router sees it, and the number of that start.
    pub(crate) fn place(&self) -> (u64, Arc<Place>) {
        let mut state = self.0.lock();
        state.next += 1;
        (state.next, Arc::new(Place { mesh: self.clone(), of: state.next }))
    }

    /// Cuts all connections of a router, and lets nobody connect from or to it any more.
    pub(crate) fn kill(&self, of: u64) {
        let mut state = self.0.lock();
        state.alone.push(of);
        state.doors.retain(|_, (owner, _)| *owner != of);
        drop(state);
        self.set(of, Flow::Cut);
    }

    /// Cuts all connections of a router.
    pub(crate) fn cut(&self, of: u64) {
        self.set(of, Flow::Cut);
    }

    /// Lets nothing through the connections of a router, or lets all go on.
    pub(crate) fn hold(&self, of: u64, holds: bool) {
        self.set(of, if holds { Flow::Still } else { Flow::Free });
        let mut state = self.0.lock();
        if holds {
            state.alone.push(of);
        } else if let Some(at) = state.alone.iter().position(|alone| *alone == of) {
            state.alone.remove(at);
        }
    }

    fn set(&self, of: u64, flow: Flow) {
        let wires = {
            let mut state = self.0.lock();
            state.wires.retain(|(_, _, wire)| Arc::strong_count(wire) > 1);
            let own = state.wires.iter().filter(|(from, to, _)| *from == of || *to == of);
            own.map(|(_, _, wire)| wire.clone()).collect::<Vec<_>>()
        };
        for wire in &wires {
            wire.set(flow);
        }
    }
}

/// The network as one router sees it.
pub(crate) struct Place {
    mesh: Mesh,
    of: u64,
}

impl Network for Place {
    fn connect<'a>(&'a self, _host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            // A connection takes a moment.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            let mut state = self.mesh.0.lock();
            let (to, door) = state.doors.get(&port).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
            if state.alone.contains(&to) || state.alone.contains(&self.of) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let (near, far) = tokio::io::duplex(WIRE);
            let wire = Arc::new(Wire::default());
            state.wires.push((self.of, to, wire.clone()));
            let far = Cable { stream: far, wire: wire.clone() };
            door.send(far).map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(Cable { stream: near, wire }) as Box<dyn Transport>)
        })
    }

    fn listen<'a>(&'a self, _host: &'a str, _port: u16) -> Opening<'a> {
        Box::pin(async move {
            let mut state = self.mesh.0.lock();
            state.next += 1;
            let port = state.next as u16;
            let (sender, coming) = mpsc::unbounded_channel();
            state.doors.insert(port, (self.of, sender));
            Ok(Box::new(Entry { port, coming }) as Box<dyn Door>)
        })
    }
}

struct Entry {
    port: u16,
    coming: mpsc::UnboundedReceiver<Cable>,
}

impl Door for Entry {
    fn port(&self) -> u16 {
        self.port
    }

    fn accept(&mut self) -> Coming<'_> {
        Box::pin(async move {
            match self.coming.recv().await {
                Some(cable) => Ok((Box::new(cable) as Box<dyn Transport>, Ipv4Addr::LOCALHOST.into())),
                // The router was killed.
                None => std::future::pending().await,
            }
        })
    }
}

/// One end of a connection.
struct Cable {
    stream: DuplexStream,
    wire: Arc<Wire>,
}

impl Cable {
    /// Whether something may pass now.
    fn ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.wire.0.lock();
        match state.0 {
            Flow::Free => Poll::Ready(Ok(())),
            Flow::Cut => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Flow::Still => {
                state.1.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Wakes this end when the connection changes.
    fn watch(&self, cx: &Context<'_>) {
        self.wire.0.lock().1.push(cx.waker().clone());
    }
}

impl AsyncRead for Cable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.ready(cx))?;
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() {
            self.watch(cx);
        }
        read
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.ready(cx))?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if written.is_pending() {
            self.watch(cx);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
