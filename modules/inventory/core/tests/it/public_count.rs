//! The public count: asked to be up to date, folded anew while it is read and fed, planted with errors.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use banyan_bus::{
    Bus, Counters, Decision, Feed, GroupOptions, LocalBus, OutboxSource, Progress, ReadModel, Rebuild,
    RebuildError, Rebuilt,
};
use banyan_kernel::Answer;
use banyan_store::OwnershipConfig;
use futures::future::BoxFuture;
use inventory_api::{
    AdjustStock, Finding, Inventory as _, StockKeeping as _, StockReceived, Told, refusals,
    testing::{context, order, receipt, release, reserve, sku},
};
use inventory_core::PublicStock;
use sqlx::AssertSqlSafe;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::World;

const WITHIN: Duration = Duration::from_secs(30);

/// A process that feeds the count.
struct Feeding(CancellationToken, JoinHandle<()>);

impl Feeding {
    async fn stop(self) {
        self.0.cancel();
        self.1.await.expect("a feed ends when it is told to");
    }
}

fn model(world: &World) -> Arc<dyn ReadModel> {
    Arc::new(PublicStock::new(world.store.clone()))
}

fn feed(world: &World) -> Feeding {
    static INSTANCES: AtomicU64 = AtomicU64::new(1);
    let instance = Uuid::from_u128(INSTANCES.fetch_add(1, Ordering::Relaxed).into());
    let ownership =
        OwnershipConfig { beat: Duration::from_millis(20), time_to_live: Duration::from_millis(600) };
    let options = GroupOptions {
        poll: Duration::from_millis(50),
        retry: Duration::from_millis(5),
        ..GroupOptions::default()
    };
    let source = Arc::new(OutboxSource::new(world.store.clone()));
    let bus = LocalBus::new([source as _], instance).with(ownership, options);
    let (stop, model) = (CancellationToken::new(), model(world));
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        bus.serve(Arc::new(Feed::new(model)), Arc::new(Counters::default()), stopped).await.expect("served");
    });
    Feeding(stop, task)
}

async fn receive(world: &World, key: &str, quantity: i64) -> Told {
    let booked = world.inventory.receive(context(), vec![receipt(key, &[("A", quantity)])]).await;
    match booked[..] {
        [Answer::Done(StockReceived { told, .. })] => told,
        _ => panic!("{booked:?}"),
    }
}

async fn find(world: &World, key: &str, by: i64) -> Told {
    let (key, sku, reason) = (key.to_owned(), sku("A"), "looked".to_owned());
    let wish = AdjustStock { key, sku, finding: Finding::By(by), reason };
    match world.inventory.adjust(context(), wish).await {
        Answer::Done(adjusted) => adjusted.told,
        other => panic!("{other:?}"),
    }
}

/// How many the public is told of, once that is at least this.
async fn told(world: &World, at_least: &[Told]) -> Result<i64, String> {
    match world.inventory.availability(vec![sku("A")], at_least.to_vec()).await {
        Answer::Done(told) => Ok(told.first().map_or(0, |told| told.available)),
        Answer::Rejected(refusal) => Err(refusal.code.to_string()),
        other => panic!("{other:?}"),
    }
}

/// The same, for as long as another test holds the horizon.
async fn shown(world: &World, at_least: &[Told]) -> i64 {
    let shown = async {
        loop {
            match told(world, at_least).await {
                Ok(count) => return count,
                Err(code) => assert_eq!(code, refusals::BEHIND),
            }
        }
    };
    tokio::time::timeout(WITHIN, shown).await.expect("the count comes to it")
}

async fn rebuild<'a>(
    world: &World,
    tell: &(dyn Fn(Progress) -> BoxFuture<'a, bool> + Sync),
) -> Result<Rebuilt, RebuildError> {
    let rebuild = Rebuild::new(model(world), Arc::new(OutboxSource::new(world.store.clone())));
    let by = Decision::new("staff:ada", "a test").expect("both are given");
    tokio::time::timeout(WITHIN, banyan_bus::rebuild(&rebuild, &by, tell)).await.expect("it ends")
}

fn quietly(_: Progress) -> BoxFuture<'static, bool> {
    Box::pin(std::future::ready(true))
}

#[tokio::test]
async fn who_asks_for_what_the_count_has_not_is_told_so_and_sees_it_when_it_has() {
    let world = World::new().await;
    let first = receive(&world, "first", 10).await;
    assert!(first.epoch > 0 && first.xid > 0, "{first:?}");
    assert_eq!(told(&world, &[]).await, Ok(0), "nobody applies what was told");
    assert_eq!(told(&world, &[first]).await, Err(refusals::BEHIND.to_owned()));
    assert_eq!(told(&world, &[Told::default()]).await, Ok(0), "nothing is before everything");
    let feeding = feed(&world);
    assert_eq!(shown(&world, &[first]).await, 10);
    let lost = find(&world, "lost", -3).await;
    assert_eq!(shown(&world, &[first, lost]).await, 7);
    assert_eq!(receive(&world, "first", 10).await, first, "a repeat is told the same");
    assert_eq!(find(&world, "lost", -3).await, lost);
    feeding.stop().await;
    let never = Told { xid: lost.xid + 1_000_000, ..lost };
    assert_eq!(told(&world, &[never]).await, Err(refusals::BEHIND.to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_of_the_count_while_stock_moves_loses_nothing_and_doubles_nothing() {
    let world = Arc::new(World::new().await);
    let mut tokens = vec![receive(&world, "first", 1_000).await];
    let feeding = feed(&world);
    shown(&world, &tokens).await;
    let moving = {
        let world = world.clone();
        tokio::spawn(async move {
            let mut tokens = Vec::new();
            for n in 0..60 {
                tokens.push(receive(&world, &format!("more-{n}"), 10).await);
                tokens.push(find(&world, &format!("less-{n}"), -1).await);
                world
                    .inventory
                    .reserve(vec![reserve(
                        order(&format!("o{n}")),
                        1,
                        &[("A", 2)],
                        world.now() + Duration::from_secs(900),
                    )])
                    .await;
                if n % 2 == 0 {
                    world.inventory.release(vec![release(order(&format!("o{n}")), 1)]).await;
                }
            }
            tokens
        })
    };
    let mut rebuilt = 0;
    while !moving.is_finished() || rebuilt < 2 {
        let done = rebuild(&world, &quietly).await.expect("rebuilt");
        assert!(done.judged_at <= done.live_from, "{done:?}");
        rebuilt += 1;
    }
    tokens = moving.await.expect("no panic");
    shown(&world, &tokens).await;
    let free = 1_000 + 600 - 60 - 2 * 30;
    let all = async {
        while told(&world, &[]).await != Ok(free) {
            tokio::task::yield_now().await;
        }
    };
    let late = tokio::time::timeout(WITHIN, all).await.is_err();
    assert!(!late, "the public is told {:?} and not {free}", told(&world, &[]).await);
    let last = rebuild(&world, &quietly).await.expect("rebuilt");
    assert_eq!(last.keys, 1, "one product, equal to the events' own fold");
    assert_eq!(told(&world, &[]).await, Ok(free));
    feeding.stop().await;
}

#[tokio::test]
async fn a_difference_refuses_the_swap_of_the_count_and_names_the_product() {
    let world = World::new().await;
    let feeding = feed(&world);
    let tokens = [receive(&world, "first", 10).await, find(&world, "lost", -3).await];
    assert_eq!(shown(&world, &tokens).await, 7);
    let superuser = world.database.superuser_pool().await;
    let run = async |statement: String| {
        sqlx::query(AssertSqlSafe(statement.clone())).execute(&superuser).await.expect(&statement);
    };
    for (change, named) in [
        ("new.available := new.available + 1; return new;", "A: the count says 8 as of"),
        ("return null;", "A: the count says nothing, and the events say 7 as of"),
    ] {
        run(format!(
            "create function inventory.planted() returns trigger language plpgsql as $$ begin {change} end $$"
        ))
        .await;
        run("create trigger planted before insert on inventory.public_stock for each row \
             when (new.copy = 1) execute function inventory.planted()"
            .to_owned())
        .await;
        let refused = rebuild(&world, &quietly).await.expect_err(named);
        let RebuildError::Differs { named: keys, count: 1, .. } = &refused else { panic!("{refused:?}") };
        assert!(keys[0].starts_with(named), "{keys:?}");
        assert_eq!(told(&world, &[]).await, Ok(7), "what is read stays");
        run("drop function inventory.planted() cascade".to_owned()).await;
    }
    rebuild(&world, &quietly).await.expect("without a planted difference it is turned over");
    assert_eq!(told(&world, &[]).await, Ok(7));
    feeding.stop().await;
}

/// A commit whose answer is lost: the page that it applied is not applied again.
#[tokio::test]
async fn a_page_whose_commit_was_not_heard_of_is_in_the_count_once() {
    let world = World::new().await;
    let feeding = feed(&world);
    let first = receive(&world, "first", 10).await;
    assert_eq!(shown(&world, &[first]).await, 10);
    feeding.stop().await;
    let superuser = world.database.superuser_pool().await;
    // Where the copy stands is all that a rebuild goes by: what was applied behind its back is not applied once more.
    let behind_its_back = AtomicU64::new(0);
    let told_of = |progress: Progress| -> BoxFuture<'_, bool> {
        let (superuser, behind) = (&superuser, &behind_its_back);
        Box::pin(async move {
            if progress.events == 0 && behind.fetch_add(1, Ordering::Relaxed) == 0 {
                for statement in [
                    "insert into inventory.public_stock select sku, available, as_of, 1 from inventory.public_stock where copy = 0",
                    "update inventory.read_model m set built_epoch = o.epoch, built_xid = o.xid, built_seq = o.seq \
                     from inventory.outbox o where m.name = 'inventory.public'",
                ] {
                    let done = sqlx::query(statement).execute(superuser).await.expect(statement);
                    assert_eq!(done.rows_affected(), 1, "{statement}");
                }
            }
            true
        })
    };
    rebuild(&world, &told_of).await.expect("it is what the events say");
    assert_eq!(told(&world, &[]).await, Ok(10));
}

/// What came in before deliveries were told is in no event, and is told of all the same.
#[tokio::test]
async fn what_came_in_before_anything_was_told_is_counted_in_either_copy() {
    let world = World::new().await;
    let feeding = feed(&world);
    let first = receive(&world, "first", 10).await;
    shown(&world, &[first]).await;
    let opening = "insert into inventory.public_stock values ('A', 5, now(), -1)";
    sqlx::query(opening).execute(&world.database.superuser_pool().await).await.expect(opening);
    assert_eq!(told(&world, &[]).await, Ok(15));
    rebuild(&world, &quietly).await.expect("rebuilt");
    assert_eq!(told(&world, &[]).await, Ok(15));
    feeding.stop().await;
}
