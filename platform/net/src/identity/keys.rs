//! The shop's own tokens: JWT (RFC 7519) signed with Ed25519 (RFC 8037), the algorithm pinned.
//!
//! Two keys count, the current and the one before it, each known by its thumbprint (`kid`). A rotation makes a
//! new one current; a running shop notices by the first token that names a key it does not know.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use banyan_kernel::{Actor, Timestamp};
use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{
        DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding,
    },
};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, decode, encode};
use sha2::{Digest, Sha256};

use super::{Principal, Proved, claims, claims::Claims, invalid};
use crate::Problem;

const ISSUER: &str = "banyan";
const AUDIENCE: &str = "banyan-api";
/// What the seal's key is made for, so that no signature of a token is ever one.
const SEALS: &[u8] = b"banyan seals";
/// Half of a SHA-256: nobody has as many tries as it would take to find one.
const SEAL_BYTES: usize = 16;

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
    /// What the current key's file was when it was read.
    stamp: Option<Stamp>,
}

/// Another file under the same name has another: its number, and when it was written and named, to the nanosecond.
type Stamp = (u64, [i64; 4]);

/// An Ed25519 key, whoever signs with it.
#[derive(Clone)]
pub(crate) struct Key {
    /// The thumbprint of its public half.
    pub(crate) id: String,
    pub(crate) sign: EncodingKey,
    pub(crate) public_pem: String,
    check: DecodingKey,
    /// Seals what the shop will be shown again; made of the same secret.
    seal: [u8; 32],
}

impl Keys {
    /// Reads the keys, or makes one at first start: drawn from the system's randomness, its file readable by its
    /// owner alone. The one before the current is beside it, as `.previous`.
    ///
    /// # Errors
    /// When a file cannot be read or made, or holds something else.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        Key::open(path)?;
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
        Ok(self.prove(token)?.principal)
    }

    /// As [`Self::check`], and for how long.
    pub(crate) fn prove(&self, token: &str) -> Result<Proved, Problem> {
        let header = claims::header(token).map_err(|_| invalid())?;
        let key = header.kid.and_then(|id| self.find(&id)).ok_or_else(invalid)?;
        let validation = claims::validation(Algorithm::EdDSA, ISSUER, AUDIENCE);
        let token = decode::<Claims>(token, &key, &validation).map_err(|error| claims::refusal(&error))?;
        let Claims { role, sub, exp, .. } = token.claims;
        // That is how others' people are called here, see `oidc`.
        if sub.contains(claims::OF_ISSUER) {
            return Err(invalid());
        }
        Ok(Proved { principal: claims::principal(role, sub)?, until: exp })
    }

    /// A seal on what this shop gives away and will be shown again, such as where a list goes on: nobody else makes one.
    #[must_use]
    pub fn seal(&self, message: &[u8]) -> [u8; SEAL_BYTES] {
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        let whole = ring.current.seals(message).finalize().into_bytes();
        std::array::from_fn(|at| whole[at])
    }

    /// Whether one of the keys that count sealed this message so. Compares in constant time.
    #[must_use]
    pub fn is_sealed(&self, message: &[u8], seal: &[u8]) -> bool {
        let fits = |key: &Key| key.seals(message).verify_truncated_left(seal).is_ok();
        seal.len() == SEAL_BYTES && self.look(|ring| ring.keys().any(fits).then_some(())).is_some()
    }

    /// The key of this id.
    fn find(&self, id: &str) -> Option<DecodingKey> {
        self.look(|ring| ring.keys().find(|key| key.id == id).map(|key| key.check.clone()))
    }

    /// What is found among the keys; what is not, once more among those of now, since a rotation may have come. The files are
    /// read only when there is another one, so that who sends what was never ours makes nobody read.
    fn look<T>(&self, find: impl Fn(&Ring) -> Option<T>) -> Option<T> {
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        let (found, stamp) = (find(&ring), ring.stamp);
        drop(ring);
        if found.is_some() || stamp_of(&self.0.path) == stamp {
            return found;
        }
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        let now = stamp_of(&self.0.path);
        if ring.stamp != now {
            match Ring::read(&self.0.path) {
                Ok(read) => *ring = read,
                Err(error) => {
                    tracing::error!(%error, "the token keys cannot be read again; those in hand still count");
                    ring.stamp = now;
                }
            }
        }
        find(&ring)
    }
}

impl Ring {
    fn read(path: &Path) -> Result<Self, TokenError> {
        // Before the rest: a rotation in the middle of it is noticed the next time.
        let stamp = stamp_of(path);
        let previous = previous(path);
        let previous = if previous.exists() { Some(Key::read(&previous)?) } else { None };
        Ok(Self { current: Key::read(path)?, previous, stamp })
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl Key {
    /// The key in this file, which is made where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, TokenError> {
        if !path.exists() {
            write_new(path)?;
        }
        Self::read(path)
    }

    fn read(path: &Path) -> Result<Self, TokenError> {
        let wrong = || TokenError::Key { path: path.to_owned() };
        let pem =
            fs::read_to_string(path).map_err(|error| TokenError::File { path: path.to_owned(), error })?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| wrong())?;
        let public = key.verifying_key();
        let id = thumbprint(&public);
        let public_pem = public.to_public_key_pem(LineEnding::LF).map_err(|_| wrong())?;
        let sign = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| wrong())?;
        let check = DecodingKey::from_ed_pem(public_pem.as_bytes()).map_err(|_| wrong())?;
        let seal = Self::mac(key.as_bytes(), SEALS).finalize().into_bytes().into();
        Ok(Self { id, sign, public_pem, check, seal })
    }

    fn seals(&self, message: &[u8]) -> Hmac<Sha256> {
        Self::mac(&self.seal, message)
    }

    fn mac(key: &[u8; 32], message: &[u8]) -> Hmac<Sha256> {
        // Of 32 bytes, or any other length, HMAC makes a key.
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(key);
        let mut mac = mac.unwrap_or_else(|_| unreachable!("a key of any length is one"));
        mac.update(message);
        mac
    }
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]))
}

fn thumbprint(public: &VerifyingKey) -> String {
    let digest: [u8; 32] = Sha256::digest(public.as_bytes()).into();
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id of a public key in PEM; none, where it is none.
pub(crate) fn id_of_public_key(pem: &str) -> Option<String> {
    VerifyingKey::from_public_key_pem(pem).ok().map(|key| thumbprint(&key))
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
