//! The operations by HTTP: the list of them, and their questions.

use std::sync::Arc;

use axum::Router;
use banyan_bus::Building;
use banyan_net::port::{Door, Port};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{By, Operations};

/// Where a process serves them, beside its contract.
pub(crate) const PATH: &str = "/operations";

/// About everything.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Nothing {}

/// Of a group.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct OfGroup {
    pub(super) group: String,
}

/// A parked key, to be applied.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Replay {
    pub(super) group: String,
    pub(super) key: String,
    pub(super) by: By,
}

/// A letter, to be given up.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Drop {
    pub(super) group: String,
    pub(super) key: String,
    pub(super) place: i64,
    pub(super) by: By,
}

/// Of a read model.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct OfModel {
    pub(super) model: String,
}

/// A rebuild, to be brought a step further.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Step {
    pub(super) building: Building,
    pub(super) by: By,
}

/// What is told under this name, to be carried anew.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct Anew {
    pub(super) source: String,
    pub(super) by: By,
}

type Shared = Arc<dyn Operations>;

/// All of them.
pub(super) fn port() -> Port<Shared> {
    let about = "What a process says and does for its operators.";
    Port::new("operations", about)
        .question("about", "How this process is.", async |it: Shared, _: Nothing| it.about().await)
        .question("letters", "A group's dead letters.", async |it: Shared, of: OfGroup| {
            it.letters(&of.group).await
        })
        .question("replay", "Applies a key's letters.", async |it: Shared, wish: Replay| {
            it.replay(&wish.group, &wish.key, &wish.by).await
        })
        .question("drop", "Gives a letter up.", async |it: Shared, wish: Drop| {
            it.drop_letter(&wish.group, &wish.key, wish.place, &wish.by).await
        })
        .question("read-models", "What can be folded anew.", async |it: Shared, _: Nothing| {
            it.read_models().await
        })
        .question("begin-rebuild", "Begins to fold a view anew.", async |it: Shared, of: OfModel| {
            it.begin_rebuild(&of.model).await
        })
        .question("rebuild-step", "The next step of that.", async |it: Shared, step: Step| {
            it.rebuild_step(step.building, &step.by).await
        })
        .question("topics", "The topics it tells or hears.", async |it: Shared, _: Nothing| it.topics().await)
        .question("recover", "Makes a topic anew from its outbox.", async |it: Shared, anew: Anew| {
            it.recover(&anew.source, &anew.by).await
        })
        .question("begin-anew", "Has who hears it begin anew.", async |it: Shared, anew: Anew| {
            it.begin_anew(&anew.source, &anew.by).await
        })
}

/// To whoever the door lets in.
pub(crate) fn router(operations: Shared, door: Door) -> Router {
    port().router(operations, door)
}
