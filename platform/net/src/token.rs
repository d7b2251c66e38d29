//! Bearer tokens: JWT (RFC 7519) signed with Ed25519 (RFC 8037), the algorithm pinned.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use banyan_kernel::{Actor, CustomerId, Role, Timestamp};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use serde::{Deserialize, Serialize};

use crate::Problem;

const ISSUER: &str = "banyan";
const AUDIENCE: &str = "banyan-api";
/// Clocks may differ by so much.
const LEEWAY_SECONDS: u64 = 5;
/// Longer ones are no tokens of ours.
const TOKEN_BYTES_MAX: usize = 2_048;

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it.
    pub iss: String,
    /// For whom it is.
    pub aud: String,
    /// A customer's UUID, a staff member's login.
    pub sub: String,
    /// What the bearer may do.
    pub role: Role,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Valid until, seconds since 1970.
    pub exp: i64,
}

/// Who a request comes from, proved by its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub Actor);

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

/// The shop's key: signs and checks tokens.
#[derive(Clone)]
pub struct Keys {
    sign: EncodingKey,
    check: DecodingKey,
}

impl Keys {
    /// Reads the key, or makes one at first start: drawn from the system's randomness, its file readable
    /// by its owner alone.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let failed = |error| TokenError::File { path: path.to_owned(), error };
        let wrong = || TokenError::Key { path: path.to_owned() };
        if !path.exists() {
            create(path).map_err(failed)?;
        }
        let pem = fs::read_to_string(path).map_err(failed)?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| wrong())?;
        let public = key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| wrong())?;
        let sign = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| wrong())?;
        let check = DecodingKey::from_ed_pem(public.as_bytes()).map_err(|_| wrong())?;
        Ok(Self { sign, check })
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
        encode(&Header::new(Algorithm::EdDSA), &claims, &self.sign).map_err(|_| TokenError::Signing)
    }

    /// Who `token` belongs to.
    ///
    /// # Errors
    /// 401 with the reason as problem type: `token_expired` or `token_invalid`.
    pub fn check(&self, token: &str) -> Result<Principal, Problem> {
        let invalid =
            || Problem::new(StatusCode::UNAUTHORIZED, "token_invalid", "the token is not one of this shop");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid());
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = LEEWAY_SECONDS;
        let claims =
            decode::<Claims>(token, &self.check, &validation).map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "token_expired",
                    "the token has expired; mint another",
                ),
                _ => invalid(),
            })?;
        let Claims { role, sub, .. } = claims.claims;
        let fits = role != Role::Customer || sub.parse::<CustomerId>().is_ok();
        if fits { Ok(Principal(Actor { role, id: sub })) } else { Err(invalid()) }
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut seed = [0_u8; 32];
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut seed).map_err(io::Error::other)?;
    let pem = SigningKey::from_bytes(&seed).to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

impl Principal {
    /// The customer this is.
    ///
    /// # Errors
    /// 403 for anybody else.
    pub fn customer(&self) -> Result<CustomerId, Problem> {
        let customer = (self.0.role == Role::Customer).then(|| self.0.id.parse().ok()).flatten();
        customer.ok_or_else(|| {
            Problem::new(StatusCode::FORBIDDEN, "customers_only", "only a customer may do this")
        })
    }

    /// Staff.
    ///
    /// # Errors
    /// 403 for anybody else.
    pub fn staff(&self) -> Result<(), Problem> {
        if self.0.role == Role::Staff {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "staff_only", "only staff may do this"))
    }
}

/// Gives the key to extractors.
pub trait HasKeys {
    /// The key.
    fn keys(&self) -> &Keys;
}

impl<S: HasKeys + Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let missing = || {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "token_missing",
                "send Authorization: Bearer TOKEN (banyan token)",
            )
        };
        let text = header.and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        let (scheme, token) = text.split_once(' ').ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        state.keys().check(token.trim())
    }
}
