//! The client: the operations of a process that is elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use banyan_bus::{Building, TopicView};
use banyan_kernel::{Answer, TraceParent};
use banyan_net::{call::until, port::PortClient};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    About, By, LetterView, Operations,
    questions::{Anew, Drop, Nothing, OfGroup, OfModel, Replay, Step},
};

/// Who looks at a process that takes longer is told that it does not answer.
const ABOUT_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Asked(pub(super) PortClient);

impl Asked {
    async fn ask<R: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        question: &(impl serde::Serialize + Sync),
    ) -> Answer<R> {
        self.0.one(operation, TraceParent::root(Uuid::nil()).unsampled(), question).await
    }
}

#[async_trait]
impl Operations for Asked {
    async fn about(&self) -> Answer<About> {
        until(Some(Instant::now() + ABOUT_WITHIN), self.ask("about", &Nothing {})).await
    }

    async fn letters(&self, group: &str) -> Answer<Vec<LetterView>> {
        self.ask("letters", &OfGroup { group: group.to_owned() }).await
    }

    async fn replay(&self, group: &str, key: &str, by: &By) -> Answer<u64> {
        let wish = Replay { group: group.to_owned(), key: key.to_owned(), by: by.clone() };
        self.ask("replay", &wish).await
    }

    async fn drop_letter(&self, group: &str, key: &str, place: i64, by: &By) -> Answer<()> {
        let wish = Drop { group: group.to_owned(), key: key.to_owned(), place, by: by.clone() };
        self.ask("drop", &wish).await
    }

    async fn read_models(&self) -> Answer<Vec<String>> {
        self.ask("read-models", &Nothing {}).await
    }

    async fn begin_rebuild(&self, model: &str) -> Answer<Building> {
        self.ask("begin-rebuild", &OfModel { model: model.to_owned() }).await
    }

    async fn rebuild_step(&self, building: Building, by: &By) -> Answer<Building> {
        self.ask("rebuild-step", &Step { building, by: by.clone() }).await
    }

    async fn topics(&self) -> Answer<Vec<TopicView>> {
        self.ask("topics", &Nothing {}).await
    }

    async fn recover(&self, source: &str, by: &By) -> Answer<()> {
        self.ask("recover", &Anew { source: source.to_owned(), by: by.clone() }).await
    }

    async fn begin_anew(&self, source: &str, by: &By) -> Answer<Vec<String>> {
        self.ask("begin-anew", &Anew { source: source.to_owned(), by: by.clone() }).await
    }
}
