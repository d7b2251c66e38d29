//! Shipping in memory: the same rules, answers that a test scripts, and a book of what was done.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Money, OrderId, Place, Refusal, Timestamp};

use crate::{
    BookShipment, CancelShipment, ParcelState, ParcelView, Parcels, QuoteParcel, QuoteSource, Quotes,
    ServiceQuote, ShipmentBookedReply, ShipmentCancelledReply, Shipping, refusals,
};

/// What a test has the fake say once, instead of its own answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Refused; for an undo, as if nothing was scripted.
    Refused(&'static str),
    /// Nothing done yet.
    Pending,
    /// Done, and the answer lost: `Pending` now, done when asked again.
    Lost,
    /// Nothing done.
    Unavailable,
    /// Nothing done.
    Broken,
}

/// Books everything, unless scripted otherwise.
#[derive(Debug, Default)]
pub struct FakeShipping(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    shipments: HashMap<OrderId, Shipment>,
    script: HashMap<(OrderId, &'static str), VecDeque<Said>>,
    book: HashMap<OrderId, Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Booked,
    Refused,
    Cancelled,
    Dispatched,
}

#[derive(Clone, Debug)]
struct Shipment {
    state: State,
    attempt: u32,
    booked: Option<ShipmentBookedReply>,
    places: Vec<Place>,
    refusal: Option<Refusal>,
    arrived: bool,
}

/// When all happens.
const THEN: Timestamp = Timestamp::UNIX_EPOCH;

impl FakeShipping {
    /// Has a step of an order (`book`, `cancel`) say these in turn, before its own answer.
    pub fn script(&self, order: OrderId, step: &'static str, said: impl IntoIterator<Item = Said>) {
        self.inner().script.entry((order, step)).or_default().extend(said);
    }

    /// What was done for an order: `shipment_booked`, `shipment_refused`, `shipment_cancelled`.
    #[must_use]
    pub fn book_of(&self, order: OrderId) -> Vec<String> {
        self.inner().book.get(&order).cloned().unwrap_or_default()
    }

    /// The numbers on an order's parcels.
    #[must_use]
    pub fn tracking_of(&self, order: OrderId) -> Vec<String> {
        let inner = self.inner();
        let booked = inner.shipments.get(&order).and_then(|shipment| shipment.booked.as_ref());
        booked.map(|booked| booked.tracking.clone()).unwrap_or_default()
    }

    /// The parcel has left the house.
    pub fn dispatch(&self, order: OrderId) {
        if let Some(shipment) = self.inner().shipments.get_mut(&order) {
            shipment.state = State::Dispatched;
        }
    }

    /// All parcels that have left the house are with their customers.
    pub fn arrive(&self) {
        for shipment in self.inner().shipments.values_mut() {
            shipment.arrived |= shipment.state == State::Dispatched;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each<B, A>(
        &self,
        step: &'static str,
        batch: Vec<Command<B>>,
        answer: impl Fn(&mut Inner, &Command<B>, Option<Refusal>) -> Answer<A>,
    ) -> Vec<Answer<A>> {
        let mut inner = self.inner();
        batch.iter().map(|command| inner.scripted(step, command, &answer)).collect()
    }
}

impl Inner {
    fn scripted<B, A>(
        &mut self,
        step: &'static str,
        command: &Command<B>,
        answer: impl Fn(&mut Self, &Command<B>, Option<Refusal>) -> Answer<A>,
    ) -> Answer<A> {
        let said = self.script.get_mut(&(command.id.order, step)).and_then(VecDeque::pop_front);
        match said {
            None => answer(self, command, None),
            Some(Said::Refused(code)) => answer(self, command, Some(Refusal::new(code, "scripted"))),
            Some(Said::Pending) => Answer::Pending,
            Some(Said::Unavailable) => Answer::Unavailable("scripted".to_owned()),
            Some(Said::Broken) => Answer::Broken("scripted".to_owned()),
            Some(Said::Lost) => {
                answer(self, command, None);
                let shipment = self.shipments.get_mut(&command.id.order);
                if let Some(reply) = shipment.and_then(|shipment| shipment.booked.as_mut()) {
                    reply.asked_again |= step == "book";
                }
                Answer::Pending
            }
        }
    }

    fn write(&mut self, order: OrderId, kind: &str) {
        self.book.entry(order).or_default().push(kind.to_owned());
    }

    fn tombstone(&mut self, order: OrderId, attempt: u32) -> &mut Shipment {
        let (state, places) = (State::Cancelled, Vec::new());
        let none = Shipment { state, attempt, booked: None, places, refusal: None, arrived: false };
        self.shipments.entry(order).or_insert(none)
    }

    fn book(
        &mut self,
        command: &Command<BookShipment>,
        refused: Option<Refusal>,
    ) -> Answer<ShipmentBookedReply> {
        let (order, attempt) = (command.id.order, command.id.attempt);
        let shipment = self.tombstone(order, 0);
        if attempt < shipment.attempt {
            return Answer::rejected(Refusal::EXPIRED, "a later attempt was made");
        }
        let newer = attempt > shipment.attempt;
        shipment.attempt = attempt;
        if newer && matches!(shipment.state, State::Refused | State::Cancelled) {
            shipment.state = if refused.is_some() { State::Refused } else { State::Booked };
            shipment.places = command.body.parcels.iter().map(|parcel| parcel.place.clone()).collect();
            let tracking =
                shipment.places.iter().map(|place| format!("T-{order}-{attempt}-{place}")).collect();
            shipment.booked =
                refused.is_none().then_some(ShipmentBookedReply { tracking, asked_again: false });
            shipment.refusal = refused;
            let kind = if shipment.state == State::Refused { "shipment_refused" } else { "shipment_booked" };
            self.write(order, kind);
        }
        let shipment = &self.shipments[&order];
        match (&shipment.booked, &shipment.refusal) {
            (Some(reply), _) => Answer::Done(reply.clone()),
            (None, Some(refusal)) => Answer::Rejected(refusal.clone()),
            (None, None) => Answer::Rejected(Refusal::cancelled()),
        }
    }

    fn cancel(&mut self, command: &Command<CancelShipment>) -> Answer<ShipmentCancelledReply> {
        let (order, attempt) = (command.id.order, command.id.attempt);
        let shipment = self.tombstone(order, attempt);
        if attempt < shipment.attempt {
            return Answer::Done(ShipmentCancelledReply {});
        }
        match shipment.state {
            State::Dispatched => {
                return Answer::rejected(refusals::ALREADY_SHIPPED, "the parcel has left the house");
            }
            State::Booked => {
                (shipment.state, shipment.attempt) = (State::Cancelled, attempt);
                self.write(order, "shipment_cancelled");
            }
            State::Refused | State::Cancelled if attempt > shipment.attempt => {
                (shipment.state, shipment.attempt) = (State::Cancelled, attempt);
                (shipment.booked, shipment.refusal) = (None, None);
            }
            State::Refused | State::Cancelled => {}
        }
        Answer::Done(ShipmentCancelledReply {})
    }
}

#[async_trait]
impl Shipping for FakeShipping {
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>> {
        self.each("book", batch, Inner::book)
    }

    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>> {
        self.each("cancel", batch, |inner, command, _| inner.cancel(command))
    }
}

#[async_trait]
impl Parcels for FakeShipping {
    async fn quote(&self, wish: QuoteParcel) -> Quotes {
        let price = Money { minor: 100 * wish.items, currency: wish.currency };
        let service = ServiceQuote { service: "standard".to_owned(), price, promised_by: THEN };
        Quotes { source: QuoteSource::Carrier, services: vec![service] }
    }

    async fn parcels(&self, order: OrderId) -> Answer<Vec<ParcelView>> {
        let inner = self.inner();
        let shipment = inner.shipments.get(&order);
        let views = |shipment: &Shipment| {
            let state = match shipment.state {
                State::Cancelled | State::Refused => ParcelState::Cancelled,
                _ if shipment.arrived => ParcelState::Delivered,
                State::Dispatched => ParcelState::Dispatched,
                State::Booked => ParcelState::Booked,
            };
            let arrived_at = shipment.arrived.then_some(THEN);
            let tracking = shipment.booked.iter().flat_map(|booked| booked.tracking.clone());
            let view = |(tracking, place): (String, &Place)| {
                let (place, promised_by) = (place.clone(), Some(THEN));
                ParcelView { tracking, place, state, promised_by, arrived_at }
            };
            tracking.zip(&shipment.places).map(view).collect()
        };
        Answer::Done(shipment.map(views).unwrap_or_default())
    }
}
