//! Read models: folded again while they are read, step by step, by whichever process has their module.

use axum::{
    Extension, Json,
    body::{Body as ResponseBody, Bytes},
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use banyan_bus::{Decision, Progress, RebuildError, Rebuilt};
use banyan_host::operations::{AskedRebuild, refusals};
use banyan_net::{Principal, Problem};
use futures::{StreamExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Admin, done};
use crate::api::body::Body;

/// Steps that a slow reader may lag behind.
const LINES_BUFFERED: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

/// A line of a rebuild's answer. The last is one of the latter two; without it the rebuild came to nothing.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress(Progress),
    Rebuilt(Rebuilt),
    Refused(String),
}

pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    let mut names = Vec::new();
    for (_, asked) in admin.0.processes.databases() {
        names.extend(done(asked.read_models().await)?);
    }
    names.sort();
    Ok(Json(json!({ "read_models": names })))
}

/// Answers with a line of JSON after each step. Who closes the connection ends the rebuild; what is read stays as it is.
pub(super) async fn rebuild(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(model): Path<String>,
    Body(why): Body<Why>,
) -> Result<Response, Problem> {
    let of = admin.0.processes.of(&model);
    if !done(of.read_models().await)?.contains(&model) {
        let why = "there is no such read model; `banyan rebuild` names them";
        return Err(Problem::new(StatusCode::NOT_FOUND, refusals::UNKNOWN_READ_MODEL, why));
    }
    let wrong = |why: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, refusals::INVALID_BODY, why);
    let by = Decision::new(&principal.0.to_string(), &why.reason);
    let by = by.map_err(|error| wrong(&error.to_string()))?;
    let (tell, told) = mpsc::channel(LINES_BUFFERED);
    tokio::spawn(work(AskedRebuild { of, model }, by, tell));
    let lines = futures::stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    let bytes = lines.map(|line: Line| {
        let text = serde_json::to_string(&line).map(|text| text + "\n");
        text.map(Bytes::from)
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, ResponseBody::from_stream(bytes)).into_response())
}

async fn work(steps: AskedRebuild, by: Decision, lines: mpsc::Sender<Line>) {
    let tell = |progress| hand_on(&lines, Line::Progress(progress));
    let rebuilt = banyan_bus::rebuild(&steps, &by, &tell).await;
    let model = steps.model;
    let last = match rebuilt {
        Ok(rebuilt) => {
            tracing::warn!(model, ?rebuilt, ?by, "a read model was turned over");
            Line::Rebuilt(rebuilt)
        }
        Err(RebuildError::Abandoned) => {
            tracing::warn!(model, "a rebuild was given up by who asked for it");
            return;
        }
        Err(error) => {
            tracing::error!(model, %error, "a read model was not rebuilt");
            Line::Refused(error.to_string())
        }
    };
    // Nobody there to hear it: it was logged.
    hand_on(&lines, last).await;
}

/// Whether somebody takes the line.
fn hand_on(lines: &mpsc::Sender<Line>, line: Line) -> BoxFuture<'_, bool> {
    Box::pin(async move { lines.send(line).await.is_ok() })
}
