//! What went wrong on purpose, and breaking more of it. Only in a shop started with `--allow-faults`.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use banyan_kernel::OrderId;
use banyan_net::Problem;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Admin, told, unavailable};
use crate::{api::body::Body, faults::Fault};

/// Orders named in a cell.
const EXAMPLES_MAX: usize = 5;

/// How often, and to whom for instance.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Cell {
    count: u64,
    examples: Vec<Value>,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Table {
    steps: BTreeMap<String, BTreeMap<String, Cell>>,
}

impl Table {
    fn set(&mut self, step: &str, kind: &str, count: u64, orders: &[OrderId]) {
        let examples = orders.iter().take(EXAMPLES_MAX).map(|order| json!(order)).collect();
        self.steps.entry(step.to_owned()).or_default().insert(kind.to_owned(), Cell { count, examples });
    }
}

/// Step by kind: lost, late and doubled questions as the outside and the bad line count them; refusals as
/// the orders recorded them.
pub(super) async fn table(State(admin): State<Admin>) -> Result<Json<Table>, Problem> {
    let mut table = Table::default();
    if admin.0.outside.control.is_some() {
        let outside = ask(&admin, Method::GET, "/sandbox/faults", None).await?;
        table = serde_json::from_value(json!({"steps": outside["steps"]}))
            .map_err(|error| unavailable(&error))?;
    }
    if let Some(book) = &admin.0.fault_book {
        for ((step, fault), orders) in book.happened() {
            let kind = match fault {
                Fault::TimedOut => "timed_out",
                Fault::Late => "late",
                Fault::Twice => "twice",
            };
            table.set(&step, kind, orders.len() as u64, &orders);
        }
    }
    for (step, refused) in told(admin.0.shop.orders.facts.refusals().await)? {
        table.set(&step, "refused", refused.count, &refused.orders);
    }
    Ok(Json(table))
}

pub(super) async fn break_outside(
    State(admin): State<Admin>,
    Body(wish): Body<Value>,
) -> Result<Json<Value>, Problem> {
    ask(&admin, Method::POST, "/sandbox/break", Some(wish)).await.map(Json)
}

pub(super) async fn broken(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    ask(&admin, Method::GET, "/sandbox/break", None).await.map(Json)
}

pub(super) async fn mend(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    ask(&admin, Method::DELETE, "/sandbox/break", None).await.map(Json)
}

async fn ask(admin: &Admin, method: Method, path: &str, body: Option<Value>) -> Result<Value, Problem> {
    let forbidden =
        || Problem::new(StatusCode::FORBIDDEN, "faults_not_allowed", "start the shop with --allow-faults");
    if admin.0.fault_book.is_none() {
        return Err(forbidden());
    }
    let control = admin.0.outside.control.as_deref().ok_or_else(forbidden)?;
    let request =
        admin.0.client.request(method, format!("{}{path}", admin.0.outside.address)).bearer_auth(control);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await.map_err(|error| unavailable(&error.without_url()))?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let body: Value = answer.json().await.map_err(|error| unavailable(&error.without_url()))?;
    if status.is_success() {
        return Ok(body);
    }
    let detail =
        body["message"].as_str().or(body["detail"].as_str()).map_or_else(|| body.to_string(), str::to_owned);
    Err(Problem::new(status, "sandbox_refused", detail))
}
