//! Who is let in: a service that is known by its token, and that means the database that is behind this instance.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use banyan_store::Store;

use super::Callers;
use crate::Problem;

/// Which database the caller expects behind the callee, where both share one: system identifier, oid, schema, epoch.
pub const DATABASE_HEADER: &str = "banyan-database";

/// Which database this is, now: a move or a restore makes it another.
#[async_trait]
pub trait DatabaseIdentity: Send + Sync {
    /// As one text; two that differ are two databases.
    async fn identity(&self) -> Result<String, String>;
}

#[async_trait]
impl DatabaseIdentity for Store {
    async fn identity(&self) -> Result<String, String> {
        banyan_store::identity(self.pool()).await.map_err(|error| error.to_string())
    }
}

/// What stands before every operation.
#[derive(Clone)]
pub struct Door {
    callers: Arc<Callers>,
    database: Arc<dyn DatabaseIdentity>,
    known: Arc<tokio::sync::RwLock<Option<String>>>,
}

impl Door {
    /// Lets in these callers, if they mean this database.
    #[must_use]
    pub fn new(callers: Callers, database: Arc<dyn DatabaseIdentity>) -> Self {
        Self { callers: Arc::new(callers), database, known: Arc::default() }
    }

    /// Which database is behind this instance.
    pub(super) async fn database(&self) -> Response {
        match self.database.identity().await {
            Ok(identity) => Json(serde_json::json!({ "database": identity })).into_response(),
            Err(_) => Problem::unavailable("the database does not say which it is").into_response(),
        }
    }

    /// What is expected is compared with what is known, and, where that differs, with what is: it may have been restored meanwhile.
    async fn check_database(&self, expected: &str) -> Result<(), Problem> {
        if self.known.read().await.as_deref() == Some(expected) {
            return Ok(());
        }
        let now = self.database.identity().await;
        let now = now.map_err(|_| Problem::unavailable("the database does not say which it is"))?;
        let is_same = now == expected;
        *self.known.write().await = Some(now);
        if is_same {
            return Ok(());
        }
        let detail = "another database is behind this instance than the caller shares with it";
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "other_database", detail))
    }

    async fn let_in(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let unknown =
            || Problem::new(StatusCode::UNAUTHORIZED, "token_invalid", "a service's token is needed");
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(unknown)?;
        let caller = self.callers.check(token).map_err(|_| unknown())?;
        tracing::trace!(caller, "let in");
        match headers.get(DATABASE_HEADER).map(|value| value.to_str()) {
            Some(Ok(expected)) => self.check_database(expected).await,
            Some(Err(_)) => Err(unknown()),
            None => Ok(()),
        }
    }
}

pub(super) async fn guard(State(door): State<Door>, request: Request, next: Next) -> Response {
    match door.let_in(request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            tracing::warn!(problem = problem.kind, correlation = "", "a caller is not let in");
            problem.into_response()
        }
    }
}
