//! The epoch of a module is raised while orders flow, as a move or a restore does.

use std::{sync::Arc, time::Duration};

use banyan_kernel::SystemClock;
use banyan_lab::stage::{ShopClient, ShopOptions, Stage, Wish, until};
use banyan_store::{Store, role_of, sqlx};

const RAISES: i64 = 4;
const ORDERS: usize = 240;
const SETTLE: Duration = Duration::from_secs(90);
const SKUS: [&str; 4] = ["APPLE", "PEAR", "PLUM", "FIG"];

const PLACED: &str = "select count(*) from orders.orders";
/// In how many incarnations events were told.
const TOLD_IN: &str = "select (select count(distinct epoch) from orders.order_event), \
     (select count(distinct epoch) from inventory.outbox)";
/// Slots of orders' listeners that do not stand in orders' last incarnation.
const BEHIND: &str = "select count(*) from ( \
     select source_epoch from inventory.slot where group_name like '%orders%' union all \
     select source_epoch from shipping.slot where group_name like '%orders%') s \
     where source_epoch < (select epoch from orders.fence)";

fn store(shop: &ShopClient, module: &'static str) -> Store {
    let options = shop.superuser().username(&role_of(module));
    Store::new(options, module, 1, Arc::new(SystemClock))
}

/// A writer may hold it off for longer than a role waits for a lock.
async fn raise(store: &Store) -> i64 {
    until(SETTLE, "the fence to be had", async || store.fence().raise().await.ok()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn raised_under_load_nothing_is_lost_doubled_or_out_of_order() {
    let stage = Stage::new();
    let shop = stage.shop("shop", ShopOptions::default()).await;
    let pool = shop.superuser_pool();
    shop.stock(&SKUS, 1_000).await;
    let wish = |n: usize| Wish::of(&format!("customer {}", n % 8), &format!("order-{n}"), &SKUS);
    let (client, wishes) = (shop.client(), (0..ORDERS).map(wish).collect());
    let flow = tokio::spawn(async move { client.place_all(wishes, 12).await });
    let modules = [store(&shop, "orders"), store(&shop, "inventory")];
    for n in 1..=RAISES {
        let due = ORDERS as i64 * n / (RAISES + 2);
        until(SETTLE, "orders to flow", async || {
            let placed: i64 = sqlx::query_scalar(PLACED).fetch_one(&pool).await.ok()?;
            (placed >= due).then_some(())
        })
        .await;
        for module in &modules {
            println!("{} is now in epoch {}", module.schema(), raise(module).await);
        }
    }
    let orders = flow.await.unwrap();
    let ended = shop.settled(&orders, SETTLE).await.unwrap();
    assert!(ended.values().all(|order| order["state"] == "shipped"), "{ended:?}");
    let audit = shop.clean_audit(SETTLE).await;
    assert_eq!(audit["settled"], ORDERS, "{audit}");
    let told_in: (i64, i64) = sqlx::query_as(TOLD_IN).fetch_one(&pool).await.unwrap();
    assert!(told_in.0 > 2 && told_in.1 > 2, "events were told in several epochs: {told_in:?}");
    until(SETTLE, "consumers to stand in the last epoch", async || {
        let behind: i64 = sqlx::query_scalar(BEHIND).fetch_one(&pool).await.ok()?;
        (behind == 0).then_some(())
    })
    .await;
    check_dead_letters(&shop).await;
}

/// Nobody gave an event up.
async fn check_dead_letters(shop: &ShopClient) {
    let (_, groups) = shop.operate(reqwest::Method::GET, "/admin/groups", None).await;
    for (name, group) in groups.as_object().expect("groups") {
        assert_eq!((&group["poisoned"], &group["queued"]), (&0.into(), &0.into()), "{name}: {group}");
        let heard = ["applied", "skipped"].iter().filter_map(|what| group[what].as_u64()).sum::<u64>();
        assert!(heard > 0, "{name}: {group}");
    }
}
