//! How services know each other: each signs with an Ed25519 key of its own, and callees know their callers' public keys. A token names
//! its caller and its callee, and lasts a minute.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use banyan_kernel::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, Header, decode, encode};
use serde::{Deserialize, Serialize};

use crate::{
    TokenError,
    call::Credential,
    identity::{Key, header, id_of_public_key, validation},
};

/// How long a token counts; a clock that is behind may take a little longer.
const VALID: Duration = Duration::from_secs(60);
/// One that claims more is not ours.
const VALID_MAX_S: i64 = 300;
/// As long is a token used before another is signed.
const USED: Duration = Duration::from_secs(20);

/// For whom a token is: no token of the public API is one of these.
fn audience_of(callee: &str) -> String {
    format!("banyan-service-{callee}")
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// Who calls.
    iss: String,
    /// The same.
    sub: String,
    /// Whom.
    aud: String,
    iat: i64,
    exp: i64,
}

/// What a service signs with.
pub struct ServiceKey {
    name: String,
    key: Key,
    clock: Arc<dyn Clock>,
}

impl ServiceKey {
    /// The key in this file, made at first start; its public half is put beside it, as `.pub.pem`, for those whom this service calls.
    ///
    /// # Errors
    /// When a file cannot be read or made, or holds something else.
    pub fn open(name: &str, path: &Path, clock: Arc<dyn Clock>) -> Result<Self, TokenError> {
        let key = Key::open(path)?;
        let beside = path.with_extension("pub.pem");
        fs::write(&beside, &key.public_pem).map_err(|error| TokenError::File { path: beside, error })?;
        Ok(Self { name: name.to_owned(), key, clock })
    }

    /// A token for a callee.
    ///
    /// # Errors
    /// When signing fails.
    pub fn mint(&self, callee: &str) -> Result<String, TokenError> {
        let iat = self.clock.now().unix_timestamp();
        let claims = Claims {
            iss: self.name.clone(),
            sub: self.name.clone(),
            aud: audience_of(callee),
            iat,
            exp: iat + VALID.as_secs() as i64,
        };
        let header = Header { kid: Some(self.key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &self.key.sign).map_err(|_| TokenError::Signing)
    }

    /// For every call of a callee: a token that is signed anew when it is a third of its life old.
    #[must_use]
    pub fn credential(self: &Arc<Self>, callee: &'static str) -> Credential {
        let (key, last) = (self.clone(), Mutex::new((String::new(), None)));
        Credential::Token(Arc::new(move || {
            let mut last = crate::call::locked(&last);
            let now = key.clock.now();
            if last.1.is_none_or(|signed| signed > now || now - signed > USED) {
                match key.mint(callee) {
                    Ok(token) => *last = (token, Some(now)),
                    Err(error) => tracing::error!(%error, callee, correlation = "", "a token is not signed"),
                }
            }
            last.0.clone()
        }))
    }
}

/// Whose tokens count at a callee.
#[derive(Clone)]
pub struct Callers {
    audience: String,
    /// By the key's id: whose, and what checks it.
    known: BTreeMap<String, (String, DecodingKey)>,
}

impl Callers {
    /// Nobody's, at this callee.
    #[must_use]
    pub fn of(callee: &str) -> Self {
        Self { audience: audience_of(callee), known: BTreeMap::new() }
    }

    /// And `name`'s, who signs with this key.
    ///
    /// # Errors
    /// When it is no public Ed25519 key in PEM.
    pub fn and(mut self, name: &str, public_pem: &str) -> Result<Self, String> {
        let (id, key) = public_key(public_pem)?;
        self.known.insert(id, (name.to_owned(), key));
        Ok(self)
    }

    /// And those in a text: `NAME=FILE`, several joined by commas; each file has the public half of the key that one signs with.
    ///
    /// # Errors
    /// Which part is none.
    pub fn listed(self, text: &str) -> Result<Self, String> {
        text.split(',').try_fold(self, |callers, one| {
            let (name, path) =
                one.trim().split_once('=').ok_or("callers are NAME=FILE, several joined by commas")?;
            let pem = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            callers.and(name, &pem).map_err(|why| format!("{path}: {why}"))
        })
    }

    /// The same at another callee.
    #[must_use]
    pub fn at(&self, callee: &str) -> Self {
        Self { audience: audience_of(callee), known: self.known.clone() }
    }

    /// Who calls.
    ///
    /// # Errors
    /// Why the token does not count, for our own log.
    pub fn check(&self, token: &str) -> Result<&str, String> {
        let unknown = || "of nobody who is known here".to_owned();
        let header = header(token).map_err(|error| error.to_string())?;
        let (name, key) = header.kid.and_then(|id| self.known.get(&id)).ok_or_else(unknown)?;
        let checked = decode::<Claims>(token, key, &validation(Algorithm::EdDSA, name, &self.audience));
        let claims = checked.map_err(|error| error.to_string())?.claims;
        let lasts = claims.exp.saturating_sub(claims.iat);
        if claims.sub != *name || !(0..=VALID_MAX_S).contains(&lasts) {
            return Err("it claims more than it may".to_owned());
        }
        Ok(name)
    }
}

/// A public key, with the id it is known by.
///
/// # Errors
/// When it is none.
pub fn public_key(pem: &str) -> Result<(String, DecodingKey), String> {
    let id = id_of_public_key(pem).ok_or("no public Ed25519 key in PEM")?;
    let key = DecodingKey::from_ed_pem(pem.as_bytes()).map_err(|error| error.to_string())?;
    Ok((id, key))
}

#[cfg(test)]
mod tests {
    use banyan_kernel::{ManualClock, SystemClock};
    use jsonwebtoken::dangerous::insecure_decode;

    use super::*;

    fn key(folder: &Path, name: &str, clock: Arc<dyn Clock>) -> (ServiceKey, String) {
        let path = folder.join(format!("{name}.pem"));
        let key = ServiceKey::open(name, &path, clock).expect("a key");
        (key, fs::read_to_string(path.with_extension("pub.pem")).expect("its public half"))
    }

    #[test]
    fn a_token_counts_at_its_callee_by_its_callers_own_key_and_for_a_minute() {
        let folder = tempfile::tempdir().expect("a folder");
        let now: Arc<dyn Clock> = Arc::new(SystemClock);
        let (shop, shop_pem) = key(folder.path(), "shop", now.clone());
        let (orders, orders_pem) = key(folder.path(), "orders", now.clone());
        let callers = Callers::of("inventory").and("shop", &shop_pem).expect("a key");
        let token = shop.mint("inventory").expect("a token");
        assert_eq!(callers.check(&token), Ok("shop"));
        let refused = |callers: &Callers, token: &str| callers.check(token).expect_err(token);
        refused(&callers, &shop.mint("payments").expect("a token for another callee"));
        refused(&callers, &orders.mint("inventory").expect("a token of somebody who is not known"));
        refused(&callers, "nonsense");
        let claims = insecure_decode::<Claims>(&token).expect("claims").claims;
        let mut header = header(&token).expect("a header");
        let again = |header: &Header| encode(header, &claims, &shop.key.sign).expect("a token");
        assert_eq!(callers.check(&again(&header)), Ok("shop"));
        header.crit = Some(vec!["exp".to_owned()]);
        refused(&callers, &again(&header));
        let both = Callers::of("inventory").and("shop", &orders_pem).expect("a key");
        refused(&both, &orders.mint("inventory").expect("a token that says another name than the key's"));
        let hours_ago = now.now() - Duration::from_secs(7_200);
        let then = Arc::new(ManualClock::at_micros(hours_ago.unix_timestamp() * 1_000_000));
        let (late, _) = key(folder.path(), "shop", then);
        refused(&callers, &late.mint("inventory").expect("a token of two hours ago"));
    }

    #[test]
    fn a_token_is_used_for_a_third_of_its_life() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let (shop, _) = key(folder.path(), "shop", clock.clone());
        let credential = Arc::new(shop).credential("inventory");
        let first = credential.bearer();
        clock.advance_micros(19_000_000);
        assert_eq!(credential.bearer(), first);
        clock.advance_micros(2_000_000);
        assert_ne!(credential.bearer(), first);
    }
}
