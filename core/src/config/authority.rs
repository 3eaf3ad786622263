//! The certificates that the router's own connections believe.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVersions, client::WantsClientCert};

use crate::{Error, Result};

/// Starts the TLS settings of a client. They believe the authorities of that file (PEM), which the setting `field`
/// names, or else the public ones.
///
/// # Errors
/// `InvalidArgument` that names `field` where the file cannot be read or has no certificate.
pub fn client_tls(ca_file: Option<&Path>, field: &str) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in certificates(path, field)? {
                roots.add(certificate).map_err(|e| Error::invalid(field, format!("{}: {e}", path.display())))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder: ConfigBuilder<ClientConfig, WantsVersions> = ClientConfig::builder_with_provider(provider);
    Ok(builder.with_safe_default_protocol_versions().map_err(Error::internal)?.with_root_certificates(roots))
}

/// The certificates of a PEM file, which the setting `field` names; at least one.
///
/// # Errors
/// `InvalidArgument` that names `field`.
pub(crate) fn certificates(path: &Path, field: &str) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |e: &dyn std::fmt::Display| Error::invalid(field, format!("{}: {e}", path.display()));
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|e| wrong(&e))?
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| wrong(&e))?;
    if found.is_empty() { Err(wrong(&"no certificate in it")) } else { Ok(found) }
}
