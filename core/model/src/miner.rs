//! Miners: a miner does the work of tasks.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::word::words;
use crate::{SessionId, absent};

words! {
    /// How a miner is reached.
    #[derive(Default)]
    MinerKind in "kind" {
        /// A callback of the host program.
        #[default]
        Local = "local",
        /// An OpenAI-compatible server that the router calls.
        Upstream = "upstream",
        /// A worker that dialled in.
        Remote = "remote",
    }

    /// The kind of a miner.
    #[derive(Default)]
    NodeKind in "kind" {
        /// It comes and goes.
        #[default]
        Ephemeral = "ephemeral",
        /// It stays, and serves the sessions whose `mode` takes dedicated miners.
        Dedicated = "dedicated",
    }

    /// Whether a miner gets work, and why it gets none.
    #[derive(Default)]
    MinerStatus in "status" {
        /// It has nothing to do.
        Idle = "idle",
        /// It works.
        Busy = "busy",
        /// It finishes what it has and gets no more.
        Draining = "draining",
        /// Its breaker is open: it failed too often.
        Cooling = "cooling",
        /// Its answers are not trusted.
        SetAside = "set_aside",
        /// It is not there.
        #[default]
        Down = "down",
        /// It is a server that the router starts, and does not run. The next task for its models starts it.
        Stopped = "stopped",
        /// It is a server that the router starts, and is not ready yet.
        Starting = "starting",
        /// It is a server that the router starts. It finishes the tasks that it has, and is then stopped.
        Stopping = "stopping",
        /// It is a server that the router starts, and ended by itself or did not get ready. It is started again later.
        Failed = "failed",
    }

    /// The breaker of a miner: it keeps tasks away from a miner that fails.
    #[derive(Default)]
    Breaker in "breaker" {
        /// The miner receives tasks normally.
        #[default]
        Closed = "closed",
        /// The miner receives no tasks for a while.
        Open = "open",
        /// The miner receives one task, to see whether it works again.
        HalfOpen = "half_open",
    }
}

/// A miner, as it describes itself when it joins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MinerSpec {
    /// Its name, unique among the miners that are there; 1 to 128 bytes.
    pub name: String,
    /// How it is reached.
    pub kind: MinerKind,
    /// The models it serves; empty means any model that is asked for.
    pub models: Vec<String>,
    /// How many tasks it works on at a time, 1 to 65536.
    pub capacity: u32,
    /// Its share among equals, 1 to 100.
    pub weight: u32,
    /// The person or company that runs the miner. Answers that are compared come from different owners if there are
    /// any.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String, default = ""))]
    pub owner: Option<String>,
    /// Whether it is dedicated to sessions rather than ephemeral.
    pub dedicated: bool,
    /// Whether it embeds, beside or instead of generating.
    pub embeddings: bool,
    /// The most tokens of prompt and answer together; 0 where it does not say.
    #[serde(with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, default = 0))]
    pub max_context_tokens: Option<NonZeroU64>,
    /// The optional abilities of the miner: with `continue` it goes on from a partial answer of another miner. An
    /// upstream with `messages` or `responses` takes the bodies of these APIs as they are.
    pub features: Vec<String>,
    /// Its software and version, in its own words.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String, default = ""))]
    pub agent: Option<String>,
    /// Its hardware, in its own words.
    pub hardware: Option<Hardware>,
    /// The details of its models beyond their names, as the miner states them.
    pub model_details: Vec<ModelDetails>,
}

/// The feature of a miner that goes on behind a partial answer.
pub const CONTINUE: &str = "continue";

/// A model of a miner, as the miner describes it. The router checks none of it but the name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ModelDetails {
    /// Its name, as it is asked for; 1 to 256 bytes.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 256))]
    pub id: String,
    /// A digest of its weights, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quant: Option<String>,
    /// The most tokens of prompt and answer together; 0 where it is not known.
    #[serde(default, with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub context: Option<NonZeroU64>,
    /// The most tokens of an answer; 0 where it is not known.
    #[serde(default, with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub max_output: Option<NonZeroU64>,
    /// Whether it is loaded.
    #[serde(default)]
    pub warm: bool,
    /// Whether it embeds.
    #[serde(default)]
    pub embeddings: bool,
    /// Whether it calls tools.
    #[serde(default)]
    pub tools: bool,
}

/// The hardware of a miner, as the miner describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Hardware {
    /// The accelerator, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub gpu: Option<String>,
    /// Its memory, in MiB; 0 where it does not say.
    #[serde(default, with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub vram: Option<NonZeroU64>,
    /// The processor, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub cpu: Option<String>,
}

impl Default for MinerSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: MinerKind::Local,
            models: Vec::new(),
            capacity: 1,
            weight: 1,
            owner: None,
            dedicated: false,
            embeddings: false,
            max_context_tokens: None,
            features: Vec::new(),
            agent: None,
            hardware: None,
            model_details: Vec::new(),
        }
    }
}

crate::setters! { MinerSpec {
    kind: MinerKind => kind,
    models: impl IntoIterator<Item = impl Into<String>> => models.into_iter().map(Into::into).collect(),
    weight: u32 => weight,
    owner: impl Into<String> => absent::text::of(owner),
    dedicated: bool => dedicated,
    embeddings: bool => embeddings,
    max_context_tokens: Option<NonZeroU64> => max_context_tokens,
    features: impl IntoIterator<Item = impl Into<String>> => features.into_iter().map(Into::into).collect(),
    agent: impl Into<String> => absent::text::of(agent),
    hardware: impl Into<Option<Hardware>> => hardware.into(),
    model_details: Vec<ModelDetails> => model_details,
} }

impl MinerSpec {
    /// A local miner of that name that takes `capacity` tasks at a time.
    ///
    /// ```
    /// # mod cortensor_router { pub use cortensor_router_model as model; }
    /// use cortensor_router::model::MinerSpec;
    /// let spec = MinerSpec::new("gpu-1", 4).models(["small", "large"]).owner("alice").embeddings(true);
    /// assert!(spec.validate().is_ok());
    /// ```
    pub fn new(name: impl Into<String>, capacity: u32) -> Self {
        Self { name: name.into(), capacity, ..Self::default() }
    }

    /// Lowers every number to one that each reader of JSON can read exactly. The numbers are a miner's claims, and
    /// clients see them.
    #[doc(hidden)]
    pub fn numbers_in_json(&mut self) {
        let most = |number: NonZeroU64| NonZeroU64::new(number.get().min(super::MAX_JSON_INTEGER));
        let claim = |number: &mut Option<NonZeroU64>| *number = number.and_then(most);
        claim(&mut self.max_context_tokens);
        self.hardware.iter_mut().for_each(|hardware| claim(&mut hardware.vram));
        for model in &mut self.model_details {
            claim(&mut model.context);
            claim(&mut model.max_output);
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the field.
    pub fn validate(&self) -> crate::Result<()> {
        use crate::Error;
        if self.name.is_empty() || self.name.len() > 128 {
            return Err(Error::invalid("name", "a miner's name has 1 to 128 bytes"));
        }
        super::check_name("name", &self.name)?;
        for model in &self.models {
            super::check_name("models", model)?;
        }
        for (field, word) in [("owner", &self.owner), ("agent", &self.agent)] {
            super::check_word(field, word.as_deref().unwrap_or_default())?;
        }
        if !(1..=65_536).contains(&self.capacity) {
            return Err(Error::invalid("capacity", "a miner's capacity is 1 to 65536"));
        }
        if !(1..=100).contains(&self.weight) {
            return Err(Error::invalid("weight", "a miner's weight is 1 to 100"));
        }
        Ok(())
    }
}

crate::record! {
/// A miner as the router sees it now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MinerInfo {
    /// The name.
    pub id: String,
    /// Alias of `id`, for clients that read `miner_id`.
    pub miner_id: String,
    /// The address that stands for it.
    pub address: String,
    /// Whether it gets work.
    pub active: bool,
    /// `idle`, `busy`, `draining`, `cooling` (its breaker is open), `set_aside` (its answers are not trusted) or `down`; a
    /// server that the router starts may also be `stopped`, `starting`, `stopping` or `failed`.
    pub status: MinerStatus,
    /// The router that it is connected to, where several share a database; else empty.
    pub router: String,
    /// How it is reached.
    pub kind: MinerKind,
    /// `ephemeral` or `dedicated`.
    pub node_type: NodeKind,
    /// The models it serves.
    pub models: Vec<String>,
    /// How many tasks it takes at a time, as it said.
    pub capacity: u32,
    /// How many it may take now: less than `capacity` while an upstream is throttled.
    pub credits: u32,
    /// How many it works on.
    pub in_flight: u32,
    /// The person or company that runs the miner.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub owner: Option<String>,
    /// Whether it embeds.
    pub embeddings: bool,
    /// The most tokens of prompt and answer together; 0 where it does not say.
    #[serde(with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub max_context_tokens: Option<NonZeroU64>,
    /// The optional abilities of the miner: `continue`, `messages`, `responses` ...
    pub features: Vec<String>,
    /// Its software and version, in its own words; empty for miners that do not say.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub agent: Option<String>,
    /// Its hardware, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// The details of its models beyond their names, as the miner states them.
    pub model_details: Vec<ModelDetails>,
    /// Tasks in flight as a share of those that it may have now; 0 while it may have none.
    pub load: f64,
    /// Attempts that failed by its fault, as a share of those that ended.
    pub error_rate: f64,
    /// Measured tokens a second of one task.
    pub tokens_per_second: f64,
    /// Measured milliseconds to the first token.
    pub first_token_ms: f64,
    /// Tasks it finished.
    pub completed: u64,
    /// Attempts that failed by its fault.
    pub failed: u64,
    /// `closed`, `open` or `half_open`.
    pub breaker: Breaker,
    /// How often its answers agree with others', smoothed; 1 where they always did or none was compared.
    pub reputation: f64,
    /// The greatest service class (`sla` of a session) whose demands it meets, 0 to 3.
    pub service_class: u32,
    /// The session that it is kept for; `null` where it is everybody's.
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub reserved_for: Option<SessionId>,
    /// Why it is down, or what is odd about it while it is up; else empty.
    #[serde(default, with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub reason: Option<String>,
    /// Unix seconds.
    pub connected_at: u64,
    /// Unix seconds.
    pub last_seen: u64,
}
}

impl MinerInfo {
    /// Whether the miner says that it takes the bodies of that API as they are.
    #[doc(hidden)]
    pub fn speaks(&self, api: &str) -> bool {
        self.features.iter().any(|feature| feature == api)
    }
}

crate::setters! { ModelDetails {
    id: impl Into<String> => id.into(),
    digest: Option<String> => digest,
    quant: Option<String> => quant,
    context: Option<NonZeroU64> => context,
    max_output: Option<NonZeroU64> => max_output,
    warm: bool => warm,
    embeddings: bool => embeddings,
    tools: bool => tools,
} }

crate::setters! { Hardware {
    gpu: Option<String> => gpu,
    vram: Option<NonZeroU64> => vram,
    cpu: Option<String> => cpu,
} }
