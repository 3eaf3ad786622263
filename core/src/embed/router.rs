//! The router as bindings use it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::host::{self, Host};
use super::log::LogWorker;
use super::{Call, Embeddings, HostMiner, HttpHandler, Listener, LogSink, Miner, Task, json, record};
use crate::config::Config;
use crate::log::LogRing;
use crate::model::{SessionId, TaskId, page_rows, page_start, wanted_sessions, wanted_tasks};
use crate::router::{Intake, SessionFilter};
use crate::store::{TaskQuery, UsageBy, UsageQuery};
use crate::token::KeySpec;
use crate::{Error, Result};

/// A handle of a router with its own runtime. A clone is cheap and refers to the same router.
///
/// [`shutdown`](Self::shutdown) ends the router and waits for the host's callbacks. Dropping the last handle of an open
/// router closes it in the background.
#[derive(Debug, Clone)]
pub struct Router {
    host: Arc<Host>,
}

impl Router {
    /// Opens a router. `config` is JSON in the form of [`Config`]; a blank text means the defaults, with a store in
    /// memory. The sink `log` gets the router's log records from `runtime.log_level` on.
    ///
    /// The call fails with `InvalidArgument`, which names the key; with `Conflict` if another process uses the data
    /// directory; with `Unavailable` if the store does not work.
    pub fn open(config: &str, log: Option<LogSink>) -> Call<Self> {
        Self::try_open(config, log).unwrap_or_else(|error| Call::ready(Err(error)))
    }

    fn try_open(config: &str, log: Option<LogSink>) -> Result<Call<Self>> {
        let config = Config::from_json(if config.trim().is_empty() { "{}" } else { config })?;
        let ring = Arc::new(LogRing::new(config.log.recent_lines));
        let log = LogWorker::start(log, &config.runtime, Some(ring.clone()))?;
        let runtime = host::runtime(&config.runtime, log.as_ref())?;
        let handle = runtime.handle().clone();
        Ok(Call::spawn(&handle, async move {
            match crate::Router::builder().config(config).log_ring(ring).open().await {
                Ok(router) => Ok(Self { host: Host::new(router, runtime, log) }),
                Err(error) => {
                    // Dropping the runtime on one of its own workers would panic.
                    runtime.shutdown_background();
                    Err(error)
                }
            }
        }))
    }

    /// The configuration with every default, as JSON without secrets.
    ///
    /// # Errors
    /// `Closed`.
    pub fn config(&self) -> Result<String> {
        json::text(&*self.host.router()?.config())
    }

    /// The router's identity and abilities: the record of `GET /api/v1/info`.
    ///
    /// # Errors
    /// `Closed`.
    pub fn info(&self) -> Result<String> {
        json::text(&self.host.router()?.info())
    }

    /// The router's present state: the record of `GET /api/v1/status`.
    ///
    /// # Errors
    /// `Closed`.
    pub fn status(&self) -> Result<String> {
        json::text(&self.host.router()?.status())
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// `Closed`.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.host.router()?.metrics_text())
    }

    /// The miners: `{"count","miners":[...]}`.
    ///
    /// # Errors
    /// `Closed`.
    pub fn miners(&self) -> Result<String> {
        let miners = self.host.router()?.miners();
        json::text(&json!({"count": miners.len(), "miners": miners}))
    }

    /// The models that clients can ask for: `{"count","models":[{"id","created","owned_by","miners","embeddings"}]}`.
    ///
    /// # Errors
    /// `Closed`.
    pub fn models(&self) -> Result<String> {
        let models: Vec<_> = self
            .host
            .router()?
            .models()
            .into_iter()
            .map(|model| {
                json!({"id": model.id, "created": model.created, "owned_by": model.owned_by,
                       "miners": model.miners, "embeddings": model.embeddings})
            })
            .collect();
        json::text(&json!({"count": models.len(), "models": models}))
    }

    /// Opens a session and returns its record. `spec` is the body of `POST /api/v1/sessions`; only `name` is required.
    pub fn create_session(&self, spec: &str) -> Call<String> {
        let spec = json::parse("session", spec);
        self.host.call(move |router| async move { json::text(&router.create_session(spec?).await?) })
    }

    /// A session's record.
    ///
    /// # Errors
    /// `NotFound`, `Closed`.
    pub fn session(&self, id: u64) -> Result<String> {
        json::text(&self.host.router()?.session(SessionId(id))?)
    }

    /// A page of sessions: `{"count","sessions":[...]}`. `query` is `{"state","limit","offset"}`, each optional.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Closed`.
    pub fn sessions(&self, query: &str) -> Result<String> {
        let page: record::Page = json::parse("query", query)?;
        let router = self.host.router()?;
        let filter = SessionFilter {
            state: wanted_sessions(page.state.as_deref())?,
            limit: Some(page_rows(page.limit, router.config().listen.max_page_rows)?),
            offset: page.offset,
            ..SessionFilter::default()
        };
        let (sessions, count) = router.sessions(&filter);
        json::text(&json!({"count": count, "sessions": sessions}))
    }

    /// Changes a session and returns its record. `patch` is the body of `PATCH /api/v1/sessions/{id}`.
    pub fn update_session(&self, id: u64, patch: &str) -> Call<String> {
        let patch = json::parse("session", patch);
        self.host.call(move |router| async move { json::text(&router.update_session(SessionId(id), patch?).await?) })
    }

    /// Closes a session and returns its record. New tasks are refused; present ones finish.
    pub fn close_session(&self, id: u64) -> Call<String> {
        self.host.call(move |router| async move { json::text(&router.close_session(SessionId(id)).await?) })
    }

    /// Submits a task. The call is ready when the task is durable. `request` is the body of `POST /api/v1/completions`
    /// (`prompt`, or `messages` for a chat, or `input` for an embedding), and may also have `idempotency_key` and
    /// `detach`. Fields that the router does not know go to the miner unchanged.
    pub fn submit(&self, session: u64, request: &str) -> Call<Task> {
        self.submitted(record::submit(session, request))
    }

    /// Submits a task and waits for its completion. `request` is as in [`submit`](Self::submit). Dropping the call
    /// cancels the task, unless it is detached. The call fails with the errors of [`submit`](Self::submit) and
    /// [`Task::result`].
    pub fn complete(&self, session: u64, request: &str) -> Call<String> {
        let intake = record::submit(session, request);
        self.host.look(move |router| async move {
            let submission = router.enter(router.checked(Intake { waits: true, ..intake? }).await?).await?;
            record::completion(&submission.result().await?)
        })
    }

    /// Submits a prompt. `options` is JSON, for example with `max_tokens`, `temperature` or `timeout`; a blank text
    /// means no options. A name that is not in [`REQUEST_OPTIONS`](super::REQUEST_OPTIONS) is refused; fields that only
    /// the miner understands go into `extra`.
    pub fn submit_prompt(&self, session: u64, prompt: &str, options: &str) -> Call<Task> {
        self.submitted(record::submit_prompt(session, prompt, options))
    }

    /// Makes vectors of texts. `request` is the body of `POST /v1/embeddings`; `input` (a text or a list of texts) is
    /// required. Dropping the call cancels the task. The call fails with `MinerFailed` if the miner does not give one
    /// vector for each input.
    pub fn embed(&self, session: u64, request: &str) -> Call<Embeddings> {
        self.embedded(record::embedding(session, request))
    }

    /// Makes the vector of one text; or, if `text` is empty, the vectors of the `input` in `options`. `options` is as
    /// in [`submit_prompt`](Self::submit_prompt).
    pub fn embed_text(&self, session: u64, text: &str, options: &str) -> Call<Embeddings> {
        self.embedded(record::embed_text(session, text, options))
    }

    /// Like [`embed`](Self::embed), but returns the JSON of [`Embeddings::record`].
    pub fn embed_record(&self, session: u64, request: &str) -> Call<String> {
        let intake = record::embedding(session, request);
        self.host.look(move |router| async move { embeddings(&router, intake?).await?.record() })
    }

    fn submitted(&self, intake: Result<Intake<'static>>) -> Call<Task> {
        let host = self.host.clone();
        self.host.visit(move |router| async move {
            let submission = router.enter(router.checked(intake?).await?).await?;
            submission.accepted().await?;
            Ok(Task::new(host, submission))
        })
    }

    fn embedded(&self, intake: Result<Intake<'static>>) -> Call<Embeddings> {
        self.host.look(move |router| async move { embeddings(&router, intake?).await })
    }

    /// The record of a task.
    pub fn task(&self, session: u64, task: u64) -> Call<String> {
        self.host.call(move |router| async move { record::task(&router.task(SessionId(session), TaskId(task)).await?) })
    }

    /// A page of a session's tasks: `{"count","tasks":[...],"corrupt":[ids]}`. `query` is
    /// `{"state","key","limit","offset","order"}`, each optional; `order` is `asc` or `desc`. Without `offset` and `order`,
    /// the page has the newest tasks, oldest first.
    pub fn tasks(&self, session: u64, query: &str) -> Call<String> {
        let page = json::parse::<record::TaskPage>("query", query);
        self.host.call(move |router| async move {
            let page = page?;
            let (start, reversed) = page_start(page.offset, page.order.as_deref())?;
            let query = TaskQuery {
                session_id: SessionId(session),
                state: wanted_tasks(page.state.as_deref())?,
                key_id: page.key,
                limit: page_rows(page.limit, router.config().listen.max_page_rows)?,
                start,
            };
            let found = router.tasks(query).await?;
            let mut tasks: Vec<_> = found.tasks.iter().map(crate::model::TaskRecord::row).collect();
            if reversed {
                tasks.reverse();
            }
            let corrupt: Vec<u64> = found.corrupt.iter().map(|id| id.0).collect();
            json::text(&json!({"count": found.total, "tasks": tasks, "corrupt": corrupt}))
        })
    }

    /// Cancels a task, waits until the cancellation is durable, and returns the task's record.
    pub fn cancel(&self, session: u64, task: u64) -> Call<String> {
        self.host
            .call(move |router| async move { record::task(&router.cancel(SessionId(session), TaskId(task)).await?) })
    }

    /// Joins a task, running or ended.
    pub fn attach(&self, session: u64, task: u64) -> Call<Task> {
        let host = self.host.clone();
        self.host.call(move |router| async move {
            Ok(Task::new(host, router.attach(SessionId(session), TaskId(task)).await?))
        })
    }

    /// Adds a miner of the host program: `{"name","models","capacity","weight","owner","embeddings", ...}`.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Conflict` if the name is taken; `Overloaded` if there are as many miners as
    /// `limits.max_miners` allows; `Closed`.
    pub fn add_miner(&self, spec: &str, miner: impl HostMiner) -> Result<Miner> {
        Miner::add(&self.host, spec, miner)
    }

    /// Adds an OpenAI-compatible server as a miner. `upstream` is one `upstream` of the configuration as JSON; `url` is
    /// required.
    ///
    /// # Errors
    /// The errors of [`add_miner`](Self::add_miner).
    pub fn add_upstream(&self, upstream: &str) -> Result<()> {
        self.host.router()?.add_upstream(json::parse("upstream", upstream)?)
    }

    /// Removes the miner of this name, of any kind. Other miners take over its tasks. The code of a host's miner is
    /// released when its running calls have ended; [`Miner::remove`] waits for that.
    ///
    /// # Errors
    /// `NotFound`, `Closed`.
    pub fn remove_miner(&self, name: &str) -> Result<()> {
        self.host.router()?.remove_miner(name)?;
        self.host.retire(name);
        Ok(())
    }

    /// Starts an HTTP listener. `config` is the `listen` section as JSON; a blank text means the router's own settings.
    pub fn listen(&self, config: &str) -> Call<Listener> {
        Listener::start(&self.host, config)
    }

    /// The REST API without a socket. `config` is as in [`listen`](Self::listen).
    pub fn http_handler(&self, config: &str) -> Call<HttpHandler> {
        HttpHandler::new(&self.host, config)
    }

    /// Makes an API key for listeners and returns
    /// `{"id","name","scopes","sessions","created_at","expires_at","token"}`. The token cannot be read again later.
    /// `spec` is the body of `POST /api/v1/keys`; only `name` is required.
    pub fn create_key(&self, spec: &str) -> Call<String> {
        let spec = json::parse::<KeySpec>("key", spec);
        self.host.call(move |router| async move { json::text(&router.create_key(&spec?).await?) })
    }

    /// The API keys: `{"count","keys":[...]}`.
    pub fn keys(&self) -> Call<String> {
        self.host.call(|router| async move {
            let keys = router.keys().await?;
            json::text(&json!({"count": keys.len(), "keys": keys}))
        })
    }

    /// Revokes an API key. Listeners refuse it from now on and end its open requests. The call fails with `NotFound` if
    /// there is no such key.
    pub fn delete_key(&self, id: &str) -> Call<()> {
        let id = id.to_owned();
        self.host.call(move |router| async move {
            if router.delete_key(&id).await? {
                return Ok(());
            }
            Err(Error::not_found(format!("there is no key {id}")).with_code("key_not_found").with_param("id"))
        })
    }

    /// The usage: the answer of `GET /api/v1/usage`. `query` is
    /// `{"by","from","to","key","session","model","miner","limit","offset"}`, each optional.
    pub fn usage(&self, query: &str) -> Call<String> {
        let wish = json::parse::<record::UsageWish>("query", query);
        self.host.call(move |router| async move {
            let wish = wish?;
            let (from, to) =
                router.days(wish.from.as_deref().unwrap_or_default(), wish.to.as_deref().unwrap_or_default())?;
            let query = UsageQuery {
                by: wish.by.map_or(Ok(UsageBy::default()), |by| by.parse())?,
                from,
                to,
                key_id: wish.key,
                session: wish.session.map(SessionId),
                model: wish.model,
                miner: wish.miner,
                visible: None,
                offset: wish.offset,
                limit: page_rows(wish.limit, router.config().listen.max_page_rows)?,
            };
            json::text(&router.usage(query).await?)
        })
    }

    /// Refuses new tasks from now on and waits until all present tasks have ended. `true`: all have ended within
    /// `timeout`.
    pub fn drain(&self, timeout: Duration) -> Call<bool> {
        self.host.call(move |router| async move { Ok(router.drain(timeout).await) })
    }

    /// Ends the router: stops the listeners, cancels running work and closes the store. After the return, no callback
    /// of the host runs or starts. After it has succeeded, further calls do nothing.
    ///
    /// # Errors
    /// `WouldDeadlock` inside a callback; `Timeout` if the end takes longer than `timeout`: the router is closed all
    /// the same, and another call continues to wait; `Closed` with the code `forked` in a forked child.
    pub fn shutdown(&self, timeout: Option<Duration>) -> Result<()> {
        self.host.shutdown(timeout)
    }
}

async fn embeddings(router: &crate::Router, intake: Intake<'static>) -> Result<Embeddings> {
    let submission = router.enter(router.checked(Intake { waits: true, ..intake }).await?).await?;
    Embeddings::of(submission.request(), &submission.result().await?)
}
