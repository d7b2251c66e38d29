//! What a token says, whoever signed it.

use banyan_kernel::{Actor, CustomerId, Role};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, Header, Validation,
    dangerous::insecure_decode,
    decode_header,
    errors::{Error, ErrorKind},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Principal, expired, invalid};
use crate::Problem;

/// Clocks may differ by so much.
const LEEWAY_SECONDS: u64 = 5;
/// A staff member's login.
const LOGIN_CHARACTERS_MAX: usize = 128;
/// Between an issuer and whom it names, in the name that they have here; in no login of this shop's own.
pub(super) const OF_ISSUER: char = '|';

/// Of a token of this shop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Who signed it.
    pub iss: String,
    /// For whom it is.
    pub aud: String,
    /// A customer's UUID, a staff member's login, a service's name.
    pub sub: String,
    /// What the bearer may do.
    pub role: Role,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Valid until, seconds since 1970.
    pub exp: i64,
}

/// One algorithm, one issuer, one audience, and an end: nothing of it is the token's choice.
pub(crate) fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_SECONDS;
    validation
}

/// What a token says of itself, *unproved*. One that says that something in it must be understood (`crit`, RFC 7515, section 4.1.11) is
/// refused: of what may be named there, nothing is.
pub(crate) fn header(token: &str) -> Result<Header, Error> {
    let header = decode_header(token)?;
    // By its own word, since a value of `null` is as good as none to who parses it.
    let first = token.split('.').next().unwrap_or_default();
    let said: Map<String, Value> = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(first)?)?;
    if said.contains_key("crit") { Err(ErrorKind::InvalidToken.into()) } else { Ok(header) }
}

/// Why a token was refused, as a client may know it.
pub(super) fn refusal(error: &Error) -> Problem {
    match error.kind() {
        ErrorKind::ExpiredSignature => expired(),
        _ => invalid(),
    }
}

/// Whom the token names as its issuer, *unproved*: it only says whose keys to check it with.
pub(super) fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    insecure_decode::<Issuer>(token).ok().map(|token| token.claims.iss)
}

/// A principal, if the role may be had by a token and the id fits it. The shop itself has none: nobody comes from
/// outside as `system`.
pub(super) fn principal(role: Role, id: String) -> Result<Principal, Problem> {
    let fits = match role {
        Role::Customer => id.parse::<CustomerId>().is_ok(),
        Role::Staff | Role::Service => is_login(&id),
        Role::System => false,
    };
    if fits { Ok(Principal(Actor { role, id })) } else { Err(invalid()) }
}

/// As [`principal`], of somebody whom an issuer names: they are who they are there, whatever somebody of the same name may be here.
pub(super) fn principal_of(issuer: &str, role: Role, sub: &str) -> Result<Principal, Problem> {
    let id = format!("{issuer}{OF_ISSUER}{sub}");
    match role {
        Role::Customer => principal(role, Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string()),
        // To be read by people, in the record of what staff did.
        Role::Staff | Role::Service if is_login(sub) => Ok(Principal(Actor { role, id })),
        _ => Err(invalid()),
    }
}

fn is_login(id: &str) -> bool {
    (1..=LOGIN_CHARACTERS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
