//! Read models: folded again while they are read.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::{Body as ResponseBody, Bytes},
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use banyan_bus::{Decision, Progress, ReadModel, Rebuild, RebuildError, Rebuilt};
use banyan_net::{Principal, Problem};
use futures::{StreamExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Admin;
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

pub(super) async fn list(State(admin): State<Admin>) -> Json<Value> {
    let names: Vec<&str> = admin.0.shop.read_models().iter().map(|model| model.name()).collect();
    Json(json!({ "read_models": names }))
}

/// Answers with a line of JSON after each step. Who closes the connection ends the rebuild; what is read stays as it is.
pub(super) async fn rebuild(
    State(admin): State<Admin>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    Body(why): Body<Why>,
) -> Result<Response, Problem> {
    let wrong = |status, code, detail: &str| Problem::new(status, code, detail);
    let unknown = || {
        wrong(
            StatusCode::NOT_FOUND,
            "unknown_read_model",
            "there is no such read model; `banyan rebuild` names them",
        )
    };
    let model =
        admin.0.shop.read_models().iter().find(|model| model.name() == name).cloned().ok_or_else(unknown)?;
    let source = admin.0.shop.source(model.source()).ok_or_else(unknown)?;
    let by = Decision::new(&principal.0.to_string(), &why.reason)
        .map_err(|error| wrong(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", &error.to_string()))?;
    let (tell, told) = mpsc::channel(LINES_BUFFERED);
    tokio::spawn(work(Rebuild::new(model.clone(), source), model, by, tell));
    let lines = futures::stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    let bytes = lines.map(|line: Line| {
        let text = serde_json::to_string(&line).map(|text| text + "\n");
        text.map(Bytes::from)
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, ResponseBody::from_stream(bytes)).into_response())
}

async fn work(rebuild: Rebuild, model: Arc<dyn ReadModel>, by: Decision, lines: mpsc::Sender<Line>) {
    let tell = |progress| hand_on(&lines, Line::Progress(progress));
    let rebuilt = rebuild.run(&by, &tell).await;
    let last = match rebuilt {
        Ok(rebuilt) => {
            tracing::warn!(model = model.name(), ?rebuilt, ?by, "a read model was turned over");
            Line::Rebuilt(rebuilt)
        }
        Err(RebuildError::Abandoned) => {
            tracing::warn!(model = model.name(), "a rebuild was given up by who asked for it");
            return;
        }
        Err(error) => {
            tracing::error!(model = model.name(), %error, "a read model was not rebuilt");
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
