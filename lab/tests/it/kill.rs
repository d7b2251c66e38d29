//! kill -9, at any moment.

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use banyan_lab::stage::{
    Effects, Sample, Seed, ShopClient, ShopOptions, ShopProcess, Stage, Wish, process::Process, program,
    until, within,
};
use banyan_store::sqlx::{self, PgPool};
use nix::sys::signal::Signal;
use serde_json::Value;

const KILLS: u64 = 20;
const BASKETS: usize = 350;
/// Events of an average order: seven of a shipped one, fewer of a refused one.
const EVENTS: u64 = 6;
/// Between two looks at the progress something always happens.
const PROGRESS: Duration = Duration::from_secs(120);
const SETTLE: Duration = Duration::from_secs(90);
/// After so many restarts in a row listeners are far behind: each applies its slots' next events one by one.
const HEARD: Duration = Duration::from_secs(180);

pub const RECORDED: &str = "select count(*) from orders.order_event";
const ORDERS: &str = "select order_id::text from orders.orders";
const OPEN: &str = "select count(*) from orders.orders where open";

/// When to kill: when so many events were recorded since the last time, and a little later; with what is played, or not.
struct Moment {
    events: u64,
    after: Duration,
    replay_too: bool,
}

/// Spread over the whole replay, the first amid the catalogue. A shop goes on after the moment until it dies: half a part
/// each leaves the other half for that.
fn moments(seed: &mut Seed) -> Vec<Moment> {
    let part = BASKETS as u64 * EVENTS / KILLS / 2;
    let moment = |n: u64| {
        let events = if n == 0 { 0 } else { 1 + seed.below(part) };
        let after = Duration::from_micros(seed.below(if n == 0 { 400_000 } else { 20_000 }));
        Moment { events, after, replay_too: seed.below(3) == 0 }
    };
    (0..KILLS).map(moment).collect()
}

/// `banyan replay` in the background; its end by a killed shop is no failure: it is resumed.
pub struct Replay<'a> {
    shop: &'a ShopClient,
    sample: &'a Sample,
    child: Option<Child>,
}

impl<'a> Replay<'a> {
    /// Of this sample into this shop, not begun.
    pub fn new(shop: &'a ShopClient, sample: &'a Sample) -> Self {
        Self { shop, sample, child: None }
    }

    /// Goes on with it, if it has ended.
    pub fn resume(&mut self) {
        let ended = self.child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(Some(_))));
        if ended {
            let mut command = self.shop.command(&["replay", "--in-flight", "16"]);
            command.arg(&self.sample.file).stdout(Stdio::null()).stderr(Stdio::null());
            self.child = Some(command.spawn().expect("a replay"));
        }
    }

    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("an end");
        }
    }
}

pub async fn count(pool: &PgPool, sql: &'static str) -> Option<u64> {
    let count: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.ok()?;
    Some(count.unsigned_abs())
}

/// Waits for the moment after so many recorded events; false when all had ended before.
async fn reached(pool: &PgPool, moment: &Moment, since: u64) -> bool {
    let by_then = until(PROGRESS, "the replay to go on", async || {
        let recorded = count(pool, RECORDED).await?;
        let placed = sqlx::query_scalar::<_, String>(ORDERS).fetch_all(pool).await.ok()?.len();
        let ended = placed == BASKETS && count(pool, OPEN).await? == 0;
        (recorded >= since + moment.events || ended).then_some(!ended)
    });
    let by_then = by_then.await;
    tokio::time::sleep(moment.after).await;
    by_then
}

/// Kills at every moment; how many of them came while orders were under way.
async fn kill_again_and_again(shop: &mut ShopProcess, sample: &Sample, seed: &mut Seed) -> usize {
    let (client, pool) = (shop.client(), shop.superuser_pool());
    let mut replay = Replay::new(&client, sample);
    let (mut amid, mut since) = (0, 0);
    for (n, moment) in moments(seed).into_iter().enumerate() {
        replay.resume();
        amid += usize::from(reached(&pool, &moment, since).await);
        shop.kill9().await;
        if moment.replay_too {
            replay.kill9();
        }
        let (recorded, open) = (count(&pool, RECORDED).await, count(&pool, OPEN).await);
        since = recorded.unwrap_or(since);
        println!("kill {n}: {recorded:?} events, {open:?} open, replay killed {}", moment.replay_too);
        shop.restart().await;
    }
    replay.kill9();
    amid
}

#[tokio::test(flavor = "multi_thread")]
async fn at_twenty_moments_of_a_replay_nothing_is_lost_or_doubled() {
    let mut seed = Seed::from_env("at_twenty_moments_of_a_replay_nothing_is_lost_or_doubled");
    let stage = Stage::new();
    let sample = Sample::part(stage.folder(), seed.below(2_000) as usize, BASKETS);
    let options = ShopOptions::args(&["--allow-faults", "--sandbox-faults", "everyday"]);
    let mut shop = stage.shop("shop", options).await;
    let amid = kill_again_and_again(&mut shop, &sample, &mut seed).await;
    assert!(amid >= 10, "only {amid} of {KILLS} kills came while orders were under way");
    let last = shop.replay(&sample.file, &["--allow-empty-cells"]).await;
    assert!(last.status.success(), "the last replay: {last:?}");
    check_each_basket(&shop, sample.baskets).await;
}

/// As a build does that replaces the program while its shop is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_shop_whose_program_was_replaced_starts_its_outside_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let replaced = folder.path().join("banyan");
    std::fs::copy(program(), &replaced).expect("a copy");
    let stage = Stage::of(replaced.clone());
    let shop = stage.shop("shop", ShopOptions::default()).await;
    shop.stock(&["APPLE"], 10).await;
    let first = shop.place(&Wish::of("ada", "before", &["APPLE"])).await;
    std::fs::remove_file(&replaced).expect("it is removed");
    let sandbox = Process::now(shop.sandbox_pid()).expect("a sandbox");
    sandbox.signal(Signal::SIGKILL);
    let second = shop.place(&Wish::of("ada", "after", &["APPLE"])).await;
    let ended = shop.settled(&[first, second], SETTLE).await.unwrap();
    assert!(ended.values().all(|order| order["state"] == "shipped"), "{ended:?}");
    assert_ne!(shop.sandbox_pid(), sandbox.pid);
}

/// Every basket exactly one order; of each order in the outside's book what its end says, and no more.
pub async fn check_each_basket(shop: &ShopProcess, baskets: usize) {
    let orders: Vec<String> =
        sqlx::query_scalar(ORDERS).fetch_all(&shop.superuser_pool()).await.expect("orders");
    assert_eq!(orders.len(), baskets, "every basket is one order");
    let ended = shop.settled(&orders, SETTLE).await.unwrap();
    shop.clean_audit(HEARD).await;
    let book = shop.outside().book().await;
    assert!(book.keys().all(|order| ended.contains_key(order)), "the outside knows other orders");
    for (order, standing) in &ended {
        let effects = book.get(order).copied().unwrap_or_default();
        assert!(fits(standing, effects), "order {order}: {standing} but {effects:?}");
    }
    let shipped = ended.values().filter(|standing| standing["state"] == "shipped").count();
    println!("{shipped} of {baskets} shipped");
    assert!(shipped > baskets / 2, "a sample of which most is shipped");
}

/// One charge and one shipment of a shipped order; nothing kept of a cancelled one.
fn fits(standing: &Value, effects: Effects) -> bool {
    let Effects { authorised, voided, captured, refunded, booked, cancelled } = effects;
    if standing["state"] == "shipped" {
        captured == 1 && authorised == voided + 1 && refunded == 0 && booked == cancelled + 1
    } else {
        captured == refunded && authorised == voided + captured && booked == cancelled
    }
}

/// The answer may have been lost with the shop, or come just before its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_left_behind_by_a_crash_repeats_to_the_same_answer() {
    let stage = Stage::new();
    let mut shop = stage.shop("shop", ShopOptions::default()).await;
    shop.stock(&["APPLE", "PEAR"], 100).await;
    let wish = Wish::of("ada", "answered", &["APPLE", "PEAR"]);
    let first = shop.try_place(&wish).await.unwrap();
    assert_eq!((first.status, first.replayed), (201, false), "{first:?}");
    let (client, unheard) = (shop.client(), Wish::of("ada", "unheard", &["PEAR"]));
    let under_way = tokio::spawn({
        let unheard = unheard.clone();
        async move { client.try_place(&unheard).await.is_ok() }
    });
    shop.kill9().await;
    println!("the second answer was heard: {}", under_way.await.unwrap());
    shop.restart().await;
    let again = shop.try_place(&wish).await.unwrap();
    assert_eq!((again.status, again.replayed), (201, true), "{again:?}");
    assert_eq!(again.json, first.json);
    let late = shop.place(&unheard).await;
    assert_eq!(shop.place(&unheard).await, late);
    let other = Wish { body: Wish::of("ada", "", &["APPLE"]).body, ..wish };
    assert_eq!(shop.try_place(&other).await.unwrap().status, 422, "the key stands for another basket");
    let orders: Vec<String> = sqlx::query_scalar(ORDERS).fetch_all(&shop.superuser_pool()).await.unwrap();
    assert_eq!(orders.len(), 2);
    let ended = within(SETTLE, "both to be shipped", async || {
        let standing = shop.standing(&orders).await.ok()?;
        standing.values().all(|order| order["state"] == "shipped").then_some(())
    });
    ended.await.unwrap();
    shop.clean_audit(SETTLE).await;
}

/// Whatever a start had begun, an initdb, a server, a sandbox, the next one goes on with it or ends it.
#[tokio::test(flavor = "multi_thread")]
async fn while_it_starts_the_next_start_opens() {
    const STARTS: u32 = 8;
    let mut seed = Seed::from_env("while_it_starts_the_next_start_opens");
    let stage = Stage::new();
    let data = stage.folder().join("shop").display().to_string();
    let args = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    for _ in 0..STARTS {
        let mut command = stage.command(&args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(seed.below(1_500))).await;
        child.kill().and_then(|()| child.wait()).unwrap();
    }
    let mut shop = stage.shop("shop", ShopOptions::default()).await;
    shop.stock(&["APPLE"], 10).await;
    let order = shop.place(&Wish::of("ada", "one", &["APPLE"])).await;
    shop.settled(&[order], SETTLE).await.unwrap();
    shop.clean_audit(SETTLE).await;
    assert!(shop.stop().await.success());
    assert_eq!(stage.processes(), [0; 0], "nobody stays behind");
}
