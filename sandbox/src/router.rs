//! Every route, and who may take it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::answer::{Answer, Trouble};
use crate::control::{live, read_book, show_faults, turn_up};
use crate::digest::Digest;
use crate::sandbox::Sandbox;
use crate::step::Party;
use crate::{carrier, gateway};

const LARGEST_HEAD_BYTES: usize = 16 * 1024;
const LARGEST_CONTROL_BODY_BYTES: usize = 4 * 1024;

/// The whole of the outside world.
pub(crate) fn router(sandbox: Arc<Sandbox>) -> Router {
    let guarded = |routes: Router<Arc<Sandbox>>, guard| {
        routes.route_layer(from_fn_with_state((sandbox.clone(), guard), authorised))
    };
    Router::new()
        .merge(guarded(gateway_routes(), Guard::Party(Party::Gateway)))
        .merge(guarded(carrier_routes(), Guard::Party(Party::Carrier)))
        .merge(guarded(control_routes(), Guard::Control))
        .route("/health/live", get(live::live))
        .fallback(|| async {
            Answer::problem(StatusCode::NOT_FOUND, "no_such_path", "There is nothing here.")
        })
        .layer(from_fn(bounded_head))
        .with_state(sandbox)
}

fn gateway_routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/v1/payment_intents", post(gateway::authorise::authorise))
        .route("/v1/payment_intents/search", get(gateway::search::search))
        .route("/v1/payment_intents/{id}", get(gateway::retrieve::retrieve))
        .route("/v1/payment_intents/{id}/capture", post(gateway::capture::capture))
        .route("/v1/payment_intents/{id}/cancel", post(gateway::void::void))
        .route("/v1/disputes", get(gateway::list_disputes::list_disputes))
        .route("/v1/refunds", post(gateway::refund::refund).get(gateway::list_refunds::list_refunds))
}

fn carrier_routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/carrier/v1/shipments", post(carrier::book::book).get(carrier::find::find))
        .route("/carrier/v1/quotes", get(carrier::quote::quote))
        .route("/carrier/v1/events", get(carrier::events::events))
        .route("/carrier/v1/shipments/{id}", get(carrier::retrieve::retrieve))
        .route("/carrier/v1/shipments/{id}/cancel", post(carrier::cancel::cancel))
}

fn control_routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/sandbox/book", get(read_book::page))
        .route("/sandbox/book/totals", get(read_book::totals))
        .route("/sandbox/book/orders/{order}", get(read_book::of_order))
        .route("/sandbox/faults", get(show_faults::show_faults))
        .route("/sandbox/break", post(turn_up::turn_up).get(turn_up::list).delete(turn_up::clear))
        .layer(DefaultBodyLimit::max(LARGEST_CONTROL_BODY_BYTES))
}

#[derive(Clone, Copy)]
enum Guard {
    Party(Party),
    Control,
}

async fn authorised(
    State((sandbox, guard)): State<(Arc<Sandbox>, Guard)>,
    request: Request,
    next: Next,
) -> Response {
    let (secret, party) = match guard {
        Guard::Party(party) => (&sandbox.config.gateway_secret, party),
        Guard::Control => (&sandbox.config.control_token, Party::Carrier),
    };
    let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Bearer "));
    if sent.is_some_and(|sent| same(sent, secret)) {
        return next.run(request).await;
    }
    Trouble::Unauthorised.told_by(party).into_response()
}

/// The connection's buffer bounds a head only roughly.
async fn bounded_head(request: Request, next: Next) -> Response {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let bytes: usize =
        headers.sum::<usize>() + request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if bytes <= LARGEST_HEAD_BYTES {
        return next.run(request).await;
    }
    let message = "Headers and path have at most 16384 bytes.";
    Answer::problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message).into_response()
}

/// Compares digests, so that the time tells nothing of the secret.
fn same(sent: &str, secret: &str) -> bool {
    Digest::of(&[sent.as_bytes()]).wide() == Digest::of(&[secret.as_bytes()]).wide()
}
