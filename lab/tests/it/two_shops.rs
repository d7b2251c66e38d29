//! Two shops on one database.

use std::{collections::BTreeMap, time::Duration};

use banyan_lab::stage::{ShopClient, ShopOptions, Stage, Wish, until, within};
use banyan_store::sqlx::{self, PgPool};
use tokio::task::JoinSet;
use uuid::Uuid;

const SHARE: Duration = Duration::from_secs(90);
/// What is promised of a machine that is not busy with other tests; printed, not asserted.
const TAKE_OVER_GOAL: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_secs(90);
/// How often a customer turns from one shop to the other, and how long they wait in between.
const TURNS: usize = 1_000;
const AGAIN: Duration = Duration::from_millis(50);
const SKUS: [&str; 3] = ["APPLE", "PEAR", "PLUM"];

const HOLDERS: &str = "select group_name, holder, count(*) from ( \
     select group_name, holder from inventory.slot union all select group_name, holder from orders.slot union all \
     select group_name, holder from payments.slot union all select group_name, holder from shipping.slot) s \
     group by group_name, holder";
const PLACED: &str = "select count(*) from orders.orders";

/// How many slots of each group each shop holds.
type Holders = BTreeMap<String, BTreeMap<Option<Uuid>, i64>>;

async fn holders(pool: &PgPool) -> Holders {
    let rows: Vec<(String, Option<Uuid>, i64)> =
        sqlx::query_as(HOLDERS).fetch_all(pool).await.expect("slots");
    let mut all = Holders::new();
    for (group, holder, count) in rows {
        all.entry(group).or_default().insert(holder, count);
    }
    all
}

fn instance(shop: &ShopClient) -> Uuid {
    let text = std::fs::read(shop.data.join("instance.json")).expect("an instance");
    serde_json::from_slice::<String>(&text).expect("an id").parse().expect("an id")
}

/// Waits until, in every group, each of these holds an equal share of the slots and nobody else any.
async fn shared(pool: &PgPool, among: &[Uuid], deadline: Duration) -> Duration {
    let what = format!("{} to share every group's slots", among.len());
    let share = i64::from(banyan_kernel::SLOTS) / among.len() as i64;
    let equal: BTreeMap<Option<Uuid>, i64> = among.iter().map(|id| (Some(*id), share)).collect();
    let mut last = Holders::new();
    let found = within(deadline, &what, async || {
        last = holders(pool).await;
        (last.len() >= 6 && last.values().all(|of_group| *of_group == equal)).then_some(())
    });
    match found.await {
        Ok(((), took)) => took,
        Err(why) => panic!("{why}: {last:?}"),
    }
}

/// It goes on without the other, which is still as it was left: what ends its hold is the lease, not its coming back.
async fn taken_over(pool: &PgPool, by: &[Uuid], other: &str) {
    let took = shared(pool, by, SHARE).await;
    println!("taken over from a {other} one after {took:?} (goal: {TAKE_OVER_GOAL:?})");
}

/// A customer who asks whichever shop answers, with the same key.
async fn place_somewhere(shops: &[ShopClient; 2], wish: &Wish, at: usize) -> String {
    for turn in at..at + TURNS {
        match shops[turn % 2].try_place(wish).await {
            Ok(answer) if answer.status == 201 => {
                return answer.json["id"].as_str().unwrap_or_default().to_owned();
            }
            _ => tokio::time::sleep(AGAIN).await,
        }
    }
    panic!("neither shop took {wish:?}");
}

/// So many customers, one after the other each, until all wishes are placed.
fn customers(shops: &[ShopClient; 2], round: &'static str, orders: usize) -> JoinSet<Vec<String>> {
    const CUSTOMERS: usize = 6;
    let mut tasks = JoinSet::new();
    for customer in 0..CUSTOMERS {
        let shops = shops.clone();
        tasks.spawn(async move {
            let mut placed = Vec::new();
            for n in 0..orders / CUSTOMERS {
                let wish = Wish::of(&format!("customer {customer}"), &format!("{round}-{n}"), &SKUS);
                placed.push(place_somewhere(&shops, &wish, n).await);
            }
            placed
        });
    }
    tasks
}

async fn placed(pool: &PgPool, at_least: i64) {
    until(SETTLE, "orders to flow", async || {
        let placed: i64 = sqlx::query_scalar(PLACED).fetch_one(pool).await.ok()?;
        (placed >= at_least).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn share_slots_and_take_over_from_a_frozen_and_from_a_killed_one() {
    frozen_and_killed(&[]).await;
}

/// One is frozen and comes back as a zombie, then it is killed: the other takes over each time. Both have these settings.
pub async fn frozen_and_killed(settings: &[(String, String)]) {
    let with = |mut options: ShopOptions| {
        options.env.extend(settings.iter().cloned());
        options
    };
    let stage = Stage::new();
    let first = stage.shop("first", with(ShopOptions::default())).await;
    let mut second = stage.shop("second", with(ShopOptions::beside(&first))).await;
    let (pool, ids) = (first.superuser_pool(), [instance(&first), instance(&second)]);
    println!("shared after {:?}", shared(&pool, &ids, SHARE).await);
    first.stock(&SKUS, 1_000).await;
    let shops = [first.client(), second.client()];

    let flow = customers(&shops, "frozen", 120);
    placed(&pool, 20).await;
    second.freeze().await;
    taken_over(&pool, &ids[..1], "frozen").await;
    second.thaw();
    println!("shared again after {:?}", shared(&pool, &ids, SHARE).await);
    let mut orders = flow.join_all().await.concat();

    let flow = customers(&shops, "killed", 120);
    placed(&pool, 160).await;
    second.kill9().await;
    taken_over(&pool, &ids[..1], "killed").await;
    orders.extend(flow.join_all().await.concat());

    assert_eq!(orders.len(), 240);
    let ended = first.settled(&orders, SETTLE).await.unwrap();
    assert!(ended.values().all(|order| order["state"] == "shipped"), "{ended:?}");
    let audit = first.clean_audit(SETTLE).await;
    assert_eq!(audit["settled"], 240, "{audit}");
    second.restart().await;
    println!("shared once more after {:?}", shared(&pool, &ids, SHARE).await);
}
