//! Forgetting a person.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_kernel::{Answer, CustomerId};
use banyan_net::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, unavailable};
use crate::api::{body::Body, reason::Reason};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: Reason,
}

/// Who asked is in the record of what staff did; the reason goes to the log.
pub(super) async fn forget(
    State(admin): State<Admin>,
    Path(customer): Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<Value>, Problem> {
    let wrong = |detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
    let customer: CustomerId = customer.parse().map_err(|_| wrong("a customer is a UUID"))?;
    let notifications = &*admin.0.shop.notifications.notifications;
    match admin.0.forgotten.forget(notifications, customer).await {
        Answer::Done(forgotten) => {
            tracing::warn!(%customer, reason = why.reason.0, forgotten, "a person was forgotten");
            Ok(Json(json!({ "forgotten": forgotten })))
        }
        other => Err(unavailable(&format!("{other:?}"))),
    }
}
