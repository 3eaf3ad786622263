//! The identity of a miner: a name that belongs to a token, or the miner's own Ed25519 key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::frame::{Challenge, Hello};
use cortensor_router_model::internals::hex;
use cortensor_router_model::{Error, ErrorKind, Result};

/// The beginning of every key's id. The id of a miner with a token must not begin with it.
pub const KEY_ID_PREFIX: &str = "mk_";

/// The name of the channel binding of RFC 9266.
pub const TLS_EXPORTER: &str = "tls-exporter";

/// The word for no channel binding.
pub const NO_BINDING: &str = "none";

/// The bytes that precede the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410).
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_FOOT: &str = "-----END PRIVATE KEY-----";

/// Encodes bytes as base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url, with or without padding; `None`: the text is not base64url.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// A new nonce: 32 random bytes as base64url.
///
/// # Errors
/// `Internal` if the system gives no random bytes.
pub fn nonce() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
    Ok(encode(&bytes))
}

/// The id of a public key: `mk_` and 32 hexadecimal digits of its SHA-256.
pub fn key_id(public_key: &[u8]) -> String {
    format!("{KEY_ID_PREFIX}{}", hex(&Sha256::digest(public_key)[..16]))
}

/// Whether a miner with a token may have this id.
pub fn is_token_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && !id.starts_with(KEY_ID_PREFIX)
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The text that a miner signs: six lines, each with a line feed at its end. `channel` is the exported keying material;
/// `None`: the signature does not cover the channel.
pub fn signed_message(challenge: &Challenge, miner_id: &str, channel: Option<&[u8]>) -> Vec<u8> {
    let channel = channel.map_or_else(|| NO_BINDING.to_owned(), encode);
    format!(
        "{}\n{}\n{}\n{}\n{miner_id}\n{channel}\n",
        crate::frame::SUBPROTOCOL,
        challenge.nonce,
        challenge.server_time,
        challenge.router
    )
    .into_bytes()
}

/// Checks the signature of a hello. Returns the public key.
///
/// # Errors
/// `Unauthenticated` gives the reason.
pub fn verify(challenge: &Challenge, hello: &Hello, channel: Option<&[u8]>) -> Result<Vec<u8>> {
    let refuse = |what: &str| Error::new(ErrorKind::Unauthenticated, what).with_code("bad_signature");
    let key = hello.auth.public_key.as_deref().and_then(decode).filter(|key| key.len() == 32);
    let key = key.ok_or_else(|| refuse("auth.public_key must be base64url of the 32 bytes of an Ed25519 key"))?;
    let signature = hello.auth.signature.as_deref().and_then(decode);
    let signature = signature.ok_or_else(|| refuse("auth.signature must be base64url of an Ed25519 signature"))?;
    if hello.miner_id != key_id(&key) {
        return Err(refuse("miner_id must be the id of auth.public_key"));
    }
    let channel = match hello.auth.binding.as_deref() {
        None | Some(NO_BINDING) => None,
        Some(TLS_EXPORTER) => {
            Some(channel.ok_or_else(|| refuse("auth.binding is tls-exporter, but the router does not end TLS here"))?)
        }
        Some(_) => return Err(refuse("auth.binding must be none or tls-exporter")),
    };
    UnparsedPublicKey::new(&ED25519, &key)
        .verify(&signed_message(challenge, &hello.miner_id, channel), &signature)
        .map_err(|_| refuse("auth.signature is not that of auth.public_key over this challenge"))?;
    Ok(key)
}

/// A miner's own key.
pub struct MinerKeyPair {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for MinerKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MinerKeyPair").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl MinerKeyPair {
    /// Makes a new key. Returns it as PEM.
    ///
    /// # Errors
    /// `Internal` if the system gives no random bytes.
    pub fn generate() -> Result<String> {
        let mut seed = [0_u8; 32];
        getrandom::fill(&mut seed).map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
        let der = [&PKCS8_HEAD[..], &seed].concat();
        Ok(format!("{PEM_HEAD}\n{}\n{PEM_FOOT}\n", base64::engine::general_purpose::STANDARD.encode(der)))
    }

    /// Reads a key in PEM (PKCS #8, as `openssl genpkey -algorithm ed25519` writes it too).
    ///
    /// # Errors
    /// `InvalidArgument` if the text is not such a key.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let wrong = || Error::invalid("key_file", "the key file must hold an Ed25519 private key in PEM (PKCS #8)");
        let body = pem.split_once(PEM_HEAD).and_then(|(_, rest)| rest.split_once(PEM_FOOT)).ok_or_else(wrong)?.0;
        let text: String = body.split_whitespace().collect();
        let der = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| wrong())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| wrong())?;
        Ok(Self { pair })
    }

    /// The key's id, which is the miner's id.
    pub fn id(&self) -> String {
        key_id(self.pair.public_key().as_ref())
    }

    /// The public key, 32 bytes.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs a challenge, and the channel if there is one.
    pub fn sign(&self, challenge: &Challenge, channel: Option<&[u8]>) -> Vec<u8> {
        self.pair.sign(&signed_message(challenge, &self.id(), channel)).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Auth;

    fn hello(pair: &MinerKeyPair, challenge: &Challenge, channel: Option<&[u8]>) -> Hello {
        Hello {
            miner_id: pair.id(),
            auth: Auth {
                token: None,
                public_key: Some(encode(pair.public_key())),
                signature: Some(encode(&pair.sign(challenge, channel))),
                binding: channel.map(|_| TLS_EXPORTER.to_owned()),
            },
            ..Hello::default()
        }
    }

    fn challenge() -> Challenge {
        Challenge { nonce: nonce().unwrap(), server_time: 7, router: "r".into(), ..Challenge::default() }
    }

    #[test]
    fn a_signature_is_good_for_its_challenge_and_its_channel_alone() {
        let pair = MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap();
        let (one, two) = (challenge(), challenge());
        let good = hello(&pair, &one, None);
        assert_eq!(verify(&one, &good, None).unwrap(), pair.public_key());
        assert!(verify(&two, &good, None).is_err(), "a hello that is played again");
        let bound = hello(&pair, &one, Some(b"channel"));
        assert!(verify(&one, &bound, Some(b"channel")).is_ok());
        assert!(verify(&one, &bound, Some(b"another")).is_err());
        assert!(verify(&one, &bound, None).is_err());
        let mut other = good.clone();
        other.miner_id = "mk_0".into();
        assert!(verify(&one, &other, None).is_err());
        let stranger = MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap();
        let mut forged = good;
        forged.auth.signature = hello(&stranger, &one, None).auth.signature;
        assert_eq!(verify(&one, &forged, None).unwrap_err().code(), "bad_signature");
    }
}
