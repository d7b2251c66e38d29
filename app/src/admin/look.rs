//! Looking: nothing here changes anything.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_host::operations::{About, GroupAbout};
use banyan_kernel::{Answer, OrderId};
use banyan_net::Problem;
use futures::future::join_all;
use orders_api::{Settled, Why};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Admin, done, told, unavailable};
use crate::{
    api::body::Body,
    audit::{self, Audit},
    observe::Holder,
    processes::{Process, Processes, Status, Statuses},
};

/// Orders of one question.
const ORDERS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    orders: Vec<OrderId>,
}

#[derive(Serialize)]
pub(super) struct AllSettled {
    orders: Vec<Settled>,
}

pub(super) async fn settled(
    State(admin): State<Admin>,
    Body(which): Body<Which>,
) -> Result<Json<AllSettled>, Problem> {
    if which.orders.len() > ORDERS_MAX {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_body",
            "ask for at most 1000 orders",
        ));
    }
    let orders = told(admin.0.shop.orders.facts.settled(which.orders).await)?;
    Ok(Json(AllSettled { orders }))
}

pub(super) async fn why(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<Why>, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_order", "there is no such order");
    let id = id.parse().map_err(|_| unknown())?;
    match admin.0.shop.orders.orders.why(id).await {
        Answer::Done(why) => Ok(Json(why)),
        Answer::Rejected(_) => Err(unknown()),
        other => Err(unavailable(&format!("{other:?}"))),
    }
}

pub(super) async fn stuck(State(admin): State<Admin>) -> Result<Json<Vec<Why>>, Problem> {
    told(admin.0.shop.orders.orders.stuck().await).map(Json)
}

pub(super) async fn audit(State(admin): State<Admin>) -> Result<Json<Audit>, Problem> {
    let inner = &admin.0;
    audit::run(&inner.shop, &inner.outside, &inner.client, inner.clock.now())
        .await
        .map(Json)
        .map_err(|error| unavailable(&error))
}

pub(super) async fn caches(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({ "caches": admin.0.shop.caches() }))
}

pub(super) async fn horizon(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let holder = Holder::find(&admin.0.edge).await.map_err(|error| unavailable(&error))?;
    Ok(Json(json!({ "holder": holder })))
}

pub(super) async fn metrics(State(admin): State<Admin>) -> Result<String, Problem> {
    admin.0.metrics.text().map_err(|error| unavailable(&error))
}

/// What each group did, in all processes together.
pub(super) async fn groups(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let (mut groups, mut heard_of) = (BTreeMap::<String, GroupAbout>::new(), BTreeMap::new());
    for (process, about) in each(&admin.0.processes).await {
        let said = heard_of.entry(process.module).or_insert(Err(String::new()));
        match about {
            Ok(about) => {
                *said = Ok(());
                for (name, group) in about.groups {
                    let known = groups.remove(&name);
                    groups.insert(name, known.map_or(group.clone(), |known| known.and(group)));
                }
            }
            Err(why) => *said = said.clone().or(Err(why)),
        }
    }
    let mut all = json!(groups);
    for (module, why) in heard_of.into_iter().filter_map(|(module, said)| Some((module, said.err()?))) {
        all[format!("{module}.*")] = json!({ "away": why });
    }
    Ok(Json(all))
}

/// How each process is, or why it does not say.
pub(super) async fn status(State(admin): State<Admin>) -> Json<Statuses> {
    let row = |(Process { module, address, .. }, about)| match about {
        Ok(about) => Status { module: module.to_owned(), address, about: Some(about), why: None },
        Err(why) => Status::away(module, address, why),
    };
    Json(Statuses { processes: each(&admin.0.processes).await.into_iter().map(row).collect() })
}

async fn each(processes: &Processes) -> Vec<(Process, Result<About, String>)> {
    let asked = processes.each().into_iter().map(|process| async move {
        let about = done(process.asked.about().await).map_err(|problem| problem.detail);
        (process, about)
    });
    join_all(asked).await
}
