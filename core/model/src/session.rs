//! Sessions: every task belongs to one. A session has limits, a weight and a model.

use std::num::{NonZeroU32, NonZeroU64};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::change::Change;
use crate::json::with_path;
use crate::session_quota::{SessionQuota, SessionQuotaPatch};
use crate::whole::{Whole, number, some_number};
use crate::word::{some_word, word, words};
use crate::{Error, Matching, Policy, Result, SessionId, Timestamp, ValidationSpec, absent, check_name, check_word};

/// The most models that a session may name.
const MOST_MODELS: usize = 256;

/// Which kinds of miners serve a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SessionMode {
    /// 0: miners that come and go.
    #[default]
    Ephemeral = 0,
    /// 1: dedicated miners, which stay.
    Dedicated = 1,
    /// 2: both.
    Hybrid = 2,
}

impl SessionMode {
    /// Whether a miner of that kind serves the session.
    pub fn takes(self, dedicated: bool) -> bool {
        match self {
            Self::Ephemeral => !dedicated,
            Self::Dedicated => dedicated,
            Self::Hybrid => true,
        }
    }
}

/// The mode of that number.
impl TryFrom<u8> for SessionMode {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self> {
        match number {
            0 => Ok(Self::Ephemeral),
            1 => Ok(Self::Dedicated),
            2 => Ok(Self::Hybrid),
            _ => Err(Error::invalid("mode", "mode must be 0 (ephemeral), 1 (dedicated) or 2 (hybrid)")),
        }
    }
}

/// The mode's number, as in JSON.
impl From<SessionMode> for u8 {
    fn from(mode: SessionMode) -> Self {
        mode as Self
    }
}

impl Serialize for SessionMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(u8::from(*self))
    }
}

/// A number that is no mode is an error; `null` counts as not given.
impl<'de> Deserialize<'de> for SessionMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(number::<D, u8>(deserializer)?).map_err(D::Error::custom)
    }
}

words! {
    /// Whether a session takes tasks.
    #[derive(Default)]
    SessionState in "state" {
        /// It takes tasks.
        #[default]
        Open = "open",
        /// It takes no new tasks; running ones finish.
        Closed = "closed",
    }

    /// The parts of an ended task that the router keeps.
    #[derive(Default)]
    Retention in "retention" {
        /// Everything.
        #[default]
        All = "all",
        /// The answers without what was asked.
        Result = "result",
        /// Neither the answers nor what was asked.
        Nothing = "none",
    }
}

/// A session to be created. Only `name` is required; Cortensor's published camelCase names, such as `minNumOfNodes`,
/// are taken too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct SessionSpec {
    /// A name for people, 1 to 256 bytes.
    #[cfg_attr(feature = "schema", schema(required = true, min_length = 1, max_length = 256))]
    pub name: String,
    /// Anything of the caller's, up to 64 KiB of text or JSON.
    #[cfg_attr(feature = "schema", schema(max_length = 65_536))]
    #[serde(deserialize_with = "text_or_json")]
    pub metadata: String,
    /// The owner; the token's id where it is empty.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String, default = ""))]
    pub owner: Option<String>,
    /// Which miners serve it: 0 ephemeral, 1 dedicated, 2 both.
    #[cfg_attr(feature = "schema", schema(value_type = u8, maximum = 2))]
    pub mode: SessionMode,
    /// How many miners answer each task (0 and 1: one).
    #[cfg_attr(feature = "schema", schema(maximum = 16))]
    #[serde(alias = "redundancy", deserialize_with = "number_or_flag")]
    pub redundant: u32,
    /// The fewest miners that must be there for the session to be served; while there are fewer, new tasks are refused
    /// (`too_few_miners`); 0: no demand.
    #[serde(alias = "minNumOfNodes", alias = "min_nodes", alias = "minNodes", deserialize_with = "number")]
    pub min_num_of_nodes: u32,
    /// The most miners that work for it at a time; 0: no limit.
    #[serde(alias = "maxNumOfNodes", alias = "max_nodes", alias = "maxNodes", with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u32, default = 0))]
    pub max_num_of_nodes: Option<NonZeroU32>,
    /// How many answers are validated.
    #[serde(
        alias = "numOfValidatorNodes",
        alias = "validator_nodes",
        alias = "validatorNodes",
        alias = "num_validator_nodes",
        alias = "validators",
        deserialize_with = "number"
    )]
    pub num_of_validator_nodes: u32,
    /// Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant` say, at least one.
    #[serde(
        alias = "reserveEphemeralNodes",
        alias = "reserve_nodes",
        alias = "reserveNodes",
        alias = "reserve_ephemeral",
        alias = "reserveEphemeral",
        deserialize_with = "flag"
    )]
    pub reserve_ephemeral_nodes: bool,
    /// Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`.
    #[serde(alias = "reservePeriod", alias = "reservePeroid", with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, default = 0))]
    pub reserve_period: Option<NonZeroU64>,
    /// The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10 tokens/s and
    /// 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s. While no miner meets it, any will do.
    #[serde(deserialize_with = "number")]
    pub sla: u32,
    /// The model of its tasks where they name none.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String, default = ""))]
    pub model: Option<String>,
    /// Cortensor's number for a model; kept and given back.
    #[serde(
        alias = "modelIdentifier",
        alias = "model_id",
        alias = "modelId",
        serialize_with = "absent::text::serialize",
        deserialize_with = "text_or_number"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = String, default = ""))]
    pub model_identifier: Option<String>,
    /// The most tasks it ever takes; 0: no limit.
    #[serde(alias = "maxTaskExecutionCount", alias = "max_tasks", alias = "maxTasks", with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, default = 0))]
    pub max_task_execution_count: Option<NonZeroU64>,
    /// The band of its tasks, 0 to 9; a higher band is served first.
    #[cfg_attr(feature = "schema", schema(maximum = 9))]
    #[serde(deserialize_with = "number")]
    pub priority: u8,
    /// Its share within a band, 1 to 1000; 0 means the default of 1.
    #[cfg_attr(feature = "schema", schema(maximum = 1_000))]
    #[serde(deserialize_with = "number")]
    pub weight: u32,
    /// How several answers are compared.
    #[serde(flatten, deserialize_with = "with_path")]
    pub validation: ValidationSpec,
    /// Whether its tasks prefer the miner that served the last one; on by default.
    pub affinity: Option<bool>,
    /// The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`.
    #[serde(deserialize_with = "word")]
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = "^(all|result|none)?$"))]
    pub retention: Retention,
    /// The most that its tasks may use together, whoever submits them.
    #[serde(deserialize_with = "or_default")]
    pub limits: SessionQuota,
    /// The models that its tasks may use; empty: all.
    #[serde(deserialize_with = "or_default")]
    pub models: Vec<String>,
    /// Unix seconds from which on it takes no new tasks; 0: it does not expire.
    #[serde(with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64, default = 0))]
    pub expires_at: Option<NonZeroU64>,
}

/// A change of a session. Members that are missing stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionPatch {
    /// Its name, 1 to 256 bytes.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 256))]
    pub name: Option<String>,
    /// Anything of the caller's, up to 64 KiB.
    #[cfg_attr(feature = "schema", schema(max_length = 65_536))]
    pub metadata: Option<String>,
    /// The model of its tasks where they name none; empty: none.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub model: Change<String>,
    /// How many miners answer each task (0 and 1: one).
    #[cfg_attr(feature = "schema", schema(maximum = 16))]
    #[serde(alias = "redundancy", deserialize_with = "some_number")]
    pub redundant: Option<u32>,
    /// The most tasks it ever takes; 0: no limit.
    #[serde(alias = "maxTaskExecutionCount", alias = "max_tasks", alias = "maxTasks")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub max_task_execution_count: Change<NonZeroU64>,
    /// The band of its tasks, 0 to 9; a higher band is served first.
    #[cfg_attr(feature = "schema", schema(maximum = 9))]
    #[serde(deserialize_with = "some_number")]
    pub priority: Option<u8>,
    /// Its share within a band, 1 to 1000.
    #[cfg_attr(feature = "schema", schema(maximum = 1_000))]
    #[serde(deserialize_with = "some_number")]
    pub weight: Option<u32>,
    /// Whether its tasks prefer the miner that served the last one.
    pub affinity: Option<bool>,
    /// The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`.
    #[serde(deserialize_with = "some_word")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, pattern = "^(all|result|none)?$"))]
    pub retention: Option<Retention>,
    /// The fewest miners that must be there for the session to be served; 0: no demand.
    #[serde(alias = "minNumOfNodes", alias = "min_nodes", alias = "minNodes", deserialize_with = "some_number")]
    pub min_num_of_nodes: Option<u32>,
    /// The most miners that work for it at a time; 0: no limit.
    #[serde(alias = "maxNumOfNodes", alias = "max_nodes", alias = "maxNodes")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>))]
    pub max_num_of_nodes: Change<NonZeroU32>,
    /// The service class.
    #[serde(deserialize_with = "some_number")]
    pub sla: Option<u32>,
    /// The rule that decides if several miners answer: `first`, `quorum`, `medoid` or `all`.
    #[serde(deserialize_with = "some_word")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, pattern = "^(first|quorum|medoid|all)?$"))]
    pub validation_policy: Option<Policy>,
    /// When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.
    #[serde(rename = "match", deserialize_with = "some_word")]
    #[cfg_attr(
        feature = "schema",
        schema(value_type = Option<String>, pattern = "^(exact|normalized|json|lexical|embedding)?$")
    )]
    pub matching: Option<Matching>,
    /// From this score on two answers match, 0 to 1.
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 1))]
    pub min_score: Option<f64>,
    /// Whether one more miner is asked where the answers do not agree.
    pub tie_break: Option<bool>,
    /// The most that its tasks may use together, by the names of `SessionQuota`. A missing member keeps its limit, and
    /// `null` lifts it.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub limits: Option<SessionQuotaPatch>,
    /// The models that its tasks may use; empty: all.
    pub models: Option<Vec<String>>,
    /// Unix seconds from which on it takes no new tasks; 0: it does not expire.
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub expires_at: Change<NonZeroU64>,
}

crate::record! {
/// A session as the router keeps and shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// The session's 0x + 64 hexadecimal digits, also its `tx_hash`; accepted wherever an id is.
    pub sid: String,
    /// The settings with which it was created.
    #[serde(flatten)]
    pub spec: SessionSpec,
    /// An address that stands for the session.
    pub address: String,
    /// Whether it takes tasks.
    pub active: bool,
    /// `active` as a word.
    pub state: SessionState,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
    /// Miners that serve it and come and go.
    pub ephemeral_nodes: Vec<String>,
    /// Miners that are dedicated to it.
    pub dedicated_nodes: Vec<String>,
    /// Miners that are kept for it alone now.
    #[serde(default)]
    pub reserved_nodes: Vec<String>,
    /// How many miners can serve it now.
    pub miners_count: u64,
    /// Tasks that were ever submitted to it.
    pub total_tasks: u64,
    /// Tasks that have not ended.
    pub active_tasks: u64,
}
}

impl Session {
    /// A new open session.
    pub fn new(id: SessionId, sid: String, spec: SessionSpec, now: Timestamp) -> Self {
        Self {
            id,
            address: super::address_of(&sid),
            sid,
            spec,
            active: true,
            state: SessionState::Open,
            created_at: now.as_secs(),
            updated_at: now.as_secs(),
            ephemeral_nodes: Vec::new(),
            dedicated_nodes: Vec::new(),
            reserved_nodes: Vec::new(),
            miners_count: 0,
            total_tasks: 0,
            active_tasks: 0,
        }
    }
}

impl SessionSpec {
    /// Fills in defaults and checks every field.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the field.
    pub fn validated(mut self) -> Result<Self> {
        if self.name.trim().is_empty() {
            return Err(Error::invalid("name", "name is missing: give the session a name of 1 to 256 bytes"));
        }
        if self.name.len() > 256 {
            return Err(Error::invalid("name", "name is longer than 256 bytes"));
        }
        check_name("name", &self.name)?;
        for (field, word) in [("owner", &self.owner), ("model", &self.model)] {
            check_word(field, word.as_deref().unwrap_or_default())?;
        }
        if self.models.len() > MOST_MODELS {
            return Err(Error::invalid("models", format!("models has at most {MOST_MODELS} names")));
        }
        for model in &self.models {
            check_word("models", model)?;
            if model.is_empty() {
                return Err(Error::invalid("models", "models has an empty name: leave it out"));
            }
        }
        if self.metadata.len() > 65_536 {
            return Err(Error::invalid("metadata", "metadata is longer than 65536 bytes"));
        }
        if self.redundant > 16 {
            return Err(Error::invalid("redundant", "redundant must be 0 to 16"));
        }
        if self.max_num_of_nodes.is_some_and(|most| most.get() < self.min_num_of_nodes) {
            return Err(Error::invalid("max_num_of_nodes", "max_num_of_nodes is less than min_num_of_nodes"));
        }
        if self.priority > 9 {
            return Err(Error::invalid("priority", "priority must be 0 to 9"));
        }
        if self.weight > 1_000 {
            return Err(Error::invalid("weight", "weight must be 1 to 1000"));
        }
        self.weight = self.weight.max(1);
        let asked = self.validation.over(&ValidationSpec::default())?;
        self.validation.validation_policy = Some(asked.policy);
        self.validation.matching = Some(asked.matching);
        self.affinity.get_or_insert(true);
        Ok(self)
    }

    /// This spec with the patch's fields in it, checked.
    ///
    /// # Errors
    /// As [`validated`](Self::validated).
    pub fn patched(&self, patch: SessionPatch) -> Result<Self> {
        let mut out = self.clone();
        macro_rules! take {
            ($($field:ident)*) => {$(if let Some(value) = patch.$field { out.$field = value; })*};
        }
        take!(name metadata redundant priority weight retention min_num_of_nodes sla models);
        patch.model.apply(&mut out.model);
        patch.max_num_of_nodes.apply(&mut out.max_num_of_nodes);
        patch.max_task_execution_count.apply(&mut out.max_task_execution_count);
        patch.expires_at.apply(&mut out.expires_at);
        if let Some(limits) = patch.limits {
            out.limits = limits.applied_to(out.limits);
        }
        macro_rules! take_validation {
            ($($field:ident)*) => {$(if patch.$field.is_some() { out.validation.$field = patch.$field; })*};
        }
        take_validation!(validation_policy matching min_score tie_break);
        if patch.affinity.is_some() {
            out.affinity = patch.affinity;
        }
        out.validated()
    }
}

/// Reads a value; `null` counts as not given.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn text_or_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    })
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text_or_json(deserializer).map(absent::text::of)
}

fn number_or_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(Whole<u32>),
        Flag(bool),
    }
    Ok(match Either::deserialize(deserializer).map_err(|_| D::Error::custom("expected a number or a boolean"))? {
        Either::Number(number) => number.0,
        Either::Flag(flag) => u32::from(flag),
    })
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    number_or_flag(deserializer).map(|number| number != 0)
}

crate::setters! { SessionSpec {
    name: impl Into<String> => name.into(),
    metadata: impl Into<String> => metadata.into(),
    owner: Option<String> => owner,
    mode: SessionMode => mode,
    redundant: u32 => redundant,
    min_num_of_nodes: u32 => min_num_of_nodes,
    max_num_of_nodes: Option<NonZeroU32> => max_num_of_nodes,
    num_of_validator_nodes: u32 => num_of_validator_nodes,
    reserve_ephemeral_nodes: bool => reserve_ephemeral_nodes,
    reserve_period: Option<NonZeroU64> => reserve_period,
    sla: u32 => sla,
    model: Option<String> => model,
    model_identifier: Option<String> => model_identifier,
    max_task_execution_count: Option<NonZeroU64> => max_task_execution_count,
    priority: u8 => priority,
    weight: u32 => weight,
    validation: ValidationSpec => validation,
    affinity: Option<bool> => affinity,
    retention: Retention => retention,
    limits: SessionQuota => limits,
    models: Vec<String> => models,
    expires_at: Option<NonZeroU64> => expires_at,
} }

crate::setters! { SessionPatch {
    name: Option<String> => name,
    metadata: Option<String> => metadata,
    model: Change<String> => model,
    redundant: Option<u32> => redundant,
    max_task_execution_count: Change<NonZeroU64> => max_task_execution_count,
    priority: Option<u8> => priority,
    weight: Option<u32> => weight,
    affinity: Option<bool> => affinity,
    retention: Option<Retention> => retention,
    min_num_of_nodes: Option<u32> => min_num_of_nodes,
    max_num_of_nodes: Change<NonZeroU32> => max_num_of_nodes,
    sla: Option<u32> => sla,
    validation_policy: Option<Policy> => validation_policy,
    matching: Option<Matching> => matching,
    min_score: Option<f64> => min_score,
    tie_break: Option<bool> => tie_break,
    limits: Option<SessionQuotaPatch> => limits,
    models: Option<Vec<String>> => models,
    expires_at: Change<NonZeroU64> => expires_at,
} }
