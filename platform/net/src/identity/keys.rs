//! The shop's own tokens: JWT (RFC 7519) signed with Ed25519 (RFC 8037), the algorithm pinned.
//!
//! Two keys count, the current and the one before it, each known by its thumbprint (`kid`). A rotation makes a
//! new one current; a running shop notices by the first token that names a key it does not know.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use banyan_kernel::{Actor, Timestamp};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, decode, decode_header, encode};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Principal, claims, claims::Claims, invalid};
use crate::Problem;

const ISSUER: &str = "banyan";
const AUDIENCE: &str = "banyan-api";
/// Who sends tokens of unknown keys makes the shop look at its files no more often than this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why there is no key or no valid token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key's file cannot be read or made.
    #[error("the token key {path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The key's file holds no Ed25519 key.
    #[error("the token key {path} is not a PKCS#8 Ed25519 key in PEM", path = path.display())]
    Key {
        /// Which.
        path: PathBuf,
    },
    /// Signing failed.
    #[error("a token could not be signed")]
    Signing,
}

/// The shop's keys: the current one signs, both check.
#[derive(Clone)]
pub struct Keys(Arc<Shared>);

struct Shared {
    path: PathBuf,
    ring: RwLock<Ring>,
}

struct Ring {
    current: Key,
    previous: Option<Key>,
    looked: Instant,
}

#[derive(Clone)]
struct Key {
    id: String,
    sign: EncodingKey,
    check: DecodingKey,
}

impl Keys {
    /// Reads the keys, or makes one at first start: drawn from the system's randomness, its file readable by its
    /// owner alone. The one before the current is beside it, as `.previous`.
    ///
    /// # Errors
    /// When a file cannot be read or made, or holds something else.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        if !path.exists() {
            write_new(path)?;
        }
        Ok(Self(Arc::new(Shared { path: path.to_owned(), ring: RwLock::new(Ring::read(path)?) })))
    }

    /// Makes a new key the current one. Tokens of the one before stay valid until the next rotation, or until they
    /// expire; those of the one before that are refused from now on. Answers with the new key's id.
    ///
    /// # Errors
    /// When a file cannot be written; then the keys are as they were.
    pub fn rotate(path: &Path) -> Result<String, TokenError> {
        let failed = |error| TokenError::File { path: path.to_owned(), error };
        Key::read(path)?;
        // A second name for the same file first: a crash in between leaves the current key current.
        let (previous, beside) = (previous(path), path.with_extension("beside"));
        let _ = fs::remove_file(&beside);
        fs::hard_link(path, &beside).and_then(|()| fs::rename(&beside, previous)).map_err(failed)?;
        write_new(path)?;
        Ok(Key::read(path)?.id)
    }

    /// A token for `actor`, valid from `now` for `valid`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn mint(&self, actor: &Actor, now: Timestamp, valid: Duration) -> Result<String, TokenError> {
        let iat = now.unix_timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: actor.id.clone(),
            role: actor.role,
            iat,
            exp: iat.saturating_add(i64::try_from(valid.as_secs()).unwrap_or(i64::MAX)),
        };
        let key = self.0.ring.read().unwrap_or_else(PoisonError::into_inner).current.clone();
        let header = Header { kid: Some(key.id), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &key.sign).map_err(|_| TokenError::Signing)
    }

    /// Who `token` belongs to.
    ///
    /// # Errors
    /// 401 with the reason as problem type: `token_expired` or `token_invalid`.
    pub fn check(&self, token: &str) -> Result<Principal, Problem> {
        let header = decode_header(token).map_err(|_| invalid())?;
        let key = header.kid.and_then(|id| self.find(&id)).ok_or_else(invalid)?;
        let validation = claims::validation(Algorithm::EdDSA, ISSUER, AUDIENCE);
        let token = decode::<Claims>(token, &key, &validation).map_err(|error| claims::refusal(&error))?;
        claims::principal(token.claims.role, token.claims.sub)
    }

    /// The key of this id; looks at the files again for one that is not known, since a rotation may have come.
    fn find(&self, id: &str) -> Option<DecodingKey> {
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        let found = ring.find(id);
        let look_again = found.is_none() && ring.looked.elapsed() >= LOOK_AGAIN;
        drop(ring);
        if !look_again {
            return found;
        }
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        match Ring::read(&self.0.path) {
            Ok(read) => *ring = read,
            Err(error) => {
                tracing::error!(%error, "the token keys cannot be read again; those in hand still count");
                ring.looked = Instant::now();
            }
        }
        ring.find(id)
    }
}

impl Ring {
    fn read(path: &Path) -> Result<Self, TokenError> {
        let previous = previous(path);
        let previous = if previous.exists() { Some(Key::read(&previous)?) } else { None };
        Ok(Self { current: Key::read(path)?, previous, looked: Instant::now() })
    }

    fn find(&self, id: &str) -> Option<DecodingKey> {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        keys.find(|key| key.id == id).map(|key| key.check.clone())
    }
}

impl Key {
    fn read(path: &Path) -> Result<Self, TokenError> {
        let wrong = || TokenError::Key { path: path.to_owned() };
        let pem =
            fs::read_to_string(path).map_err(|error| TokenError::File { path: path.to_owned(), error })?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| wrong())?;
        let public = key.verifying_key();
        let digest: [u8; 32] = Sha256::digest(public.as_bytes()).into();
        let id = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let public = public.to_public_key_pem(LineEnding::LF).map_err(|_| wrong())?;
        let sign = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| wrong())?;
        let check = DecodingKey::from_ed_pem(public.as_bytes()).map_err(|_| wrong())?;
        Ok(Self { id, sign, check })
    }
}

fn previous(path: &Path) -> PathBuf {
    path.with_extension("previous.pem")
}

/// Whole or not at all: the file gets its name when it is written.
fn write_new(path: &Path) -> Result<(), TokenError> {
    let failed = |error| TokenError::File { path: path.to_owned(), error };
    create(path).map_err(failed)
}

fn create(path: &Path) -> io::Result<()> {
    let mut secret = [0_u8; 32];
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut secret).map_err(io::Error::other)?;
    let pem = SigningKey::from_bytes(&secret).to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}
