//! A slow call stalls nobody: not its batch, not the pool, not the asker who went away.

use std::time::Duration;

use banyan_kernel::Answer;
use futures::FutureExt;
use payments_api::{
    Payments,
    testing::{UnderTest, authorise, order, void},
};
use payments_core::GatewayConfig;

use crate::world::{SECRET, World, store};

#[tokio::test]
async fn one_slow_call_does_not_stall_a_batch_of_fifty() {
    let slow = |config: &mut banyan_sandbox::Config| config.slow_ms = 4_000;
    let world = World::with(slow, |callee| {
        (callee.time_out, callee.soft_wait) = (Duration::from_secs(20), Duration::from_secs(2));
    });
    let world = world.await;
    let method = |n| if n == 7 { "pm_sandbox_slow" } else { "pm_card_visa" };
    let batch: Vec<_> = (0..50).map(|n| authorise(order(&format!("slow-{n}")), 1, method(n))).collect();
    let answers = world.payments.authorise(batch).await;
    let slow = order("slow-7");
    assert!(world.book(slow).await.is_empty(), "the others were answered before it was done");
    for (n, answer) in answers.iter().enumerate() {
        let fits = if n == 7 { *answer == Answer::Pending } else { matches!(answer, Answer::Done(_)) };
        assert!(fits, "item {n}: {answer:?}");
    }
    // Nobody asks again: the call that goes on commits its outcome by itself.
    world.until(slow, "authorised").await;
    assert_eq!(world.column(slow, "tries").await.as_deref(), Some("1"));
    assert_eq!(world.book(slow).await, ["authorised"]);
}

/// One connection, and a gateway that hangs: another command goes on, so no transaction is open meanwhile.
#[tokio::test]
async fn no_transaction_is_open_during_a_call() {
    let world = World::with(|_| (), |_| ()).await;
    let mut config = GatewayConfig::new(world.sandbox.url(), SECRET);
    config.time_out = Duration::from_secs(20);
    config.soft_wait = Duration::from_secs(20);
    let narrow = payments_core::Payments::new(store(&world.database, 1, world.clock.clone()), config);
    let (hanging, other) = (order("hanging"), order("other"));
    let asker = narrow.clone();
    let asked =
        tokio::spawn(async move { asker.authorise(vec![authorise(hanging, 1, "pm_sandbox_timeout")]).await });
    while world.book(hanging).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let undone = tokio::time::timeout(Duration::from_secs(2), narrow.void(vec![void(other, 1)])).await;
    assert!(matches!(undone.expect("the connection is free")[..], [Answer::Done(_)]));
    let open = "select count(*) from pg_stat_activity where datname = current_database() and xact_start is not null \
         and pid <> pg_backend_pid()";
    let open: i64 = sqlx::query_scalar(open).fetch_one(world.store.pool()).await.expect("a count");
    assert_eq!(open, 0);
    assert!(!asked.is_finished());
    asked.abort();
}

/// Who asked has gone after the first step; what was asked is done all the same.
#[tokio::test]
async fn a_disconnect_cancels_nothing() {
    let world = World::new().await;
    let order = order("gone");
    let asked = world.payments.authorise(vec![authorise(order, 1, "pm_card_visa")]).now_or_never();
    assert_eq!(asked, None, "it was dropped on its way");
    world.until(order, "authorised").await;
    assert_eq!(world.book(order).await, ["authorised"]);
}
