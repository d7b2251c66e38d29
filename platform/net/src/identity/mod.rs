//! Who a request comes from, and how often they may ask.
//!
//! [`identify`] stands before every handler: it checks the bearer token once, counts the request against its
//! principal (or, without a valid token, against its address), and leaves the result for [`Principal`] to take.

mod claims;
mod keys;
mod limits;
mod oidc;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{Extensions, HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use banyan_kernel::{Actor, CustomerId, Role, Timestamp};

use crate::Problem;

pub(crate) use claims::{header, validation};
pub(crate) use keys::{Key, id_of_public_key};
pub use keys::{Keys, TokenError};
pub use limits::{Limits, RatePerSecond};
pub use oidc::{Oidc, OidcConfig};

/// Longer ones are no tokens of anybody's.
const TOKEN_BYTES_MAX: usize = 4_096;

/// Who a request comes from, proved by its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub Actor);

/// Whose tokens count, and how many requests each of them may make.
#[derive(Clone)]
pub struct Identity {
    keys: Keys,
    oidc: Option<Arc<Oidc>>,
    limits: Arc<Limits>,
}

/// What [`identify`] found; the extractor's refusal is the same for every handler.
#[derive(Clone)]
struct Identified(Result<Proved, Problem>);

/// What a token proves.
#[derive(Clone)]
pub(crate) struct Proved {
    principal: Principal,
    /// Seconds since 1970.
    until: i64,
}

/// When the token of a request ends: an answer that goes on does so no longer than who asked for it may ask.
#[derive(Clone, Copy, Debug)]
pub struct ValidUntil(pub Timestamp);

impl Identity {
    /// Tokens of these keys, and of an issuer beside them.
    #[must_use]
    pub fn new(keys: Keys, oidc: Option<Oidc>, limits: Limits) -> Self {
        Self { keys, oidc: oidc.map(Arc::new), limits: Arc::new(limits) }
    }

    /// Who the request's token belongs to.
    async fn of(&self, headers: &HeaderMap) -> Result<Proved, Problem> {
        let token = bearer(headers)?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid());
        }
        match &self.oidc {
            Some(oidc) if claims::issuer_of(token).as_deref() == Some(oidc.issuer()) => {
                oidc.check(token).await
            }
            _ => self.keys.prove(token),
        }
    }
}

/// A supervisor that is told "not so often" takes it for a sick server, and everybody behind its address pays for that.
const NEVER_TOO_OFTEN: &str = "/health/";

/// Identifies, counts, and passes on; 429 for who asks too often.
pub async fn identify(State(identity): State<Identity>, mut request: Request, next: Next) -> Response {
    let proved = identity.of(request.headers()).await;
    let allowed = match &proved {
        _ if request.uri().path().starts_with(NEVER_TOO_OFTEN) => Ok(()),
        Ok(proved) => identity.limits.take_principal(&proved.principal.0),
        Err(_) => identity.limits.take_address(address(&request)),
    };
    if let Err(wait) = allowed {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "ask less often");
        return problem.retry_after(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1)).into_response();
    }
    request.extensions_mut().insert(Identified(proved));
    next.run(request).await
}

/// The peer's own: a header that anybody can write is no address.
fn address(request: &Request) -> Option<std::net::IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut said = headers.get_all(header::AUTHORIZATION).iter();
    let text = said.next().and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    if said.next().is_some() {
        // Whoever stands between may have believed the other.
        let detail = "send one Authorization header";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "token_repeated", detail));
    }
    let (scheme, token) = text.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

fn missing() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token_missing", "send Authorization: Bearer TOKEN (banyan token)")
}

fn invalid() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token_invalid", "the token is not one that this shop accepts")
}

fn expired() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token_expired", "the token has expired; get another")
}

impl Principal {
    /// Whom [`identify`] found; nobody without a valid token.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Identified>().and_then(|found| Some(found.0.as_ref().ok()?.principal.clone()))
    }

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

    /// Whoever may change anything at all: a customer what is theirs, staff.
    ///
    /// # Errors
    /// 403 for a program that reads for the shop.
    pub fn may_change(&self) -> Result<(), Problem> {
        if matches!(self.0.role, Role::Customer | Role::Staff) {
            return Ok(());
        }
        let detail = "a program that reads for the shop changes nothing";
        Err(Problem::new(StatusCode::FORBIDDEN, "reads_only", detail))
    }

    /// Staff, or a program that reads for the shop.
    ///
    /// # Errors
    /// 403 for a customer.
    pub fn may_read_all(&self) -> Result<(), Problem> {
        if matches!(self.0.role, Role::Staff | Role::Service) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "staff_only", "only staff may see this"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(proved(parts)?.principal)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ValidUntil {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let until = Timestamp::from_unix_timestamp(proved(parts)?.until);
        Ok(Self(until.map_err(|_| invalid())?))
    }
}

/// A router without [`identify`] lets nobody in.
fn proved(parts: &Parts) -> Result<Proved, Problem> {
    parts.extensions.get::<Identified>().map_or_else(|| Err(missing()), |found| found.0.clone())
}
