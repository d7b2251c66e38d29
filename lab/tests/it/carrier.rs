//! The shop on Kafka, on a real broker: the carrier changes under load, and the broker is no longer what it was.

use std::{sync::Arc, time::Duration};

use banyan_kafka::testing::Broker;
use banyan_lab::stage::{Sample, Seed, ShopClient, ShopOptions, ShopProcess, Stage, Wish, until};
use banyan_store::sqlx::PgPool;
use reqwest::Method;
use serde_json::Value;

use crate::{
    kill::{RECORDED, Replay, check_each_basket, count},
    two_shops::frozen_and_killed,
};

const BASKETS: usize = 240;
/// Recorded events between two changes of the carrier; an order has about six.
const EVENTS: u64 = 300;
const PROGRESS: Duration = Duration::from_secs(180);

/// Of the groups of three modules: how many slots go on in a topic.
const ON_KAFKA: &str = "select count(*) from ( \
     select carrier_offset from inventory.slot where group_name = 'inventory.orders' union all \
     select carrier_offset from shipping.slot where group_name = 'shipping.orders' union all \
     select carrier_offset from notifications.slot where group_name = 'notifications.orders') s \
     where carrier_offset > 0";

/// Everybody who tells something to others.
const SOURCES: [&str; 6] = ["catalog", "inventory", "notifications", "orders", "payments", "shipping"];
const SKUS: [&str; 3] = ["APPLE", "PEAR", "PLUM"];
const SETTLE: Duration = Duration::from_secs(120);

/// A broker; none where there is no Java, and the test says so.
pub(crate) async fn broker() -> Option<Arc<Broker>> {
    let started = tokio::task::spawn_blocking(Broker::start).await.expect("a broker starts");
    started.map_err(|why| eprintln!("passed over: {why}")).ok().map(Arc::new)
}

fn local() -> ShopOptions {
    ShopOptions::args(&["--allow-faults", "--sandbox-faults", "everyday"])
}

fn on(broker: &Broker, options: ShopOptions) -> ShopOptions {
    let brokers = ("BANYAN_KAFKA".to_owned(), broker.cluster("").brokers);
    ShopOptions { env: vec![brokers], ..options }
}

async fn recorded(pool: &PgPool, at_least: u64) {
    until(PROGRESS, "the replay to go on", async || {
        count(pool, RECORDED).await.filter(|recorded| *recorded >= at_least)
    })
    .await;
}

/// Of all groups, since the process began.
async fn gaps(shop: &ShopClient) -> u64 {
    let (status, groups) = shop.operate(Method::GET, "/admin/groups", None).await;
    assert_eq!(status, 200, "{groups}");
    groups.as_object().into_iter().flatten().filter_map(|(_, group)| group["gaps"].as_u64()).sum()
}

/// In good order to Kafka and amid everything back, or the other way round.
async fn change(shop: &mut ShopProcess, to: ShopOptions, politely: bool) {
    assert_eq!(gaps(shop).await, 0, "an event came before its predecessor");
    if politely {
        assert!(shop.stop().await.success());
    }
    shop.restart_as(to).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_changes_its_carrier_under_load_and_loses_and_doubles_nothing() {
    let Some(broker) = broker().await else { return };
    let mut seed = Seed::from_env("the_shop_changes_its_carrier_under_load_and_loses_and_doubles_nothing");
    let stage = Stage::new();
    let sample = Sample::part(stage.folder(), seed.below(2_000) as usize, BASKETS);
    let mut shop = stage.shop("shop", local()).await;
    let (client, pool) = (shop.client(), shop.superuser_pool());
    let mut replay = Replay::new(&client, &sample);
    for (n, to) in [on(&broker, local()), local(), on(&broker, local()), local()].into_iter().enumerate() {
        replay.resume();
        recorded(&pool, (n as u64 + 1) * EVENTS - 100).await;
        change(&mut shop, to, seed.below(2) == 0).await;
        if n % 2 == 0 {
            until(PROGRESS, "Kafka to carry", async || {
                count(&pool, ON_KAFKA).await.filter(|slots| *slots >= 12)
            })
            .await;
        }
    }
    replay.kill9();
    let last = shop.replay(&sample.file, &["--allow-empty-cells"]).await;
    assert!(last.status.success(), "the last replay: {last:?}");
    check_each_basket(&shop, sample.baskets).await;
    assert_eq!(gaps(&shop).await, 0, "an event came before its predecessor");
}

pub(crate) async fn with(broker: &Arc<Broker>, f: impl FnOnce(&Broker) + Send + 'static) {
    let broker = broker.clone();
    tokio::task::spawn_blocking(move || f(&broker)).await.expect("the broker obeys");
}

/// So many orders, each to its end: the steps of an order are asked for, and need no carrier.
async fn shipped(shop: &ShopClient, name: &str, count: usize) {
    let wishes = (0..count).map(|n| Wish::of("ada", &format!("{name}-{n}"), &SKUS[..=n % 3]));
    let orders = shop.place_all(wishes.collect(), 8).await;
    let ended = shop.settled(&orders, SETTLE).await.unwrap();
    let other = ended.values().find(|order| order["state"] != "shipped");
    assert_eq!(other, None);
}

/// Why slots of this group are not served.
async fn stopped(shop: &ShopClient, group: &str) -> Option<Vec<String>> {
    let output = shop.banyan(&["topics", "--json"]).await;
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    let topics = answer["topics"].as_array()?.iter();
    let groups = topics.filter_map(|topic| topic["groups"].as_array()).flatten();
    let slots =
        groups.filter(|it| it["group"] == group).filter_map(|group| group["slots"].as_array()).flatten();
    Some(slots.filter_map(|slot| slot["stopped"].as_str().map(str::to_owned)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_back_empty_stops_what_is_heard_until_its_topics_are_made_anew() {
    let Some(broker) = broker().await else { return };
    let stage = Stage::new();
    let shop = stage.shop("shop", on(&broker, ShopOptions::default())).await;
    shop.stock(&SKUS, 10_000).await;
    shipped(&shop, "before", 40).await;
    shop.clean_audit(SETTLE).await;
    with(&broker, Broker::kill).await;
    shipped(&shop, "away", 20).await;
    with(&broker, Broker::restart_empty).await;
    shipped(&shop, "empty", 20).await;
    for group in ["orders.relay", "shipping.orders"] {
        let all = until(SETTLE, "the slots to be stopped", async || {
            stopped(&shop, group).await.filter(|slots| !slots.is_empty())
        });
        let all = all.await;
        assert!(all.iter().all(|why| why.contains("banyan topics recover")), "{group}: {all:?}");
    }
    for source in SOURCES {
        let output =
            shop.banyan(&["topics", "recover", source, "--reason", "its broker came back empty"]).await;
        assert!(output.status.success(), "{output:?}");
    }
    shipped(&shop, "after", 20).await;
    let audit = shop.clean_audit(SETTLE).await;
    assert_eq!(audit["settled"], 100, "{audit}");
    for group in ["orders.relay", "shipping.orders"] {
        assert_eq!(stopped(&shop, group).await, Some(Vec::new()), "{group}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_opens_sells_and_stops_while_its_broker_is_away_and_frozen() {
    let Some(broker) = broker().await else { return };
    let stage = Stage::new();
    let mut shop = stage.shop("shop", on(&broker, ShopOptions::default())).await;
    shop.stock(&SKUS, 10_000).await;
    shipped(&shop, "there", 20).await;
    with(&broker, Broker::kill).await;
    assert!(shop.stop().await.success(), "a stop does not wait for a broker");
    shop.restart().await;
    shipped(&shop, "away", 20).await;
    with(&broker, Broker::restart).await;
    shop.clean_audit(SETTLE).await;
    with(&broker, |broker| broker.freeze(true)).await;
    shipped(&shop, "frozen", 20).await;
    assert!(shop.stop().await.success(), "a stop does not wait for a frozen one either");
    with(&broker, |broker| broker.freeze(false)).await;
    shop.restart().await;
    let audit = shop.clean_audit(SETTLE).await;
    assert_eq!(audit["settled"], 60, "{audit}");
    assert_eq!(gaps(&shop).await, 0, "an event came before its predecessor");
}

/// Relays and consumers alike: a zombie's writes are refused, and what it published again comes to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn two_shops_on_kafka_take_over_from_a_frozen_and_from_a_killed_one() {
    let Some(broker) = broker().await else { return };
    frozen_and_killed(&on(&broker, ShopOptions::default()).env).await;
}
