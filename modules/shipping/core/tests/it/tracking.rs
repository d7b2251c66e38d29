//! Where parcels got to, and what sending them would cost.

use std::time::Duration;

use banyan_bus::Applied;
use banyan_kernel::{Answer, OrderId};
use shipping_api::{
    ParcelState, ParcelView, Parcels, QuoteParcel, QuoteSource, Shipping,
    testing::{UnderTest, ask_until_settled, book, book_from, cancel, context, order},
};
use shipping_core::{TrackingReconciler, Turned};

use crate::world::{World, event};

/// A carrier whose parcels arrive at once.
async fn swift(profile: &str) -> World {
    let sandbox = |config: &mut banyan_sandbox::Config| {
        config.deliver_after_s = Some(0);
        config.profile = profile.parse().expect("a profile");
    };
    World::with(sandbox, |callee| callee.time_out = Duration::from_millis(300)).await
}

async fn turn(world: &World) -> Turned {
    TrackingReconciler::new(&world.shipping).turn().await.expect("a turn")
}

async fn parcels(world: &World, order: OrderId) -> Vec<ParcelView> {
    let Answer::Done(parcels) = world.shipping.parcels(order).await else { panic!("parcels") };
    parcels
}

async fn state(world: &World, order: OrderId) -> ParcelState {
    parcels(world, order).await[0].state
}

#[tokio::test]
async fn an_arrival_is_told_once_whoever_reads_and_whenever_it_is_heard_that_the_order_was_shipped() {
    let world = swift("none").await;
    let [early, late] = ["early", "late"].map(order);
    for order in [early, late] {
        world.shipping.book(vec![book(order, 1)]).await;
    }
    assert_eq!(state(&world, early).await, ParcelState::Booked);
    assert_eq!(world.hear(&[event(late, "OrderShipped", 2)]).await, [Applied::Done]);
    assert_eq!(state(&world, late).await, ParcelState::Dispatched);
    let readers = [(); 4].map(|()| TrackingReconciler::new(&world.shipping));
    futures::future::join_all(readers.iter().map(TrackingReconciler::turn)).await;
    while turn(&world).await == Turned::More {}
    // As after a restore, or by a person.
    sqlx::query("update carrier_feed set position = 0").execute(world.store.pool()).await.expect("moved");
    assert_eq!(turn(&world).await, Turned::Whole);
    assert_eq!(world.hear(&[event(early, "OrderShipped", 2)]).await, [Applied::Done], "it arrived before");
    for order in [early, late] {
        assert_eq!(world.told_of(order).await, ["ShipmentBooked 1", "ShipmentDelivered 2"]);
        let [parcel] = &parcels(&world, order).await[..] else { panic!("one parcel") };
        assert_eq!(parcel.state, ParcelState::Delivered);
        assert!(parcel.promised_by > parcel.arrived_at && parcel.arrived_at.is_some(), "{parcel:?}");
    }
}

#[tokio::test]
async fn what_came_back_is_told_as_such_and_what_was_given_up_arrives_nowhere() {
    let returns = |config: &mut banyan_sandbox::Config| {
        config.deliver_after_s = Some(0);
        config.returned = "100%".parse().expect("a share");
    };
    let world = World::with(returns, |_| ()).await;
    let [back, given_up] = ["back", "given up"].map(order);
    for order in [given_up, back] {
        world.shipping.book(vec![book(order, 1)]).await;
    }
    world.shipping.cancel(vec![cancel(given_up, 1)]).await;
    turn(&world).await;
    assert_eq!(world.told_of(back).await, ["ShipmentBooked 1", "ShipmentReturned 2"]);
    assert_eq!(state(&world, back).await, ParcelState::Returned);
    assert_eq!(world.told_of(given_up).await, ["ShipmentBooked 1", "ShipmentCancelled 2"]);
    assert_eq!(state(&world, given_up).await, ParcelState::Cancelled);
    assert_eq!(parcels(&world, order("nobody")).await, []);
}

/// What was told of an order's arrivals: the tracking number, and whether it was the whole order.
async fn arrivals(world: &World, order: OrderId) -> Vec<(String, Option<bool>)> {
    let arrivals = "select payload->>'tracking', (payload->>'whole')::bool from outbox where aggregateid = $1 \
         and type in ('ShipmentDelivered', 'ShipmentReturned') order by epoch, xid, seq";
    let arrivals = sqlx::query_as(arrivals).bind(order.to_string());
    arrivals.fetch_all(world.store.pool()).await.expect("the outbox")
}

#[tokio::test]
async fn each_parcel_of_an_order_arrives_for_itself_and_the_last_one_makes_it_whole() {
    let world = swift("none").await;
    let order = order("split");
    let booked = world.shipping.book(vec![book_from(order, 1, &["main", "north"])]).await;
    let [Answer::Done(reply)] = &booked[..] else { panic!("{booked:?}") };
    // As when the carrier tells of the second later: the first alone is behind this position.
    sqlx::query("update carrier_feed set position = 1").execute(world.store.pool()).await.expect("moved");
    turn(&world).await;
    assert_eq!(arrivals(&world, order).await, [(reply.tracking[1].clone(), Some(false))]);
    let states: Vec<ParcelState> = parcels(&world, order).await.iter().map(|one| one.state).collect();
    assert_eq!(states, [ParcelState::Booked, ParcelState::Delivered]);
    for _ in 0..2 {
        sqlx::query("update carrier_feed set position = 0").execute(world.store.pool()).await.expect("moved");
        turn(&world).await;
        let both = [(reply.tracking[1].clone(), Some(false)), (reply.tracking[0].clone(), Some(true))];
        assert_eq!(arrivals(&world, order).await, both);
    }
    let told = ["ShipmentBooked 1", "ShipmentDelivered 2", "ShipmentDelivered 3"];
    assert_eq!(world.told_of(order).await, told);
}

#[tokio::test]
async fn an_order_of_which_a_parcel_came_back_is_not_whole() {
    let some = |config: &mut banyan_sandbox::Config| {
        config.deliver_after_s = Some(0);
        config.returned = "50%".parse().expect("a share");
    };
    let world = World::with(some, |_| ()).await;
    let orders: Vec<OrderId> = (0..12).map(|n| order(&format!("split-{n}"))).collect();
    world.shipping.book(orders.iter().map(|order| book_from(*order, 1, &["main", "north"])).collect()).await;
    turn(&world).await;
    let mut seen = [0; 2];
    for order in orders {
        let states: Vec<ParcelState> = parcels(&world, order).await.iter().map(|one| one.state).collect();
        let all_delivered = states == [ParcelState::Delivered; 2];
        let whole = arrivals(&world, order).await.iter().any(|(_, whole)| *whole == Some(true));
        assert_eq!(whole, all_delivered, "{states:?}");
        seen[usize::from(
            states.contains(&ParcelState::Returned) && states.contains(&ParcelState::Delivered),
        )] += 1;
    }
    assert!(seen[1] > 0, "some came back in part");
}

#[tokio::test]
async fn another_booking_is_another_parcel_that_has_not_arrived() {
    let world = swift("none").await;
    let order = order("again");
    world.shipping.book(vec![book(order, 1)]).await;
    turn(&world).await;
    world.shipping.cancel(vec![cancel(order, 1)]).await;
    assert_eq!(state(&world, order).await, ParcelState::Cancelled);
    world.shipping.book(vec![book(order, 2)]).await;
    assert_eq!(state(&world, order).await, ParcelState::Booked);
    turn(&world).await;
    assert_eq!(state(&world, order).await, ParcelState::Delivered);
    let told = [
        "ShipmentBooked 1",
        "ShipmentDelivered 2",
        "ShipmentCancelled 3",
        "ShipmentBooked 4",
        "ShipmentDelivered 5",
    ];
    assert_eq!(world.told_of(order).await, told);
}

/// The carrier has the parcel and the module does not know: the arrival is not lost, it waits.
#[tokio::test]
async fn an_arrival_waits_for_a_booking_whose_answer_was_lost() {
    let world = swift("book.timeout=100%").await;
    let lost = order("lost");
    assert_eq!(world.shipping.book(vec![book(lost, 1)]).await, [Answer::Pending]);
    assert_eq!(world.book(lost).await, ["shipment_booked"]);
    assert_eq!(turn(&world).await, Turned::Whole);
    assert_eq!(world.told_of(lost).await.len(), 0);
    ask_until_settled(&world, || world.shipping.book(vec![book(lost, 1)])).await;
    turn(&world).await;
    assert_eq!(world.told_of(lost).await, ["ShipmentBooked 1", "ShipmentDelivered 2"]);
}

#[tokio::test]
async fn events_of_another_carrier_are_not_taken_for_this_ones() {
    let world = swift("none").await;
    sqlx::query("update carrier_feed set position = 9").execute(world.store.pool()).await.expect("moved");
    let order = order("other");
    world.shipping.book(vec![book(order, 1)]).await;
    assert_eq!(turn(&world).await, Turned::Unread);
    assert_eq!(state(&world, order).await, ParcelState::Booked);
}

#[tokio::test]
async fn the_carrier_quotes_and_where_it_does_not_the_table_does_and_says_so() {
    let world = World::new().await;
    let wish = QuoteParcel {
        items: 3,
        currency: "EUR".parse().expect("a currency"),
        trace: context(order("q")).trace,
    };
    let quotes = world.shipping.quote(wish.clone()).await;
    let named = |quotes: &shipping_api::Quotes| {
        let named = quotes.services.iter().map(|one| format!("{} {}", one.service, one.price.minor));
        named.collect::<Vec<_>>()
    };
    assert_eq!(
        (quotes.source, named(&quotes)),
        (QuoteSource::Carrier, vec!["standard 530".into(), "express 1370".into()])
    );
    world.sandbox.down().await;
    for _ in 0..40 {
        let quotes = world.shipping.quote(wish.clone()).await;
        assert_eq!((quotes.source, named(&quotes)), (QuoteSource::Table, vec!["standard 750".into()]));
    }
    world.sandbox.mend().await;
    let booked = world.shipping.book(vec![book(order("booked"), 1)]).await;
    assert!(
        matches!(booked[..], [Answer::Done(_)]),
        "quotes that fail do not keep parcels from being booked: {booked:?}"
    );
}
