//! A miner of this program that works for a distant router.

use std::sync::Arc;

use cortensor_router::embed::{Error, MinerClient};
use napi_derive::napi;

use crate::bridge::{Bridge, Event, Id, Queue};
use crate::error::{Result, throw};
use crate::miner::Courier;
use crate::payload::Payload;
use crate::router::duration;

/// Dials a router and works for it.
#[napi]
pub struct NativeMinerClient {
    client: Arc<MinerClient>,
    queue: Arc<Queue>,
}

#[napi]
impl NativeMinerClient {
    /// Starts the miner. Its jobs come with the number `miner`. `log` is the number of a log sink, or 0.
    #[napi(constructor, catch_unwind)]
    pub fn new(bridge: &Bridge, config: String, miner: Id, log: Id) -> Result<Self> {
        let queue = bridge.queue.clone();
        let courier = Courier { id: miner, queue: queue.clone() };
        let client = MinerClient::start(&config, courier, queue.log_sink(log)).map_err(throw)?;
        Ok(Self { client: Arc::new(client), queue })
    }

    /// The miner's counts, and its connection.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<String> {
        self.client.stats().map_err(throw)
    }

    /// Sets how many tasks the miner takes at a time from now on.
    #[napi(catch_unwind)]
    pub fn set_capacity(&self, tasks: u32) -> Result<()> {
        self.client.set_capacity(tasks).map_err(throw)
    }

    /// Takes no new tasks. Answers whether all tasks were finished in time.
    #[napi(catch_unwind)]
    pub fn drain(&self, id: Id, timeout_ms: f64) {
        self.queue.answer(id, self.client.drain(duration(timeout_ms)), Payload::Flag);
    }

    /// Ends the miner, on a thread that may block. Answers when all its work has ended.
    #[napi(catch_unwind)]
    pub fn close(&self, id: Id, timeout_ms: Option<f64>) {
        let (client, queue) = (self.client.clone(), self.queue.clone());
        let closing = std::thread::Builder::new().name("cortensor-router-close".into()).spawn(move || {
            let closed = client.close(timeout_ms.map(duration));
            drop(client);
            queue.push(Event::Answer(id, closed.map(|()| Payload::Nothing)));
        });
        if let Err(error) = closing {
            let error = Error::internal(format!("the system gives no thread to close the miner: {error}"));
            self.queue.push(Event::Answer(id, Err(error)));
        }
    }
}
