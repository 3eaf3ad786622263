//! A miner of the program that works for a remote router.

use std::sync::Arc;
use std::time::Duration;

use cortensor_router::embed::{Bound, MinerClient};

use crate::error::Result;
use crate::mailbox::{NativeMailbox, Post};
use crate::message::NativeMessage;
use crate::miner::Courier;
use crate::router::later;

/// A miner that dials in to a remote router.
#[derive(uniffi::Object)]
pub struct NativeMinerClient {
    client: Arc<MinerClient>,
    post: Bound<Arc<Post>>,
}

#[uniffi::export]
impl NativeMinerClient {
    /// Starts the miner, whose jobs come with the number `token`. `log` is the number for its log records, or 0.
    #[uniffi::constructor]
    pub fn start(mailbox: &NativeMailbox, token: u64, config: String, log: u64) -> Result<Self> {
        let post = mailbox.post()?;
        let courier = Courier { token, post: Arc::clone(post) };
        let client = MinerClient::start(&config, courier, post.log_sink(log))?;
        Ok(Self { client: Arc::new(client), post: Bound::new(Arc::clone(post)) })
    }

    /// The miner's counts and the state of its connection, as JSON.
    pub fn stats(&self) -> Result<String> {
        Ok(self.client.stats()?)
    }

    /// Sets how many tasks the miner takes at a time from now on.
    pub fn set_capacity(&self, tasks: u32) -> Result<()> {
        Ok(self.client.set_capacity(tasks)?)
    }

    /// Takes no new tasks. Answers whether all tasks were finished in time.
    pub fn drain(&self, token: u64, timeout_ms: u64) -> Result<()> {
        self.post.check()?;
        let call = self.client.drain(Duration::from_millis(timeout_ms));
        self.post.answer(token, call, move |value| NativeMessage::Flag { token, value });
        Ok(())
    }

    /// Closes the connection and cancels the work. Answers when all has ended; without a timeout it waits for ever.
    pub fn shutdown(&self, token: u64, timeout_ms: Option<u64>) -> Result<()> {
        self.post.check()?;
        let (client, timeout) = (Arc::clone(&self.client), timeout_ms.map(Duration::from_millis));
        later(token, &self.post, move || client.close(timeout));
        Ok(())
    }
}
