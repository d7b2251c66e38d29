//! The rules of the port, each a short story on orders of its own.

use std::{future::Future, slice};

use async_trait::async_trait;
use banyan_kernel::{Answer, Currency, OrderId, Place, Refusal};

use super::words::{book, book_from, cancel, context, order};
use crate::{
    ParcelState, ParcelView, Parcels, QuoteParcel, ShipmentBookedReply, ShipmentCancelledReply, Shipping,
    refusals,
};

/// Shipping, and the world around it.
#[async_trait]
pub trait UnderTest: Send + Sync {
    /// The port.
    fn port(&self) -> &dyn Shipping;
    /// The port for who sends or follows parcels.
    fn parcels(&self) -> &dyn Parcels;
    /// Lets what the carrier has of parcels arrive, and be heard of.
    async fn arrive(&self);
    /// Lets what is under way come a little further.
    async fn settle(&self);
    /// What the carrier did for an order: `shipment_booked`, `shipment_refused`, `shipment_cancelled`.
    async fn book(&self, order: OrderId) -> Vec<String>;
    /// Lets it hear that the order was shipped, as the second event of the order.
    async fn ship(&self, order: OrderId);
}

/// So often is asked again: longer than a breaker stays open, and short enough for what never ends to be seen.
const ROUNDS_MAX: u32 = 2_000;

/// Asks until there is an answer: `Pending` and `Unavailable` mean to ask again, with the same id.
///
/// # Panics
/// When it stays so.
pub async fn ask_until_settled<A, F>(on: &dyn UnderTest, ask: impl Fn() -> F) -> Answer<A>
where
    F: Future<Output = Vec<Answer<A>>>,
{
    for _ in 0..ROUNDS_MAX {
        match ask().await.into_iter().next().expect("an answer per item") {
            Answer::Pending | Answer::Unavailable(_) => on.settle().await,
            answer => return answer,
        }
    }
    panic!("it stays without an answer")
}

/// Holds an implementation to the port's rules.
///
/// # Panics
/// At the first rule that is broken.
pub async fn conformance(on: &dyn UnderTest) {
    a_repeat_gets_the_first_answer_in_each_state(on).await;
    an_undo_before_its_do_leaves_a_tombstone(on).await;
    a_later_attempt_is_a_new_do_once_it_was_given_up(on).await;
    an_undo_touches_no_later_attempt(on).await;
    a_later_attempt_owns_what_it_finds(on).await;
    what_has_left_the_house_is_not_cancelled(on).await;
    duplicates_in_a_batch_are_one(on).await;
    a_parcel_is_followed_from_its_booking_to_its_customer(on).await;
    what_stands_at_two_places_leaves_in_two_parcels(on).await;
    a_quote_is_always_given_the_cheapest_first(on).await;
}

async fn have(on: &dyn UnderTest, order: OrderId, attempt: u32) -> Answer<ShipmentBookedReply> {
    ask_until_settled(on, || on.port().book(vec![book(order, attempt)])).await
}

async fn give_up(on: &dyn UnderTest, order: OrderId, attempt: u32) -> Answer<ShipmentCancelledReply> {
    ask_until_settled(on, || on.port().cancel(vec![cancel(order, attempt)])).await
}

fn done<A>(answer: &Answer<A>) -> bool {
    matches!(answer, Answer::Done(_))
}

fn code<A>(answer: Answer<A>) -> String {
    match answer {
        Answer::Rejected(refusal) => refusal.code.into_owned(),
        Answer::Done(_) => "done".to_owned(),
        _ => "unsettled".to_owned(),
    }
}

async fn a_repeat_gets_the_first_answer_in_each_state(on: &dyn UnderTest) {
    let order = order("repeat");
    let booked = have(on, order, 1).await;
    assert!(done(&booked), "{booked:?}");
    assert_eq!(have(on, order, 1).await, booked);
    for _ in 0..2 {
        assert!(done(&give_up(on, order, 1).await));
        assert_eq!(have(on, order, 1).await, booked, "the first answer");
    }
    assert_eq!(on.book(order).await, ["shipment_booked", "shipment_cancelled"]);
}

async fn an_undo_before_its_do_leaves_a_tombstone(on: &dyn UnderTest) {
    let order = order("tombstone");
    for _ in 0..2 {
        assert!(done(&give_up(on, order, 1).await));
        assert_eq!(code(have(on, order, 1).await), Refusal::CANCELLED);
    }
    assert!(on.book(order).await.is_empty());
    assert!(done(&have(on, order, 2).await));
}

async fn a_later_attempt_is_a_new_do_once_it_was_given_up(on: &dyn UnderTest) {
    let order = order("again");
    let first = have(on, order, 1).await;
    assert!(done(&give_up(on, order, 1).await));
    let second = have(on, order, 2).await;
    assert!(done(&second));
    assert_ne!(first, second);
    assert_eq!(code(have(on, order, 1).await), Refusal::EXPIRED);
    assert_eq!(on.book(order).await, ["shipment_booked", "shipment_cancelled", "shipment_booked"]);
}

async fn an_undo_touches_no_later_attempt(on: &dyn UnderTest) {
    let order = order("later");
    give_up(on, order, 1).await;
    let booked = have(on, order, 2).await;
    assert!(done(&give_up(on, order, 1).await));
    assert_eq!(have(on, order, 2).await, booked);
    assert_eq!(on.book(order).await, ["shipment_booked"]);
}

async fn a_later_attempt_owns_what_it_finds(on: &dyn UnderTest) {
    let order = order("owns");
    let booked = have(on, order, 1).await;
    assert_eq!(have(on, order, 2).await, booked);
    assert!(done(&give_up(on, order, 1).await));
    assert_eq!(on.book(order).await, ["shipment_booked"]);
    for _ in 0..2 {
        assert!(done(&give_up(on, order, 3).await));
        assert_eq!(have(on, order, 3).await, booked, "an undone do is not done again");
    }
    assert_eq!(on.book(order).await, ["shipment_booked", "shipment_cancelled"]);
}

async fn what_has_left_the_house_is_not_cancelled(on: &dyn UnderTest) {
    let order = order("shipped");
    let booked = have(on, order, 1).await;
    on.ship(order).await;
    assert_eq!(code(give_up(on, order, 1).await), refusals::ALREADY_SHIPPED);
    assert_eq!(have(on, order, 1).await, booked);
    assert_eq!(on.book(order).await, ["shipment_booked"]);
}

async fn duplicates_in_a_batch_are_one(on: &dyn UnderTest) {
    let order = order("twice");
    let batch = || vec![book(order, 1), book(order, 1)];
    on.port().book(batch()).await;
    have(on, order, 1).await;
    let booked = on.port().book(batch()).await;
    assert!(booked.iter().all(done));
    assert_eq!(booked[0], booked[1]);
    assert_eq!(on.book(order).await, ["shipment_booked"]);
}

async fn followed(on: &dyn UnderTest, order: OrderId) -> Vec<ParcelView> {
    match on.parcels().parcels(order).await {
        Answer::Done(parcels) => parcels,
        other => panic!("{other:?}"),
    }
}

async fn a_parcel_is_followed_from_its_booking_to_its_customer(on: &dyn UnderTest) {
    let [shipped, given_up, never] = ["followed", "followed-given-up", "followed-never"].map(order);
    let Answer::Done(booked) = have(on, shipped, 1).await else { panic!("booked") };
    have(on, given_up, 1).await;
    give_up(on, given_up, 1).await;
    give_up(on, never, 1).await;
    let [parcel] = &followed(on, shipped).await[..] else { panic!("one parcel") };
    assert_eq!(
        (slice::from_ref(&parcel.tracking), parcel.state),
        (&booked.tracking[..], ParcelState::Booked)
    );
    assert_eq!(parcel.place.as_str(), Place::MAIN);
    assert!(parcel.promised_by.is_some() && parcel.arrived_at.is_none(), "{parcel:?}");
    on.ship(shipped).await;
    assert_eq!(followed(on, shipped).await[0].state, ParcelState::Dispatched);
    on.arrive().await;
    let [parcel] = &followed(on, shipped).await[..] else { panic!("one parcel") };
    assert_eq!((&parcel.tracking, parcel.state), (&booked.tracking[0], ParcelState::Delivered));
    assert!(parcel.promised_by.is_some() && parcel.arrived_at.is_some(), "{parcel:?}");
    assert_eq!(followed(on, given_up).await[0].state, ParcelState::Cancelled);
    assert_eq!(followed(on, never).await, []);
}

async fn what_stands_at_two_places_leaves_in_two_parcels(on: &dyn UnderTest) {
    let [split, given_up] = ["split", "split-given-up"].map(order);
    let have = async |order: OrderId| {
        ask_until_settled(on, || on.port().book(vec![book_from(order, 1, &["main", "north"])])).await
    };
    let first = have(split).await;
    let Answer::Done(booked) = &first else { panic!("{first:?}") };
    let [main, north] = &booked.tracking[..] else { panic!("a number for each: {booked:?}") };
    assert_ne!(main, north);
    assert_eq!(have(split).await, first, "a repeat");
    assert_eq!(on.book(split).await, ["shipment_booked"], "all of them at once, and once");
    on.ship(split).await;
    on.arrive().await;
    let parcels = followed(on, split).await;
    let parcels: Vec<_> = parcels.iter().map(|one| (one.place.as_str(), &one.tracking, one.state)).collect();
    assert_eq!(parcels, [("main", main, ParcelState::Delivered), ("north", north, ParcelState::Delivered)]);
    have(given_up).await;
    for _ in 0..2 {
        assert!(done(&give_up(on, given_up, 1).await));
    }
    let states: Vec<ParcelState> = followed(on, given_up).await.iter().map(|one| one.state).collect();
    assert_eq!(states, [ParcelState::Cancelled; 2], "both");
    assert_eq!(on.book(given_up).await, ["shipment_booked", "shipment_cancelled"]);
}

async fn a_quote_is_always_given_the_cheapest_first(on: &dyn UnderTest) {
    let currency: Currency = "EUR".parse().expect("a currency");
    for items in [1, 1_000_000] {
        let trace = context(order("quote")).trace;
        let quotes = on.parcels().quote(QuoteParcel { items, currency, trace }).await;
        assert!(!quotes.services.is_empty());
        assert!(quotes.services.iter().all(|one| one.price.currency == currency && one.price.minor > 0));
        assert!(quotes.services.is_sorted_by_key(|one| one.price.minor), "{quotes:?}");
    }
}
