//! The HTTP listener.

use std::sync::Arc;

use cortensor_router::embed::Listener;
use napi_derive::napi;

use crate::bridge::{Id, Queue};
use crate::payload::Payload;

/// A listener that serves.
#[napi]
pub struct NativeListener {
    pub(crate) listener: Listener,
    pub(crate) queue: Arc<Queue>,
}

#[napi]
impl NativeListener {
    /// The address of the listener, for example `127.0.0.1:5010`.
    #[napi(getter)]
    pub fn address(&self) -> String {
        self.listener.address().to_string()
    }

    /// The port.
    #[napi(getter)]
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }

    /// Every open surface and how it is protected.
    #[napi(getter)]
    pub fn posture(&self) -> Vec<String> {
        self.listener.posture().to_vec()
    }

    /// Takes no new connections. Answers when running requests have ended.
    #[napi(catch_unwind)]
    pub fn stop(&self, id: Id) {
        self.queue.answer(id, self.listener.stop(), |()| Payload::Nothing);
    }

    /// Answers when the listener has ended, for any reason.
    #[napi(catch_unwind)]
    pub fn ended(&self, id: Id) {
        self.queue.answer(id, self.listener.ended(), |()| Payload::Nothing);
    }
}
