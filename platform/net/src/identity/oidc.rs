//! Tokens of an OpenID Connect issuer beside the shop's own (OpenID Connect Core 1.0; JWK Sets, RFC 7517).
//!
//! The set of keys is fetched when a token names one that is not known, at most every ten seconds: an issuer's
//! rotation is noticed by its first token, and a flood of made-up ids asks the issuer no more often than that. A set counts for five
//! minutes, so that a key that the issuer has taken back counts no longer; when the issuer is away, the set in hand does for an hour.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use banyan_kernel::Role;
use jsonwebtoken::{
    Algorithm, DecodingKey, decode,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{Proved, claims, invalid};
use crate::Problem;

const FETCH_AGAIN: Duration = Duration::from_secs(10);
/// From this age on a set that is used is fetched anew, in the background: who asks does not wait for that.
const SET_OLD: Duration = Duration::from_secs(240);
/// A set of this age is fetched anew before it is used.
const SET_AGE_MAX: Duration = Duration::from_secs(300);
/// While the issuer does not answer.
const SET_AGE_AWAY_MAX: Duration = Duration::from_secs(3_600);
const FETCH_TIME_MAX: Duration = Duration::from_secs(3);
const SET_BYTES_MAX: usize = 64 * 1024;
const KEYS_MAX: usize = 32;

/// Whose tokens count beside the shop's own.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// `iss` of its tokens, to the letter.
    pub issuer: String,
    /// `aud` of its tokens for this shop.
    pub audience: String,
    /// Where its keys are: `https://...`, or `http://` on loopback.
    pub jwks_url: String,
}

/// An issuer and its keys.
pub struct Oidc {
    config: OidcConfig,
    client: reqwest::Client,
    set: RwLock<Set>,
    /// When they were last asked for. Held while they are: who brings a known key does not wait for that.
    fetched: Mutex<Option<Instant>>,
}

type Keys = Vec<(String, Algorithm, DecodingKey)>;

/// What the issuer published last.
#[derive(Default)]
struct Set {
    keys: Keys,
    at: Option<Instant>,
}

/// What the issuer says of somebody. `banyan_role` is `customer` unless it says otherwise.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    banyan_role: Option<Role>,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Oidc {
    /// Nothing is fetched yet: a start never waits for an issuer.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(config: OidcConfig) -> Result<Self, reqwest::Error> {
        let client = crate::client().timeout(FETCH_TIME_MAX).build()?;
        Ok(Self { config, client, set: RwLock::default(), fetched: Mutex::default() })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Who `token` belongs to. Everybody's id is derived from issuer and subject; roles other than `customer` are the issuer's to give.
    pub(super) async fn check(self: &Arc<Self>, token: &str) -> Result<Proved, Problem> {
        let header = claims::header(token).map_err(|_| invalid())?;
        let id = header.kid.ok_or_else(invalid)?;
        let (algorithm, key) = self.key(&id).await.ok_or_else(invalid)?;
        let OidcConfig { issuer, audience, .. } = &self.config;
        let validation = claims::validation(algorithm, issuer, audience);
        let token = decode::<Claims>(token, &key, &validation).map_err(|error| claims::refusal(&error))?;
        let Claims { sub, exp, banyan_role } = token.claims;
        let principal = claims::principal_of(issuer, banyan_role.unwrap_or(Role::Customer), &sub)?;
        Ok(Proved { principal, until: exp })
    }

    async fn key(self: &Arc<Self>, id: &str) -> Option<(Algorithm, DecodingKey)> {
        if let Some(found) = self.known(id, SET_AGE_MAX) {
            if self.known(id, SET_OLD).is_none() {
                let oidc = self.clone();
                tokio::spawn(async move { oidc.fetch_anew().await });
            }
            return Some(found);
        }
        let mut fetched = self.fetched.lock().await;
        // Somebody may have fetched it meanwhile.
        if let Some(found) = self.known(id, SET_AGE_MAX) {
            return Some(found);
        }
        self.fetch_at_most(&mut fetched).await;
        self.known(id, SET_AGE_AWAY_MAX)
    }

    /// In the background, unless somebody is at it.
    async fn fetch_anew(&self) {
        if let Ok(mut fetched) = self.fetched.try_lock() {
            self.fetch_at_most(&mut fetched).await;
        }
    }

    /// No more often than an issuer is asked.
    async fn fetch_at_most(&self, fetched: &mut Option<Instant>) {
        if fetched.is_some_and(|at| at.elapsed() < FETCH_AGAIN) {
            return;
        }
        *fetched = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                let set = Set { keys, at: Some(Instant::now()) };
                *self.set.write().unwrap_or_else(PoisonError::into_inner) = set;
            }
            Err(why) => {
                tracing::warn!(issuer = self.config.issuer, why, "the issuer's keys cannot be fetched");
            }
        }
    }

    /// The key of this id, of a set that is younger than that.
    fn known(&self, id: &str, than: Duration) -> Option<(Algorithm, DecodingKey)> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let is_younger = set.at.is_some_and(|at| at.elapsed() < than);
        is_younger.then(|| find(&set.keys, id)).flatten()
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let lost = |error: reqwest::Error| error.without_url().to_string();
        let mut answer = self.client.get(&self.config.jwks_url).send().await.map_err(lost)?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if bytes.len() + chunk.len() > SET_BYTES_MAX {
                return Err(format!("answered with more than {SET_BYTES_MAX} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let set: JwkSet = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        Ok(set.keys.iter().take(KEYS_MAX).filter_map(usable).collect())
    }
}

fn find(keys: &[(String, Algorithm, DecodingKey)], id: &str) -> Option<(Algorithm, DecodingKey)> {
    keys.iter().find(|(known, ..)| known == id).map(|(_, algorithm, key)| (*algorithm, key.clone()))
}

/// A public key with the one algorithm it is for: by its kind, never by what a token says. Keys that sign and check
/// alike are no public keys.
fn usable(key: &Jwk) -> Option<(String, Algorithm, DecodingKey)> {
    let algorithm = match &key.algorithm {
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    Some((key.common.key_id.clone()?, algorithm, DecodingKey::from_jwk(key).ok()?))
}
