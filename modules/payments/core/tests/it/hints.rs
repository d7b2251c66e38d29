//! What the gateway tells of its own accord: a hint that makes a look-up due, and never more.

use std::time::Duration;

use banyan_kernel::{Answer, Json, OrderId, SLOTS};
use payments_api::{
    GatewayEvents, Heard, RefundView, Refunds, refusals,
    testing::{give_back as back, order},
};
use serde_json::json;

use crate::{
    give_back::{given, taken, taken_of},
    world::World,
};

/// As the gateway tells that money was given back; what else stands in it is of no consequence.
fn refunded(id: &str, order: OrderId) -> Json {
    let charge = json!({ "object": "charge", "metadata": { "order": order }, "amount_refunded": 1_299 });
    json!({ "id": id, "type": "charge.refunded", "data": { "object": charge } })
}

async fn hear(world: &World, event: &Json) -> Heard {
    match world.payments.hear(event.clone()).await {
        Answer::Done(heard) => heard,
        other => panic!("{event}: {other:?}"),
    }
}

/// Looks up what is due; tells how many.
async fn look(world: &World) -> usize {
    let all: Vec<u16> = (0..SLOTS).collect();
    world.payments.looks().turn(&all).await.expect("a turn")
}

async fn listed(world: &World, order: OrderId) -> Vec<RefundView> {
    let Answer::Done(refunds) = world.payments.refunds(order).await else { panic!("a list") };
    refunds
}

async fn reference(world: &World, order: OrderId) -> String {
    world.column(order, "reference").await.expect("a reference")
}

#[tokio::test]
async fn what_was_given_back_by_hand_is_recorded_once_however_it_is_told() {
    let world = World::new().await;
    let order = taken(&world, "by hand").await;
    let reference = reference(&world, order).await;
    given(&world, back(order, "ours", Some(100))).await;
    let id = world.sandbox.give_back(&reference, 300).await;
    assert_eq!(hear(&world, &refunded("evt_2", order)).await, Heard::Noted);
    assert_eq!(look(&world).await, 1);
    assert_eq!(hear(&world, &refunded("evt_2", order)).await, Heard::Ignored, "it comes twice");
    assert_eq!(look(&world).await, 0);
    assert_eq!(hear(&world, &refunded("evt_1", order)).await, Heard::Noted, "an earlier one comes late");
    assert_eq!(look(&world).await, 1);
    world.sandbox.give_back(&reference, 20).await;
    world.sandbox.give_back(&reference, 3).await;
    hear(&world, &refunded("evt_4", order)).await;
    assert_eq!(look(&world).await, 1, "the event of the other one never comes");
    let refunds = listed(&world, order).await;
    assert_eq!(refunds.iter().map(|refund| refund.amount.minor).collect::<Vec<_>>(), [100, 300, 3, 20]);
    assert_eq!(refunds[1].actor, "system:gateway");
    let told = world.told_of(order).await;
    assert_eq!(told[2..], [3, 4, 5, 6].map(|n| format!("PaymentRefunded {n}")));
    world.balances().await;
    let more = given(&world, back(order, "more", Some(1_000))).await;
    assert!(matches!(more, Answer::Rejected(why) if why.code == refusals::MORE_THAN_TAKEN), "{id} counts");
    assert!(
        matches!(given(&world, back(order, "rest", None)).await, Answer::Done(rest) if rest.amount.minor == 876)
    );
    world.balances().await;
}

#[tokio::test]
async fn after_a_restore_every_payment_that_was_taken_is_looked_up() {
    let world = World::new().await;
    let [known, unknown] = [taken(&world, "restored-1").await, taken(&world, "restored-2").await];
    // Since the copy was made, and nobody tells of it again.
    world.sandbox.give_back(&reference(&world, unknown).await, 300).await;
    assert_eq!(world.payments.look_at_all().await, Answer::Done(2));
    assert_eq!(look(&world).await, 2);
    assert_eq!(listed(&world, known).await, []);
    assert_eq!(listed(&world, unknown).await.iter().map(|refund| refund.amount.minor).sum::<i64>(), 300);
    world.balances().await;
}

#[tokio::test]
async fn what_an_event_says_is_not_believed() {
    let world = World::new().await;
    let order = taken(&world, "untrue").await;
    assert_eq!(hear(&world, &refunded("evt_1", order)).await, Heard::Noted);
    assert_eq!(look(&world).await, 1);
    assert_eq!(listed(&world, order).await, []);
    assert_eq!(world.told_of(order).await.len(), 2);
    world.balances().await;
}

#[tokio::test]
async fn an_event_without_an_order_is_of_the_payment_that_the_gateway_says() {
    let world = World::new().await;
    let order = taken(&world, "whose").await;
    let reference = reference(&world, order).await;
    let refund = |id: &str, of: &str| {
        let refund = json!({ "object": "refund", "payment_intent": of });
        json!({ "id": id, "type": "refund.created", "data": { "object": refund } })
    };
    assert_eq!(hear(&world, &refund("evt_1", &reference)).await, Heard::Noted);
    assert_eq!(hear(&world, &refund("evt_2", "pi_unknown")).await, Heard::Ignored);
    assert_eq!(hear(&world, &refund("evt_2", "../v1/refunds")).await, Heard::Ignored, "no id");
    world.sandbox.down().await;
    let answer = world.payments.hear(refund("evt_3", &reference)).await;
    assert!(matches!(answer, Answer::Unavailable(_)), "it is sent again: {answer:?}");
}

#[tokio::test]
async fn what_is_no_event_or_of_nobody_changes_nothing() {
    let world = World::new().await;
    let order = taken(&world, "other").await;
    let mut other = refunded("evt_1", order);
    other["type"] = json!("customer.created");
    assert_eq!(hear(&world, &other).await, Heard::Ignored);
    assert_eq!(hear(&world, &refunded("evt_1", self::order("nobody"))).await, Heard::Ignored);
    for event in [
        json!(null),
        json!({ "type": "charge.refunded" }),
        json!({ "id": "evt 1", "type": "x" }),
        json!({ "id": "evt_1" }),
    ] {
        let answer = world.payments.hear(event.clone()).await;
        assert!(
            matches!(&answer, Answer::Rejected(why) if why.code == refusals::INVALID_EVENT),
            "{event}: {answer:?}"
        );
    }
    assert_eq!(look(&world).await, 0);
}

/// A refund of ours whose answer was lost is on the gateway's list as well: it is told apart, and the look-up waits for it.
#[tokio::test]
async fn ours_under_way_and_theirs_by_hand_are_told_apart() {
    let world = World::of_profile("refund.timeout=100%").await;
    let order = taken(&world, "apart").await;
    let reference = reference(&world, order).await;
    assert_eq!(world.payments.give_back(vec![back(order, "a", Some(300))]).await, [Answer::Pending]);
    hear(&world, &refunded("evt_1", order)).await;
    assert_eq!(look(&world).await, 1);
    assert_eq!(listed(&world, order).await.len(), 1, "not before ours is settled");
    given(&world, back(order, "a", Some(300))).await;
    world.sandbox.give_back(&reference, 50).await;
    world.pass(Duration::from_secs(7));
    assert_eq!(look(&world).await, 1);
    let refunds = listed(&world, order).await;
    assert_eq!(refunds.iter().map(|refund| refund.amount.minor).collect::<Vec<_>>(), [300, 50]);
    world.balances().await;
}

/// As the gateway tells that a payment is disputed: without metadata.
fn disputed(id: &str, reference: &str) -> Json {
    let dispute = json!({ "object": "dispute", "payment_intent": reference, "status": "lost" });
    json!({ "id": id, "type": "charge.dispute.created", "data": { "object": dispute } })
}

#[tokio::test]
async fn a_dispute_is_recorded_as_the_gateway_says_it_stands_and_told_when_that_changes() {
    let world = World::new().await;
    let order = taken_of(&world, "disputed", "pm_card_createDispute").await;
    let reference = reference(&world, order).await;
    let standing = async || {
        let Answer::Done(disputes) = world.payments.disputes(order).await else { panic!("a list") };
        disputes.into_iter().map(|one| (one.amount.minor, one.reason, one.status)).collect::<Vec<_>>()
    };
    for event in ["evt_1", "evt_2"] {
        assert_eq!(hear(&world, &disputed(event, &reference)).await, Heard::Noted);
        assert_eq!(look(&world).await, 1);
        let open = (1_299, "fraudulent".to_owned(), "needs_response".to_owned());
        assert_eq!(standing().await, [open], "not as the event says");
        assert_eq!(world.told_of(order).await[2..], ["PaymentDisputed 3"]);
    }
    sqlx::query("update dispute set status = 'warning'")
        .execute(world.store.pool())
        .await
        .expect("it stood so");
    hear(&world, &disputed("evt_3", &reference)).await;
    look(&world).await;
    assert_eq!(standing().await[0].2, "needs_response");
    assert_eq!(world.told_of(order).await[2..], ["PaymentDisputed 3", "PaymentDisputed 4"]);
    assert!(matches!(given(&world, back(order, "a", Some(1))).await, Answer::Done(_)), "the count goes on");
    assert_eq!(world.told_of(order).await[4..], ["PaymentRefunded 5"]);
    world.balances().await;
}
