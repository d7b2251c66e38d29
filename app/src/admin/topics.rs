//! The carrier's topics: how they stand, and making one anew. Each process knows the groups that it serves: all are asked.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use banyan_bus::{GroupView, TopicView};
use banyan_host::operations::By;
use banyan_kernel::Answer;
use banyan_net::{Principal, Problem};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, done, unavailable};
use crate::{api::body::Body, processes::Process};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let asked = join_all(admin.0.processes.each().into_iter().map(|process| async move {
        let Process { module, address, asked } = process;
        (module, address, asked.topics().await)
    }));
    let (mut topics, mut away) = (Vec::new(), Vec::new());
    for (module, address, answer) in asked.await {
        match answer {
            Answer::Done(known) => known.into_iter().for_each(|topic| join(&mut topics, topic)),
            Answer::Unavailable(why) => {
                away.push(json!({ "module": module, "address": address, "why": why }));
            }
            refused => return Err(done(refused).err().unwrap_or_else(|| unavailable(&"no answer"))),
        }
    }
    Ok(Json(json!({ "topics": topics, "away": away })))
}

/// What one more process knows of a topic. Which of a group's slots are stopped is known to whoever holds them.
fn join(topics: &mut Vec<TopicView>, other: TopicView) {
    let Some(known) = topics.iter_mut().find(|known| known.source == other.source) else {
        return topics.push(other);
    };
    for group in other.groups {
        match known.groups.iter_mut().find(|known| known.group == group.group) {
            Some(same) => stopped_as_well(same, &group),
            None => known.groups.push(group),
        }
    }
}

fn stopped_as_well(known: &mut GroupView, other: &GroupView) {
    for (slot, same) in known.slots.iter_mut().zip(&other.slots) {
        slot.stopped = slot.stopped.take().or_else(|| same.stopped.clone());
    }
}

pub(super) async fn recover(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(source): Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<Value>, Problem> {
    let by = By { who: principal.0.to_string(), why: why.reason };
    let owner = admin.0.processes.of(&source);
    done(owner.recover(&source, &by).await)?;
    for (module, asked) in admin.0.processes.databases() {
        // Whose topic it is has had its own groups begin anew with it; that they do so again is harmless.
        if let Err(problem) = done(asked.begin_anew(&source, &by).await) {
            let why = format!(
                "the topic of {source} is made anew, and {module} does not begin anew with it ({}): \
                 say it again when {module} answers",
                problem.detail
            );
            return Err(unavailable(&why));
        }
    }
    Ok(Json(json!({ "recovered": source })))
}
