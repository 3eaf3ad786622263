//! Miners behind HTTP: any server that speaks OpenAI's API (llama.cpp, vLLM, Ollama, SGLang, hosted services).
//!
//! A server may speak another API instead ([`speech`]).
//!
//! One [`UpstreamMiner`] represents one server. Each job becomes one request ([`ask`]). The answer is read part by part
//! ([`call`]) over a connection ([`link`]) of the pool ([`pool`]). Bodies are parsed only as far as the router needs:
//! text, finish reason, usage. All other members are forwarded as the bytes that came, and cannot make an answer fail.
//!
//! | the upstream | the job fails with |
//! |---|---|
//! | cannot be reached, or hangs up before it answers | `Unreachable` |
//! | 429, 503, 529 | `Overloaded`, with its `Retry-After`; its credits halve ([`CreditWindow`]) |
//! | 404, or the code `model_not_found` | `Model` |
//! | 404, 405 or 501 to a route that only some servers have ([`passed`]) | `Model` |
//! | 403 | `Refused` |
//! | 401, 402, 407 | `Credentials` |
//! | 413 | `Context` |
//! | 3xx, 408, 421, 425, other 5xx, an answer that is not HTTP, an end before the finish reason | `Internal` |
//! | any other 4xx | `Invalid`, or `Context` if the message is about the context |
//! | an error inside a status 200 ([`complaint`]) | the class of the error's own status or type, or else `Internal` |
//! | an answer without content and without a finish reason | `Unreadable` |
//! | an answer that cannot be read | `Unreadable` |

mod ask;
mod assembly;
mod block;
mod body;
mod call;
mod chain;
mod complaint;
#[cfg(feature = "listener")]
mod count;
mod credit;
mod cut;
mod dial;
mod endpoint;
mod head;
mod link;
mod listing;
mod packed;
mod passed;
mod pool;
mod probe;
mod received;
mod receiver;
mod recorded;
mod refusal;
mod request;
mod speech;
mod sse;
#[cfg(test)]
mod tests;

pub use chain::chain;
pub use credit::CreditWindow;
#[cfg(feature = "listener")]
pub(crate) use passed::ROUTE_NOT_SERVED;
#[cfg(feature = "listener")]
use probe::LastProbe;
pub use probe::{ProbeReport, UpstreamProbe};
pub use received::{Received, received};
pub use recorded::{Recorded, recorded};
pub use refusal::retry_after_ms;

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;

use self::ask::RefusedFields;
use self::dial::Dial;
use self::endpoint::Endpoint;
use self::passed::Lacking;
use self::pool::Pool;
use super::network::Network;
use super::{Failure, Job, Miner};
use crate::Result;
use crate::config::{LimitsConfig, StreamUsage, UpstreamConfig};
#[cfg(feature = "listener")]
use crate::reach::Reach;

/// A server that speaks OpenAI's API or another that the router can translate, as a miner.
///
/// [`offer`](Miner::offer) spawns a tokio task and must be called within a tokio runtime. The program that uses the
/// miner must also run its [`probe`](Self::probe) and listen to [`on_credits`](Self::on_credits).
#[derive(Clone)]
pub struct UpstreamMiner {
    shared: Arc<Shared>,
}

/// The state that the tasks of one upstream share.
pub(super) struct Shared {
    config: UpstreamConfig,
    name: String,
    max_output: AtomicUsize,
    pool: Pool,
    /// The upstream's own name of the model that serves requests without a model.
    default_model: RwLock<Option<Arc<str>>>,
    window: Mutex<CreditWindow>,
    /// Copies of three values of `window`, so that the usual case takes no lock and a hook may read them.
    credits: AtomicU32,
    cuts: AtomicU64,
    throttled: AtomicBool,
    /// Fields added by the router that the upstream has refused.
    refused_fields: RefusedFields,
    /// The routes that the upstream lacks.
    lacking: Lacking,
    /// The time from which on the upstream is asked again to count tokens, after it had no route for it.
    #[cfg(feature = "listener")]
    counts_again: Mutex<Option<tokio::time::Instant>>,
    /// The number of successful answers: a sign of life for the probe of a busy server.
    answered: AtomicU64,
    on_credits: OnceLock<Box<dyn Fn(u32) + Send + Sync>>,
    /// The outcome of the last probe; `None`: none has ended.
    #[cfg(feature = "listener")]
    last_probe: Mutex<Option<LastProbe>>,
    /// The key, if it is no placeholder.
    secret: Option<String>,
}

/// The fewest bytes of a key that is a secret. A shorter one is a placeholder such as `ollama`, which words may hold.
const SECRET_BYTES: usize = 16;

impl UpstreamMiner {
    /// Makes a miner for a server. This opens no connection.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the URL or the key cannot be used.
    pub fn new(config: UpstreamConfig, limits: &LimitsConfig) -> Result<Arc<Self>> {
        Self::new_in(config, limits, None)
    }

    /// Makes a miner for a server on that network, without TLS; `None`: the operating system's.
    ///
    /// # Errors
    /// The errors of [`new`](Self::new).
    pub fn new_in(
        config: UpstreamConfig,
        limits: &LimitsConfig,
        network: Option<Arc<dyn Network>>,
    ) -> Result<Arc<Self>> {
        let dial = Dial::new(&config, network)?;
        Self::with(config, limits, dial)
    }

    /// Makes a miner for a server at one of the addresses that the rule allows.
    ///
    /// # Errors
    /// The errors of [`new`](Self::new).
    #[cfg(feature = "listener")]
    pub(crate) fn within(config: UpstreamConfig, limits: &LimitsConfig, reach: Arc<Reach>) -> Result<Arc<Self>> {
        let dial = Dial::within(&config, reach)?;
        Self::with(config, limits, dial)
    }

    /// Makes a miner for a server that the router starts. Its port is kept in `port` while it runs.
    ///
    /// # Errors
    /// The errors of [`new`](Self::new).
    pub(crate) fn started(config: UpstreamConfig, limits: &LimitsConfig, port: Arc<AtomicU16>) -> Result<Arc<Self>> {
        // The address never leaves the machine, so that the port need not stand in it.
        Self::with(UpstreamConfig { url: "http://127.0.0.1/v1".to_owned(), ..config }, limits, Dial::Started(port))
    }

    fn with(config: UpstreamConfig, limits: &LimitsConfig, dial: Dial) -> Result<Arc<Self>> {
        let pool = Pool::new(&config, Endpoint::new(&config)?, dial);
        let first = config.models.first().map(|model| Arc::from(upstream_name(&config, model)));
        Ok(Arc::new(Self {
            shared: Arc::new(Shared {
                name: config.miner_name(),
                max_output: AtomicUsize::new(bytes_of_answers(limits)),
                pool,
                default_model: RwLock::new(first),
                window: Mutex::new(CreditWindow::new(config.max_concurrency)),
                credits: AtomicU32::new(config.max_concurrency.max(1)),
                cuts: AtomicU64::new(0),
                throttled: AtomicBool::new(false),
                refused_fields: RefusedFields::default(),
                lacking: Lacking::default(),
                #[cfg(feature = "listener")]
                counts_again: Mutex::default(),
                answered: AtomicU64::new(0),
                on_credits: OnceLock::new(),
                #[cfg(feature = "listener")]
                last_probe: Mutex::default(),
                secret: config.key().map(|key| key.trim().to_owned()).filter(|key| key.len() >= SECRET_BYTES),
                config,
            }),
        }))
    }

    /// Bounds its answers anew.
    pub(crate) fn set_limits(&self, limits: &LimitsConfig) {
        self.shared.max_output.store(bytes_of_answers(limits), Ordering::Relaxed);
    }

    /// The configuration of the upstream.
    pub fn config(&self) -> &UpstreamConfig {
        &self.shared.config
    }

    /// The number of concurrent tasks that the upstream may have at present.
    pub fn credits(&self) -> u32 {
        self.shared.credits.load(Ordering::Relaxed)
    }

    /// Sets a function that is called with the new number whenever [`credits`](Self::credits) changes. Later calls are
    /// ignored. The function is called from the task of a job, before that job is answered, and must not block.
    pub fn on_credits(&self, hook: Box<dyn Fn(u32) + Send + Sync>) {
        // The cell refuses a second hook, as documented.
        let _ = self.shared.on_credits.set(hook);
    }

    /// The outcome of the last probe; `None`: none has ended yet.
    #[cfg(feature = "listener")]
    pub(crate) fn last_probe(&self) -> Option<LastProbe> {
        self.shared.last_probe.lock().clone()
    }

    /// The probe that finds out whether the upstream is up and which models it has. Exactly one probe must run.
    pub fn probe(&self) -> UpstreamProbe {
        UpstreamProbe::new(Arc::clone(&self.shared))
    }
}

impl Miner for UpstreamMiner {
    fn offer(&self, job: Job) {
        // The runtime moves a task's future several times until it runs. This one has kilobytes, so only its address is
        // moved.
        super::spawn(&Handle::current(), Box::pin(call::run(Arc::clone(&self.shared), job)));
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
    /// The most bytes of an answer.
    fn max_output(&self) -> usize {
        self.max_output.load(Ordering::Relaxed)
    }

    /// The number of cuts of the window so far. A job reads it before it sends, for [`overloaded`](Self::overloaded).
    fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Whether the router may leave out a field of its own that the upstream has refused.
    fn may_leave_out(&self) -> bool {
        self.config.stream_usage != StreamUsage::On
    }

    /// The failure without the router's key, which a server may repeat in its words. Its own JSON is left out then.
    fn discreet(&self, mut failure: Failure) -> Failure {
        let Some(secret) = &self.secret else { return failure };
        if failure.message.contains(secret) {
            failure.message = failure.message.replace(secret, "[the router's key]");
        }
        let raw = failure.raw.take();
        failure.raw = raw.filter(|raw| !raw.windows(secret.len()).any(|part| part == secret.as_bytes()));
        failure
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
        // The lock is held during the call, so that the newest number is the last one that the hook gets.
        if let (Some(credits), Some(hook)) = (changed, self.on_credits.get()) {
            tracing::debug!(upstream = %self.name, credits, "the upstream's credits changed");
            hook(credits);
        }
    }
}

fn bytes_of_answers(limits: &LimitsConfig) -> usize {
    usize::try_from(limits.max_output_bytes).unwrap_or(usize::MAX)
}

/// The upstream's own name of a model that clients may know by an alias.
fn upstream_name<'a>(config: &'a UpstreamConfig, model: &'a str) -> &'a str {
    config.aliases.get(model).map_or(model, String::as_str)
}
