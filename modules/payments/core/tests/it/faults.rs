//! The gateway times out though it did it, answers late, twice, in garbage, or is down: each effect happens once.

use std::time::Duration;

use banyan_kernel::{Answer, OrderId};
use banyan_net::call::Credential;
use payments_api::{
    Payments,
    testing::{UnderTest, ask_until_settled, authorise, capture, order, refund, void},
};
use payments_core::GatewayConfig;

use crate::world::{World, store};

const GOOD: &str = "pm_card_visa";

/// One payment held and let go, one held, taken and given back. Tells whether each do was asked again.
async fn two_lives(world: &World) -> (bool, bool) {
    let (one, other) = (order("let-go"), order("taken"));
    let held = ask_until_settled(world, || world.payments.authorise(vec![authorise(one, 1, GOOD)])).await;
    let undone = ask_until_settled(world, || world.payments.void(vec![void(one, 1)])).await;
    assert!(matches!(undone, Answer::Done(_)), "{undone:?}");
    ask_until_settled(world, || world.payments.authorise(vec![authorise(other, 1, GOOD)])).await;
    let taken = ask_until_settled(world, || world.payments.capture(vec![capture(other, 1)])).await;
    let back = ask_until_settled(world, || world.payments.refund(vec![refund(other, 1)])).await;
    assert!(matches!(back, Answer::Done(_)), "{back:?}");
    assert_eq!(world.book(one).await, ["authorised", "cancelled"]);
    assert_eq!(world.book(other).await, ["authorised", "captured", "refunded"]);
    assert_eq!(world.told_of(one).await, ["PaymentAuthorised 1", "PaymentVoided 2"]);
    assert_eq!(world.told_of(other).await, ["PaymentAuthorised 1", "PaymentCaptured 2", "PaymentRefunded 3"]);
    world.balances().await;
    match (held, taken) {
        (Answer::Done(held), Answer::Done(taken)) => (held.asked_again, taken.asked_again),
        other => panic!("{other:?}"),
    }
}

fn at_each_step(fault: &str) -> String {
    ["authorise", "capture", "void", "refund"].map(|step| format!("{step}.{fault}")).join(",")
}

#[tokio::test]
async fn timed_out_though_done() {
    let world = World::of_profile(&at_each_step("timeout=100%")).await;
    assert_eq!(two_lives(&world).await, (true, true));
}

#[tokio::test]
async fn answered_in_garbage() {
    let world = World::of_profile(&at_each_step("garbage=100%")).await;
    assert_eq!(two_lives(&world).await, (true, true));
}

#[tokio::test]
async fn done_twice_at_once() {
    let profile = at_each_step("twice=100%");
    let world = World::with(|config| config.profile = profile.parse().expect("a profile"), |_| ()).await;
    assert_eq!(two_lives(&world).await, (false, false));
}

/// Later than the soft wait, sooner than the time-out: nobody has to ask again.
#[tokio::test]
async fn late_but_in_time() {
    let profile = at_each_step("late=100%");
    let late = |config: &mut banyan_sandbox::Config| {
        (config.late_ms, config.profile) = (60, profile.parse().expect("a profile"));
    };
    let world = World::with(late, |callee| callee.soft_wait = Duration::from_millis(10)).await;
    let order = order("late");
    let asked = world.payments.authorise(vec![authorise(order, 1, GOOD)]).await;
    assert_eq!(asked, [Answer::Pending]);
    world.until(order, "authorised").await;
    let repeated = world.payments.authorise(vec![authorise(order, 1, GOOD)]).await;
    assert!(matches!(&repeated[..], [Answer::Done(reply)] if !reply.asked_again), "{repeated:?}");
    assert_eq!(world.book(order).await, ["authorised"]);
}

#[tokio::test]
async fn down_half_of_the_time() {
    let world = World::of_profile(&at_each_step("down=50%")).await;
    two_lives(&world).await;
}

/// A gateway that has been away opens the breaker: what needs it is `Unavailable`, and nothing is written.
#[tokio::test]
async fn down_for_a_while() {
    let world = World::new().await;
    world.sandbox.down().await;
    let batch: Vec<_> = (0..30).map(|n| authorise(order(&format!("down-{n}")), 1, GOOD)).collect();
    assert!(world.payments.authorise(batch.clone()).await.iter().all(|answer| *answer == Answer::Pending));
    let late = order("down-late");
    let refused = world.payments.authorise(vec![authorise(late, 1, GOOD)]).await;
    assert!(matches!(refused[..], [Answer::Unavailable(_)]), "{refused:?}");
    assert_eq!(world.column(late, "state").await, None);
    let undone = world.payments.void(vec![void(late, 1)]).await;
    assert!(matches!(undone[..], [Answer::Done(_)]), "an undo of nothing needs no gateway");
    world.sandbox.mend().await;
    for command in batch {
        let settled = ask_until_settled(&world, || world.payments.authorise(vec![command.clone()])).await;
        assert!(matches!(settled, Answer::Done(_)), "{settled:?}");
        assert_eq!(world.book(command.id.order).await, ["authorised"]);
    }
}

/// With a wrong secret nothing is refused for good: somebody is woken, and it goes on once the secret is right.
#[tokio::test]
async fn not_let_in() {
    let world = World::with(|_| (), |callee| callee.credential = Credential::Secret("sk_wrong".into())).await;
    let order = order("not-let-in");
    let broken = world.payments.authorise(vec![authorise(order, 1, GOOD)]).await;
    assert!(matches!(&broken[..], [Answer::Broken(why)] if why.contains("secret") && !why.contains("sk_")));
    let mut config = GatewayConfig::new(world.sandbox.url(), crate::world::SECRET);
    (config.time_out, config.soft_wait) = (Duration::from_secs(10), Duration::from_secs(10));
    let right = payments_core::Payments::new(store(&world.database, 4, world.clock.clone()), config);
    world.pass(Duration::from_secs(20));
    let all: Vec<u16> = (0..banyan_kernel::SLOTS).collect();
    assert_eq!(right.intents().turn(&all).await.expect("a turn"), 1);
    assert!(matches!(right.authorise(vec![authorise(order, 1, GOOD)]).await[..], [Answer::Done(_)]));
}

/// The refusal comes when nobody waits for it any more: whoever asks again is told the same.
#[tokio::test]
async fn who_is_not_let_in_is_told_so_however_late() {
    let wrong = |callee: &mut GatewayConfig| {
        (callee.credential, callee.soft_wait) = (Credential::Secret("sk_wrong".into()), Duration::ZERO);
    };
    let world = World::with(|_| (), wrong).await;
    let command = authorise(order("refused-late"), 1, GOOD);
    let first = world.payments.authorise(vec![command.clone()]).await;
    assert_eq!(first, [Answer::Pending]);
    let told = async {
        loop {
            match world.payments.authorise(vec![command.clone()]).await.remove(0) {
                Answer::Pending => tokio::task::yield_now().await,
                told => return told,
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(60), told).await.expect("it is told");
    assert!(matches!(&told, Answer::Broken(why) if why.contains("check the secret")), "{told:?}");
}

/// What a clock that jumped wrote for next year is due now.
#[tokio::test]
async fn a_next_try_out_of_reach_is_due_now() {
    let world = World::of_profile("authorise.timeout=100%").await;
    let order: OrderId = order("next-year");
    assert_eq!(world.payments.authorise(vec![authorise(order, 1, GOOD)]).await, [Answer::Pending]);
    world.until(order, "authorising").await;
    world.pass(Duration::from_secs(1_000));
    let far = "update payment set next_try_at = next_try_at + interval '1 year'";
    sqlx::query(far).execute(world.store.pool()).await.expect("moved");
    assert_eq!(world.turn().await, 1);
    let held = ask_until_settled(&world, || world.payments.authorise(vec![authorise(order, 1, GOOD)])).await;
    assert!(matches!(held, Answer::Done(_)), "{held:?}");
}
