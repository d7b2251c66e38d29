//! Dead letters: see them, replay them, give them up.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_bus::{DeadLetterError, DeadLetters, Decision};
use banyan_net::{Principal, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, unavailable};
use crate::api::body::Body;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    key: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drop {
    key: String,
    place: i64,
    reason: String,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Path(group): Path<String>,
) -> Result<Json<Value>, Problem> {
    let letters = letters(&admin, &group)?.list().await.map_err(|error| unavailable(&error))?;
    let line = |letter: &banyan_bus::DeadLetter| {
        json!({
            "key": letter.key,
            "place": letter.place,
            "type": letter.event.kind,
            "sequence": letter.event.sequence,
            "reason": letter.reason,
            "attempts": letter.attempts,
            "correlation": letter.event.traceparent.correlation(),
        })
    };
    Ok(Json(json!({"letters": letters.iter().map(line).collect::<Vec<_>>()})))
}

pub(super) async fn replay(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(group): Path<String>,
    Body(wish): Body<Replay>,
) -> Result<Json<Value>, Problem> {
    let decision = decision(&principal, &wish.reason)?;
    let replayed = letters(&admin, &group)?.replay(&wish.key, &decision).await.map_err(explain)?;
    Ok(Json(json!({"replayed": replayed})))
}

pub(super) async fn drop_letter(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(group): Path<String>,
    Body(wish): Body<Drop>,
) -> Result<Json<Value>, Problem> {
    let decision = decision(&principal, &wish.reason)?;
    letters(&admin, &group)?.drop_letter(&wish.key, wish.place, &decision).await.map_err(explain)?;
    Ok(Json(json!({"dropped": wish.place})))
}

fn letters(admin: &Admin, group: &str) -> Result<DeadLetters, Problem> {
    let consumer = admin.consumers().into_iter().find(|consumer| consumer.group() == group);
    let unknown = || {
        let detail = format!("there is no group {group}; `banyan dlq list` names them");
        Problem::new(StatusCode::NOT_FOUND, "unknown_group", detail)
    };
    let consumer = consumer.ok_or_else(unknown)?;
    let source = admin.0.shop.source(consumer.source()).ok_or_else(unknown)?;
    Ok(DeadLetters::new(consumer, source))
}

fn decision(principal: &Principal, reason: &str) -> Result<Decision, Problem> {
    Decision::new(&principal.0.to_string(), reason).map_err(explain)
}

fn explain(error: DeadLetterError) -> Problem {
    match error {
        DeadLetterError::Store(error) => unavailable(&error),
        other => Problem::new(StatusCode::CONFLICT, "dead_letter", other.to_string()),
    }
}
