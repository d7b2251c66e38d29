//! Takes a batch of orders as far as they go: asks the modules, in memory, step by step for all of them;
//! records what they said in as few commits as the protocol allows.
//!
//! It runs ahead of the record: command ids are derived, so who starts again from the record asks the same
//! questions and gets the same answers. Two things are recorded before they are acted on: that an order
//! turns back, and all that comes before the pivot.

use std::{sync::Arc, time::Duration};

use banyan_kernel::{
    Actor, Answer, Clock, Command, CommandId, Context, OrderId, Places, Timestamp, stable_hash,
};
use banyan_store::StoreError;
use futures::future::join_all;
use inventory_api::{ConfirmReservation, Inventory, ReleaseStock, ReserveStock};
use payments_api::{AuthorisePayment, CapturePayment, Payments, RefundPayment, VoidPayment};
use shipping_api::{BookShipment, CancelShipment, ShipmentBookedReply, Shipping, WantedParcel};

use crate::{
    BACK_OFF_MAX,
    event::OrderEvent,
    log::{Kept, Loaded, OrderLog, Recorded, Save},
    measure,
    order::Order,
    saga::{self, Next, Step, next},
    spans::{self, Shared},
};

/// Who takes part.
#[derive(Clone)]
pub struct Ports {
    /// Stock.
    pub inventory: Arc<dyn Inventory>,
    /// Money.
    pub payments: Arc<dyn Payments>,
    /// Parcels.
    pub shipping: Arc<dyn Shipping>,
}

/// How the saga waits.
#[derive(Clone, Copy, Debug)]
pub struct DriveConfig {
    /// How long stock is held for an order that is not confirmed.
    pub hold: Duration,
    /// Before a step that was not answered is asked again; doubled each time, up to [`BACK_OFF_MAX`].
    pub back_off: Duration,
    /// How many orders go together.
    pub batch: u16,
    /// How many batches are under way at once: enough that the database works while others wait for a gateway.
    pub batches: usize,
}

impl Default for DriveConfig {
    fn default() -> Self {
        let (hold, back_off) = (Duration::from_secs(15 * 60), Duration::from_millis(100));
        Self { hold, back_off, batch: 50, batches: 10 }
    }
}

impl DriveConfig {
    /// The usual, with stock that is held for so long.
    #[must_use]
    pub fn holding(hold: Duration) -> Self {
        Self { hold, ..Self::default() }
    }
}

/// The saga's driver over any store of orders.
pub struct Driver<L> {
    log: Arc<L>,
    ports: Ports,
    clock: Arc<dyn Clock>,
    config: DriveConfig,
    #[cfg(test)]
    pub(crate) planted: Planted,
}

/// What a test has the driver do wrong.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Planted {
    #[default]
    Nothing,
    /// What comes before the pivot is not recorded before it.
    PivotUnrecorded,
    /// An attempt grows each time a step is asked again.
    AttemptUnrecorded,
}

/// What came of a step that was done.
#[derive(Default)]
struct Reply {
    result: Option<String>,
    further: Vec<String>,
    places: Places,
    asked_again: bool,
}

/// What a module said to one order.
enum Heard {
    Done(Reply),
    Refused { code: String, detail: String },
    NotYet(String),
    Broken(String),
}

impl Heard {
    fn name(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Refused { .. } => "refused",
            Self::NotYet(_) => "not_yet",
            Self::Broken(_) => "broken",
        }
    }
}

/// An order on its way through one pass.
struct Progress {
    order: Order,
    expected: i64,
    events: Vec<Recorded>,
    asked: u32,
    waiting: Option<String>,
    lost: bool,
}

/// A question to a module: a step, forth or back.
type Question = (Step, bool);
/// Whom it is about, and how often it was asked before.
type About<'a> = (&'a Order, u32);

impl Progress {
    /// What to ask now; nothing while it waits or when another was faster.
    fn question(&self) -> Option<Question> {
        match next(&self.order) {
            _ if self.lost || self.waiting.is_some() => None,
            Next::Do(step) => Some((step, false)),
            Next::Undo(step) => Some((step, true)),
            Next::Record(_) | Next::Nothing => None,
        }
    }

    fn record(&mut self, event: OrderEvent, at: Timestamp) {
        let event = self.order.record(event, at, &Actor::system("saga"));
        self.events.push(event);
        self.asked = 0;
    }
}

impl<L: OrderLog> Driver<L> {
    /// Over a store of orders and the modules that take part.
    pub fn new(log: Arc<L>, ports: Ports, clock: Arc<dyn Clock>, config: DriveConfig) -> Self {
        Self {
            log,
            ports,
            clock,
            config,
            #[cfg(test)]
            planted: Planted::Nothing,
        }
    }

    pub(crate) fn log(&self) -> &L {
        &self.log
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn config(&self) -> DriveConfig {
        self.config
    }

    /// Takes these orders as far as they go now.
    ///
    /// # Errors
    /// Of the store; what was asked but not recorded is asked again, with the same ids.
    pub async fn drive(&self, ids: &[OrderId]) -> Result<(), StoreError> {
        let loaded = self.log.load(ids).await?;
        self.put_off_unreadable(ids, &loaded).await?;
        let (known, newer): (Vec<Loaded>, Vec<Loaded>) =
            loaded.into_iter().partition(|loaded| loaded.order.created.saga <= saga::VERSION);
        self.put_off_newer(&newer).await?;
        let mut orders: Vec<Progress> = known
            .into_iter()
            .map(|loaded| Progress {
                expected: loaded.order.version,
                order: loaded.order,
                events: Vec::new(),
                asked: loaded.asked,
                waiting: None,
                lost: false,
            })
            .collect();
        let shared = shared(&orders);
        shared.as_ref().inspect(|shared| shared.told());
        loop {
            self.record_endings(&mut orders);
            self.save(&mut orders, |order| self.must_record_first(order)).await?;
            if !self.ask_all(&mut orders, shared.as_ref()).await {
                break;
            }
        }
        self.save(&mut orders, |order| !order.lost).await
    }

    /// Whether what is not recorded yet must be, before what is asked next.
    fn must_record_first(&self, progress: &Progress) -> bool {
        #[cfg(test)]
        if self.planted == Planted::PivotUnrecorded && progress.order.turned_back.is_none() {
            return false;
        }
        let ahead = !progress.events.is_empty();
        ahead && matches!(progress.question(), Some((_, true) | (Step::Capture, false)))
    }

    /// Whose history cannot be believed must not be found due again at once, for ever.
    async fn put_off_unreadable(&self, ids: &[OrderId], loaded: &[Loaded]) -> Result<(), StoreError> {
        let is_loaded = |id: &OrderId| loaded.iter().any(|loaded| loaded.order.id == *id);
        let unreadable: Vec<OrderId> = ids.iter().copied().filter(|id| !is_loaded(id)).collect();
        self.put_off(&unreadable, "its history is not what was written; see `banyan audit`").await
    }

    /// While a shop of a newer version runs beside this one, its orders are its own to drive.
    async fn put_off_newer(&self, newer: &[Loaded]) -> Result<(), StoreError> {
        let orders: Vec<OrderId> = newer.iter().map(|loaded| loaded.order.id).collect();
        self.put_off(&orders, "it was placed under a newer saga than this program knows").await
    }

    async fn put_off(&self, orders: &[OrderId], why: &str) -> Result<(), StoreError> {
        if orders.is_empty() {
            return Ok(());
        }
        tracing::error!(?orders, why, "put off: a person must look");
        self.log.put_off(orders, self.clock.now() + BACK_OFF_MAX, why).await
    }

    fn record_endings(&self, orders: &mut [Progress]) {
        for order in orders.iter_mut().filter(|order| !order.lost) {
            if let Next::Record(event) = next(&order.order) {
                order.record(event, self.clock.now());
            }
        }
    }

    /// Asks every order's question, one call per module and step, side by side. False when none is left.
    async fn ask_all(&self, orders: &mut [Progress], shared: Option<&Shared>) -> bool {
        let mut questions: Vec<Question> = orders.iter().filter_map(Progress::question).collect();
        questions.sort_unstable();
        questions.dedup();
        let asked = questions.iter().map(|question| {
            let those: Vec<(usize, About<'_>)> = orders
                .iter()
                .enumerate()
                .filter(|(_, progress)| progress.question() == Some(*question))
                .map(|(at, progress)| (at, (&progress.order, progress.asked)))
                .collect();
            async move {
                let about = || those.iter().map(|(_, about)| *about);
                let spans: Vec<_> =
                    about().map(|(order, asked)| spans::ask(order, *question, asked, shared)).collect();
                let heard = self.ask(*question, about()).await;
                let silence = std::iter::repeat_with(|| Heard::NotYet("no answer".to_owned()));
                let heard = heard.into_iter().chain(silence);
                let heard: Vec<_> = those.iter().map(|(at, _)| *at).zip(heard).collect();
                spans.iter().zip(&heard).for_each(|(span, (_, heard))| spans::heard(span, heard.name()));
                (*question, heard)
            }
        });
        let answers = join_all(asked).await;
        for (question, heard) in answers {
            for (at, heard) in heard {
                self.take(&mut orders[at], question, heard);
            }
        }
        !questions.is_empty()
    }

    /// Writes down, in memory, what a module said.
    fn take(&self, progress: &mut Progress, (step, undo): Question, heard: Heard) {
        let (now, attempt, asked) = (self.clock.now(), progress.order.attempt(step), progress.asked);
        measure::answered(step, undo, heard.name());
        let event = match heard {
            Heard::Done(_) if undo => OrderEvent::StepUndone { step, attempt },
            Heard::Done(Reply { result, further, places, asked_again }) => {
                OrderEvent::StepDone { step, attempt, asked, asked_again, result, places, further }
            }
            Heard::Refused { code, detail } if undo => {
                OrderEvent::StepBroken { step, attempt, undo, why: format!("{code}: {detail}") }
            }
            Heard::Refused { code, detail } => OrderEvent::StepRefused { step, attempt, code, detail },
            Heard::Broken(why) => OrderEvent::StepBroken { step, attempt, undo, why },
            Heard::NotYet(why) => {
                progress.asked = asked.saturating_add(1);
                progress.waiting = Some(why);
                return;
            }
        };
        log_step(&progress.order, &event, step);
        progress.record(event, now);
    }

    /// Keeps those that `which` names; who meets a newer version is lost to this pass.
    async fn save(
        &self,
        orders: &mut [Progress],
        which: impl Fn(&Progress) -> bool,
    ) -> Result<(), StoreError> {
        let at: Vec<usize> = (0..orders.len()).filter(|at| which(&orders[*at])).collect();
        if at.is_empty() {
            return Ok(());
        }
        let batch: Vec<Save> = at.iter().map(|at| self.to_save(&orders[*at])).collect();
        let kept = self.log.save(&batch).await?;
        for (at, kept) in at.into_iter().zip(kept) {
            let order = &mut orders[at];
            if kept == Kept::Kept {
                measure::kept(&order.order, &order.events);
            }
            order.lost = kept != Kept::Kept;
            order.expected = order.order.version;
            order.events.clear();
            if let Kept::Refused(why) = kept {
                self.put_off(&[order.order.id], &why).await?;
            }
        }
        Ok(())
    }

    fn to_save(&self, progress: &Progress) -> Save {
        let Progress { order, expected, events, asked, waiting, .. } = progress;
        let due_at = match next(order) {
            Next::Nothing => None,
            _ if waiting.is_none() => Some(self.clock.now()),
            _ => Some(self.clock.now() + self.back_off(order, *asked)),
        };
        let (order, events, waiting) = (order.clone(), events.clone(), waiting.clone());
        Save { order, expected: *expected, events, due_at, asked: *asked, waiting }
    }

    /// Exponential, with full jitter ("Exponential Backoff And Jitter", M. Brooker, 2015) drawn from the
    /// order and the count, so that a simulation sees the same each time; never below a quarter.
    fn back_off(&self, order: &Order, asked: u32) -> Duration {
        let full = self.config.back_off.saturating_mul(1 << asked.min(10)).min(BACK_OFF_MAX);
        let drawn = stable_hash(format!("{}/{asked}", order.id).as_bytes()) % 750;
        full / 4 + full * drawn as u32 / 1_000
    }

    async fn ask(&self, (step, undo): Question, orders: impl Iterator<Item = About<'_>>) -> Vec<Heard> {
        #[cfg(test)]
        let orders: Vec<(Order, u32)> =
            orders.map(|(order, asked)| (self.plant(order, step, undo), asked)).collect();
        #[cfg(test)]
        let orders = orders.iter().map(|(order, asked)| (order, *asked));
        let Ports { inventory, payments, shipping } = &self.ports;
        let orders: Vec<About<'_>> = orders.collect();
        match (step, undo) {
            (Step::Reserve, false) => {
                let expires_at = self.clock.now() + self.config.hold;
                let batch = commands(step, undo, &orders, |order| reserve(order, expires_at));
                heard(inventory.reserve(batch).await, |reply| Reply {
                    places: reply.places,
                    ..Reply::default()
                })
            }
            (Step::Authorise, false) => {
                let replies = payments.authorise(commands(step, undo, &orders, authorise)).await;
                heard(replies, |reply| Reply {
                    result: Some(reply.reference),
                    asked_again: reply.asked_again,
                    ..Reply::default()
                })
            }
            (Step::Confirm, false) => {
                let batch = commands(step, undo, &orders, |_| ConfirmReservation {});
                heard(inventory.confirm(batch).await, |_| Reply::default())
            }
            (Step::Book, false) => {
                let replies = shipping.book(commands(step, undo, &orders, book)).await;
                heard(replies, booked)
            }
            (Step::Capture, false) => {
                let replies = payments.capture(commands(step, undo, &orders, |_| CapturePayment {})).await;
                heard(replies, |reply| Reply { asked_again: reply.asked_again, ..Reply::default() })
            }
            (Step::Reserve | Step::Confirm, true) => {
                let batch = commands(step, undo, &orders, |o| ReleaseStock { reason: reason(o) });
                heard(inventory.release(batch).await, |_| Reply::default())
            }
            (Step::Authorise, true) => {
                let batch = commands(step, undo, &orders, |o| VoidPayment { reason: reason(o) });
                heard(payments.void(batch).await, |_| Reply::default())
            }
            (Step::Book, true) => {
                let batch = commands(step, undo, &orders, |o| CancelShipment { reason: reason(o) });
                heard(shipping.cancel(batch).await, |_| Reply::default())
            }
            (Step::Capture, true) => {
                let batch = commands(step, undo, &orders, |o| RefundPayment { reason: reason(o) });
                heard(payments.refund(batch).await, |_| Reply::default())
            }
        }
    }
}

#[cfg(test)]
impl<L: OrderLog> Driver<L> {
    fn plant(&self, order: &Order, step: Step, undo: bool) -> Order {
        let mut order = order.clone();
        if self.planted == Planted::AttemptUnrecorded && !undo {
            order.plant_attempt(step, 1 + stable_hash(self.clock.now().to_string().as_bytes()) as u32 % 3);
        }
        order
    }
}

fn reason(order: &Order) -> String {
    order.cause().unwrap_or("cancelled").to_owned()
}

fn reserve(order: &Order, expires_at: Timestamp) -> ReserveStock {
    ReserveStock { lines: lines(order), expires_at, orders_sequence: order.told }
}

fn authorise(order: &Order) -> AuthorisePayment {
    AuthorisePayment { amount: order.created.total, method: order.created.payment_method.clone() }
}

fn book(order: &Order) -> BookShipment {
    let parcel = |(place, lines)| WantedParcel { place, lines };
    let parcels = order.parcels().into_iter().map(parcel).collect();
    BookShipment { customer: order.created.customer, parcels, orders_sequence: order.told }
}

fn lines(order: &Order) -> Vec<banyan_kernel::Line> {
    let line = |line: &orders_api::PricedLine| banyan_kernel::Line {
        sku: line.sku.clone(),
        quantity: line.quantity,
    };
    order.created.lines.iter().map(line).collect()
}

/// One command per order. An undo goes under the id of the do that it undoes.
fn commands<T>(step: Step, undo: bool, orders: &[About<'_>], body: impl Fn(&Order) -> T) -> Vec<Command<T>> {
    let command = |(order, asked): &About<'_>| {
        let id = CommandId::new(order.id, step.name(), order.attempt(step));
        let trace = spans::of_step(order, step, undo, *asked);
        Command { context: Context::system("saga", trace), id, body: body(order) }
    };
    orders.iter().map(command).collect()
}

/// One pass over several orders.
fn shared(orders: &[Progress]) -> Option<Shared> {
    let first = orders.iter().find(|progress| progress.order.trace.is_sampled() == Some(true))?;
    let seed = format!("{} {}", first.order.version, first.asked);
    Shared::begin("saga batch", &first.order.trace, orders.len(), &seed)
}

fn booked(reply: ShipmentBookedReply) -> Reply {
    let mut tracking = reply.tracking.into_iter();
    let (result, asked_again) = (tracking.next(), reply.asked_again);
    Reply { result, further: tracking.collect(), asked_again, ..Reply::default() }
}

fn heard<T>(answers: Vec<Answer<T>>, done: impl Fn(T) -> Reply) -> Vec<Heard> {
    let one = |answer| match answer {
        Answer::Done(reply) => Heard::Done(done(reply)),
        Answer::Rejected(refusal) => {
            Heard::Refused { code: refusal.code.into_owned(), detail: refusal.detail }
        }
        Answer::Pending => Heard::NotYet("under way".to_owned()),
        Answer::Unavailable(why) => Heard::NotYet(why),
        Answer::Broken(why) => Heard::Broken(why),
    };
    answers.into_iter().map(one).collect()
}

fn log_step(order: &Order, event: &OrderEvent, step: Step) {
    let (id, correlation) = (order.id, order.trace.correlation());
    match event {
        OrderEvent::StepBroken { why, .. } => {
            tracing::error!(order = %id, correlation, step = step.name(), why, "a person must look: banyan order why {id}");
        }
        event => tracing::debug!(order = %id, correlation, step = step.name(), ?event, "heard"),
    }
}
