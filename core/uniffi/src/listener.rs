//! HTTP listeners.

use std::sync::Arc;

use cortensor_router::embed::{Bound, Listener};

use crate::error::Result;
use crate::mailbox::Post;
use crate::message::NativeMessage;

/// A listener that serves.
#[derive(uniffi::Object)]
pub struct NativeListener {
    listener: Listener,
    post: Bound<Arc<Post>>,
}

impl NativeListener {
    pub(crate) fn of(listener: Listener, post: Arc<Post>) -> Arc<Self> {
        Arc::new(Self { listener, post: Bound::new(post) })
    }
}

#[uniffi::export]
impl NativeListener {
    /// The host of the address.
    pub fn host(&self) -> String {
        self.listener.address().ip().to_string()
    }

    /// The port of the address.
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }

    /// Every open surface and how it is protected.
    pub fn posture(&self) -> Vec<String> {
        self.listener.posture().to_vec()
    }

    /// Takes no new connections. Answers when running requests have ended.
    pub fn stop(&self, token: u64) -> Result<()> {
        self.post.check()?;
        self.post.answer(token, self.listener.stop(), move |()| NativeMessage::Done { token });
        Ok(())
    }

    /// Answers when the listener has ended for any reason.
    pub fn ended(&self, token: u64) -> Result<()> {
        self.post.check()?;
        let message = move |()| NativeMessage::Done { token };
        self.post.answer_unless_cancelled(token, self.listener.ended(), message);
        Ok(())
    }
}
