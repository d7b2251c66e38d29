//! `GET /v1/staff/actions`

use axum::{Json, extract::State};
use banyan_net::{Principal, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    query::Asked,
    read_orders::{PageQuery, parse_place, place},
};
use crate::staff_log::StaffAction;

/// A page of what staff asked for, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StaffActions {
    /// What was asked for.
    actions: Vec<StaffAction>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists what staff asked for, newest first (staff).
#[utoipa::path(
    get, path = "/v1/staff/actions", tag = "staff", security(("bearer" = [])), params(PageQuery),
    responses(
        (status = 200, description = "A page.", body = StaffActions),
        (status = 400, description = "No such limit, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_staff_actions(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<StaffActions>, Problem> {
    principal.staff()?;
    let limit = query.limit()?;
    let list = api.cursors.of("staff actions", ());
    let before = list.open(query.cursor.as_deref(), parse_place)?;
    let page = api.staff_log.page(before, limit).await;
    let actions = page.map_err(|error| Problem::unavailable(error.to_string()))?;
    let next = actions.last().filter(|_| actions.len() == usize::from(limit));
    let next = next.map(|last| list.seal(&place(last.at, last.id)));
    Ok(Json(StaffActions { actions, next }))
}
