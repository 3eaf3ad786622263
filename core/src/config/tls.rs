//! TLS of the listener.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

documented! {
/// TLS of the listener, for clients and miners. Off until `cert` and `key` are set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// A file with the certificate chain (PEM), the server's own first.
    pub cert: Option<PathBuf>,
    /// A file with its private key (PEM).
    pub key: Option<PathBuf>,
    /// A file with certificates (PEM) of which one must have signed the certificate that each miner shows. Clients need none.
    pub client_ca: Option<PathBuf>,
}
}

impl TlsConfig {
    /// Whether the listener speaks TLS.
    pub fn is_on(&self) -> bool {
        self.cert.is_some()
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.cert.is_some() != self.key.is_some() {
            let missing = if self.cert.is_some() { "key" } else { "cert" };
            return Err(Error::invalid(
                format!("listen.tls.{missing}"),
                "listen.tls.cert and listen.tls.key go together",
            ));
        }
        if self.client_ca.is_some() && self.cert.is_none() {
            return Err(Error::invalid(
                "listen.tls.cert",
                "listen.tls.client_ca needs listen.tls.cert and listen.tls.key",
            ));
        }
        Ok(())
    }
}
