//! The router.

use std::sync::Arc;
use std::time::Duration;

use cortensor_router::embed::{Call, Error, Router};
use napi_derive::napi;

use crate::bridge::{Bridge, Event, Id, Queue};
use crate::error::{Result, throw};
use crate::http::NativeRequest;
use crate::miner::{Courier, NativeMiner};
use crate::near;
use crate::payload::Payload;

/// An open router.
#[napi]
pub struct NativeRouter {
    router: Router,
    queue: Arc<Queue>,
}

/// Opens a router and waits for it. `log` is the number of a log sink, or 0.
#[napi(catch_unwind)]
pub(crate) fn open(bridge: &Bridge, config: String, log: Id) -> Result<NativeRouter> {
    let queue = bridge.queue.clone();
    let router = Router::open(&config, queue.log_sink(log)).wait().map_err(throw)?;
    Ok(NativeRouter { router, queue })
}

/// Answers with a router.
#[napi(catch_unwind)]
pub(crate) fn open_later(bridge: &Bridge, id: Id, config: String, log: Id) {
    let queue = bridge.queue.clone();
    let call = Router::open(&config, queue.log_sink(log));
    bridge.queue.answer(id, call, move |router| Payload::Router(NativeRouter { router, queue }));
}

impl NativeRouter {
    fn text(&self, id: Id, call: Call<String>) {
        self.queue.answer(id, call, Payload::Text);
    }
}

#[napi]
impl NativeRouter {
    /// The configuration with every default.
    #[napi(catch_unwind)]
    pub fn config(&self) -> Result<String> {
        self.router.config().map_err(throw)
    }

    /// The router's identity and abilities.
    #[napi(catch_unwind)]
    pub fn info(&self) -> Result<String> {
        self.router.info().map_err(throw)
    }

    /// The router's state.
    #[napi(catch_unwind)]
    pub fn status(&self) -> Result<String> {
        self.router.status().map_err(throw)
    }

    /// All metrics in Prometheus' text format.
    #[napi(catch_unwind)]
    pub fn metrics(&self) -> Result<String> {
        self.router.metrics().map_err(throw)
    }

    /// The miners.
    #[napi(catch_unwind)]
    pub fn miners(&self) -> Result<String> {
        self.router.miners().map_err(throw)
    }

    /// The models.
    #[napi(catch_unwind)]
    pub fn models(&self) -> Result<String> {
        self.router.models().map_err(throw)
    }

    /// Answers with the new session's record.
    #[napi(catch_unwind)]
    pub fn create_session(&self, id: Id, spec: String) {
        self.text(id, self.router.create_session(&spec));
    }

    /// A session's record.
    #[napi(catch_unwind)]
    pub fn session(&self, session: i64) -> Result<String> {
        self.router.session(session as u64).map_err(throw)
    }

    /// Answers with the usage.
    #[napi(catch_unwind)]
    pub fn usage(&self, id: Id, query: String) {
        self.text(id, self.router.usage(&query));
    }

    /// Answers with the new key and its token.
    #[napi(catch_unwind)]
    pub fn create_key(&self, id: Id, spec: String) {
        self.text(id, self.router.create_key(&spec));
    }

    /// Answers with the API keys.
    #[napi(catch_unwind)]
    pub fn keys(&self, id: Id) {
        self.text(id, self.router.keys());
    }

    /// Answers once the API key is revoked.
    #[napi(catch_unwind)]
    pub fn delete_key(&self, id: Id, key: String) {
        self.queue.answer(id, self.router.delete_key(&key), |()| Payload::Nothing);
    }

    /// A page of sessions.
    #[napi(catch_unwind)]
    pub fn sessions(&self, query: String) -> Result<String> {
        self.router.sessions(&query).map_err(throw)
    }

    /// Answers with the changed session's record.
    #[napi(catch_unwind)]
    pub fn update_session(&self, id: Id, session: i64, patch: String) {
        self.text(id, self.router.update_session(session as u64, &patch));
    }

    /// Answers with the closed session's record.
    #[napi(catch_unwind)]
    pub fn close_session(&self, id: Id, session: i64) {
        self.text(id, self.router.close_session(session as u64));
    }

    /// Answers with a task, when it is durable. Gives whether JavaScript must empty the queue in its next turn.
    #[napi(catch_unwind)]
    pub fn submit(&self, id: Id, session: i64, request: String) -> Result<bool> {
        let queue = self.queue.clone();
        let submitted = near::during(&self.queue, || {
            let call = self.router.submit(session as u64, &request);
            self.queue.answer(id, call, move |task| Payload::Task(task, queue));
            Ok(())
        });
        submitted.map(|((), filled)| filled)
    }

    /// Submits a task and answers with its completion. Gives whether JavaScript must empty the queue in its next turn.
    #[napi(catch_unwind)]
    pub fn complete(&self, id: Id, session: i64, request: String) -> Result<bool> {
        let asked = near::during(&self.queue, || {
            self.text(id, self.router.complete(session as u64, &request));
            Ok(())
        });
        asked.map(|((), filled)| filled)
    }

    /// Submits a task and answers with its completion. Cancelling the returned call cancels the task.
    #[napi(catch_unwind)]
    pub fn complete_unless_cancelled(&self, id: Id, session: i64, request: String) -> NativeRequest {
        let call = self.router.complete(session as u64, &request);
        let held = NativeRequest::new(&call);
        self.text(id, call);
        held
    }

    /// Answers with the record of vectors. Cancelling the returned call cancels the task.
    #[napi(catch_unwind)]
    pub fn embed(&self, id: Id, session: i64, request: String) -> NativeRequest {
        let call = self.router.embed_record(session as u64, &request);
        let held = NativeRequest::new(&call);
        self.text(id, call);
        held
    }

    /// Answers with an existing task.
    #[napi(catch_unwind)]
    pub fn attach(&self, id: Id, session: i64, task: i64) {
        let queue = self.queue.clone();
        let call = self.router.attach(session as u64, task as u64);
        self.queue.answer(id, call, move |task| Payload::Task(task, queue));
    }

    /// Answers with a task's record.
    #[napi(catch_unwind)]
    pub fn task(&self, id: Id, session: i64, task: i64) {
        self.text(id, self.router.task(session as u64, task as u64));
    }

    /// Answers with a page of a session's tasks.
    #[napi(catch_unwind)]
    pub fn tasks(&self, id: Id, session: i64, query: String) {
        self.text(id, self.router.tasks(session as u64, &query));
    }

    /// Answers with the cancelled task's record.
    #[napi(catch_unwind)]
    pub fn cancel(&self, id: Id, session: i64, task: i64) {
        self.text(id, self.router.cancel(session as u64, task as u64));
    }

    /// Adds a miner; its jobs come with the number `miner`.
    #[napi(catch_unwind)]
    pub fn add_miner(&self, miner: Id, spec: String) -> Result<NativeMiner> {
        let courier = Courier { id: miner, queue: self.queue.clone() };
        let miner = self.router.add_miner(&spec, courier).map_err(throw)?;
        Ok(NativeMiner { miner })
    }

    /// Adds an OpenAI-compatible server.
    #[napi(catch_unwind)]
    pub fn add_upstream(&self, upstream: String) -> Result<()> {
        self.router.add_upstream(&upstream).map_err(throw)
    }

    /// Removes a miner of any kind.
    #[napi(catch_unwind)]
    pub fn remove_miner(&self, name: String) -> Result<()> {
        self.router.remove_miner(&name).map_err(throw)
    }

    /// Answers with a listener.
    #[napi(catch_unwind)]
    pub fn listen(&self, id: Id, config: String) {
        let queue = self.queue.clone();
        self.queue.answer(id, self.router.listen(&config), move |listener| Payload::Listener(listener, queue));
    }

    /// Answers with a handler.
    #[napi(catch_unwind)]
    pub fn http_handler(&self, id: Id, config: String) {
        let queue = self.queue.clone();
        self.queue.answer(id, self.router.http_handler(&config), move |handler| Payload::Handler(handler, queue));
    }

    /// Takes no new tasks. Answers whether all tasks ended in time.
    #[napi(catch_unwind)]
    pub fn drain(&self, id: Id, timeout_ms: f64) {
        self.queue.answer(id, self.router.drain(duration(timeout_ms)), Payload::Flag);
    }

    /// Ends the router, on a thread that may block. Answers when all its work has ended.
    #[napi(catch_unwind)]
    pub fn close(&self, id: Id, timeout_ms: Option<f64>) {
        let (router, queue) = (self.router.clone(), self.queue.clone());
        let closing = std::thread::Builder::new().name("cortensor-router-close".into()).spawn(move || {
            let closed = router.shutdown(timeout_ms.map(duration));
            drop(router);
            queue.push(Event::Answer(id, closed.map(|()| Payload::Nothing)));
        });
        if let Err(error) = closing {
            let error = Error::internal(format!("the system gives no thread to close the router: {error}"));
            self.queue.push(Event::Answer(id, Err(error)));
        }
    }
}

/// Converts milliseconds from JavaScript. A value that is not a time becomes 0, and one beyond the range the greatest
/// time.
pub(crate) fn duration(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or(if millis > 0.0 { Duration::MAX } else { Duration::ZERO })
}
