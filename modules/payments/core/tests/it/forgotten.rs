//! The gateway has forgotten the key: it is looked up by reference, never charged blindly.

use std::time::Duration;

use banyan_kernel::Answer;
use payments_api::{
    Payments,
    testing::{UnderTest, ask_until_settled, authorise, capture, order, refund, void},
};

use crate::world::World;

const GOOD: &str = "pm_card_visa";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A gateway that forgets keys at once; the module's clock jumps past the memory it was told of.
async fn forgetful(profile: &str) -> World {
    let sandbox = |config: &mut banyan_sandbox::Config| {
        config.key_memory = Duration::from_millis(1);
        config.profile = profile.parse().expect("a profile");
    };
    World::with(sandbox, |callee| callee.time_out = Duration::from_millis(100)).await
}

#[tokio::test]
async fn what_was_done_is_adopted_at_each_step() {
    let steps = ["authorise", "capture", "void", "refund"].map(|step| format!("{step}.timeout=100%"));
    let world = forgetful(&steps.join(",")).await;
    let (one, other) = (order("let-go"), order("taken"));
    for order in [one, other] {
        assert_eq!(world.payments.authorise(vec![authorise(order, 1, GOOD)]).await, [Answer::Pending]);
        world.pass(DAY);
        let held =
            ask_until_settled(&world, || world.payments.authorise(vec![authorise(order, 1, GOOD)])).await;
        assert!(matches!(&held, Answer::Done(reply) if reply.asked_again), "{held:?}");
    }
    assert_eq!(world.payments.void(vec![void(one, 1)]).await, [Answer::Pending]);
    assert_eq!(world.payments.capture(vec![capture(other, 1)]).await, [Answer::Pending]);
    world.pass(DAY);
    ask_until_settled(&world, || world.payments.void(vec![void(one, 1)])).await;
    ask_until_settled(&world, || world.payments.capture(vec![capture(other, 1)])).await;
    assert_eq!(world.payments.refund(vec![refund(other, 1)]).await, [Answer::Pending]);
    world.pass(DAY);
    ask_until_settled(&world, || world.payments.refund(vec![refund(other, 1)])).await;
    assert_eq!(world.book(one).await, ["authorised", "cancelled"]);
    assert_eq!(world.book(other).await, ["authorised", "captured", "refunded"]);
    world.balances().await;
}

#[tokio::test]
async fn what_was_certainly_not_done_is_sent_again_under_a_recorded_key() {
    let world = forgetful("none").await;
    world.sandbox.down().await;
    let order = order("not-done");
    assert_eq!(world.payments.authorise(vec![authorise(order, 1, GOOD)]).await, [Answer::Pending]);
    world.sandbox.mend().await;
    world.pass(DAY);
    let held = ask_until_settled(&world, || world.payments.authorise(vec![authorise(order, 1, GOOD)])).await;
    assert!(matches!(held, Answer::Done(_)), "{held:?}");
    let lines = world.sandbox.lines(order).await;
    let keys: Vec<_> = lines.iter().map(|line| line["key"].as_str().expect("a key")).collect();
    assert_eq!(keys, [format!("{order}/authorise/1/again-1")]);
}

/// Two charges are found: nobody can tell which is ours. It stops, says why, and goes on once one is gone.
#[tokio::test]
async fn what_cannot_be_told_is_broken_until_somebody_has_looked() {
    let world = forgetful("authorise.timeout=100%").await;
    let order = order("ambiguous");
    assert_eq!(world.payments.authorise(vec![authorise(order, 1, GOOD)]).await, [Answer::Pending]);
    world.sandbox.charge(order).await;
    world.pass(DAY);
    for _ in 0..2 {
        let broken =
            ask_until_settled(&world, || world.payments.authorise(vec![authorise(order, 1, GOOD)])).await;
        assert!(matches!(&broken, Answer::Broken(why) if why.contains("more than one")), "{broken:?}");
    }
    assert_eq!(world.column(order, "next_try_at").await, None, "nobody asks again by himself");
    let lines = world.sandbox.lines(order).await;
    let id = lines[1]["id"].as_str().expect("an intent");
    let cancel = format!("{}/v1/payment_intents/{id}/cancel", world.sandbox.url());
    let client = banyan_net::client().build().expect("a client");
    let by_hand = client.post(cancel).bearer_auth(crate::world::SECRET).send().await;
    assert!(by_hand.expect("an answer").status().is_success());
    let held = ask_until_settled(&world, || world.payments.authorise(vec![authorise(order, 2, GOOD)])).await;
    assert!(matches!(held, Answer::Done(_)), "{held:?}");
    let taken = ask_until_settled(&world, || world.payments.capture(vec![capture(order, 1)])).await;
    assert!(matches!(taken, Answer::Done(_)), "{taken:?}");
}
