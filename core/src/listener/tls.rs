//! TLS of accepted connections. Certificates come from files, which can be read again at any time.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{TlsConfig, certificates};
use crate::{Error, Result};

/// The listener's certificates. Cheap to clone; all clones share their content.
#[derive(Clone)]
pub struct Certificates {
    current: Arc<RwLock<Current>>,
}

struct Current {
    files: TlsConfig,
    server: Arc<ServerConfig>,
}

/// Certificates that were read and can be used.
pub(super) struct Fresh {
    certificates: Certificates,
    current: Current,
}

impl Fresh {
    /// Lets new connections use them.
    pub(super) fn take_over(self) {
        *self.certificates.current.write() = self.current;
        tracing::info!("the certificates were read again");
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("files", &self.current.read().files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the files; `None` if TLS is off. Blocks.
    pub(super) fn read(files: &TlsConfig) -> Result<Option<Self>> {
        if !files.is_on() {
            return Ok(None);
        }
        Ok(Some(Self { current: Arc::new(RwLock::new(Current::read(files)?)) }))
    }

    /// Reads the files again; new connections use their present content. Blocks.
    ///
    /// # Errors
    /// `InvalidArgument` if the files cannot be used. The old certificates stay in use then.
    pub fn reload(&self) -> Result<()> {
        let files = self.current.read().files.clone();
        self.prepare(&files)?.take_over();
        Ok(())
    }

    /// Reads files that may be others. Blocks.
    ///
    /// # Errors
    /// `InvalidArgument` if they cannot be used.
    pub(super) fn prepare(&self, files: &TlsConfig) -> Result<Fresh> {
        Ok(Fresh { certificates: self.clone(), current: Current::read(files)? })
    }

    /// Does the TLS handshake on an accepted connection.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> std::io::Result<TlsStream<S>> {
        let current = Arc::clone(&self.current.read().server);
        TlsAcceptor::from(current).accept(stream).await
    }
}

impl Current {
    fn read(files: &TlsConfig) -> Result<Self> {
        Ok(Self { files: files.clone(), server: Arc::new(server_config(files)?) })
    }
}

/// The keying material that identifies the channel (RFC 9266), and whether the client showed a certificate.
pub(super) fn channel<S>(stream: &TlsStream<S>) -> (Option<[u8; 32]>, bool) {
    let connection = &stream.get_ref().1;
    let channel = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
    (channel, connection.peer_certificates().is_some())
}

fn server_config(files: &TlsConfig) -> Result<ServerConfig> {
    let (Some(cert), Some(key)) = (&files.cert, &files.key) else {
        return Err(Error::invalid("listen.tls.cert", "listen.tls.cert and listen.tls.key go together"));
    };
    let chain = certificates(cert, "listen.tls.cert")?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong("listen.tls.key", key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path, "listen.tls.client_ca")? {
                roots.add(root).map_err(|e| wrong("listen.tls.client_ca", path, &e))?;
            }
            // Clients of the HTTP routes show no certificate; the miner socket checks whether one was shown.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|e| wrong("listen.tls.client_ca", path, &e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, secret).map_err(|e| wrong("listen.tls.cert", cert, &e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn wrong(field: &str, path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::invalid(field, format!("{}: {why}", path.display()))
}
