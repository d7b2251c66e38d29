//! What a module can be asked by other processes: its contract, and what it told; and, by whoever chooses among instances, whether it can
//! work.

use std::sync::Arc;

use axum::{Json, Router, http::StatusCode, routing::get};
use banyan_bus::Source;
use banyan_net::port::Door;

use crate::{
    operations::{Readiness, Ready},
    told,
};

/// Both behind one door.
pub fn router(port: impl FnOnce(Door) -> Router, source: Arc<dyn Source>, door: Door) -> Router {
    port(door.clone()).nest(told::PATH, told::router(source, door))
}

/// Before every door: who asks needs no token, and learns nothing but whether to call. Only what the process itself needs is looked at,
/// or one sick leaf would make everybody unready who calls it, and whoever calls them.
pub fn health(readiness: Arc<Readiness>) -> Router {
    let ready = get(async move || {
        let ready = readiness.itself().await;
        (status(&ready), Json(ready.plain()))
    });
    Router::new().route("/health/live", get(async || StatusCode::OK)).route("/health/ready", ready)
}

/// Of an answer that says it.
#[must_use]
pub fn status(ready: &Ready) -> StatusCode {
    if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
