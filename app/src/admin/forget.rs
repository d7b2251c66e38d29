//! Forgetting a person.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_kernel::{Answer, CustomerId};
use banyan_net::Problem;
use notifications_api::Notifications;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, unavailable};
use crate::api::body::Body;

const REASON_CHARACTERS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

/// Who asked is in the record of what staff did; the reason goes to the log.
pub(super) async fn forget(
    State(admin): State<Admin>,
    Path(customer): Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<Value>, Problem> {
    let wrong = |detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
    let customer: CustomerId = customer.parse().map_err(|_| wrong("a customer is a UUID"))?;
    if !(1..=REASON_CHARACTERS_MAX).contains(&why.reason.chars().count())
        || why.reason.chars().any(char::is_control)
    {
        return Err(wrong("a reason has 1 to 200 characters"));
    }
    match admin.0.shop.notifications.forget(customer).await {
        Answer::Done(forgotten) => {
            tracing::warn!(%customer, reason = why.reason, forgotten, "a person was forgotten");
            Ok(Json(json!({ "forgotten": forgotten })))
        }
        other => Err(unavailable(&format!("{other:?}"))),
    }
}
