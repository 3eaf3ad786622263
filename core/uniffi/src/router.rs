//! The router.

use std::sync::Arc;
use std::time::Duration;

use cortensor_router::embed::{self, Bound, Call, Error, Router};

use crate::error::Result;
use crate::http::NativeHandler;
use crate::listener::NativeListener;
use crate::mailbox::{NativeMailbox, Post};
use crate::message::NativeMessage;
use crate::miner::{Courier, NativeMiner};
use crate::task::NativeTask;
use crate::visit;

/// An open router. Records are JSON text. A call with a `token` is answered by a message with that number; the flag
/// that it gives tells that the mailbox has messages now, which the caller must take.
#[derive(uniffi::Object)]
pub struct NativeRouter {
    router: Router,
    post: Bound<Arc<Post>>,
}

impl NativeRouter {
    fn text(&self, token: u64, call: impl FnOnce(&Router) -> Call<String>) -> Result<bool> {
        self.answer(token, call, move |text| NativeMessage::Text { token, text })
    }

    fn answer<T: Send + 'static>(
        &self,
        token: u64,
        call: impl FnOnce(&Router) -> Call<T>,
        message: impl FnOnce(T) -> NativeMessage + Send + 'static,
    ) -> Result<bool> {
        self.post.check()?;
        Ok(visit::filled(&self.post, || self.post.answer(token, call(&self.router), message)))
    }

    fn answer_unless_cancelled<T: Send + 'static>(
        &self,
        token: u64,
        call: impl FnOnce(&Router) -> Call<T>,
        message: impl FnOnce(T) -> NativeMessage + Send + 'static,
    ) -> Result<bool> {
        self.post.check()?;
        Ok(visit::filled(&self.post, || self.post.answer_unless_cancelled(token, call(&self.router), message)))
    }
}

#[uniffi::export]
impl NativeRouter {
    /// The configuration with every default.
    pub fn config(&self) -> Result<String> {
        Ok(self.router.config()?)
    }

    /// The router's identity and abilities.
    pub fn info(&self) -> Result<String> {
        Ok(self.router.info()?)
    }

    /// The router's state.
    pub fn status(&self) -> Result<String> {
        Ok(self.router.status()?)
    }

    /// All metrics in Prometheus' text format.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.router.metrics()?)
    }

    /// The miners.
    pub fn miners(&self) -> Result<String> {
        Ok(self.router.miners()?)
    }

    /// The models.
    pub fn models(&self) -> Result<String> {
        Ok(self.router.models()?)
    }

    /// Answers with the usage.
    pub fn usage(&self, token: u64, query: String) -> Result<bool> {
        self.text(token, |router| router.usage(&query))
    }

    /// Answers with the new key and its token.
    pub fn create_key(&self, token: u64, spec: String) -> Result<bool> {
        self.text(token, |router| router.create_key(&spec))
    }

    /// Answers with the API keys.
    pub fn keys(&self, token: u64) -> Result<bool> {
        self.text(token, Router::keys)
    }

    /// Answers once the API key is revoked.
    pub fn delete_key(&self, token: u64, key: String) -> Result<bool> {
        self.answer(token, |router| router.delete_key(&key), move |()| NativeMessage::Done { token })
    }

    /// Answers with the new session's record.
    pub fn create_session(&self, token: u64, spec: String) -> Result<bool> {
        self.text(token, |router| router.create_session(&spec))
    }

    /// A session's record.
    pub fn session(&self, session: u64) -> Result<String> {
        Ok(self.router.session(session)?)
    }

    /// A page of sessions.
    pub fn sessions(&self, query: String) -> Result<String> {
        Ok(self.router.sessions(&query)?)
    }

    /// Answers with the changed session's record.
    pub fn update_session(&self, token: u64, session: u64, patch: String) -> Result<bool> {
        self.text(token, |router| router.update_session(session, &patch))
    }

    /// Answers with the closed session's record.
    pub fn close_session(&self, token: u64, session: u64) -> Result<bool> {
        self.text(token, |router| router.close_session(session))
    }

    /// Answers with a task, when it is durable.
    pub fn submit(&self, token: u64, session: u64, request: String) -> Result<bool> {
        let post = Arc::clone(&self.post);
        self.answer(token, |router| router.submit(session, &request), move |task| NativeTask::told(token, task, post))
    }

    /// Submits a task and answers with its completion. Cancelling the call cancels the task.
    pub fn complete(&self, token: u64, session: u64, request: String) -> Result<bool> {
        let call = |router: &Router| router.complete(session, &request);
        self.answer_unless_cancelled(token, call, move |text| NativeMessage::Text { token, text })
    }

    /// Answers with the record of vectors. Cancelling the call cancels the task.
    pub fn embed(&self, token: u64, session: u64, request: String) -> Result<bool> {
        let call = |router: &Router| router.embed_record(session, &request);
        self.answer_unless_cancelled(token, call, move |text| NativeMessage::Text { token, text })
    }

    /// Answers with an existing task.
    pub fn attach(&self, token: u64, session: u64, task: u64) -> Result<bool> {
        let post = Arc::clone(&self.post);
        self.answer(token, |router| router.attach(session, task), move |task| NativeTask::told(token, task, post))
    }

    /// Answers with a task's record.
    pub fn task(&self, token: u64, session: u64, task: u64) -> Result<bool> {
        self.text(token, |router| router.task(session, task))
    }

    /// Answers with a page of a session's tasks.
    pub fn tasks(&self, token: u64, session: u64, query: String) -> Result<bool> {
        self.text(token, |router| router.tasks(session, &query))
    }

    /// Answers with the cancelled task's record.
    pub fn cancel(&self, token: u64, session: u64, task: u64) -> Result<bool> {
        self.text(token, |router| router.cancel(session, task))
    }

    /// Adds a miner, whose jobs come with the number `token`.
    pub fn add_miner(&self, token: u64, spec: String) -> Result<NativeMiner> {
        self.post.check()?;
        let courier = Courier { token, post: Arc::clone(&self.post) };
        Ok(NativeMiner { miner: self.router.add_miner(&spec, courier)? })
    }

    /// Adds an OpenAI-compatible server.
    pub fn add_upstream(&self, upstream: String) -> Result<()> {
        Ok(self.router.add_upstream(&upstream)?)
    }

    /// Removes a miner of any kind.
    pub fn remove_miner(&self, name: String) -> Result<()> {
        self.post.check()?;
        Ok(visit::waking(&self.post, || self.router.remove_miner(&name))?)
    }

    /// Answers with a listener.
    pub fn listen(&self, token: u64, config: String) -> Result<bool> {
        let post = Arc::clone(&self.post);
        let message = move |listener| NativeMessage::Listener { token, listener: NativeListener::of(listener, post) };
        self.answer(token, |router| router.listen(&config), message)
    }

    /// Answers with a handler of the REST API without a socket.
    pub fn http_handler(&self, token: u64, config: String) -> Result<bool> {
        let post = Arc::clone(&self.post);
        let message = move |handler| NativeMessage::Handler { token, handler: NativeHandler::of(handler, post) };
        self.answer(token, |router| router.http_handler(&config), message)
    }

    /// Takes no new tasks. Answers whether all tasks ended in time.
    pub fn drain(&self, token: u64, timeout_ms: u64) -> Result<bool> {
        let call = |router: &Router| router.drain(Duration::from_millis(timeout_ms));
        self.answer(token, call, move |value| NativeMessage::Flag { token, value })
    }

    /// Ends the router. Answers when all its work has ended; without a timeout it waits for ever.
    pub fn shutdown(&self, token: u64, timeout_ms: Option<u64>) -> Result<()> {
        self.post.check()?;
        let (router, timeout) = (self.router.clone(), timeout_ms.map(Duration::from_millis));
        later(token, &self.post, move || router.shutdown(timeout));
        Ok(())
    }
}

/// Ends something on a thread that may block, and answers when it has ended.
pub(crate) fn later(token: u64, post: &Arc<Post>, end: impl FnOnce() -> embed::Result<()> + Send + 'static) {
    let told = Arc::clone(post);
    let work = move || {
        // The answer comes after `end` was dropped with what it holds.
        told.push(match end() {
            Ok(()) => NativeMessage::Done { token },
            Err(error) => NativeMessage::failed(token, &error),
        });
    };
    let started = std::thread::Builder::new().name("cortensor-router-close".into()).spawn(work);
    if let Err(error) = started {
        let error = Error::internal(format!("the system gives no thread to close with: {error}"));
        post.push(NativeMessage::failed(token, &error));
    }
}

/// Opens a router and answers with it. `log` is the number for its log records, or 0.
#[uniffi::export]
pub fn open_router(mailbox: &NativeMailbox, token: u64, config: String, log: u64) -> Result<bool> {
    let post = mailbox.post()?;
    let keeper = Arc::clone(post);
    let message = move |router| NativeMessage::Router {
        token,
        router: Arc::new(NativeRouter { router, post: Bound::new(keeper) }),
    };
    Ok(visit::filled(post, || post.answer(token, Router::open(&config, post.log_sink(log)), message)))
}
