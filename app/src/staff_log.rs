//! A record of what staff did, on both listeners: written before it is done, so that nothing is done unrecorded.

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use banyan_kernel::{Role, Timestamp};
use banyan_net::{Principal, Problem};
use banyan_store::{Locks, Schema, Store, StoreError};
use serde::Serialize;
use sqlx::{FromRow, migrate::Migrator};
use utoipa::ToSchema;
use uuid::Uuid;

/// The tables of the edge.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/edge");

const INSERT: &str = "insert into staff_action (id, phase, at, actor, method, path, idempotency_key, status) \
     values ($1, $2, $3, $4, $5, $6, $7, $8)";
const PAGE: &str = "select a.id, a.at, a.actor, a.method, a.path, a.idempotency_key, b.status \
     from staff_action a left join staff_action b on b.id = a.id and b.phase = 'answered' \
     where a.phase = 'asked' and (a.at, a.id) < ($1, $2) order by a.at desc, a.id desc limit $3";

/// As it is kept; longer ones are cut.
const PATH_CHARACTERS_MAX: usize = 400;

/// The edge's schema, beside the modules'.
#[must_use]
pub fn schema() -> Schema {
    Schema {
        name: "edge",
        migrations: &MIGRATIONS,
        insert_only: &["route_change", "staff_action"],
        reads_statistics: true,
    }
}

/// Something that a member of staff asked for.
#[derive(Clone, Debug, Serialize, ToSchema, FromRow)]
pub struct StaffAction {
    /// Of this one.
    pub id: Uuid,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who, as `role:id`.
    pub actor: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// The request's `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The answer's HTTP status; absent where the shop ended before it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i16>,
}

/// The record.
#[derive(Clone)]
pub struct StaffLog(Store);

impl StaffLog {
    /// In the edge's schema.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// The newest first, strictly older than the last of the page before.
    ///
    /// # Errors
    /// As any statement.
    pub async fn page(
        &self,
        before: Option<(Timestamp, Uuid)>,
        limit: u16,
    ) -> Result<Vec<StaffAction>, StoreError> {
        let (at, id) = before.unwrap_or((self.0.clock().now() + time::Duration::days(1), Uuid::max()));
        Ok(sqlx::query_as(PAGE).bind(at).bind(id).bind(i64::from(limit)).fetch_all(self.0.pool()).await?)
    }

    async fn write(&self, phase: &str, action: &StaffAction) -> Result<(), StoreError> {
        let mut write = self.0.begin(&Locks::none()).await?;
        sqlx::query(INSERT)
            .bind(action.id)
            .bind(phase)
            .bind(self.0.clock().now())
            .bind(&action.actor)
            .bind(&action.method)
            .bind(&action.path)
            .bind(&action.idempotency_key)
            .bind(action.status)
            .execute(write.connection())
            .await?;
        write.commit().await
    }

    fn action(&self, principal: &Principal, request: &Request) -> StaffAction {
        let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok());
        StaffAction {
            id: Uuid::new_v4(),
            at: self.0.clock().now(),
            actor: principal.0.to_string(),
            method: request.method().to_string(),
            path: request.uri().path().chars().take(PATH_CHARACTERS_MAX).collect(),
            idempotency_key: key.map(|key| key.chars().take(PATH_CHARACTERS_MAX).collect()),
            status: None,
        }
    }
}

/// Records what staff change. What cannot be recorded is not done: 503.
pub async fn record(State(log): State<StaffLog>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let staff = Principal::of(request.extensions()).filter(|principal| principal.0.role == Role::Staff);
    let Some(principal) = staff.filter(|_| !reads) else { return next.run(request).await };
    let action = log.action(&principal, &request);
    if let Err(error) = log.write("asked", &action).await {
        tracing::error!(%error, actor = action.actor, path = action.path, "what staff asked for cannot be recorded");
        return Problem::unavailable("what staff do is recorded first, and that is not possible just now")
            .into_response();
    }
    let response = next.run(request).await;
    let answered = StaffAction { status: i16::try_from(response.status().as_u16()).ok(), ..action };
    if let Err(error) = log.write("answered", &answered).await {
        // It was done, and that it was asked for is recorded: the answer goes out.
        tracing::warn!(%error, actor = answered.actor, path = answered.path, "a status was not recorded");
    }
    response
}
