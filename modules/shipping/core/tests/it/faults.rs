//! The carrier times out though it did it, answers twice, in garbage, refuses, or is down or forgetful: each
//! effect happens once.

use std::time::Duration;

use banyan_kernel::Answer;
use shipping_api::{
    Shipping,
    testing::{UnderTest, ask_until_settled, book, cancel, order},
};

use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One parcel booked and given up. Tells whether the booking was asked again.
async fn a_life(world: &World) -> bool {
    let order = order("life");
    let booked = ask_until_settled(world, || world.shipping.book(vec![book(order, 1)])).await;
    let undone = ask_until_settled(world, || world.shipping.cancel(vec![cancel(order, 1)])).await;
    assert!(matches!(undone, Answer::Done(_)), "{undone:?}");
    assert_eq!(world.book(order).await, ["shipment_booked", "shipment_cancelled"]);
    assert_eq!(world.told_of(order).await, ["ShipmentBooked 1", "ShipmentCancelled 2"]);
    match booked {
        Answer::Done(reply) => reply.asked_again,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn timed_out_though_done() {
    assert!(a_life(&World::of_profile("book.timeout=100%,cancel.timeout=100%").await).await);
}

#[tokio::test]
async fn answered_in_garbage() {
    assert!(a_life(&World::of_profile("book.garbage=100%,cancel.garbage=100%").await).await);
}

#[tokio::test]
async fn done_twice_at_once() {
    let twice = |config: &mut banyan_sandbox::Config| {
        config.profile = "book.twice=100%,cancel.twice=100%".parse().expect("a profile");
    };
    assert!(!a_life(&World::with(twice, |_| ()).await).await);
}

#[tokio::test]
async fn down_half_of_the_time() {
    a_life(&World::of_profile("book.down=50%,cancel.down=50%").await).await;
}

#[tokio::test]
async fn refused_once_and_for_all() {
    let world = World::of_profile("book.refuse=100%").await;
    let order = order("refused");
    for _ in 0..2 {
        let refused = ask_until_settled(&world, || world.shipping.book(vec![book(order, 1)])).await;
        assert!(
            matches!(&refused, Answer::Rejected(refusal) if refusal.code == "undeliverable"),
            "{refused:?}"
        );
    }
    assert!(matches!(world.shipping.cancel(vec![cancel(order, 1)]).await[..], [Answer::Done(_)]));
    assert_eq!(world.book(order).await, ["shipment_refused"]);
}

#[tokio::test]
async fn what_was_done_is_adopted_after_the_key_was_forgotten() {
    let forgets = |config: &mut banyan_sandbox::Config| {
        config.key_memory = Duration::from_millis(1);
        config.profile = "book.timeout=100%,cancel.timeout=100%".parse().expect("a profile");
    };
    let world = World::with(forgets, |callee| callee.time_out = Duration::from_millis(100)).await;
    let order = order("forgotten");
    assert_eq!(world.shipping.book(vec![book(order, 1)]).await, [Answer::Pending]);
    world.pass(DAY);
    let booked = ask_until_settled(&world, || world.shipping.book(vec![book(order, 1)])).await;
    assert!(matches!(&booked, Answer::Done(reply) if reply.asked_again), "{booked:?}");
    assert_eq!(world.shipping.cancel(vec![cancel(order, 1)]).await, [Answer::Pending]);
    world.pass(DAY);
    ask_until_settled(&world, || world.shipping.cancel(vec![cancel(order, 1)])).await;
    assert_eq!(world.book(order).await, ["shipment_booked", "shipment_cancelled"]);
}

#[tokio::test]
async fn what_was_certainly_not_done_is_sent_again_under_a_recorded_key() {
    let world = World::new().await;
    world.sandbox.down().await;
    let order = order("not-done");
    assert_eq!(world.shipping.book(vec![book(order, 1)]).await, [Answer::Pending]);
    world.sandbox.mend().await;
    world.pass(DAY);
    let booked = ask_until_settled(&world, || world.shipping.book(vec![book(order, 1)])).await;
    assert!(matches!(booked, Answer::Done(_)), "{booked:?}");
    let lines = world.sandbox.lines(order).await;
    let keys: Vec<_> = lines.iter().map(|line| line["key"].as_str().expect("a key")).collect();
    assert_eq!(keys, [format!("{order}/book/1/again-1")]);
}
