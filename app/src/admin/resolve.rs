//! A person gets a stopped order going again.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_kernel::{Answer, Context, OrderId, TraceParent};
use banyan_net::{Principal, Problem};
use orders_api::{OrderView, Resolution, refusals};
use serde::Deserialize;

use super::{Admin, unavailable};
use crate::api::{body::Body, reason::Reason};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    how: Resolution,
    reason: Reason,
}

pub(super) async fn resolve(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<Json<OrderView>, Problem> {
    let problem = |status, code, detail: String| Problem::new(status, code, detail);
    let unknown = || problem(StatusCode::NOT_FOUND, "unknown_order", "there is no such order".to_owned());
    let order: OrderId = id.parse().map_err(|_| unknown())?;
    let context = Context { actor: principal.0, trace: TraceParent::root(order.0) };
    match admin.0.shop.orders.orders.resolve(order, decision.how, decision.reason.0, context).await {
        Answer::Done(view) => Ok(Json(view)),
        Answer::Rejected(refusal) if refusal.code == refusals::NOT_STUCK => {
            Err(problem(StatusCode::CONFLICT, &refusal.code, refusal.detail))
        }
        Answer::Rejected(_) => Err(unknown()),
        other => Err(unavailable(&format!("{other:?}"))),
    }
}
