//! The certificate that a router shows on its links, and the check of those of the others. Nobody signs them: a router
//! writes the hash of its certificate into the database, and whoever can write there belongs to the fleet.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error as TlsError, ServerConfig,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

/// The SHA-256 hash of a certificate, by which a process of a router is known.
pub(in crate::router) type Hash = [u8; 32];

/// The certificates that may be shown.
pub(super) type Allowed = Arc<RwLock<BTreeSet<Hash>>>;

/// The protocol of a link, as TLS negotiates it (ALPN). A later version of the protocol is a further name.
const PROTOCOL: &[u8] = b"cortensor-router-link/1";

/// The name in every certificate. It says nothing: the hash counts.
pub(super) const NAME: &str = "cortensor-router";

/// A router's certificate and its key, which live as long as the process.
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pub(super) hash: Hash,
}

impl Identity {
    /// Makes a key and a certificate.
    ///
    /// # Errors
    /// `Internal` if the system gives no random bytes.
    pub(super) fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(|error| failed(&error))?;
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        Ok(Self { hash: hash(&certificate), chain: vec![certificate], key })
    }

    /// The settings of the side that was dialled. It takes the certificates of `allowed`.
    pub(super) fn server(&self, allowed: &Allowed) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Pinned::new(&provider, allowed.clone()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| failed(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| failed(&error))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // Every connection shows its certificate.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// The settings of the side that dials the router with that certificate.
    pub(super) fn client(&self, other: Hash) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Pinned::new(&provider, Arc::new(RwLock::new(BTreeSet::from([other])))));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| failed(&error))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// The hash of a certificate.
pub(super) fn hash(certificate: &CertificateDer<'_>) -> Hash {
    Sha256::digest(certificate).into()
}

fn failed(error: &dyn fmt::Display) -> Error {
    Error::internal(format!("the certificate for links to other routers could not be made: {error}"))
}

/// Takes the certificates with these hashes, and no other one. The handshake proves that the other side has the key.
struct Pinned {
    allowed: Allowed,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").finish_non_exhaustive()
    }
}

impl Pinned {
    fn new(provider: &CryptoProvider, allowed: Allowed) -> Self {
        Self { allowed, algorithms: provider.signature_verification_algorithms }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), TlsError> {
        if self.allowed.read().contains(&hash(certificate)) {
            Ok(())
        } else {
            Err(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.check(certificate).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("links use TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        self.check(certificate).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    /// Whether a byte goes through from the side that dials.
    async fn meets(dialled: &Identity, allowed: &[Hash], dials: &Identity, expected: Hash) -> bool {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (near, far) = tokio::io::duplex(1 << 16);
        let allowed = Arc::new(RwLock::new(allowed.iter().copied().collect()));
        let acceptor = TlsAcceptor::from(dialled.server(&allowed).unwrap());
        let connector = TlsConnector::from(dials.client(expected).unwrap());
        let accepted = async {
            let mut stream = acceptor.accept(far).await.ok()?;
            stream.read_u8().await.ok()
        };
        let connected = async {
            let mut stream = connector.connect(ServerName::try_from(NAME).unwrap(), near).await.ok()?;
            stream.write_u8(7).await.ok()?;
            stream.flush().await.ok()
        };
        tokio::join!(accepted, connected).0 == Some(7)
    }

    #[tokio::test]
    async fn two_routers_meet_if_each_expects_the_others_certificate() {
        let [one, two, three] = [(); 3].map(|()| Identity::new().unwrap());
        assert!(meets(&one, &[two.hash], &two, one.hash).await);
        assert!(!meets(&one, &[two.hash], &three, one.hash).await, "a stranger dials");
        assert!(!meets(&one, &[], &two, one.hash).await, "nobody is known yet");
        assert!(!meets(&one, &[two.hash], &two, three.hash).await, "a stranger answers");
    }
}
