//! The carrier's topics: how they stand, and making one anew.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_bus::Topics;
use banyan_net::{Principal, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, unavailable};
use crate::api::body::Body;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let topics = topics(&admin)?.look().await.map_err(|why| unavailable(&why))?;
    Ok(Json(json!({ "topics": topics })))
}

pub(super) async fn recover(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(source): Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<Value>, Problem> {
    tracing::warn!(source, by = %principal.0, reason = why.reason, "a topic is made anew from its outbox");
    let is_there = topics(&admin)?.recover(&source).await.map_err(|why| unavailable(&why))?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_source", "see GET /admin/topics");
    is_there.then(|| Json(json!({ "recovered": source }))).ok_or_else(unknown)
}

fn topics(admin: &Admin) -> Result<Arc<dyn Topics>, Problem> {
    let why = "this shop's events are read where they are written: it names no brokers (BANYAN_KAFKA)";
    let none = || Problem::new(StatusCode::CONFLICT, "no_topics", why);
    admin.0.shop.topics.clone().ok_or_else(none)
}
