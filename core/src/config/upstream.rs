//! Model servers that the router calls.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{absent, check_name};
use crate::secrecy::shown_url;
use crate::{Error, Result};

/// Whether streams ask for their usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StreamUsage {
    /// Until the upstream refuses the field.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never; then only the caller's own `stream_options` go out.
    Off,
}

/// The API that an upstream speaks.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum UpstreamApi {
    /// OpenAI's chats, completions and embeddings.
    #[default]
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's Responses API.
    Responses,
}

impl UpstreamApi {
    /// The name of the route to which a chat goes.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::OpenAi => "chat/completions",
            Self::Anthropic => "messages",
            Self::Responses => "responses",
        }
    }
}

documented! {
/// One upstream.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema), schema(as = UpstreamSpec))]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// The base URL with the version: `http://127.0.0.1:8080/v1`. `/v1` is added if the URL has no path. Left out with
    /// `command`.
    pub url: String,
    /// The API that it speaks: `openai` (chats, completions and embeddings), `anthropic` (the Messages API alone), or
    /// `responses` (OpenAI's Responses API alone). The last two serve chats, which the router translates. Default
    /// `openai`.
    pub api: UpstreamApi,
    /// Other APIs that a server with the `openai` API has, too (llama.cpp, vLLM, Ollama): `anthropic`, `responses`. It
    /// serves callers of these APIs in their own words.
    pub also: Vec<UpstreamApi>,
    /// The name; the URL's host and port if it is empty, and with `command` the first of `models` or the program.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub name: Option<String>,
    /// The models to offer. Empty: the models that the server's `/models` lists.
    pub models: Vec<String>,
    /// Names under which clients ask for its models, each with the upstream's own name.
    pub aliases: BTreeMap<String, String>,
    /// Tasks at a time. Default 32. Shrinks by itself on 429 and 503, and grows back.
    pub max_concurrency: u32,
    /// Its share among equals, 1 to 100. Default 1.
    pub weight: u32,
    /// The key that the server wants. It is better kept in a variable: see `api_key_env`.
    #[serde(skip_serializing)]
    #[serde(deserialize_with = "absent::text::deserialize")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub api_key: Option<String>,
    /// The environment variable that holds the key.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub api_key_env: Option<String>,
    /// A file of certificates (PEM): the authorities to believe for its TLS, instead of the public ones.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub ca_file: Option<PathBuf>,
    /// The person or company that runs it.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub owner: Option<String>,
    /// Milliseconds to connect, and for the answer to a probe. Default 5000.
    pub connect_timeout_ms: u64,
    /// Milliseconds between two probes. Default 10000. A server that is down is asked sooner: after 250 milliseconds,
    /// then after twice as long each time.
    pub probe_interval_ms: u64,
    /// Failed probes in a row that take it out, and good ones that bring it back. Default 2. A new server is in after
    /// its first good probe.
    pub probe_threshold: u32,
    /// Milliseconds that a connection to it may lie idle before it is closed. Default 60000.
    pub idle_timeout_ms: u64,
    /// Bytes of its list of models that are read. Default 8 MiB.
    pub max_models_bytes: u64,
    /// Further pages of its list of models that are read; 0: only the first page. Default 32.
    pub max_model_pages: u32,
    /// Bytes of an answer with an error status that are read and passed on. Default 64 KiB.
    pub max_error_bytes: u64,
    /// Header lines of an answer that are read. Default 256.
    pub max_answer_headers: u32,
    /// Bytes of the head of an answer that are read, with those of the heads before it that only announce it (status
    /// 1xx), and of the lines within and after a body in chunks. Default 400 KiB.
    pub max_answer_head_bytes: u64,
    /// Whether streams carry `stream_options` with `include_usage`, which tells the router how many tokens they had:
    /// `on`, `off`, or `auto`, which leaves it out after the upstream has refused it. Default `auto`.
    pub stream_usage: StreamUsage,
    /// The most tokens to generate for a request that gives no limit, at a server with the `anthropic` API, whose
    /// requests need one. Default 4096.
    pub default_max_tokens: u64,
    /// Whether the server makes embeddings. Default `true`; only a server with the `openai` API does.
    pub embeddings: bool,
    /// Whether the server continues a last message of the assistant (vLLM, llama.cpp) and so can finish an answer
    /// that another miner began. Default `false`.
    pub continues: bool,
    /// Whether it is a dedicated miner (sessions of mode 1 and 2) rather than an ephemeral one. Default `false`.
    pub dedicated: bool,
    /// The command that starts the server: a program and its arguments, without a shell. The router starts, watches and
    /// stops it. `{port}` stands for a free port, which the router chooses at each start; the server must listen there on
    /// 127.0.0.1. On Unix alone; a program that embeds the router needs `runtime.supervisor`.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub command: Vec<String>,
    /// Further environment variables of the command, in which `{port}` stands for the port, too. The command gets all
    /// variables of the router but those whose names begin with `CORTENSOR_`.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub env: BTreeMap<String, String>,
    /// The group of the server: only one server of a group runs at a time, because their models do not fit the machine
    /// together. Needs `command` and `models`.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub group: Option<String>,
    /// Milliseconds without a task after which the router stops the server of `command`. The next task for its models
    /// starts it again. Needs `models`. Default 0: it is not stopped for that.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub idle_stop_ms: u64,
    /// Milliseconds for which a server of a group at least stays after it got ready, although tasks wait for another of
    /// its group. While it has tasks, it also stays for as long as its start took. Default 5000.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub min_stay_ms: u64,
    /// The path that says whether the server of `command` is ready: with a status from 200 to 299 it is. A server without
    /// the path (404) is ready once it lists its models. Default `/health`.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub health_path: String,
    /// Milliseconds for which the server of `command` may take to get ready; then it is stopped, and its start has
    /// failed. Default 300000.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub start_timeout_ms: u64,
    /// Milliseconds from SIGTERM to SIGKILL when the server of `command` is stopped. Default 5000.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub stop_timeout_ms: u64,
    /// Milliseconds until the server of `command` is started again after it ended by itself or failed to start. Each
    /// further failure doubles them, up to a minute. Default 1000.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub restart_backoff_ms: u64,
    /// Bytes of a line of the command's output that the log shows. Default 4096.
    #[cfg_attr(feature = "listener", schema(ignore))]
    pub max_output_line_bytes: u32,
}
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            api: UpstreamApi::OpenAi,
            also: Vec::new(),
            name: None,
            models: Vec::new(),
            aliases: BTreeMap::new(),
            max_concurrency: 32,
            weight: 1,
            api_key: None,
            api_key_env: None,
            ca_file: None,
            owner: None,
            connect_timeout_ms: 5_000,
            probe_interval_ms: 10_000,
            probe_threshold: 2,
            idle_timeout_ms: 60_000,
            max_models_bytes: 8 << 20,
            max_model_pages: 32,
            max_error_bytes: 64 << 10,
            max_answer_headers: 256,
            max_answer_head_bytes: 400 << 10,
            stream_usage: StreamUsage::Auto,
            default_max_tokens: 4_096,
            embeddings: true,
            continues: false,
            dedicated: false,
            command: Vec::new(),
            env: BTreeMap::new(),
            group: None,
            idle_stop_ms: 0,
            min_stay_ms: 5_000,
            health_path: "/health".into(),
            start_timeout_ms: 300_000,
            stop_timeout_ms: 5_000,
            restart_backoff_ms: 1_000,
            max_output_line_bytes: 4_096,
        }
    }
}

impl std::fmt::Debug for UpstreamConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamConfig")
            .field("name", &self.miner_name())
            .field("url", &shown_url(&self.url))
            .finish_non_exhaustive()
    }
}

impl UpstreamConfig {
    /// An upstream at that base URL, with defaults for everything else.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The name of the miner that stands for it.
    pub fn miner_name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        if let Some(program) = self.command.first() {
            let file = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or(program);
            return self.models.first().map_or(file, String::as_str).to_owned();
        }
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        // A URL with a password is refused later.
        authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
    }

    /// The key, from the configuration or the environment.
    pub fn key(&self) -> Option<String> {
        super::secret(self.api_key.as_ref(), self.api_key_env.as_ref())
    }

    /// Whether the server makes embeddings.
    pub(crate) fn makes_embeddings(&self) -> bool {
        self.embeddings && self.api == UpstreamApi::OpenAi
    }

    /// Checks every field; `index` is its place in the list.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the key.
    pub fn validate(&self, index: usize) -> Result<()> {
        let at = |key: &str| format!("upstream[{index}].{key}");
        check_name(&at("name"), self.name.as_deref().unwrap_or_default())?;
        check_name(&at("owner"), self.owner.as_deref().unwrap_or_default())?;
        self.validate_command(&at)?;
        if self.command.is_empty() {
            self.validate_url(&at)?;
        }
        if !(1..=65_536).contains(&self.max_concurrency) {
            return Err(Error::invalid(at("max_concurrency"), "max_concurrency must be 1 to 65536"));
        }
        if !(1..=100).contains(&self.weight) {
            return Err(Error::invalid(at("weight"), "weight must be 1 to 100"));
        }
        if self.probe_interval_ms == 0 || self.probe_threshold == 0 || self.connect_timeout_ms == 0 {
            return Err(Error::invalid(
                at("probe_interval_ms"),
                "probe_interval_ms, probe_threshold and connect_timeout_ms must be at least 1",
            ));
        }
        if !(16..=4_096).contains(&self.max_answer_headers) {
            return Err(Error::invalid(at("max_answer_headers"), "max_answer_headers must be 16 to 4096"));
        }
        if !((4 << 10)..=(16 << 20)).contains(&self.max_answer_head_bytes) {
            return Err(Error::invalid(
                at("max_answer_head_bytes"),
                "max_answer_head_bytes must be 4096 to 16777216 (4 KiB to 16 MiB)",
            ));
        }
        if self.default_max_tokens == 0 {
            return Err(Error::invalid(at("default_max_tokens"), "default_max_tokens must be at least 1"));
        }
        if !self.also.is_empty() && self.api != UpstreamApi::OpenAi {
            let words = "also belongs to servers with the openai API: leave it out, or set api to openai";
            return Err(Error::invalid(at("also"), words));
        }
        if self.continues && self.api == UpstreamApi::Responses {
            let words = "continues must be false: a server with the responses API begins each answer anew";
            return Err(Error::invalid(at("continues"), words));
        }
        if let Some(variable) = &self.api_key_env
            && self.key().is_none()
        {
            return Err(Error::invalid(at("api_key_env"), format!("the environment variable {variable} is not set")));
        }
        Ok(())
    }

    fn validate_url(&self, at: &dyn Fn(&str) -> String) -> Result<()> {
        if self.url.is_empty() {
            let words = "url is missing: write it like http://127.0.0.1:8080/v1; in the configuration, command may start a \
                         server instead";
            return Err(Error::invalid(at("url"), words));
        }
        let uri: http::Uri = self.url.parse().map_err(|e| {
            let url = shown_url(&self.url);
            Error::invalid(at("url"), format!("{url:?} is no URL ({e}): write it like http://127.0.0.1:8080/v1"))
        })?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(Error::invalid(
                at("url"),
                format!("{:?} must start with http:// or https:// and name a host", shown_url(&self.url)),
            ));
        }
        Ok(())
    }
}
