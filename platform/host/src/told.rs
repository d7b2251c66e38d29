//! What a module tells, for those who hear it through a carrier: what the carrier brought and lost is asked of who told it.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use banyan_bus::Source;
use banyan_kernel::{Answer, Envelope, TraceParent};
use banyan_net::port::{Door, Port, PortClient};
use banyan_store::{Page, Position, Signal, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a process serves it, beside its contract.
pub(crate) const PATH: &str = "/told";

#[derive(Serialize, Deserialize, ToSchema)]
struct OfSubject {
    subject: String,
    after_sequence: i64,
}

/// What is told by `source`, to whoever the door lets in.
pub(crate) fn router(source: Arc<dyn Source>, door: Door) -> Router {
    Port::new(source.name(), "What this module told.")
        .question(
            "of-subject",
            "The public events of one subject after a sequence: what fills a gap.",
            |source: Arc<dyn Source>, asked: OfSubject| async move {
                match source.of_subject(&asked.subject, asked.after_sequence).await {
                    Ok(events) => Answer::Done(events),
                    Err(error) => Answer::Unavailable(error.to_string()),
                }
            },
        )
        .router(source, door)
}

/// A module that is elsewhere, as one who tells.
pub(crate) struct Heard {
    name: &'static str,
    way: PortClient,
    /// Nobody raises it: what comes by the carrier has a signal of its own.
    signal: Signal,
}

impl Heard {
    pub(crate) fn new(name: &'static str, way: PortClient) -> Self {
        Self { name, way, signal: Signal::default() }
    }

    fn is_elsewhere<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::Unavailable(format!(
            "{} is elsewhere: only its carrier brings what it tells",
            self.name
        )))
    }
}

#[async_trait]
impl Source for Heard {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn page(&self, _: Position, _: &[u16], _: u16) -> Result<Page, StoreError> {
        self.is_elsewhere()
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.is_elsewhere()
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        let nobodys = TraceParent::root(Uuid::nil()).unsampled();
        let asked = OfSubject { subject: subject.to_owned(), after_sequence };
        match self.way.one("of-subject", nobodys, &asked).await {
            Answer::Done(events) => Ok(events),
            Answer::Unavailable(why) | Answer::Broken(why) => Err(StoreError::Unavailable(why)),
            Answer::Pending => Err(StoreError::Unavailable("it is still looking".to_owned())),
            Answer::Rejected(refusal) => Err(StoreError::Unavailable(refusal.detail)),
        }
    }

    fn signal(&self) -> Signal {
        self.signal.clone()
    }
}
