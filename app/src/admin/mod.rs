//! The admin API: a listener of its own on loopback, for the command line and for operators. Every call
//! needs a staff token.

mod dead_letters;
mod faults;
mod forget;
mod look;
mod mails;
mod read_models;
mod resolve;
mod routes;
mod topics;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{get, post},
};
use banyan_host::{Metrics, operations::refusals};
use banyan_kernel::{Answer, Clock};
use banyan_net::{Identity, Principal, Problem, identify, measure};
use banyan_store::Store;

use crate::{
    api::{self, trace},
    compose::Shop,
    config::Outside,
    faults::FaultBook,
    flags::ShopFlags,
    forgotten::Forgotten,
    processes::Processes,
    routes::Routes,
    staff_log::{self, StaffLog},
};

/// What admin handlers work with.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    identity: Identity,
    staff_log: StaffLog,
    forgotten: Forgotten,
    shop: Shop,
    outside: Outside,
    fault_book: Option<Arc<FaultBook>>,
    clock: Arc<dyn Clock>,
    processes: Processes,
    routes: Routes,
    flags: Arc<ShopFlags>,
    client: reqwest::Client,
    metrics: Metrics,
    edge: Store,
}

impl Admin {
    /// Over a wired shop; `client` reaches the outside's control interface.
    #[must_use]
    pub fn new(
        (identity, staff_log, forgotten): (Identity, StaffLog, Forgotten),
        shop: Shop,
        (outside, fault_book): (Outside, Option<Arc<FaultBook>>),
        clock: Arc<dyn Clock>,
        processes: Processes,
        (routes, flags): (Routes, Arc<ShopFlags>),
        (client, metrics, edge): (reqwest::Client, Metrics, Store),
    ) -> Self {
        Self(Arc::new(Inner {
            identity,
            staff_log,
            forgotten,
            shop,
            outside,
            fault_book,
            clock,
            processes,
            routes,
            flags,
            client,
            metrics,
            edge,
        }))
    }
}

/// The whole admin API.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/admin/orders/settled", post(look::settled))
        .route("/admin/orders/stuck", get(look::stuck))
        .route("/admin/orders/{id}/why", get(look::why))
        .route("/admin/orders/{id}/resolve", post(resolve::resolve))
        .route("/admin/faults", get(faults::table))
        .route("/admin/break", post(faults::break_outside).get(faults::broken).delete(faults::mend))
        .route("/admin/audit", post(look::audit))
        .route("/admin/customers/{id}/forget", post(forget::forget))
        .route("/admin/groups", get(look::groups))
        .route("/admin/status", get(look::status))
        .route("/admin/caches", get(look::caches))
        .route("/admin/horizon", get(look::horizon))
        .route("/admin/mails", get(mails::list))
        .route("/admin/mails/retry", post(mails::retry))
        .route("/admin/read-models", get(read_models::list))
        .route("/admin/read-models/{name}/rebuild", post(read_models::rebuild))
        .route("/admin/dead-letters/{group}", get(dead_letters::list))
        .route("/admin/dead-letters/{group}/replay", post(dead_letters::replay))
        .route("/admin/dead-letters/{group}/drop", post(dead_letters::drop_letter))
        .route("/admin/flags", get(routes::flags))
        .route("/admin/routes", get(routes::list))
        .route("/admin/routes/{module}", get(routes::one).put(routes::turn))
        .route("/admin/routes/{module}/walk", post(routes::walk).delete(routes::stop))
        .route("/admin/topics", get(topics::list))
        .route("/admin/topics/{source}/recover", post(topics::recover))
        .route_layer(from_fn_with_state(admin.0.staff_log.clone(), staff_log::record))
        .route_layer(from_fn_with_state(admin.clone(), staff_only))
        // Before the layer of staff: a scraper on this machine has no token, and reads no secret.
        .route("/metrics", get(look::metrics))
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "see RUNBOOK.md")
        })
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no_such_path", "see RUNBOOK.md") })
        .layer(from_fn_with_state(admin.0.identity.clone(), identify))
        .layer(DefaultBodyLimit::max(api::BODY_BYTES_MAX))
        .layer(from_fn(trace::trace))
        .layer(from_fn_with_state("admin", measure))
        .with_state(admin)
}

async fn staff_only(
    State(_): State<Admin>,
    principal: Principal,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    principal.staff()?;
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

/// What a module says.
fn told<T>(answer: Answer<T>) -> Result<T, Problem> {
    match answer {
        Answer::Done(told) => Ok(told),
        Answer::Unavailable(why) | Answer::Broken(why) => Err(unavailable(&why)),
        Answer::Rejected(refusal) => Err(unavailable(&refusal.detail)),
        Answer::Pending => Err(unavailable(&"it is still looking")),
    }
}

/// What a process answers to its operators.
fn done<T>(answer: Answer<T>) -> Result<T, Problem> {
    match answer {
        Answer::Rejected(refusal) => {
            let status = match &*refusal.code {
                refusals::UNKNOWN_GROUP | refusals::UNKNOWN_READ_MODEL | refusals::UNKNOWN_SOURCE => {
                    StatusCode::NOT_FOUND
                }
                refusals::INVALID_BODY => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::CONFLICT,
            };
            Err(Problem::refused(status, refusal))
        }
        other => told(other),
    }
}

/// The database could not say.
fn unavailable(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "an admin call could not be answered");
    Problem::unavailable(error.to_string())
}
