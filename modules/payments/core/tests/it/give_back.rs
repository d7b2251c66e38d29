//! Money given back by staff: in parts, each once, and never more than was taken.

use std::time::Duration;

use banyan_kernel::{Answer, Command, OrderId};
use payments_api::{
    GiveBack, Payments, RefundState, RefundView, Refunds, refusals,
    testing::{UnderTest, ask_until_settled, authorise, capture, give_back as back, order},
};

use crate::world::World;

/// 12.99 were taken.
pub(crate) async fn taken(world: &World, name: &str) -> OrderId {
    taken_of(world, name, "pm_card_visa").await
}

pub(crate) async fn taken_of(world: &World, name: &str, card: &str) -> OrderId {
    let order = order(name);
    ask_until_settled(world, || world.payments.authorise(vec![authorise(order, 1, card)])).await;
    ask_until_settled(world, || world.payments.capture(vec![capture(order, 1)])).await;
    order
}

/// Asks again, with what is due asked for in between.
pub(crate) async fn given(world: &World, wish: Command<GiveBack>) -> Answer<RefundView> {
    ask_until_settled(world, || world.payments.give_back(vec![wish.clone()])).await
}

fn done(answer: Answer<RefundView>) -> (u32, i64) {
    match answer {
        Answer::Done(refund) => {
            assert_eq!((refund.state, refund.actor.as_str()), (RefundState::Done, "staff:bob"));
            (refund.n, refund.amount.minor)
        }
        other => panic!("{other:?}"),
    }
}

fn refused(answer: Answer<RefundView>) -> String {
    match answer {
        Answer::Rejected(refusal) => refusal.code.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn in_parts_each_once_and_never_more_than_was_taken() {
    let world = World::new().await;
    let order = taken(&world, "parts").await;
    assert_eq!(done(given(&world, back(order, "a", Some(300))).await), (1, 300));
    assert_eq!(
        done(given(&world, back(order, "a", Some(300))).await),
        (1, 300),
        "a repeat is the first answer"
    );
    assert_eq!(refused(given(&world, back(order, "a", Some(301))).await), refusals::KEY_REUSED);
    assert_eq!(refused(given(&world, back(order, "b", Some(1_000))).await), refusals::MORE_THAN_TAKEN);
    assert_eq!(
        done(given(&world, back(order, "b", Some(500))).await),
        (2, 500),
        "a refusal of ours is no refund"
    );
    assert_eq!(done(given(&world, back(order, "c", None)).await), (3, 499), "all that is left");
    assert_eq!(refused(given(&world, back(order, "d", None)).await), refusals::MORE_THAN_TAKEN);
    assert_eq!(done(given(&world, back(order, "a", Some(300))).await), (1, 300), "whatever came after it");
    assert_eq!(world.book(order).await, ["authorised", "captured", "refunded", "refunded", "refunded"]);
    let told = world.told_of(order).await;
    assert_eq!(told[2..], ["PaymentRefunded 3", "PaymentRefunded 4", "PaymentRefunded 5"]);
    world.balances().await;
    let Answer::Done(all) = world.payments.refunds(order).await else { panic!("a list") };
    assert_eq!(all.iter().map(|refund| refund.amount.minor).sum::<i64>(), 1_299);
    assert!(all.iter().all(|refund| refund.at.is_some()));
}

#[tokio::test]
async fn whatever_goes_wrong_at_the_gateway_each_is_given_back_once() {
    for profile in ["refund.timeout=100%", "refund.garbage=100%", "refund.twice=100%", "refund.down=50%"] {
        let world = World::of_profile(profile).await;
        let order = taken(&world, "faults").await;
        assert_eq!(done(given(&world, back(order, "a", Some(300))).await), (1, 300), "{profile}");
        assert_eq!(done(given(&world, back(order, "b", Some(200))).await), (2, 200), "{profile}");
        assert_eq!(world.book(order).await, ["authorised", "captured", "refunded", "refunded"], "{profile}");
        world.balances().await;
    }
}

/// Past what the gateway remembers, its list of refunds tells: by step and number, not by amount.
#[tokio::test]
async fn a_key_that_the_gateway_forgot_is_looked_up_among_all_refunds() {
    let world = World::of_profile("refund.timeout=100%").await;
    let order = taken(&world, "forgotten").await;
    assert_eq!(done(given(&world, back(order, "a", Some(300))).await), (1, 300));
    let asked = world.payments.give_back(vec![back(order, "b", Some(300))]).await;
    assert_eq!(asked, [Answer::Pending]);
    world.pass(Duration::from_secs(40 * 3_600));
    assert_eq!(done(given(&world, back(order, "b", Some(300))).await), (2, 300));
    assert_eq!(world.book(order).await.len(), 4, "found, not sent again");
    world.balances().await;
}

#[tokio::test]
async fn two_at_once_for_the_last_of_it_do_not_give_back_more() {
    let world = World::new().await;
    let order = taken(&world, "race").await;
    let (one, other) = tokio::join!(
        given(&world, back(order, "a", Some(1_000))),
        given(&world, back(order, "b", Some(1_000)))
    );
    let won = [one, other].into_iter().filter(|answer| matches!(answer, Answer::Done(_))).count();
    assert_eq!(won, 1);
    assert_eq!(world.book(order).await, ["authorised", "captured", "refunded"]);
    world.balances().await;
}
