//! The public HTTP API, `/v1`: validated at the edge, bounded, errors as RFC 9457.

pub(crate) mod body;
mod cancel_order;
mod coalesce;
mod consistency;
mod cursors;
mod customers;
mod docs;
mod document;
mod examples;
mod follow_order;
mod health;
mod idempotency;
mod lines;
mod list_orders;
mod mails;
mod objects;
mod page;
mod place_order;
mod products;
mod query;
mod quotes;
mod read_orders;
pub(crate) mod reason;
mod refunds;
mod sales;
mod shipments;
mod staff_actions;
mod stock;
mod streams;
mod tags;
pub(crate) mod trace;
mod webhooks;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use banyan_host::operations::Readiness;
use banyan_kernel::{Answer, Refusal};
use banyan_net::{Identity, Problem, identify, measure};
use banyan_store::Signal;
use catalog_api::Catalog;
use inventory_api::{Inventory, StockKeeping};
use notifications_api::Notifications;
use orders_api::{Orders, refusals};
use payments_api::Refunds;
use shipping_api::Parcels;
use tokio_util::sync::CancellationToken;
use tower_http::{limit::RequestBodyLimitLayer, timeout::RequestBodyDeadlineLayer};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use coalesce::Coalescer;
pub use cursors::Cursors;
use document::Bearer;
pub(crate) use examples::{CUSTOMER as EXAMPLE_CUSTOMER, contact as example_contact};
pub(crate) use products::PRICE_MINOR_MAX;
pub use streams::Streams;
pub use webhooks::Webhooks;

use crate::{
    forgotten::Forgotten,
    staff_log::{self, StaffLog},
};

/// Refusals that the same request may not meet a moment later, whatever their status: who gets one is told when to come back.
const PASSING: [&str; 2] = [refusals::IN_FLIGHT, refusals::BEHIND];

/// The largest body taken.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take, from its first byte to its last.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take to begin, its request's body included.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Whether it can work.
    pub readiness: Arc<Readiness>,
    /// Knows whose token a request bears.
    pub identity: Identity,
    /// Says where lists go on.
    pub cursors: Cursors,
    /// The orders module.
    pub orders: Arc<dyn Orders>,
    /// The catalog module.
    pub catalog: Arc<dyn Catalog>,
    /// The inventory module.
    pub inventory: Arc<dyn Inventory>,
    /// The inventory module, for staff and the public.
    pub stock_keeping: Arc<dyn StockKeeping>,
    /// The payments module, for staff.
    pub refunds: Arc<dyn Refunds>,
    /// The shipping module, for who sends or follows parcels.
    pub parcels: Arc<dyn Parcels>,
    /// The notifications module.
    pub notifications: Arc<dyn Notifications>,
    /// Who is to stay forgotten.
    pub forgotten: Forgotten,
    /// Who tells of their own accord.
    pub webhooks: Webhooks,
    /// What staff did.
    pub staff_log: StaffLog,
    /// Places orders, those that wait together in one commit.
    pub coalescer: Coalescer,
    /// Raised after each commit of orders in this process.
    pub orders_signal: Signal,
    /// Bounds open streams.
    pub streams: Streams,
    /// Ends open streams when the shop stops.
    pub stop: CancellationToken,
}

#[derive(OpenApi)]
#[openapi(
    components(schemas(consistency::ConsistencyToken)),
    info(
        title = "Banyan",
        description = "A shop you can take apart while it is open: the public API. Its examples are of a shop with the sample in it \
            (`banyan run`): with its tokens, each request works as it stands, once.\n\nWhat goes wrong is told as a problem (RFC 9457). \
            Without a body are only the answers to what is no request yet: 400 to bytes that are not HTTP or contradict themselves, \
            such as two different `Content-Length`, and 431 to a head beyond 100 headers or some 32 KiB, of which no more is read; the connection ends there. \
            A head of more than 64 headers or 24 KiB has 431 with a problem, `/problems/head_too_large`, whatever was asked."
    ),
    servers((url = "/", description = "The shop that serves this document.")),
    modifiers(&Bearer),
    tags(
        (name = "orders", description = "Place, follow and cancel orders."),
        (name = "catalog", description = "What is sold."),
        (name = "inventory", description = "What is there (staff)."),
        (name = "shipping", description = "What sending costs, and where parcels are."),
        (name = "customers", description = "How a person is reached."),
        (name = "mails", description = "What was told to a customer."),
        (name = "webhooks", description = "What others tell of their own accord."),
        (name = "staff", description = "What staff did (staff)."),
        (name = "health", description = "For load balancers.")
    )
)]
struct Document;

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(place_order::place_order, list_orders::list_orders))
        .routes(routes!(read_orders::show_order))
        .routes(routes!(cancel_order::cancel_order))
        .routes(routes!(sales::list_sales))
        .routes(routes!(follow_order::follow_order))
        .routes(routes!(refunds::give_back, refunds::list_refunds))
        .routes(routes!(refunds::list_disputes))
        .routes(routes!(shipments::list_shipments))
        .routes(routes!(quotes::quote))
        .routes(routes!(products::list_products, products::put_products))
        .routes(routes!(products::show_product, products::change_product))
        .routes(routes!(products::retire_product))
        .routes(routes!(products::list_categories))
        .routes(routes!(stock::receive_stock))
        .routes(routes!(stock::adjust_stock))
        .routes(routes!(stock::show_stock))
        .routes(routes!(stock::list_movements))
        .routes(routes!(stock::show_availability))
        .routes(routes!(customers::show_me, customers::put_me, customers::forget_me))
        .routes(routes!(customers::show_customer))
        .routes(routes!(mails::list_mails))
        .routes(routes!(mails::list_mails_of))
        .routes(routes!(mails::show_mail))
        .routes(routes!(webhooks::hear_gateway))
        .routes(routes!(staff_actions::list_staff_actions))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// The OpenAPI 3.1 document of the public API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = routes().into_openapi();
    document::complete(&mut document);
    document
}

/// The whole public API.
pub fn router(api: Api) -> Router {
    let document = openapi();
    let (router, _) = routes().split_for_parts();
    router
        .route("/", get(page::page))
        .route("/favicon.ico", get(page::icon))
        .route("/docs", get(docs::page))
        .route("/docs/{file}", get(docs::file))
        .route("/openapi.json", get(move || async move { Json(document) }))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no_such_path", "see /openapi.json") })
        .method_not_allowed_fallback(|| async {
            let detail = "this path takes other methods, which `Allow` names; see /openapi.json";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(axum::middleware::from_fn(consistency::understood))
        .layer(from_fn_with_state(api.staff_log.clone(), staff_log::record))
        .layer(from_fn_with_state(api.identity.clone(), identify))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(RequestBodyDeadlineLayer::new(BODY_TIME_MAX))
        .layer(from_fn(in_time))
        .layer(axum::middleware::map_response(guard_headers))
        .layer(from_fn(trace::trace))
        .layer(from_fn_with_state("public", measure))
        .with_state(api)
}

/// Whatever hangs below: who asks is told. What was begun is not cancelled by that (a commit is a task of its own), so the
/// same key finds it.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        Problem::unavailable("no answer in time; ask again, with the same key").into_response()
    })
}

async fn guard_headers(mut response: Response) -> Response {
    // A limit's or an extractor's plain text becomes a problem as well.
    let status = response.status();
    let is_problem =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    if status == StatusCode::PAYLOAD_TOO_LARGE && !is_problem {
        response = body::too_large().into_response();
    } else if status == StatusCode::BAD_REQUEST && !is_problem {
        // Bodies and queries have problems of their own; what is left is a path that is no text.
        response = Problem::new(StatusCode::NOT_FOUND, "no_such_path", "see /openapi.json").into_response();
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A module's answer as a client's: done, or a problem under the status that `refused` names for the code.
fn done<T>(answer: Answer<T>, refused: impl Fn(&str) -> StatusCode) -> Result<T, Problem> {
    match answer {
        Answer::Done(reply) => Ok(reply),
        Answer::Rejected(refusal) => Err(refuse(refusal, refused)),
        Answer::Pending => Err(Problem::unavailable("it is under way; ask again")),
        Answer::Unavailable(why) => {
            tracing::warn!(why, "a module is not available");
            Err(Problem::unavailable(
                "the shop cannot do it just now; ask again with the same Idempotency-Key",
            ))
        }
        Answer::Broken(why) => {
            tracing::error!(why, "a module is broken");
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "it is our fault and has been logged",
            ))
        }
    }
}

fn refuse(refusal: Refusal, refused: impl Fn(&str) -> StatusCode) -> Problem {
    let status = refused(&refusal.code);
    let passes = PASSING.contains(&&*refusal.code) || status == StatusCode::SERVICE_UNAVAILABLE;
    let problem = Problem::refused(status, refusal);
    if passes { problem.retry_after(1) } else { problem }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_not_answered_in_time_is_told_so() {
        let never = Router::new().route("/", get(std::future::pending::<StatusCode>));
        let began = tokio::time::Instant::now();
        let asked = never.layer(from_fn(in_time)).oneshot(Request::new(Body::empty()));
        let answer = tokio::time::timeout(ANSWER_TIME_MAX * 2, asked).await.expect("an answer").expect("one");
        assert_eq!((answer.status(), began.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, ANSWER_TIME_MAX));
    }
}
