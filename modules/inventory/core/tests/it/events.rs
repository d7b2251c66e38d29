//! What is told: once each, without a gap, in the order of commits.

use std::time::Duration;

use banyan_kernel::{SLOTS, slot_of};
use banyan_store::StoreError;
use inventory_api::{
    Inventory,
    testing::{confirm, context, order, receipt, release, reserve},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// The events of one order, as `kind sequence`.
async fn told_of(world: &World, name: &str) -> Vec<String> {
    let subject = order(name).to_string();
    let told = world.told().await.into_iter().filter(|(_, of, _)| *of == subject);
    told.map(|(kind, _, sequence)| format!("{kind} {sequence}")).collect()
}

#[tokio::test]
async fn an_order_tells_without_a_gap_and_repeats_tell_nothing() {
    let world = World::new().await;
    let (port, now) = (&world.inventory, world.now());
    port.receive(context(), vec![receipt("in", &[("A", 2)])]).await;
    let ask = |attempt| vec![reserve(order("a"), attempt, &[("A", 2)], now)];
    for attempt in [1, 1, 2, 2] {
        port.reserve(ask(attempt)).await;
        port.reserve(ask(attempt)).await;
        port.confirm(vec![confirm(order("a")), confirm(order("a"))]).await;
        port.release(vec![release(order("a"), attempt), release(order("a"), attempt)]).await;
    }
    let expected =
        ["InventoryReserved 1", "InventoryReleased 2", "InventoryReserved 3", "InventoryReleased 4"];
    assert_eq!(told_of(&world, "a").await, expected);
}

#[tokio::test]
async fn refusals_and_tombstones_tell_nothing() {
    let world = World::new().await;
    let now = world.now();
    world.inventory.reserve(vec![reserve(order("refused"), 1, &[("A", 1)], now)]).await;
    world.inventory.release(vec![release(order("tombstone"), 1)]).await;
    assert_eq!(world.told().await, []);
}

#[tokio::test]
async fn an_expired_hold_is_released_once_whoever_finds_it() {
    let world = World::new().await;
    let now = world.now();
    world.inventory.receive(context(), vec![receipt("in", &[("A", 2)])]).await;
    let ask = |name| reserve(order(name), 1, &[("A", 1)], now);
    world.inventory.reserve(vec![ask("found"), ask("confirmed")]).await;
    world.clock.advance_micros(60_000_000);
    world.inventory.confirm(vec![confirm(order("confirmed"))]).await;
    let turns = tokio::join!(world.expire_once(), world.expire_once());
    assert_eq!(
        turns.0 + turns.1 + world.expire_once().await,
        1,
        "the other was released by its confirmation"
    );
    for name in ["found", "confirmed"] {
        assert_eq!(told_of(&world, name).await, ["InventoryReserved 1", "InventoryReleased 2"], "{name}");
    }
}

#[tokio::test]
async fn a_reconciler_works_on_its_own_slots_alone() -> Result<(), StoreError> {
    let world = World::new().await;
    let now = world.now();
    world.inventory.receive(context(), vec![receipt("in", &[("A", 100)])]).await;
    let names: Vec<String> = (0..40).map(|n| format!("slot-{n}")).collect();
    let ask = names.iter().map(|name| reserve(order(name), 1, &[("A", 1)], now)).collect();
    world.inventory.reserve(ask).await;
    world.clock.advance_micros(60_000_000);
    let mine = |name: &&String| slot_of(&order(name).to_string()) < 3;
    assert_eq!(world.reconciler.turn(&[]).await?, 0);
    assert_eq!(world.reconciler.turn(&[0, 1, 2]).await?, names.iter().filter(mine).count());
    let rest: Vec<u16> = (3..SLOTS).collect();
    assert_eq!(world.reconciler.turn(&rest).await?, names.iter().filter(|name| !mine(name)).count());
    Ok(())
}

#[tokio::test]
async fn the_reconciler_runs_until_it_is_stopped() {
    let World { inventory, clock, reconciler, store, .. } = World::new().await;
    let held = (0..SLOTS).map(|slot| {
        (
            slot,
            banyan_store::Held {
                slot,
                epoch: 1,
                position: banyan_store::Position::START,
                carried: None,
                abandoned: None,
            },
        )
    });
    let (_slots, held) = watch::channel(held.collect());
    let stop = CancellationToken::new();
    let mut committed = store.signal().listen();
    inventory.receive(context(), vec![receipt("in", &[("A", 1)])]).await;
    inventory.reserve(vec![reserve(order("a"), 1, &[("A", 1)], banyan_kernel::Clock::now(&*clock))]).await;
    clock.advance_micros(60_000_000);
    committed.mark_unchanged();
    let running = tokio::spawn(reconciler.run(held, stop.clone()));
    tokio::time::timeout(Duration::from_secs(10), committed.changed())
        .await
        .expect("released")
        .expect("open");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("stopped").expect("no panic");
    assert_eq!(inventory.stock_violations().await.expect("violations"), []);
}
