//! Dead letters: see them, replay them, give them up. Whichever process has the group's module is asked.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use banyan_host::operations::By;
use banyan_net::{Principal, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, done};
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
    let letters = done(admin.0.processes.of(&group).letters(&group).await)?;
    Ok(Json(json!({"letters": letters})))
}

pub(super) async fn replay(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(group): Path<String>,
    Body(wish): Body<Replay>,
) -> Result<Json<Value>, Problem> {
    let by = By { who: principal.0.to_string(), why: wish.reason };
    let replayed = done(admin.0.processes.of(&group).replay(&group, &wish.key, &by).await)?;
    Ok(Json(json!({"replayed": replayed})))
}

pub(super) async fn drop_letter(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(group): Path<String>,
    Body(wish): Body<Drop>,
) -> Result<Json<Value>, Problem> {
    let by = By { who: principal.0.to_string(), why: wish.reason };
    done(admin.0.processes.of(&group).drop_letter(&group, &wish.key, wish.place, &by).await)?;
    Ok(Json(json!({"dropped": wish.place})))
}
