//! Read models: what they say while they are fed, rebuilt, planted with errors, asked to be up to date.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use banyan_bus::{
    Batch, Bus, Counters, DeadLetters, Decision, Feed, GroupOptions, Inbox, LocalBus, PgInbox, Progress,
    ReadModel, Rebuild, RebuildError, Rebuilt, Refused, Source,
};
use banyan_kernel::{Answer, CustomerId, OrderId, slot_of};
use banyan_store::{OwnershipConfig, Position, SlotTable};
use futures::future::BoxFuture;
use orders_api::{ListOrders, ListSales, OrderFacts as _, OrderState, OrderSummary, Orders as _, refusals};
use orders_core::{
    OrderEvent, OrderList, OrdersSource, SalesByHour, Step,
    log::{Kept, OrderLog},
};
use tokio::{sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    log_suite::{done, load, slots, with},
    world::{World, id, told},
};

const WITHIN: Duration = Duration::from_secs(30);
const ALICE: CustomerId = CustomerId(Uuid::from_u128(1));
const BOB: CustomerId = CustomerId(Uuid::from_u128(2));

/// A process that feeds both models.
struct Feeding {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Feeding {
    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.expect("a feed ends when it is told to");
        }
    }
}

/// One more process.
fn instance() -> Uuid {
    static INSTANCES: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128(INSTANCES.fetch_add(1, Ordering::Relaxed).into())
}

fn models(world: &World) -> [Arc<dyn ReadModel>; 2] {
    [Arc::new(OrderList::new(world.store.clone())), Arc::new(SalesByHour::new(world.store.clone()))]
}

fn source_of(world: &World, model: &dyn ReadModel) -> Arc<dyn Source> {
    match model.source() {
        orders_core::HISTORY => Arc::new(OrdersSource::history(world.store.clone())),
        _ => Arc::new(world.orders.source()),
    }
}

fn feed(world: &World) -> Feeding {
    let ownership =
        OwnershipConfig { beat: Duration::from_millis(20), time_to_live: Duration::from_millis(600) };
    let options = GroupOptions {
        poll: Duration::from_millis(50),
        retry: Duration::from_millis(5),
        ..GroupOptions::default()
    };
    let sources = models(world).map(|model| source_of(world, &*model));
    let bus = Arc::new(LocalBus::new(sources, instance()).with(ownership, options));
    let stop = CancellationToken::new();
    let serve = |model| {
        let (bus, stop) = (bus.clone(), stop.clone());
        tokio::spawn(async move {
            bus.serve(Arc::new(Feed::new(model)), Arc::new(Counters::default()), stop).await.expect("served");
        })
    };
    Feeding { tasks: models(world).map(serve).into(), stop }
}

async fn append(world: &World, name: &str, events: &[OrderEvent]) {
    for event in events {
        let save = with(&load(&world.log, id(name)).await, event.clone(), world.now());
        assert_eq!(world.log.save(&[save]).await.expect("saved"), [Kept::Kept]);
    }
}

async fn ship(world: &World, name: &str) {
    append(world, name, &Step::FORWARD.map(done)).await;
    append(world, name, &[OrderEvent::OrderShipped { tracking: Vec::new() }]).await;
}

/// What the list shows once it has come to what is recorded of these orders.
async fn listed(world: &World, names: &[&str]) -> Vec<OrderSummary> {
    let mut at_least = Vec::new();
    for name in names {
        at_least.push((id(name), load(&world.log, id(name)).await.order.version));
    }
    let which = ListOrders { limit: 200, at_least, ..ListOrders::default() };
    tokio::time::timeout(WITHIN, async {
        loop {
            match world.orders.list(which.clone()).await {
                Answer::Done(page) => return page.orders,
                Answer::Rejected(refusal) if refusal.code == refusals::BEHIND => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await
    .expect("the list comes to what was written")
}

fn states(orders: &[OrderSummary], names: &[&str]) -> Vec<(OrderState, Option<String>)> {
    let of = |name: &&str| orders.iter().find(|order| order.id == id(name)).expect("listed");
    names.iter().map(of).map(|order| (order.state, order.cause.clone())).collect()
}

async fn sold(world: &World) -> Vec<(i64, i64, i64)> {
    match world.orders.sales(ListSales { limit: 200, ..ListSales::default() }).await {
        Answer::Done(page) => page.sales.iter().map(|s| (s.orders, s.pieces, s.amount_minor)).collect(),
        other => panic!("{other:?}"),
    }
}

/// Waits until the sales say this.
async fn sells(world: &World, orders: i64) {
    let expected = vec![(orders, 2 * orders, 500 * orders)];
    let waiting = async {
        while sold(world).await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let late = tokio::time::timeout(WITHIN, waiting).await.is_err();
    assert!(!late, "the sales say {:?} and not {expected:?}", sold(world).await);
}

fn by() -> Decision {
    Decision::new("staff:ada", "a test").expect("both are given")
}

async fn rebuild(world: &World, at: usize) -> Result<Rebuilt, RebuildError> {
    rebuild_told(world, at, &|_| Box::pin(std::future::ready(true))).await
}

/// Others on this server may hold the horizon for a moment, and a rebuild ends there.
async fn readable(world: &World) {
    let below =
        "select not exists (select from order_event where xid >= pg_snapshot_xmin(pg_current_snapshot()))";
    let waiting = async {
        while !sqlx::query_scalar::<_, bool>(below).fetch_one(world.store.pool()).await.expect(below) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(WITHIN, waiting).await.expect("what was recorded can be read");
}

/// A rebuild of the list (0) or the sales (1); what `told` does happens between two steps.
async fn rebuild_told<'a>(
    world: &World,
    at: usize,
    told: &(dyn Fn(Progress) -> BoxFuture<'a, bool> + Sync),
) -> Result<Rebuilt, RebuildError> {
    readable(world).await;
    let model = models(world)[at].clone();
    let rebuild = Rebuild::new(model.clone(), source_of(world, &*model));
    tokio::time::timeout(WITHIN, banyan_bus::rebuild(&rebuild, &by(), told)).await.expect("it ends")
}

async fn live(world: &World, name: &str) -> i16 {
    let live = "select live from read_model where name = $1";
    sqlx::query_scalar(live).bind(name).fetch_one(world.store.pool()).await.expect(live)
}

/// Nothing that the audit knows of is wrong with the models.
async fn is_clean(world: &World) {
    assert_eq!(told(world.orders.sales_violations().await), [] as [String; 0]);
    let facts = told(world.orders.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await);
    let wrong: Vec<_> = facts.iter().filter_map(|fact| fact.list.as_ref()).collect();
    assert_eq!(wrong, [] as [&String; 0]);
}

#[tokio::test]
async fn each_end_is_listed_and_what_was_handed_over_is_sold() {
    let world = World::new().await;
    let names = ["placed", "paid", "shipped", "refused", "wanted", "stuck", "retried", "given-up"];
    world.place_all(&names).await;
    let feeding = feed(&world);
    append(&world, "paid", &Step::FORWARD.map(done)).await;
    ship(&world, "shipped").await;
    let refused = OrderEvent::StepRefused {
        step: Step::Reserve,
        attempt: 1,
        code: "out_of_stock".to_owned(),
        detail: "none".to_owned(),
    };
    append(&world, "refused", &[refused, OrderEvent::OrderCancelled { cause: "out_of_stock".to_owned() }])
        .await;
    append(&world, "wanted", &[OrderEvent::CancelRequested { reason: "why".to_owned() }]).await;
    let broken = OrderEvent::StepBroken { step: Step::Book, attempt: 1, undo: false, why: "?".to_owned() };
    let resolved = |how| OrderEvent::OrderResolved { how, reason: "looked".to_owned() };
    append(&world, "stuck", std::slice::from_ref(&broken)).await;
    append(&world, "retried", &[broken.clone(), resolved(orders_api::Resolution::Retry)]).await;
    append(&world, "given-up", &[broken, resolved(orders_api::Resolution::Cancel)]).await;
    let orders = listed(&world, &names).await;
    let cancelled = || Some("cancelled".to_owned());
    assert_eq!(
        states(&orders, &names),
        [
            (OrderState::Placed, None),
            (OrderState::Paid, None),
            (OrderState::Shipped, None),
            (OrderState::Cancelled, Some("out_of_stock".to_owned())),
            (OrderState::Cancelling, cancelled()),
            (OrderState::Stuck, None),
            (OrderState::Placed, None),
            (OrderState::Cancelling, cancelled()),
        ]
    );
    sells(&world, 1).await;
    is_clean(&world).await;
    feeding.stop().await;
}

#[tokio::test]
async fn a_search_finds_what_fits_and_pages_follow_each_other() {
    let world = World::new().await;
    let names: Vec<String> = (0..25).map(|n| format!("search-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.place_all(&names).await;
    append(&world, "search-7", &[OrderEvent::CancelRequested { reason: "why".to_owned() }]).await;
    let feeding = feed(&world);
    listed(&world, &names).await;
    let found = async |which: ListOrders| match world.orders.list(which).await {
        Answer::Done(page) => page,
        other => panic!("{other:?}"),
    };
    let all = ListOrders { limit: 200, ..ListOrders::default() };
    for (which, count) in [
        (all.clone(), 25),
        (ListOrders { state: Some(OrderState::Cancelling), ..all.clone() }, 1),
        (ListOrders { cause: Some("cancelled".to_owned()), ..all.clone() }, 1),
        (ListOrders { sku: Some("A".parse().expect("a SKU")), ..all.clone() }, 25),
        (ListOrders { sku: Some("B".parse().expect("a SKU")), ..all.clone() }, 0),
        (ListOrders { customer: Some(ALICE), ..all.clone() }, 25),
        (ListOrders { customer: Some(BOB), ..all.clone() }, 0),
        (ListOrders { placed_from: Some(world.now()), ..all.clone() }, 25),
        (ListOrders { placed_from: Some(world.now() + Duration::from_secs(1)), ..all.clone() }, 0),
        (ListOrders { before: Some((world.now(), OrderId(Uuid::nil()))), ..all.clone() }, 0),
    ] {
        let page = found(which.clone()).await;
        assert_eq!((page.orders.len(), page.next), (count, None), "{which:?}");
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page =
            found(ListOrders { customer: Some(ALICE), before, limit: 4, ..ListOrders::default() }).await;
        seen.extend(page.orders.iter().map(|order| (order.placed_at, order.id)));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!((seen.len(), seen), (25, sorted));
    feeding.stop().await;
}

#[tokio::test]
async fn who_asks_for_what_the_list_has_not_is_told_so_and_sees_it_when_it_has() {
    let world = World::new().await;
    let order = world.placed("mine").await;
    let asked = |order, version, reader| ListOrders {
        reader,
        limit: 10,
        at_least: vec![(order, version)],
        ..ListOrders::default()
    };
    let code = |answer: Answer<orders_api::OrdersPage>| match answer {
        Answer::Rejected(refusal) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(world.orders.list(asked(order, 1, None)).await), refusals::BEHIND, "nobody feeds it");
    let waiting = {
        let (orders, which) = (world.orders.clone(), asked(order, 1, Some(ALICE)));
        tokio::spawn(async move { orders.list(which).await })
    };
    let feeding = feed(&world);
    let page = match waiting.await.expect("no panic") {
        Answer::Done(page) => page,
        other => panic!("who waits sees it when it comes: {other:?}"),
    };
    assert_eq!(page.orders.iter().map(|order| order.id).collect::<Vec<_>>(), [order]);
    assert_eq!(
        code(world.orders.list(asked(order, 2, None)).await),
        refusals::BEHIND,
        "that has not happened"
    );
    let foreign = world.orders.list(asked(order, 1, Some(BOB))).await;
    assert_eq!(code(foreign), refusals::BEHIND, "a token tells nothing of a foreign order");
    feeding.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_while_orders_come_loses_nothing_and_doubles_nothing() {
    let world = Arc::new(World::new().await);
    let before: Vec<String> = (0..40).map(|n| format!("before-{n}")).collect();
    let meanwhile: Vec<String> = (0..60).map(|n| format!("meanwhile-{n}")).collect();
    let feeding = feed(&world);
    for name in &before {
        world.placed(name).await;
        ship(&world, name).await;
    }
    let writing = {
        let (world, names) = (world.clone(), meanwhile.clone());
        tokio::spawn(async move {
            for name in &names {
                world.placed(name).await;
                ship(&world, name).await;
            }
        })
    };
    let mut rebuilt = 0;
    while !writing.is_finished() || rebuilt < 2 {
        for at in [0, 1] {
            let done = rebuild(&world, at).await.expect("rebuilt");
            assert!(done.judged_at <= done.live_from && done.keys > 0, "{done:?}");
        }
        rebuilt += 1;
    }
    writing.await.expect("no panic");
    let names: Vec<&str> = before.iter().chain(&meanwhile).map(String::as_str).collect();
    let orders = listed(&world, &names).await;
    assert!(states(&orders, &names).iter().all(|(state, _)| *state == OrderState::Shipped));
    sells(&world, names.len() as i64).await;
    is_clean(&world).await;
    let copies = "select count(*) from order_list where copy <> (select live from read_model where name = 'orders.list')";
    assert_eq!(world.count(copies).await, 0, "the copy that was read before is gone");
    assert_eq!(live(&world, OrderList::NAME).await, (rebuilt % 2) as i16);
    feeding.stop().await;
}

#[tokio::test]
async fn a_difference_refuses_the_swap_and_names_the_key() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.placed(name).await;
        ship(&world, name).await;
    }
    let feeding = feed(&world);
    let before = listed(&world, &["a", "b", "c"]).await;
    sells(&world, 3).await;
    for (at, table, change, named) in [
        (0, "order_list", "new.tracking := 'X'; return new;", "tracking is X"),
        (0, "order_list", "return null;", "it is not in the list"),
        (1, "sales", "new.pieces := new.pieces + 1; return new;", "sales say 7 pieces of 3 orders"),
        (1, "sold_order", "return null;", "is not in the sales"),
    ] {
        let which =
            if table == "sales" { "true".to_owned() } else { format!("new.order_id = '{}'", id("b")) };
        world.plant_trigger(table, &which, change).await;
        let refused = rebuild(&world, at).await.expect_err(named);
        let RebuildError::Differs { named: keys, count, .. } = &refused else { panic!("{refused:?}") };
        assert!(*count >= 1 && keys.iter().any(|key| key.contains(named)), "{named}: {keys:?}");
        assert!(table == "sales" || keys[0].contains(&id("b").to_string()), "{keys:?}");
        assert_eq!(live(&world, models(&world)[at].name()).await, 0, "what is read stays");
        world.drop_trigger(table).await;
    }
    assert_eq!(listed(&world, &["a", "b", "c"]).await, before);
    sells(&world, 3).await;
    rebuild(&world, 0).await.expect("without a planted difference it is turned over");
    rebuild(&world, 1).await.expect("without a planted difference it is turned over");
    assert_eq!(listed(&world, &["a", "b", "c"]).await, before);
    feeding.stop().await;
}

/// Rows of a copy that an earlier rebuild left behind.
const LEFT_BEHIND: &str = "insert into orders.order_list select 1, gen_random_uuid(), 1, gen_random_uuid(), 'placed', null, false, \
     false, 1, 'EUR', 1, '{}', null, now(), null from generate_series(1, 12000)";

#[tokio::test]
async fn who_begins_a_rebuild_ends_the_one_before() {
    let world = World::new().await;
    world.placed("a").await;
    world.plant(LEFT_BEHIND).await;
    let (second, told_of) = (Mutex::new(None), AtomicU64::new(0));
    // The first is not through with emptying the copy when the second begins, and ends.
    let told = |_: Progress| -> BoxFuture<'_, bool> {
        Box::pin(async {
            told_of.fetch_add(1, Ordering::Relaxed);
            let mut second = second.lock().await;
            if second.is_none() {
                *second = Some(rebuild(&world, 0).await);
            }
            true
        })
    };
    let first = rebuild_told(&world, 0, &told).await.expect_err("it is fenced");
    assert!(matches!(first, RebuildError::TakenOver), "{first:?}");
    assert_eq!(
        told_of.load(Ordering::Relaxed),
        1,
        "it took no step more: what it emptied would be what is read"
    );
    let second = second.lock().await.take().expect("it began");
    assert_eq!(second.expect("the last one counts").keys, 1);
    assert_eq!(live(&world, OrderList::NAME).await, 1);
    let feeding = feed(&world);
    assert_eq!(listed(&world, &["a"]).await.len(), 1, "nobody has touched what is read");
    feeding.stop().await;
}

#[tokio::test]
async fn what_comes_between_two_steps_is_in_the_new_copy_and_who_goes_away_ends_it() {
    let world = World::new().await;
    world.placed("before").await;
    ship(&world, "before").await;
    let step = AtomicU64::new(0);
    for at in [0, 1] {
        let placing = |_: Progress| -> BoxFuture<'_, bool> {
            Box::pin(async {
                let name = format!("step-{}", step.fetch_add(1, Ordering::Relaxed));
                world.placed(&name).await;
                ship(&world, &name).await;
                true
            })
        };
        rebuild_told(&world, at, &placing).await.expect("rebuilt");
        // What comes after the copies were turned over is heard from where the new one stands.
        let feeding = feed(&world);
        let names: Vec<String> = (0..step.load(Ordering::Relaxed)).map(|n| format!("step-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        listed(&world, &names).await;
        sells(&world, 1 + names.len() as i64).await;
        is_clean(&world).await;
        feeding.stop().await;
    }
    let nobody = |_: Progress| -> BoxFuture<'_, bool> { Box::pin(std::future::ready(false)) };
    let gone = rebuild_told(&world, 0, &nobody).await.expect_err("nobody waits");
    assert!(matches!(gone, RebuildError::Abandoned), "{gone:?}");
    assert_eq!(live(&world, OrderList::NAME).await, 1, "what is read stays");
}

#[tokio::test]
async fn who_fed_the_copy_before_is_fenced_and_nobody_goes_back() {
    let world = World::new().await;
    world.placed("a").await;
    let (group, me) = (OrderList::NAME, instance());
    let observed = world.store.beat(group, me).await.expect("slots");
    let held = world.store.take(group, me, &observed.holders).await.expect("taken");
    let rebuilt = rebuild(&world, 0).await.expect("rebuilt");
    let source = OrdersSource::history(world.store.clone());
    let page = source.page(Position::START, &slots(), 10).await.expect("a page");
    let slot = slot_of(&id("a").to_string());
    let mine: Vec<_> = held.into_iter().filter(|held| held.slot == slot).collect();
    let inbox = PgInbox::new(Arc::new(Feed::new(models(&world)[0].clone())));
    let batch = Batch { events: page.events, slots: mine };
    assert_eq!(inbox.apply(&batch).await, Err(Refused::Fenced(vec![slot])));
    let observed = world.store.beat(group, me).await.expect("slots");
    assert!(observed.holders.iter().all(|(_, holder)| holder.is_none()), "who fed takes its slots anew");
    let taken = world.store.take(group, me, &observed.holders).await.expect("taken");
    assert!(taken.iter().all(|held| held.position == rebuilt.live_from), "{taken:?}");
}

#[tokio::test]
async fn a_rebuild_settles_the_letters_of_what_it_could_apply() {
    let world = World::new().await;
    world.placed("a").await;
    ship(&world, "a").await;
    let version = "update orders.order_event set schema_version = {} where version = 3";
    world.plant(&version.replace("{}", "9")).await;
    let refused = rebuild(&world, 0).await.expect_err("an event that nobody can read");
    assert!(matches!(&refused, RebuildError::Event { sequence: 3, .. }), "{refused:?}");
    let feeding = feed(&world);
    let letters = DeadLetters::new(
        Arc::new(Feed::new(models(&world)[0].clone())),
        Arc::new(OrdersSource::history(world.store.clone())),
    );
    let parked = async {
        while letters.list().await.expect("letters").len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WITHIN, parked).await.expect("its key is parked");
    world.plant(&version.replace("{}", "1")).await;
    let rebuilt = rebuild(&world, 0).await.expect("it can be read now");
    assert_eq!(rebuilt.letters, 5);
    assert_eq!(letters.list().await.expect("letters"), []);
    assert_eq!(states(&listed(&world, &["a"]).await, &["a"]), [(OrderState::Shipped, None)]);
    is_clean(&world).await;
    feeding.stop().await;
}

#[tokio::test]
async fn told_twice_an_order_counts_once() {
    let world = World::new().await;
    world.placed("a").await;
    ship(&world, "a").await;
    let feeding = feed(&world);
    listed(&world, &["a"]).await;
    sells(&world, 1).await;
    feeding.stop().await;
    // The list from the third event on, the sales from the beginning.
    world
        .plant(
            "update orders.slot s set source_epoch = e.epoch, source_xid = e.xid, source_seq = e.seq \
             from orders.order_event e where e.version = 3 and s.group_name = 'orders.list'",
        )
        .await;
    world
        .plant("update orders.slot set source_epoch = 0, source_xid = '0', source_seq = 0 where group_name = 'orders.sales'")
        .await;
    let feeding = feed(&world);
    world.placed("b").await;
    ship(&world, "b").await;
    let orders = listed(&world, &["a", "b"]).await;
    assert!(orders.iter().all(|order| order.version == 7), "{orders:?}");
    sells(&world, 2).await;
    is_clean(&world).await;
    assert_eq!(world.count("select count(*) from dead_letter").await, 0, "a repeat is no error");
    feeding.stop().await;
}

#[tokio::test]
async fn the_audit_names_what_was_changed_by_hand() {
    let world = World::new().await;
    world.placed("a").await;
    ship(&world, "a").await;
    let feeding = feed(&world);
    listed(&world, &["a"]).await;
    sells(&world, 1).await;
    is_clean(&world).await;
    feeding.stop().await;
    world.plant("update orders.order_list set state = 'cancelled'").await;
    world.plant("update orders.sales set amount_minor = amount_minor + 1").await;
    let sales = told(world.orders.sales_violations().await);
    assert!(
        sales.len() == 1 && sales[0].contains("for 501, and the orders say 2 pieces of 1 orders for 500"),
        "{sales:?}"
    );
    let facts = told(world.orders.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await);
    let list = facts[0].list.as_deref().unwrap_or_default();
    assert_eq!(list, "the list says that its state is cancelled, and its events say shipped");
    assert!(facts[0].is_sold && facts[0].listed == 7, "{facts:?}");
    world.plant("delete from orders.sold_order").await;
    world.plant("delete from orders.order_list").await;
    let facts = told(world.orders.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await);
    assert!(!facts[0].is_sold && facts[0].sale_heard, "{facts:?}");
    assert_eq!(facts[0].list.as_deref(), Some("the list shows 0 of the 7 events that were applied to it"));
}
