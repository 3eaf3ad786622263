//! Miners behind HTTP: any server that speaks OpenAI's API (llama.cpp, vLLM, Ollama, SGLang, hosted ones).
//!
//! One [`UpstreamMiner`] is one server. A job becomes one request ([`ask`]). Its answer is read frame by frame
//! ([`call`]) over a connection of the pool ([`pool`]). Bodies are parsed only as far as the router needs: text,
//! finish reason, usage. Everything else passes on as the bytes that came, and cannot make an answer fail.
//!
//! | the upstream | the job fails with |
//! |---|---|
//! | cannot be reached, hangs up before it answers | `Unreachable` |
//! | 429, 503, 529 | `Overloaded`, with its `Retry-After`; its credits halve ([`CreditWindow`]) |
//! | 404, or the code `model_not_found` | `Model` |
//! | 403 | `Refused` |
//! | 401, 402, 407 | `Credentials` |
//! | 413 | `Context` |
//! | 408, 421, 425, 5xx, no HTTP, an end before the finish reason | `Internal` |
//! | any other 4xx | `Invalid`, or `Context` where it speaks of the context |
//! | an error inside a status 200 ([`complaint`]) | as its own status or type says, else `Internal` |
//! | a stream or an answer that says nothing, and not why it ends | `Internal` |
//! | an answer that cannot be read | `Unreadable` |

mod ask;
mod assembly;
mod call;
mod complaint;
mod credit;
mod cut;
mod endpoint;
mod listing;
mod pool;
mod probe;
mod refusal;
mod sse;
#[cfg(test)]
mod tests;

pub use credit::CreditWindow;
pub use listing::listed_models;
pub use probe::{ProbeReport, UpstreamProbe};

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;

use self::ask::RefusedFields;
use self::endpoint::Endpoint;
use self::pool::Pool;
use super::{Job, Miner};
use crate::Result;
use crate::config::{LimitsConfig, StreamUsage, UpstreamConfig};

/// A server that speaks OpenAI's API, as a miner.
///
/// Offers are answered by tokio tasks, so they must come from within a tokio runtime. The router runs
/// [`probe`](Self::probe) beside it and listens to [`on_credits`](Self::on_credits).
#[derive(Clone)]
pub struct UpstreamMiner {
    shared: Arc<Shared>,
}

/// The state that the tasks of one upstream share.
pub(super) struct Shared {
    config: UpstreamConfig,
    name: String,
    max_output: usize,
    pool: Pool,
    /// The upstream's own name of the model that serves requests without a model.
    default_model: RwLock<Option<Arc<str>>>,
    window: Mutex<CreditWindow>,
    /// Copies of three values of `window`, so that the usual case takes no lock and a hook may read them.
    credits: AtomicU32,
    cuts: AtomicU64,
    throttled: AtomicBool,
    /// Fields of the router's own that the upstream has refused.
    refused_fields: RefusedFields,
    /// Answers that came: a sign of life for the probe of a busy server.
    answered: AtomicU64,
    on_credits: OnceLock<Box<dyn Fn(u32) + Send + Sync>>,
}

impl UpstreamMiner {
    /// A miner for that server. Connects to nothing yet.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where the URL or the key cannot be used.
    pub fn new(config: UpstreamConfig, limits: &LimitsConfig) -> Result<Arc<Self>> {
        let pool = Pool::new(&config, Endpoint::new(&config)?)?;
        let first = config.models.first().map(|model| Arc::from(upstream_name(&config, model)));
        Ok(Arc::new(Self {
            shared: Arc::new(Shared {
                name: config.miner_name(),
                max_output: usize::try_from(limits.max_output_bytes).unwrap_or(usize::MAX),
                pool,
                default_model: RwLock::new(first),
                window: Mutex::new(CreditWindow::new(config.max_concurrency)),
                credits: AtomicU32::new(config.max_concurrency.max(1)),
                cuts: AtomicU64::new(0),
                throttled: AtomicBool::new(false),
                refused_fields: RefusedFields::default(),
                answered: AtomicU64::new(0),
                on_credits: OnceLock::new(),
                config,
            }),
        }))
    }

    /// Its configuration.
    pub fn config(&self) -> &UpstreamConfig {
        &self.shared.config
    }

    /// The number of tasks that it may have now.
    pub fn credits(&self) -> u32 {
        self.shared.credits.load(Ordering::Relaxed)
    }

    /// Sets a function that is called with the new number whenever [`credits`](Self::credits) changes. Only the first
    /// one counts. It is called from the task of a job, before that job is answered, and must not block.
    pub fn on_credits(&self, hook: Box<dyn Fn(u32) + Send + Sync>) {
        // A second hook is refused by the cell; the documentation says so.
        let _ = self.shared.on_credits.set(hook);
    }

    /// The probe that finds out whether it is up and which models it has. It must run once, beside the miner.
    pub fn probe(&self) -> UpstreamProbe {
        UpstreamProbe::new(Arc::clone(&self.shared))
    }
}

impl Miner for UpstreamMiner {
    fn offer(&self, job: Job) {
        super::spawn(&Handle::current(), call::run(Arc::clone(&self.shared), job));
    }
}

impl std::fmt::Debug for UpstreamMiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamMiner")
            .field("config", &self.shared.config)
            .field("credits", &self.credits())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The count of cuts before a request is sent, for [`overloaded`](Self::overloaded).
    fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Whether a refused field of the router's own is left out.
    fn may_leave_out(&self) -> bool {
        self.config.stream_usage != StreamUsage::On
    }

    fn overloaded(&self, cuts: u64) {
        self.change_window(|window| window.overloaded(cuts));
    }

    fn succeeded(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        if self.throttled.load(Ordering::Relaxed) {
            self.change_window(CreditWindow::succeeded);
        }
    }

    fn change_window(&self, change: impl FnOnce(&mut CreditWindow) -> Option<u32>) {
        let mut window = self.window.lock();
        let changed = change(&mut window);
        self.credits.store(window.credits(), Ordering::Relaxed);
        self.cuts.store(window.cuts(), Ordering::Relaxed);
        self.throttled.store(window.is_throttled(), Ordering::Relaxed);
        // The hook is called under the lock, so that it hears the last number last.
        if let (Some(credits), Some(hook)) = (changed, self.on_credits.get()) {
            tracing::debug!(upstream = %self.name, credits, "the upstream's credits changed");
            hook(credits);
        }
    }
}

/// The upstream's own name of a model that clients may know by an alias.
fn upstream_name<'a>(config: &'a UpstreamConfig, model: &'a str) -> &'a str {
    config.aliases.get(model).map_or(model, String::as_str)
}
