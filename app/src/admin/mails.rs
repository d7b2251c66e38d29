//! Mails: how many of each kind there are, what waits, what was refused for good, and the way back for that.

use axum::{Json, extract::State};
use banyan_net::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, told};
use crate::api::{body::Body, reason::Reason};

pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let facts = &admin.0.shop.notifications.facts;
    let (counts, due) = (told(facts.counts().await)?, told(facts.due().await)?);
    Ok(Json(json!({ "mails": counts, "due": due })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: Reason,
}

/// Who asked is in the record of what staff did; the reason goes to the log.
pub(super) async fn retry(State(admin): State<Admin>, Body(why): Body<Why>) -> Result<Json<Value>, Problem> {
    let again = told(admin.0.shop.notifications.notifications.retry_refused().await)?;
    tracing::warn!(again, reason = why.reason.0, "refused mails are sent again");
    Ok(Json(json!({ "again": again })))
}
