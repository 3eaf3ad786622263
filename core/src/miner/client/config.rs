//! The settings of a miner that dials out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::miner::protocol::identity::is_token_id;
use crate::model::{Hardware, ModelDetails, absent};
use crate::secrecy::shown_url;
use crate::{Error, Result};

/// The least bound in bytes of what passes between a miner and its router: a greeting and a small task fit.
const LEAST_BYTES: usize = 64 << 10;

/// Settings of a [`MinerClient`](super::MinerClient). Bindings give the same keys as JSON.
///
/// ```
/// use cortensor_router::miner::client::MinerClientConfig;
/// let config = MinerClientConfig::new("wss://router.example", "gpu-1").capacity(4).token("...");
/// assert!(config.validate().is_ok());
/// let same: MinerClientConfig =
/// serde_json::from_str(r#"{"routers":["wss://router.example"],"name":"gpu-1","capacity":4,"token":"..."}"#).unwrap();
/// assert_eq!((same.name, same.capacity), (config.name, config.capacity));
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "embed", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MinerClientConfig {
    /// The addresses of the routers: `ws://` or `wss://`, a host, and a port. The path `/miner/v1` is added if there is
    /// none. The miner connects to one router at a time, and tries the next one if the connection fails.
    pub routers: Vec<String>,
    /// The miner's name, 1 to 128 bytes, unique at its router.
    pub name: String,
    /// The maximum number of concurrent tasks, 1 to 65536. Default 1.
    pub capacity: u32,
    /// The models that the miner serves; empty: any model.
    pub models: Vec<String>,
    /// Details of the models, by their id.
    pub model_details: Vec<ModelDetails>,
    /// Whether the miner can continue a partial answer of another miner.
    pub continues: bool,
    /// Whether the miner is dedicated instead of ephemeral.
    pub dedicated: bool,
    /// The person or company that runs the miner.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "embed", schema(value_type = String, default = ""))]
    pub owner: Option<String>,
    /// The miner's hardware.
    pub hardware: Option<Hardware>,
    /// A token of the scope `miner`. With `key_file`: the one-time token that enrols the key, which is needed only
    /// once.
    #[serde(skip_serializing_if = "is_secret", deserialize_with = "absent::text::deserialize")]
    #[cfg_attr(feature = "embed", schema(value_type = String))]
    pub token: Option<String>,
    /// The file of the miner's own key. The miner makes the file if it does not exist.
    #[cfg_attr(feature = "embed", schema(value_type = Option<String>))]
    pub key_file: Option<PathBuf>,
    /// A file of certificates (PEM) to trust instead of the public ones.
    #[cfg_attr(feature = "embed", schema(value_type = Option<String>))]
    pub ca_file: Option<PathBuf>,
    /// A file with the miner's certificate chain (PEM), for routers that ask for one.
    #[cfg_attr(feature = "embed", schema(value_type = Option<String>))]
    pub cert_file: Option<PathBuf>,
    /// A file with the private key of that certificate (PEM).
    #[cfg_attr(feature = "embed", schema(value_type = Option<String>))]
    pub cert_key_file: Option<PathBuf>,
    /// The time in milliseconds within which the router must have welcomed the miner. Default 10000.
    pub connect_timeout_ms: u64,
    /// The first window of the wait before a reconnect, in milliseconds. Each further window is twice as long. Default
    /// 1000.
    pub reconnect_base_ms: u64,
    /// The longest window of that wait, in milliseconds. Default 64000.
    pub reconnect_max_ms: u64,
    /// The maximum size of a frame of the router, in bytes. A larger frame ends the connection. Default 64 MiB.
    pub max_frame_bytes: usize,
    /// The maximum bytes that may wait to be sent to the router. Default 64 MiB.
    pub write_buffer_bytes: usize,
}

/// A token is read and never written.
#[allow(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn is_secret(_: &Option<String>) -> bool {
    true
}

impl Default for MinerClientConfig {
    fn default() -> Self {
        Self {
            routers: Vec::new(),
            name: String::new(),
            capacity: 1,
            models: Vec::new(),
            model_details: Vec::new(),
            continues: false,
            dedicated: false,
            owner: None,
            hardware: None,
            token: None,
            key_file: None,
            ca_file: None,
            cert_file: None,
            cert_key_file: None,
            connect_timeout_ms: 10_000,
            reconnect_base_ms: 1_000,
            reconnect_max_ms: 64_000,
            max_frame_bytes: 64 << 20,
            write_buffer_bytes: 64 << 20,
        }
    }
}

impl std::fmt::Debug for MinerClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MinerClientConfig")
            .field("routers", &self.routers.iter().map(|router| shown_url(router)).collect::<Vec<_>>())
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

cortensor_router_model::setters! { MinerClientConfig {
    routers: impl IntoIterator<Item = impl Into<String>> => routers.into_iter().map(Into::into).collect(),
    name: impl Into<String> => name.into(),
    capacity: u32 => capacity,
    models: impl IntoIterator<Item = impl Into<String>> => models.into_iter().map(Into::into).collect(),
    model_details: Vec<ModelDetails> => model_details,
    continues: bool => continues,
    dedicated: bool => dedicated,
    owner: impl Into<String> => absent::text::of(owner),
    hardware: impl Into<Option<Hardware>> => hardware.into(),
    token: impl Into<String> => absent::text::of(token),
    key_file: impl Into<Option<PathBuf>> => key_file.into(),
    ca_file: impl Into<Option<PathBuf>> => ca_file.into(),
    cert_file: impl Into<Option<PathBuf>> => cert_file.into(),
    cert_key_file: impl Into<Option<PathBuf>> => cert_key_file.into(),
    connect_timeout_ms: u64 => connect_timeout_ms,
    reconnect_base_ms: u64 => reconnect_base_ms,
    reconnect_max_ms: u64 => reconnect_max_ms,
    max_frame_bytes: usize => max_frame_bytes,
    write_buffer_bytes: usize => write_buffer_bytes,
} }

impl MinerClientConfig {
    /// A miner of that name, at the router of that address.
    pub fn new(router: impl Into<String>, name: impl Into<String>) -> Self {
        Self { routers: vec![router.into()], name: name.into(), ..Self::default() }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the field.
    pub fn validate(&self) -> Result<()> {
        if self.routers.is_empty() {
            return Err(Error::invalid("routers", "name at least one router: ws://127.0.0.1:5010"));
        }
        for router in &self.routers {
            super::target::Target::parse(router)?;
        }
        if self.name.is_empty() || self.name.len() > 128 {
            return Err(Error::invalid("name", "a miner's name has 1 to 128 bytes"));
        }
        if self.key_file.is_none() && !is_token_id(&self.name) {
            return Err(Error::invalid(
                "name",
                "without a key the name is the miner's id: use A-Z a-z 0-9 . _ - and do not begin with mk_",
            ));
        }
        if self.token.is_none() && self.key_file.is_none() {
            return Err(Error::invalid("token", "give a token of the scope miner, or the file of an enrolled key"));
        }
        if !(1..=65_536).contains(&self.capacity) {
            return Err(Error::invalid("capacity", "a miner's capacity is 1 to 65536"));
        }
        if self.models.len() > 256 {
            return Err(Error::invalid("models", "a miner has at most 256 models"));
        }
        if self.cert_file.is_some() != self.cert_key_file.is_some() {
            return Err(Error::invalid("cert_file", "cert_file and cert_key_file go together"));
        }
        if self.connect_timeout_ms == 0 || self.reconnect_base_ms == 0 || self.reconnect_max_ms < self.reconnect_base_ms
        {
            return Err(Error::invalid(
                "reconnect_base_ms",
                "connect_timeout_ms and reconnect_base_ms must be at least 1, and reconnect_max_ms not below reconnect_base_ms",
            ));
        }
        for (key, value) in [("max_frame_bytes", self.max_frame_bytes), ("write_buffer_bytes", self.write_buffer_bytes)]
        {
            if value < LEAST_BYTES {
                return Err(Error::invalid(key, format!("{key} must be at least {LEAST_BYTES}")));
            }
        }
        Ok(())
    }

    /// The description of the miner's models.
    pub(super) fn hello_models(&self, models: &[String]) -> Vec<ModelDetails> {
        let known = |id: &String| self.model_details.iter().find(|details| details.id == *id).cloned();
        models.iter().map(|id| known(id).unwrap_or_else(|| ModelDetails::default().id(id.clone()).warm(true))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_room_for_a_task_and_its_answer() {
        let good = MinerClientConfig::new("ws://127.0.0.1:5010", "gpu-1").token("t");
        good.validate().unwrap();
        for (field, config) in [
            ("max_frame_bytes", good.clone().max_frame_bytes(LEAST_BYTES - 1)),
            ("write_buffer_bytes", good.clone().write_buffer_bytes(0)),
        ] {
            assert_eq!(config.validate().unwrap_err().details().param.as_deref(), Some(field));
        }
        good.max_frame_bytes(LEAST_BYTES).write_buffer_bytes(LEAST_BYTES).validate().unwrap();
    }
}
