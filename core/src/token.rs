//! API keys: mints, parses and checks their tokens.
//!
//! A token is `ctr_<id>_<secret>`. The id is public: it names the key in lists and logs, and its record is found by it.
//! The secret has 256 random bits and cannot be guessed, so a plain SHA-256 of it is safe to store; a slow hash would
//! add nothing. The token itself is shown once, when it is minted.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::KeyLimits;
use crate::model::{Scope, SessionId, Timestamp, absent, check_name, check_word, hex};
use crate::store::ApiKey;
use crate::{Error, Result};

/// The longest life of an enrolment token, in seconds: 30 days.
pub const MAX_ENROL_SECS: u64 = 30 * 24 * 3_600;

/// The lifetime of an enrolment token, in seconds, if its request names none: one day.
pub const DEFAULT_ENROL_SECS: u64 = 24 * 3_600;

/// The scopes of a key if its request names none.
pub const DEFAULT_SCOPES: &[Scope] = &[Scope::Submit, Scope::Read];

const PREFIX: &str = "ctr_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// A token with its secret. Neither `Debug` nor a log shows the secret; only [`Token::reveal`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: String,
}

impl Token {
    /// Makes a new random token.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when the system gives no random bytes.
    pub fn mint() -> Result<Self> {
        let mut bytes = [0_u8; ID_BYTES + SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        Ok(Self { id: hex(id), secret: hex(secret) })
    }

    /// Parses a token; `None` when the text does not have that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_hex = |part: &str, bytes: usize| {
            part.len() == bytes * 2 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        (is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES))
            .then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// The public part of the token.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The SHA-256 of the secret, hexadecimal, as in [`ApiKey::hash`].
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.secret.as_bytes()))
    }

    /// Whether the hash of a key is this token's, compared in constant time.
    pub fn matches(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }

    /// The whole token, as a client sends it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A key that was just created, with its token, which is never shown again.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct NewKey {
    /// The key as lists show it.
    #[serde(flatten)]
    pub key: ApiKey,
    /// The token: `ctr_<id>_<secret>`.
    #[serde(serialize_with = "revealed")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub token: Token,
}

fn revealed<S: Serializer>(token: &Token, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&token.reveal())
}

/// A key to be made: the body of `POST /api/v1/keys` and the flags of `key create`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeySpec {
    /// A name for people, 1 to 128 bytes.
    #[cfg_attr(feature = "listener", schema(required = true, min_length = 1, max_length = 128))]
    pub name: String,
    /// The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. Empty: `submit` and `read`.
    pub scopes: Vec<Scope>,
    /// The only sessions that the key may use; empty: all sessions.
    #[serde(deserialize_with = "crate::model::whole::numbers")]
    pub sessions: Vec<u64>,
    /// The seconds until the key expires; 0: never, except after one day for the scope `enrol`.
    #[serde(with = "absent::number")]
    #[cfg_attr(feature = "listener", schema(value_type = u64, default = 0))]
    pub ttl_secs: Option<NonZeroU64>,
    /// The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models.
    pub models: Vec<String>,
    /// For a key of miners: the person or company that runs the miner.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(value_type = String, default = ""))]
    pub owner: Option<String>,
    /// The key's limits.
    pub limits: KeyLimits,
}

cortensor_router_model::setters! { KeySpec {
    name: impl Into<String> => name.into(),
    scopes: impl IntoIterator<Item = Scope> => scopes.into_iter().collect(),
    sessions: Vec<u64> => sessions,
    ttl_secs: Option<NonZeroU64> => ttl_secs,
    models: impl IntoIterator<Item = impl Into<String>> => models.into_iter().map(Into::into).collect(),
    owner: impl Into<String> => absent::text::of(owner),
    limits: KeyLimits => limits,
} }

impl KeySpec {
    /// A key of that name with the default scopes, which does not expire.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Makes the record that the store keeps, and the new key with the token that the caller sees once.
    ///
    /// ```
    /// use cortensor_router::model::{Scope, Timestamp};
    /// use cortensor_router::{KeySpec, Token};
    /// let (record, made) = KeySpec::new("ci").scopes([Scope::Read]).mint(Timestamp::wall_clock()).unwrap();
    /// assert!(Token::parse(&made.token.reveal()).unwrap().matches(&record.hash));
    /// ```
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), which names the field.
    pub fn mint(&self, now: Timestamp) -> Result<(ApiKey, NewKey)> {
        if self.name.trim().is_empty() || self.name.len() > 128 {
            return Err(Error::invalid("name", "a key's name has 1 to 128 bytes"));
        }
        check_name("name", &self.name)?;
        check_word("owner", self.owner.as_deref().unwrap_or_default())?;
        for model in &self.models {
            check_word("models", model)?;
        }
        let mut scopes = if self.scopes.is_empty() { DEFAULT_SCOPES.to_vec() } else { self.scopes.clone() };
        scopes.sort_unstable();
        scopes.dedup();
        let enrols = scopes.contains(&Scope::Enrol);
        if !self.sessions.is_empty() && (enrols || scopes.contains(&Scope::Miner)) {
            return Err(Error::invalid(
                "sessions",
                "a miner works for every session: leave out sessions, or the scopes `miner` and `enrol`",
            ));
        }
        if enrols && (scopes.len() > 1 || self.ttl_secs.is_some_and(|ttl| ttl.get() > MAX_ENROL_SECS)) {
            return Err(Error::invalid(
                if scopes.len() > 1 { "scopes" } else { "ttl_secs" },
                "a token that enrols has the scope `enrol` alone and expires within 30 days",
            ));
        }
        let ttl = self.ttl_secs.or(NonZeroU64::new(DEFAULT_ENROL_SECS).filter(|_| enrols));
        let token = Token::mint()?;
        let record = ApiKey {
            id: token.id().to_owned(),
            name: self.name.clone(),
            hash: token.hash(),
            scopes,
            sessions: self.sessions.iter().copied().map(SessionId).collect(),
            created_at: now.as_secs(),
            expires_at: ttl.map(|ttl| ttl.saturating_add(now.as_secs())),
            models: self.models.clone(),
            owner: self.owner.clone(),
            limits: self.limits,
        };
        let shown = ApiKey { hash: String::new(), ..record.clone() };
        Ok((record, NewKey { key: shown, token }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_reads_back_and_matches_only_its_own_hash() {
        let (one, two) = (Token::mint().unwrap(), Token::mint().unwrap());
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(one.reveal().len(), "ctr_".len() + 12 + 1 + 64);
        let read = Token::parse(&one.reveal()).unwrap();
        assert_eq!(read, one);
        assert!(read.matches(&one.hash()));
        assert!(!read.matches(&two.hash()));
        assert!(!read.matches(""));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = Token::mint().unwrap().reveal();
        for bad in ["", "ctr_", "ctr__", "default-dev-token", &good[..good.len() - 1], &good.to_uppercase()] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
        assert!(Token::parse(&format!("{good}0")).is_none());
        assert!(Token::parse(&good.replacen("ctr_", "ctr-", 1)).is_none());
    }

    #[test]
    fn debug_hides_the_secret() {
        let token = Token::mint().unwrap();
        let shown = format!("{token:?}");
        assert!(shown.contains(token.id()));
        assert!(!shown.contains(&token.secret));
    }

    #[test]
    fn a_key_gets_default_scopes_and_an_expiry_and_refuses_nonsense() {
        let spec = KeySpec { name: "ci".into(), ttl_secs: NonZeroU64::new(60), ..KeySpec::default() };
        let (key, made) = spec.mint(Timestamp(1_000_000)).unwrap();
        assert_eq!(made.key, ApiKey { hash: String::new(), ..key.clone() });
        assert_eq!(
            (key.scopes.as_slice(), key.created_at, key.expires_at),
            (DEFAULT_SCOPES, 1_000, NonZeroU64::new(1_060))
        );
        let wrong = spec.clone().scopes([Scope::Enrol, Scope::Read]).mint(Timestamp(0)).unwrap_err();
        assert_eq!(wrong.details().param.as_deref(), Some("scopes"));
        let unnamed = KeySpec::default().mint(Timestamp(0)).unwrap_err();
        assert_eq!(unnamed.details().param.as_deref(), Some("name"));
        let twice = spec.scopes([Scope::Admin, Scope::Submit, Scope::Admin]);
        assert_eq!(twice.mint(Timestamp(0)).unwrap().0.scopes, [Scope::Submit, Scope::Admin]);
    }
}
