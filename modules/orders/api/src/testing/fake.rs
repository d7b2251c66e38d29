//! Orders in memory, for the tests of who depends on them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use banyan_kernel::{
    Actor, Answer, Clock, Context, Currency, CustomerId, Json, Money, OrderId, Refusal, Sku, Timestamp,
};

use crate::{
    ListOrders, ListSales, NAME, OpenOrders, OrderAccepted, OrderCancelled, OrderCreated, OrderEventView,
    OrderFact, OrderFacts, OrderFold, OrderShipped, OrderState, OrderSummary, OrderView, Orders, OrdersPage,
    PlaceOrder, Placed, PricedLine, RefusedStep, Resolution, Sales, SalesPage, Settled, Why, refusals,
};

/// Longer lists come in pages.
const PAGE_MAX: u16 = 200;
/// No gateway takes more of one card.
const TOTAL_MINOR_MAX: i64 = 99_999_999;
const HOUR_NANOS: i128 = 3_600_000_000_000;

/// Accepts, turns back and ends orders as a test says, without a saga; its lists are never behind.
pub struct FakeOrders {
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// None of what is sold no longer.
    prices: BTreeMap<Sku, Option<Money>>,
    orders: BTreeMap<OrderId, Kept>,
}

struct Kept {
    wish: PlaceOrder,
    accepted: OrderAccepted,
    events: Vec<OrderEventView>,
    cause: Option<String>,
    broken: Option<String>,
    ended: Option<Timestamp>,
}

impl FakeOrders {
    /// That sell nothing yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, books: Mutex::default() }
    }

    /// Sells a product at this price; at none it is sold no longer.
    pub fn sell(&self, sku: Sku, price: Option<Money>) {
        self.books().prices.insert(sku, price);
    }

    /// Brings an order to its end: to its customer, or, where it was turned back, to nothing.
    ///
    /// # Panics
    /// When there is none.
    pub fn end(&self, order: OrderId) {
        let (now, mut books) = (self.clock.now(), self.books());
        let kept = books.orders.get_mut(&order).expect("an order");
        let kind = if kept.cause.is_some() { OrderCancelled::KIND } else { OrderShipped::KIND };
        kept.record(kind, kept.cause.clone(), &Actor::system("saga"), now);
        kept.ended = Some(now);
    }

    /// Stops an order until somebody has looked.
    ///
    /// # Panics
    /// When there is none.
    pub fn stop(&self, order: OrderId) {
        let (now, mut books) = (self.clock.now(), self.books());
        let kept = books.orders.get_mut(&order).expect("an order");
        let why = "nobody can tell".to_owned();
        kept.record("StepBroken", Some(why.clone()), &Actor::system("saga"), now);
        kept.broken = Some(why);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A test that panicked while holding them has failed already.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of an order that somebody wants to change.
    fn amend(
        &self,
        order: OrderId,
        change: impl FnOnce(&mut Kept, Timestamp) -> Result<(), Refusal>,
    ) -> Answer<OrderView> {
        let (now, mut books) = (self.clock.now(), self.books());
        let Some(kept) = books.orders.get_mut(&order) else { return unknown() };
        match change(kept, now) {
            Ok(()) => Answer::Done(kept.view()),
            Err(refusal) => Answer::Rejected(refusal),
        }
    }
}

fn unknown<T>() -> Answer<T> {
    Answer::rejected(refusals::UNKNOWN_ORDER, "there is no such order")
}

impl Books {
    fn place(&mut self, wish: PlaceOrder, now: Timestamp) -> Answer<Placed> {
        if let Some(first) = self.orders.get(&wish.order) {
            if first.wish.request_hash != wish.request_hash {
                return Answer::rejected(refusals::KEY_REUSED, "this key was used with another body");
            }
            return Answer::Done(Placed { accepted: first.accepted.clone(), repeated: true });
        }
        let (lines, total) = match self.priced(&wish) {
            Ok(priced) => priced,
            Err(refusal) => return Answer::Rejected(refusal),
        };
        let (id, actor) = (wish.order, wish.context.actor.clone());
        let accepted = OrderAccepted { id, state: OrderState::Placed, total, lines, placed_at: now };
        let (events, cause, broken, ended) = (Vec::new(), None, None, None);
        let mut kept = Kept { wish, accepted: accepted.clone(), events, cause, broken, ended };
        kept.record(OrderCreated::KIND, Some(total.to_string()), &actor, now);
        self.orders.insert(id, kept);
        Answer::Done(Placed { accepted, repeated: false })
    }

    fn priced(&self, wish: &PlaceOrder) -> Result<(Vec<PricedLine>, Money), Refusal> {
        let line = |line: &banyan_kernel::Line| {
            let price = self.prices.get(&line.sku);
            let price = price.ok_or_else(|| Refusal::new(refusals::UNKNOWN_PRODUCT, "nobody sells it"))?;
            let unit_price = price.ok_or_else(|| Refusal::new(refusals::RETIRED_PRODUCT, "no longer"))?;
            Ok(PricedLine { sku: line.sku.clone(), quantity: line.quantity, unit_price })
        };
        let lines = wish.lines.iter().map(line).collect::<Result<Vec<_>, Refusal>>()?;
        let too_much = || Refusal::new(refusals::PRICE, "no such sum");
        let first = lines.first().ok_or_else(too_much)?;
        let total = lines.iter().try_fold(Money::zero(first.unit_price.currency), |sum, line| {
            line.unit_price.times(line.quantity).and_then(|price| sum.plus(price)).map_err(|_| too_much())
        })?;
        if total.minor > TOTAL_MINOR_MAX { Err(too_much()) } else { Ok((lines, total)) }
    }

    /// Whether the list shows this much to who asks.
    fn shows(&self, which: &ListOrders) -> bool {
        which.at_least.iter().all(|(order, version)| {
            let kept = self.orders.get(order);
            let theirs = |kept: &&Kept| which.reader.is_none_or(|reader| reader == kept.wish.customer);
            kept.filter(theirs).is_some_and(|kept| kept.version() >= *version)
        })
    }

    /// Sales by hour, product and currency.
    fn sales(&self) -> BTreeMap<(Timestamp, Sku, Currency), Sales> {
        let mut all = BTreeMap::new();
        let shipped = self.orders.values().filter(|kept| kept.state() == OrderState::Shipped);
        for (hour, line) in shipped.flat_map(|kept| {
            let hour = kept.ended.map_or(kept.accepted.placed_at, hour_of);
            kept.accepted.lines.iter().map(move |line| (hour, line))
        }) {
            let (sku, currency) = (line.sku.clone(), line.unit_price.currency);
            let none = Sales { hour, sku: sku.clone(), currency, orders: 0, pieces: 0, amount_minor: 0 };
            let sales = all.entry((hour, sku, currency)).or_insert(none);
            sales.orders += 1;
            sales.pieces += line.quantity.get();
            sales.amount_minor += line.quantity.get() * line.unit_price.minor;
        }
        all
    }
}

fn hour_of(at: Timestamp) -> Timestamp {
    let since = u64::try_from(at.unix_timestamp_nanos() % HOUR_NANOS).unwrap_or_default();
    at - Duration::from_nanos(since)
}

impl Kept {
    fn version(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX)
    }

    fn state(&self) -> OrderState {
        match (self.ended, &self.broken, &self.cause) {
            (Some(_), _, None) => OrderState::Shipped,
            (Some(_), _, Some(_)) => OrderState::Cancelled,
            (None, Some(_), _) => OrderState::Stuck,
            (None, None, Some(_)) => OrderState::Cancelling,
            (None, None, None) => OrderState::Placed,
        }
    }

    fn correlation(&self) -> String {
        self.wish.context.trace.of_order(self.wish.order).correlation()
    }

    fn record(&mut self, kind: &str, cause: Option<String>, actor: &Actor, at: Timestamp) {
        self.events.push(OrderEventView {
            version: self.version() + 1,
            at,
            kind: kind.to_owned(),
            module: NAME.to_owned(),
            step: None,
            attempt: None,
            undo: matches!(kind, "CancelRequested" | OrderCancelled::KIND),
            cause,
            actor: actor.clone(),
            correlation: self.correlation(),
            data: Json::Null,
        });
    }

    fn view(&self) -> OrderView {
        OrderView {
            id: self.accepted.id,
            customer: self.wish.customer,
            state: self.state(),
            cause: self.cause.clone(),
            total: self.accepted.total,
            lines: self.accepted.lines.clone(),
            tracking: None,
            parcels: Vec::new(),
            placed_at: self.accepted.placed_at,
            ended_at: self.ended,
            version: self.version(),
            correlation: self.correlation(),
        }
    }

    fn summary(&self) -> OrderSummary {
        OrderSummary {
            id: self.accepted.id,
            customer: self.wish.customer,
            state: self.state(),
            cause: self.cause.clone(),
            total: self.accepted.total,
            pieces: self.accepted.lines.iter().map(|line| line.quantity.get()).sum(),
            tracking: None,
            placed_at: self.accepted.placed_at,
            ended_at: self.ended,
            version: self.version(),
        }
    }

    fn why(&self) -> Why {
        let state = self.state();
        let ended = matches!(state, OrderState::Shipped | OrderState::Cancelled);
        let since = self.events.last().map_or(self.accepted.placed_at, |event| event.at);
        Why {
            id: self.accepted.id,
            state,
            step: (!ended).then(|| "reserve".to_owned()),
            cause: self.broken.clone().or_else(|| self.cause.clone()),
            since,
            next_try: (!ended && self.broken.is_none()).then_some(since),
            waits_for: None,
            asked: 0,
            advice: "look".to_owned(),
        }
    }

    fn is_listed(&self, which: &ListOrders) -> bool {
        let place = (self.accepted.placed_at, self.accepted.id);
        which.reader.or(which.customer).is_none_or(|customer| customer == self.wish.customer)
            && which.state.is_none_or(|state| state == self.state())
            && which.cause.as_ref().is_none_or(|cause| Some(cause) == self.cause.as_ref())
            && which.sku.as_ref().is_none_or(|sku| self.accepted.lines.iter().any(|line| line.sku == *sku))
            && which.placed_from.is_none_or(|from| from <= place.0)
            && which.before.is_none_or(|before| place < before)
    }

    fn fact(&self) -> OrderFact {
        let public = [OrderCreated::KIND, OrderShipped::KIND, OrderCancelled::KIND];
        let told = self.events.iter().filter(|event| public.contains(&event.kind.as_str())).count();
        let fold = OrderFold {
            state: self.state(),
            total: self.accepted.total,
            lines: self.accepted.lines.clone(),
            tracking: Vec::new(),
            version: self.version(),
            told: i64::try_from(told).unwrap_or(i64::MAX),
            since: self.why().since,
            ended: self.ended,
        };
        let is_sold = self.state() == OrderState::Shipped;
        OrderFact {
            id: self.accepted.id,
            order: Some(fold),
            chain: None,
            row: None,
            out_of_order: false,
            answers_otherwise: false,
            due_at: self.why().next_try,
            listed: self.version(),
            list: None,
            is_sold,
            sale_heard: is_sold,
        }
    }

    fn settled(&self) -> Settled {
        Settled {
            id: self.accepted.id,
            state: self.state().as_str().to_owned(),
            cause: self.cause.clone(),
            placed_at: self.accepted.placed_at,
            ended_at: self.ended,
            asked_again: false,
            compensated: false,
            parcels: 0,
        }
    }
}

#[async_trait]
impl Orders for FakeOrders {
    async fn place(&self, batch: Vec<PlaceOrder>) -> Vec<Answer<Placed>> {
        let (now, mut books) = (self.clock.now(), self.books());
        batch.into_iter().map(|wish| books.place(wish, now)).collect()
    }

    async fn cancel(&self, order: OrderId, reason: String, context: Context) -> Answer<OrderView> {
        self.amend(order, |kept, now| {
            match (kept.ended.is_some(), kept.cause.is_some()) {
                (true, false) => return Err(Refusal::new(refusals::ALREADY_SHIPPED, "it is gone")),
                (_, true) => {}
                (false, false) => {
                    kept.record("CancelRequested", Some(reason), &context.actor, now);
                    kept.cause = Some("cancelled".to_owned());
                }
            }
            Ok(())
        })
    }

    async fn resolve(
        &self,
        order: OrderId,
        how: Resolution,
        reason: String,
        context: Context,
    ) -> Answer<OrderView> {
        self.amend(order, |kept, now| {
            kept.broken.take().ok_or_else(|| Refusal::new(refusals::NOT_STUCK, "it is on its way"))?;
            kept.record("OrderResolved", Some(format!("{}: {reason}", how.as_str())), &context.actor, now);
            if how == Resolution::Cancel {
                kept.cause.get_or_insert_with(|| "cancelled".to_owned());
            }
            Ok(())
        })
    }

    async fn view(&self, orders: Vec<OrderId>, reader: Option<CustomerId>) -> Answer<Vec<OrderView>> {
        let books = self.books();
        let views = orders.iter().filter_map(|order| books.orders.get(order)).map(Kept::view);
        Answer::Done(views.filter(|view| reader.is_none_or(|reader| reader == view.customer)).collect())
    }

    async fn list(&self, which: ListOrders) -> Answer<OrdersPage> {
        let books = self.books();
        if !books.shows(&which) {
            return Answer::rejected(refusals::BEHIND, "the list has not come to it");
        }
        let limit = usize::from(which.limit.clamp(1, PAGE_MAX));
        let listed = books.orders.values().filter(|kept| kept.is_listed(&which));
        let mut orders: Vec<OrderSummary> = listed.map(Kept::summary).collect();
        orders.sort_by_key(|order| std::cmp::Reverse((order.placed_at, order.id)));
        orders.truncate(limit);
        let last = orders.last().filter(|_| orders.len() == limit);
        let next = last.map(|last| (last.placed_at, last.id));
        Answer::Done(OrdersPage { orders, next })
    }

    async fn sales(&self, which: ListSales) -> Answer<SalesPage> {
        let limit = usize::from(which.limit.clamp(1, PAGE_MAX));
        let mut sales: Vec<Sales> = self.books().sales().into_values().collect();
        let place = |hour, sku: &Sku, currency: Currency| {
            (std::cmp::Reverse(hour), sku.clone(), currency.to_string())
        };
        sales.sort_by_key(|line| place(line.hour, &line.sku, line.currency));
        let after = which.after.map(|(hour, sku, currency)| place(hour, &sku, currency));
        sales.retain(|line| {
            which.sku.as_ref().is_none_or(|sku| *sku == line.sku)
                && which.from.is_none_or(|from| from <= line.hour)
                && after.as_ref().is_none_or(|after| place(line.hour, &line.sku, line.currency) > *after)
        });
        sales.truncate(limit);
        let last = sales.last().filter(|_| sales.len() == limit);
        let next = last.map(|last| (last.hour, last.sku.clone(), last.currency));
        Answer::Done(SalesPage { sales, next })
    }

    async fn events(&self, order: OrderId, after: i64) -> Answer<Vec<OrderEventView>> {
        let books = self.books();
        let Some(kept) = books.orders.get(&order) else { return unknown() };
        Answer::Done(kept.events.iter().filter(|event| event.version > after).cloned().collect())
    }

    async fn why(&self, order: OrderId) -> Answer<Why> {
        self.books().orders.get(&order).map_or_else(unknown, |kept| Answer::Done(kept.why()))
    }

    async fn stuck(&self) -> Answer<Vec<Why>> {
        let books = self.books();
        let stuck = books.orders.values().filter(|kept| kept.state() == OrderState::Stuck);
        Answer::Done(stuck.map(Kept::why).collect())
    }
}

#[async_trait]
impl OrderFacts for FakeOrders {
    async fn page_end(&self, after: OrderId, limit: u16) -> Answer<Option<OrderId>> {
        let books = self.books();
        let later = books.orders.keys().filter(|order| **order > after);
        Answer::Done(later.take(limit.into()).last().copied())
    }

    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<OrderFact>> {
        let books = self.books();
        let asked = books.orders.iter().filter(|(order, _)| after < **order && **order <= upto);
        Answer::Done(asked.map(|(_, kept)| kept.fact()).collect())
    }

    async fn sales_violations(&self) -> Answer<Vec<String>> {
        Answer::Done(Vec::new())
    }

    async fn settled(&self, orders: Vec<OrderId>) -> Answer<Vec<Settled>> {
        let books = self.books();
        Answer::Done(orders.iter().filter_map(|order| books.orders.get(order)).map(Kept::settled).collect())
    }

    async fn refusals(&self) -> Answer<BTreeMap<String, RefusedStep>> {
        Answer::Done(BTreeMap::new())
    }

    async fn open(&self) -> Answer<Vec<OpenOrders>> {
        let (now, books) = (self.clock.now(), self.books());
        let mut open: Vec<OpenOrders> = Vec::new();
        for kept in books.orders.values().filter(|kept| kept.ended.is_none()) {
            let (state, age) = (kept.state(), (now - kept.accepted.placed_at).as_seconds_f64());
            match open.iter_mut().find(|open| open.state == state) {
                Some(of_state) => {
                    of_state.orders += 1;
                    of_state.oldest_s = of_state.oldest_s.max(age);
                }
                None => open.push(OpenOrders { state, orders: 1, oldest_s: age }),
            }
        }
        Answer::Done(open)
    }
}
