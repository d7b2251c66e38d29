//! Routes and flags: how they stand, and turning them.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_host::operations::refusals;
use banyan_net::{
    Principal, Problem,
    route::{Compared, Counts, Difference, Gauge, Side},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Admin, unavailable};
use crate::{
    api::body::Body,
    routes::{By, Change, Plan, RouteError, Target, TargetError, WalkState},
};

const CHANGES_MAX: u16 = 20;
const STEPS_MAX: usize = 50;
const EVERY_S_MAX: f64 = 86_400.0;
const WHY_CHARACTERS_MAX: usize = 500;

/// A route as it stands.
#[derive(Serialize)]
struct Standing {
    module: &'static str,
    /// Of a thousand keys, by variant.
    weights: BTreeMap<String, u16>,
    /// The number of its last change; 0 of none.
    revision: i64,
    here: Told,
    there: Told,
    compared: Compared,
    differences: Vec<Difference>,
    walk: Option<WalkState>,
    changes: Vec<Change>,
}

/// What was counted of a side since the process began.
#[derive(Serialize)]
struct Told {
    items: u64,
    failed: u64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
}

impl Told {
    fn of(counts: &Counts) -> Self {
        let ms = |of_hundred| counts.percentile(of_hundred).map(|took| took.as_secs_f64() * 1_000.0);
        Self { items: counts.items, failed: counts.failed, p50_ms: ms(50), p95_ms: ms(95) }
    }
}

pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let mut all = Vec::new();
    for (module, gauge) in admin.0.routes.all() {
        all.push(standing(&admin, module, gauge).await?);
    }
    Ok(Json(json!({ "routes": all })))
}

pub(super) async fn one(
    State(admin): State<Admin>,
    Path(module): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (module, both) = admin.0.routes.find(&module).map_err(problem)?;
    let standing = standing(&admin, module, &both.gauge).await?;
    serde_json::to_value(standing).map(Json).map_err(|error| unavailable(&error))
}

async fn standing(admin: &Admin, module: &'static str, gauge: &Gauge) -> Result<Standing, Problem> {
    let routes = &admin.0.routes;
    let changes = routes.changes(module, CHANGES_MAX).await.map_err(|error| unavailable(&error))?;
    let [here, there] = [Side::Here, Side::There].map(|side| Told::of(&gauge.counts(side)));
    Ok(Standing {
        module,
        weights: routes.target(module),
        revision: changes.first().map_or(0, |change| change.revision),
        here,
        there,
        compared: gauge.shadowed(),
        differences: gauge.differences(),
        walk: routes.walk(module),
        changes,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turn {
    to: String,
    percent: Option<f64>,
    reason: String,
    revision: i64,
}

pub(super) async fn turn(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(module): Path<String>,
    Body(wish): Body<Turn>,
) -> Result<Json<Value>, Problem> {
    let to = Target::parse(&wish.to, wish.percent).map_err(|error| invalid(&error))?;
    let by = by(&principal, wish.reason, wish.revision)?;
    admin.0.routes.turn(&module, to, &by).await.map_err(problem)?;
    one(State(admin), Path(module)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Steps {
    steps: Vec<f64>,
    every_s: f64,
    reason: String,
    revision: i64,
}

pub(super) async fn walk(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(module): Path<String>,
    Body(wish): Body<Steps>,
) -> Result<Json<Value>, Problem> {
    let plan = plan(&wish)?;
    let by = by(&principal, wish.reason, wish.revision)?;
    admin.0.routes.begin_walk(&module, plan, by).await.map_err(problem)?;
    one(State(admin), Path(module)).await
}

fn plan(wish: &Steps) -> Result<Plan, Problem> {
    let step = |percent: &f64| match Target::parse("remote", Some(*percent))? {
        Target::Remote(of_thousand) => Ok(of_thousand),
        Target::Local | Target::Shadow(_) => Err(TargetError::Percent(*percent)),
    };
    let steps: Result<Vec<u16>, TargetError> = wish.steps.iter().map(step).collect();
    let steps = steps.map_err(|error| invalid(&error))?;
    if steps.is_empty() || steps.len() > STEPS_MAX || !steps.is_sorted_by(|one, next| one < next) {
        return Err(invalid(&format!("a walk has 1 to {STEPS_MAX} steps, each further than the one before")));
    }
    let every = Some(wish.every_s).filter(|every_s| (0.0..=EVERY_S_MAX).contains(every_s));
    let every = every.ok_or_else(|| invalid(&format!("a step takes 0 to {EVERY_S_MAX} seconds")))?;
    Ok(Plan { steps, every: Duration::from_secs_f64(every) })
}

pub(super) async fn stop(
    State(admin): State<Admin>,
    Path(module): Path<String>,
) -> Result<Json<Value>, Problem> {
    admin.0.routes.stop_walk(&module).map_err(problem)?;
    one(State(admin), Path(module)).await
}

pub(super) async fn flags(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({ "flags": admin.0.flags.all(), "trouble": admin.0.flags.trouble() }))
}

fn by(principal: &Principal, why: String, revision: i64) -> Result<By, Problem> {
    if why.trim().is_empty() || why.chars().count() > WHY_CHARACTERS_MAX {
        return Err(invalid(&format!("a reason has 1 to {WHY_CHARACTERS_MAX} characters")));
    }
    Ok(By { who: principal.0.clone(), why, revision })
}

fn invalid(why: &impl ToString) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, refusals::INVALID_BODY, why.to_string())
}

fn problem(error: RouteError) -> Problem {
    let (status, code) = match &error {
        RouteError::NotRouted(_) => (StatusCode::NOT_FOUND, "no_such_route"),
        RouteError::Meanwhile { .. } => (StatusCode::CONFLICT, "turned_meanwhile"),
        RouteError::Walked { .. } => (StatusCode::CONFLICT, "walk_under_way"),
        RouteError::NoWalk(_) => (StatusCode::CONFLICT, "no_walk"),
        RouteError::OtherDatabase(..) => (StatusCode::CONFLICT, "other_database"),
        RouteError::Flag(_) => (StatusCode::CONFLICT, "flag_not_turned"),
        RouteError::Away(..) | RouteError::Log(_) => return unavailable(&error),
    };
    Problem::new(status, code, error.to_string())
}
