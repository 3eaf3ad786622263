//! The certificate of the router in worlds whose listener speaks TLS.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use cortensor_router::config::TlsConfig;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// The certificate of all worlds.
pub(crate) static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(Certificate::make);

/// A certificate for the host `router`, in files.
pub(crate) struct Certificate {
    dir: tempfile::TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["router".to_owned()]).unwrap();
        std::fs::write(dir.path().join("cert.pem"), own.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        Self { dir, der: own.cert.der().clone() }
    }

    /// The file of the certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The settings of the listener.
    pub(crate) fn settings(&self) -> TlsConfig {
        TlsConfig::default().cert(Some(self.file())).key(Some(self.dir.path().join("key.pem")))
    }

    /// Makes the TLS side of a client.
    pub(crate) fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }
}
