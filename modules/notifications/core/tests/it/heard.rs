//! What is heard is told once.

use std::time::Duration;

use banyan_bus::{Applied, Consumer};
use banyan_store::StoreError;
use notifications_api::{Kind, MailHead, Sending};
use notifications_core::{DelayedReconciler, NewsConsumer};

use crate::world::{World, cancelled, created, delivered, id, one_of_several, refunded, shipped, slots};

fn kinds(mails: &[MailHead]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = mails.iter().map(|mail| mail.kind).collect();
    kinds.sort();
    kinds
}

#[tokio::test]
async fn an_order_is_told_of_once_however_often_and_in_whatever_batches_it_is_heard() {
    let world = World::new(false).await;
    let both = [created("a"), shipped("a")];
    assert_eq!(world.hear(&both).await, [Applied::Done, Applied::Done], "both in one batch");
    assert_eq!(world.hear(&both).await, [Applied::Duplicate, Applied::Duplicate]);
    assert_eq!(kinds(&world.mailbox().await), [Kind::Confirmed, Kind::Shipped]);
    assert!(world.mailbox().await.iter().all(|mail| mail.sending == Sending::Kept));
}

#[tokio::test]
async fn an_end_before_its_beginning_waits() {
    let world = World::new(false).await;
    assert_eq!(world.hear(&[shipped("a")]).await, [Applied::Gap { seen: 0 }]);
    assert_eq!(world.mailbox().await, []);
    world.hear(&[created("a")]).await;
    assert_eq!(world.hear(&[cancelled("a", "out_of_stock")]).await, [Applied::Done]);
    assert_eq!(kinds(&world.mailbox().await), [Kind::Confirmed, Kind::Cancelled]);
}

/// Orders and payments are heard by two roads, which do not wait for each other.
#[tokio::test]
async fn a_refund_waits_for_its_order_and_each_is_told_once() {
    let world = World::new(false).await;
    let consumer = NewsConsumer::of_refunds(world.store.clone(), false);
    let early = [refunded("a", 3, 200)];
    let mut write = world.store.begin(&consumer.locks(&early)).await.expect("a write");
    let answer = consumer.apply(&mut write, &early).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    drop(write);
    world.hear(&[created("a")]).await;
    let three = [refunded("a", 3, 200), refunded("a", 4, 300), refunded("a", 3, 200)];
    assert_eq!(world.hear_refunds(&three).await, [Applied::Done, Applied::Done, Applied::Duplicate]);
    assert_eq!(world.hear_refunds(&three[..2]).await, [Applied::Duplicate, Applied::Duplicate]);
    let subjects: Vec<String> = world.mailbox().await.into_iter().map(|mail| mail.subject).collect();
    for amount in ["2.00 EUR", "3.00 EUR"] {
        let told = subjects.iter().filter(|subject| subject.contains(amount)).count();
        assert_eq!(told, 1, "{subjects:?}");
    }
}

#[tokio::test]
async fn a_parcel_that_arrived_is_told_of_once() {
    let world = World::new(false).await;
    world.hear(&[created("a"), shipped("a")]).await;
    assert_eq!(world.hear_deliveries(&[delivered("a", 3)]).await, [Applied::Done]);
    assert_eq!(
        world.hear_deliveries(&[delivered("a", 3), delivered("a", 4)]).await,
        [Applied::Duplicate, Applied::Duplicate]
    );
    assert_eq!(world.hear_deliveries(&[refunded("a", 5, 100)]).await, [Applied::Skipped]);
    assert_eq!(kinds(&world.mailbox().await), [Kind::Confirmed, Kind::Shipped, Kind::Delivered]);
}

#[tokio::test]
async fn of_several_parcels_the_last_one_is_told_of() {
    let world = World::new(false).await;
    world.hear(&[created("a"), shipped("a")]).await;
    assert_eq!(world.hear_deliveries(&[one_of_several("a", 3)]).await, [Applied::Skipped]);
    assert_eq!(kinds(&world.mailbox().await), [Kind::Confirmed, Kind::Shipped]);
    assert_eq!(world.hear_deliveries(&[delivered("a", 4)]).await, [Applied::Done]);
    assert_eq!(kinds(&world.mailbox().await), [Kind::Confirmed, Kind::Shipped, Kind::Delivered]);
}

#[tokio::test]
async fn who_waits_too_long_is_told_once_and_who_was_served_is_not() {
    let world = World::new(false).await;
    world.hear(&[created("late"), created("served"), shipped("served")]).await;
    let delayed = DelayedReconciler::new(world.store.clone(), Duration::from_secs(60), false);
    let turn = async |slots: &[u16]| delayed.turn(slots).await.expect("a turn");
    assert_eq!(turn(&slots()).await, 0, "not yet");
    world.clock.advance_micros(61_000_000);
    assert_eq!(turn(&[]).await, 0, "other slots are others'");
    assert_eq!(turn(&slots()).await, 1);
    assert_eq!(turn(&slots()).await, 0, "once");
    let told = world.mailbox().await.into_iter().find(|mail| mail.kind == Kind::Delayed).expect("a mail");
    assert_eq!(told.order, id("late"));
}
