//! Looking: nothing here changes anything.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_kernel::{Answer, OrderId};
use banyan_net::Problem;
use orders_api::{Settled, Why};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Admin, told, unavailable};
use crate::{
    api::body::Body,
    audit::{self, Audit},
    observe::Holder,
};

/// Orders of one question.
const ORDERS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    orders: Vec<OrderId>,
}

#[derive(Serialize)]
pub(super) struct AllSettled {
    orders: Vec<Settled>,
}

pub(super) async fn settled(
    State(admin): State<Admin>,
    Body(which): Body<Which>,
) -> Result<Json<AllSettled>, Problem> {
    if which.orders.len() > ORDERS_MAX {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_body",
            "ask for at most 1000 orders",
        ));
    }
    let orders = told(admin.0.shop.orders.facts.settled(which.orders).await)?;
    Ok(Json(AllSettled { orders }))
}

pub(super) async fn why(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<Why>, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_order", "there is no such order");
    let id = id.parse().map_err(|_| unknown())?;
    match admin.0.shop.orders.orders.why(id).await {
        Answer::Done(why) => Ok(Json(why)),
        Answer::Rejected(_) => Err(unknown()),
        other => Err(unavailable(&format!("{other:?}"))),
    }
}

pub(super) async fn stuck(State(admin): State<Admin>) -> Result<Json<Vec<Why>>, Problem> {
    told(admin.0.shop.orders.orders.stuck().await).map(Json)
}

pub(super) async fn audit(State(admin): State<Admin>) -> Result<Json<Audit>, Problem> {
    let inner = &admin.0;
    audit::run(&inner.shop, &inner.outside, &inner.client, inner.clock.now())
        .await
        .map(Json)
        .map_err(|error| unavailable(&error))
}

pub(super) async fn caches(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({ "caches": admin.0.shop.caches() }))
}

pub(super) async fn horizon(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let holder = Holder::find(&admin.0.edge).await.map_err(|error| unavailable(&error))?;
    Ok(Json(json!({ "holder": holder })))
}

pub(super) async fn metrics(State(admin): State<Admin>) -> Result<String, Problem> {
    admin.0.metrics.text().map_err(|error| unavailable(&error))
}

pub(super) async fn groups(State(admin): State<Admin>) -> Json<Value> {
    use std::sync::atomic::Ordering::Relaxed;
    let group = |counters: &banyan_bus::Counters| {
        json!({
            "applied": counters.applied.load(Relaxed),
            "duplicates": counters.duplicates.load(Relaxed),
            "skipped": counters.skipped.load(Relaxed),
            "gaps": counters.gaps.load(Relaxed),
            "poisoned": counters.poisoned.load(Relaxed),
            "queued": counters.queued.load(Relaxed),
            "pauses": counters.pauses.load(Relaxed),
            "paused_slots": counters.paused_slots.load(Relaxed),
            "reached": counters.reached().json(),
        })
    };
    Json(admin.0.counters.iter().map(|(name, counters)| ((*name).to_owned(), group(counters))).collect())
}
