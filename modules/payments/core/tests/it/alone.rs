//! The reconciler by itself, on the machine's clock: nobody asks, and yet it ends.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_kernel::{Answer, SLOTS, SystemClock};
use banyan_store::{Held, Position};
use payments_api::{
    Payments,
    testing::{UnderTest, authorise, order},
};
use payments_core::GatewayConfig;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::world::{SECRET, World, store};

#[tokio::test]
async fn what_timed_out_is_settled_without_anybody_asking_and_stop_ends_it() {
    let world = World::of_profile("authorise.timeout=100%").await;
    let config = GatewayConfig {
        time_out: Duration::from_millis(100),
        ..GatewayConfig::new(world.sandbox.url(), SECRET)
    };
    let payments = payments_core::Payments::new(store(&world.database, 4, Arc::new(SystemClock)), config);
    let slots = (0..SLOTS).map(|slot| {
        (slot, Held { slot, epoch: 1, position: Position::START, carried: None, abandoned: None })
    });
    let (_held, holding) = watch::channel(slots.collect::<BTreeMap<_, _>>());
    let stop = CancellationToken::new();
    let running = tokio::spawn(payments.intents().run(holding, stop.clone()));
    let orders: Vec<_> = (0..20).map(|n| order(&format!("alone-{n}"))).collect();
    let batch = orders.iter().map(|order| authorise(*order, 1, "pm_card_visa")).collect();
    let asked = payments.authorise(batch).await;
    assert!(asked.iter().all(|answer| *answer == Answer::Pending), "{asked:?}");
    for order in orders {
        world.until(order, "authorised").await;
        assert_eq!(world.book(order).await, ["authorised"]);
    }
    stop.cancel();
    running.await.expect("it ends");
}
