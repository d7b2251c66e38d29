//! What PostgreSQL refuses, or nobody can believe, is its own trouble alone.

use std::sync::Arc;

use banyan_kernel::{Answer, OrderId, SLOTS};
use inventory_api::testing::FakeInventory;
use orders_api::{OrderState, Orders, PlaceOrder};
use orders_core::{
    DriveConfig, Driver, OrderEvent, Ports, Step,
    log::{Kept, OrderLog, Save},
};
use payments_api::testing::FakePayments;

use crate::{
    log_suite::{done, load, slots, with},
    world::{World, context, id, place},
};

const BATCH: usize = 50;
const GUILTY: usize = 13;

/// PostgreSQL takes no NUL in a text, wherever it comes from.
#[tokio::test]
async fn one_order_of_fifty_that_cannot_be_stored_is_told_so_and_the_rest_is_placed() {
    let world = World::new().await;
    let mut batch: Vec<PlaceOrder> = (0..BATCH).map(|n| place(&n.to_string())).collect();
    batch[GUILTY].payment_method = "pm\0card".to_owned();
    let answers = world.orders.place(batch).await;
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(matches!(answer, Answer::Broken(_)), at == GUILTY, "item {at}: {answer:?}");
        assert_eq!(matches!(answer, Answer::Done(_)), at != GUILTY, "item {at}: {answer:?}");
    }
    assert_eq!(world.count("select count(*) from orders").await, 49);
}

#[tokio::test]
async fn one_save_of_fifty_that_cannot_be_stored_is_refused_and_the_rest_is_kept() {
    let world = World::new().await;
    let mut batch = Vec::new();
    for n in 0..BATCH {
        let order = world.placed(&n.to_string()).await;
        let detail = if n == GUILTY { "gar\0bage" } else { "no" }.to_owned();
        let refused =
            OrderEvent::StepRefused { step: Step::Reserve, attempt: 1, code: "no".to_owned(), detail };
        batch.push(with(&load(&world.log, order).await, refused, world.now()));
    }
    let kept = world.log.save(&batch).await.expect("saved");
    for (at, kept) in kept.iter().enumerate() {
        assert_eq!(matches!(kept, Kept::Refused(_)), at == GUILTY, "item {at}: {kept:?}");
        assert_eq!(*kept == Kept::Kept, at != GUILTY, "item {at}: {kept:?}");
    }
    assert_eq!(load(&world.log, id("13")).await.order.version, 1);
}

/// Inventory that does, payments that decline, and nobody is asked for a parcel.
fn driver(world: &World, batch: u16) -> Driver<orders_core::PostgresLog> {
    let inventory = Arc::new(FakeInventory::new(world.clock.clone()));
    let (payments, shipping) = (Arc::new(FakePayments::default()), Arc::new(Nobody));
    let ports = Ports { inventory, payments, shipping };
    let config = DriveConfig { batch, ..DriveConfig::default() };
    Driver::new(Arc::new(world.log.clone()), ports, world.clock.clone(), config)
}

struct Nobody;

#[async_trait::async_trait]
impl shipping_api::Shipping for Nobody {
    async fn book(
        &self,
        _: Vec<banyan_kernel::Command<shipping_api::BookShipment>>,
    ) -> Vec<Answer<shipping_api::ShipmentBookedReply>> {
        unreachable!("nothing is in stock")
    }
    async fn cancel(
        &self,
        batch: Vec<banyan_kernel::Command<shipping_api::CancelShipment>>,
    ) -> Vec<Answer<shipping_api::ShipmentCancelledReply>> {
        batch.iter().map(|_| Answer::Done(shipping_api::ShipmentCancelledReply {})).collect()
    }
}

async fn due(world: &World) -> Vec<OrderId> {
    world.log.due(&slots(), world.now(), &std::collections::HashSet::new(), 100).await.expect("due")
}

/// Found due again at once, it would keep the reconciler busy for ever, and fifty of them everybody else out.
#[tokio::test]
async fn an_order_whose_history_was_changed_is_put_off_and_keeps_nobody() {
    let world = World::new().await;
    let (changed, sound) = (world.placed("changed").await, world.placed("sound").await);
    let statement = "update orders.order_event set payload = payload || '{\"saga\": 9}' where order_id";
    world.plant(&format!("{statement} = '{changed}'")).await;
    driver(&world, 50).drive(&[changed, sound]).await.expect("driven");
    assert!(!due(&world).await.contains(&changed), "it is looked at again later");
    let why: (Option<String>, i32) = sqlx::query_as("select waiting, asked from orders where order_id = $1")
        .bind(changed.0)
        .fetch_one(world.store.pool())
        .await
        .expect("the row");
    assert!(why.0.is_some_and(|why| why.contains("history")) && why.1 == 1);
    let view = world.orders.view(vec![sound], None).await;
    assert!(matches!(view, Answer::Done(views) if views[0].state == OrderState::Cancelled));
    let view = world.orders.view(vec![changed], None).await;
    assert!(matches!(view, Answer::Broken(_)), "it is there: {view:?}");
    let stranger = Some(banyan_kernel::CustomerId(uuid::Uuid::from_u128(7)));
    for order in [changed, sound] {
        assert_eq!(world.orders.view(vec![order], stranger).await, Answer::Done(Vec::new()), "another's");
    }
    let Answer::Done(why) = world.orders.why(changed).await else { panic!("it is there") };
    assert!(why.state == OrderState::Stuck && why.cause.is_some_and(|cause| cause.contains("history")));
    world.clock.advance_micros(61_000_000);
    let Answer::Done(stuck) = world.orders.stuck().await else { panic!("a list") };
    assert_eq!(stuck.iter().map(|why| why.id).collect::<Vec<_>>(), [changed], "whoever looks finds it");
}

#[tokio::test]
async fn a_repeat_of_a_changed_order_is_broken_and_its_batch_is_placed() {
    let world = World::new().await;
    let changed = world.placed("changed").await;
    world
        .plant(&format!(
            "update orders.order_event set at = at + interval '1 day' where order_id = '{changed}'"
        ))
        .await;
    let answers = world.place_all(&["changed", "new"]).await;
    assert!(matches!(answers[..], [Answer::Broken(_), Answer::Done(_)]), "{answers:?}");
}

#[tokio::test]
async fn a_reason_that_cannot_be_stored_is_the_askers_trouble() {
    let world = World::new().await;
    let order = world.placed("a").await;
    let answer = world.orders.cancel(order, "\0".to_owned(), context(order)).await;
    assert!(matches!(answer, Answer::Broken(_)), "{answer:?}");
    assert_eq!(due(&world).await, [order], "the order goes on");
}

#[tokio::test]
async fn a_closed_module_and_a_database_that_is_away_are_unavailable() {
    let world = World::new().await;
    let order = world.placed("a").await;
    world.store.fence().close().await.expect("closed");
    assert!(matches!(world.place_all(&["b"]).await[..], [Answer::Unavailable(_)]));
    let cancelled = world.orders.cancel(order, "why".to_owned(), context(order)).await;
    assert!(matches!(cancelled, Answer::Unavailable(_)), "{cancelled:?}");
    world.store.fence().open().await.expect("open");
    world.placed("b").await;
    world.store.pool().close().await;
    assert!(matches!(world.place_all(&["c"]).await[..], [Answer::Unavailable(_)]));
}

/// A save in the old epoch's numbers is one of the new: xids do not travel, so the epoch leads.
#[tokio::test]
async fn what_is_written_says_in_which_incarnation() {
    let world = World::new().await;
    let order = world.placed("a").await;
    world.store.fence().raise().await.expect("raised");
    let save: Save = with(&load(&world.log, order).await, done(Step::Reserve), world.now());
    assert_eq!(world.log.save(&[save]).await.expect("saved"), [Kept::Kept]);
    let epochs: Vec<i64> = sqlx::query_scalar("select epoch from order_event order by version")
        .fetch_all(world.store.pool())
        .await
        .expect("epochs");
    assert_eq!(epochs, [1, 2]);
    assert!(slots().len() == usize::from(SLOTS));
}
