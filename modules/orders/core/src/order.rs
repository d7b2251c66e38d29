//! An order: the fold of its events.

use std::collections::BTreeMap;

use banyan_kernel::{Line, OrderId, Place, Places, Timestamp, TraceParent};
use orders_api::{OrderState, PricedLine, Resolution};

use crate::{
    chain::{self, Hash, Link},
    event::{Created, OrderEvent, SCHEMA_VERSION},
    saga::Step,
};
use banyan_kernel::Actor;

/// What is recorded of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepState {
    /// Nothing.
    #[default]
    Untouched,
    /// It was done.
    Done,
    /// It was refused.
    Refused,
    /// It was done and undone, or made impossible.
    Undone,
}

/// Why an order turned back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedBack {
    /// As a code.
    pub cause: String,
    /// By somebody's wish, at a moment unknown to the driver; else by a refusal the driver saw.
    pub by_request: bool,
}

/// The step a person must look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub step: Step,
    /// Whether it was being undone.
    pub undo: bool,
    /// What the module said.
    pub why: String,
}

/// An order as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Which.
    pub id: OrderId,
    /// What was promised.
    pub created: Created,
    /// The trace it began.
    pub trace: TraceParent,
    /// When it was accepted.
    pub placed_at: Timestamp,
    /// How many events.
    pub version: i64,
    /// How many of them public.
    pub told: i64,
    /// Hash of the last.
    pub hash: Hash,
    /// When the last was recorded.
    pub since: Timestamp,
    /// Why it goes back, if it does.
    pub turned_back: Option<TurnedBack>,
    /// Why it stands still, if it does.
    pub broken: Option<Broken>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Where its products stood when they were reserved.
    pub places: Places,
    /// The numbers of its parcels.
    pub tracking: Vec<String>,
    steps: [(StepState, u32); 5],
}

/// An event with its place in the stream, ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its place.
    pub version: i64,
    /// Its place among the public ones.
    pub sequence: Option<i64>,
    /// What happened.
    pub event: OrderEvent,
    /// Its type as stored.
    pub kind: String,
    /// Its payload as stored.
    pub payload: banyan_kernel::Json,
    /// When.
    pub at: Timestamp,
    /// Its link.
    pub hash: Hash,
}

impl Order {
    /// A new one and its first event.
    #[must_use]
    pub fn create(
        id: OrderId,
        created: Created,
        trace: TraceParent,
        at: Timestamp,
        actor: &Actor,
    ) -> (Self, Recorded) {
        let mut order = Self {
            id,
            created: created.clone(),
            trace,
            placed_at: at,
            version: 0,
            told: 0,
            hash: chain::START,
            since: at,
            turned_back: None,
            broken: None,
            ended: None,
            places: Places::default(),
            tracking: Vec::new(),
            steps: [(StepState::Untouched, 1); 5],
        };
        let first = order.record(OrderEvent::OrderCreated(created), at, actor);
        (order, first)
    }

    /// Appends an event to this copy; what is returned is to be stored.
    pub fn record(&mut self, event: OrderEvent, at: Timestamp, actor: &Actor) -> Recorded {
        let (kind, payload) = event.stored(actor);
        let (version, order) = (self.version + 1, self.id);
        let link = Link {
            previous: &self.hash,
            order,
            version,
            kind: &kind,
            schema_version: SCHEMA_VERSION,
            at,
            payload: &payload,
        };
        let hash = link.hash();
        self.apply(&event, at, hash);
        let sequence = event.is_public().then_some(self.told);
        Recorded { version, sequence, event, kind, payload, at, hash }
    }

    /// Folds one more event that is known to be next.
    pub(crate) fn apply(&mut self, event: &OrderEvent, at: Timestamp, hash: Hash) {
        self.version += 1;
        self.told += i64::from(event.is_public());
        (self.hash, self.since) = (hash, at);
        match event {
            OrderEvent::OrderCreated(_) => {}
            OrderEvent::StepDone { step, result, places, further, .. } => {
                self.steps[step.index()].0 = StepState::Done;
                match step {
                    Step::Reserve => self.places.clone_from(places),
                    Step::Book => self.tracking = result.iter().chain(further).cloned().collect(),
                    _ => {}
                }
            }
            OrderEvent::StepRefused { step, code, .. } => {
                self.steps[step.index()].0 = StepState::Refused;
                self.turn_back(code, false);
            }
            OrderEvent::CancelRequested { .. } => self.turn_back("cancelled", true),
            OrderEvent::StepUndone { step, .. } => self.steps[step.index()].0 = StepState::Undone,
            OrderEvent::StepBroken { step, undo, why, .. } => {
                self.broken = Some(Broken { step: *step, undo: *undo, why: why.clone() });
            }
            OrderEvent::OrderResolved { how, .. } => self.resolve(*how),
            OrderEvent::OrderShipped { .. } | OrderEvent::OrderCancelled { .. } => self.ended = Some(at),
        }
    }

    fn turn_back(&mut self, cause: &str, by_request: bool) {
        self.turned_back.get_or_insert_with(|| TurnedBack { cause: cause.to_owned(), by_request });
    }

    fn resolve(&mut self, how: Resolution) {
        let broken = self.broken.take();
        match (how, broken) {
            (Resolution::Cancel, _) => self.turn_back("cancelled", true),
            (Resolution::Retry, Some(broken)) if !broken.undo => self.steps[broken.step.index()].1 += 1,
            (Resolution::Retry, _) => {}
        }
    }

    #[cfg(test)]
    pub(crate) fn plant_attempt(&mut self, step: Step, attempt: u32) {
        self.steps[step.index()].1 = attempt;
    }

    /// What leaves together, by where it stands.
    #[must_use]
    pub fn parcels(&self) -> BTreeMap<Place, Vec<Line>> {
        let line = |line: &PricedLine| Line { sku: line.sku.clone(), quantity: line.quantity };
        self.places.parcels(self.created.lines.iter().map(line))
    }

    /// What is recorded of a step.
    #[must_use]
    pub fn state(&self, step: Step) -> StepState {
        self.steps[step.index()].0
    }

    /// The attempt of a step that counts.
    #[must_use]
    pub fn attempt(&self, step: Step) -> u32 {
        self.steps[step.index()].1
    }

    /// Where it stands, for everybody.
    #[must_use]
    pub fn public_state(&self) -> OrderState {
        match (self.ended, &self.broken, &self.turned_back) {
            (Some(_), _, None) => OrderState::Shipped,
            (Some(_), _, Some(_)) => OrderState::Cancelled,
            (None, Some(_), _) => OrderState::Stuck,
            (None, None, Some(_)) => OrderState::Cancelling,
            (None, None, None) if self.state(Step::Capture) == StepState::Done => OrderState::Paid,
            (None, None, None) => OrderState::Placed,
        }
    }

    /// Why it ended, or stands, where it does: a code.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.turned_back.as_ref().map(|turned| turned.cause.as_str())
    }
}
