//! What others hear: public events alone, in the order of commits, none left out.

use std::time::Duration;

use banyan_bus::Source;
use banyan_kernel::{Envelope, slot_of};
use banyan_store::{Locks, Position};
use orders_core::{
    OrderEvent, OrdersSource, Step,
    log::{Kept, OrderLog},
};

use crate::{
    log_suite::{done, load, slots, with},
    world::{World, id},
};

/// All that is told, page by page, once it is `count`: the horizon is the whole cluster's, and another
/// test's transaction holds it back for a moment.
async fn told(source: &OrdersSource, of: &[u16], count: usize) -> Vec<Envelope> {
    let reading = async {
        loop {
            let (mut after, mut all) = (Position::START, Vec::new());
            loop {
                let page = source.page(after, of, 2).await.expect("a page");
                let is_last = page.events.len() < 2;
                assert!(page.events.iter().all(|(at, _)| at.position > after && at.position <= page.end));
                after = page.end;
                all.extend(page.events.into_iter().map(|(_, event)| event));
                if is_last {
                    break;
                }
            }
            if all.len() >= count {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("told")
}

async fn append(world: &World, name: &str, event: OrderEvent) {
    let save = with(&load(&world.log, id(name)).await, event, world.now());
    assert_eq!(world.log.save(&[save]).await.expect("saved"), [Kept::Kept]);
}

fn lines(told: &[Envelope]) -> Vec<String> {
    told.iter().map(|event| format!("{} {}", event.kind, event.sequence)).collect()
}

#[tokio::test]
async fn only_public_events_are_told_without_a_gap() {
    let world = World::new().await;
    let source = world.orders.source();
    let order = world.placed("shipped").await;
    for step in Step::FORWARD {
        append(&world, "shipped", done(step)).await;
    }
    append(&world, "shipped", OrderEvent::OrderShipped { tracking: Vec::new() }).await;
    world.placed("cancelled").await;
    append(&world, "cancelled", OrderEvent::CancelRequested { reason: "why".to_owned() }).await;
    append(&world, "cancelled", OrderEvent::OrderCancelled { cause: "cancelled".to_owned() }).await;
    let told = told(&source, &slots(), 4).await;
    assert_eq!(lines(&told), ["OrderCreated 1", "OrderShipped 2", "OrderCreated 1", "OrderCancelled 2"]);
    let first = &told[0];
    assert_eq!((first.source.as_str(), &first.subject), ("orders", &order.to_string()));
    assert_eq!(first.id, banyan_kernel::event_id("orders", &first.subject, 1));
    assert_eq!(first.data["total"]["minor"], 500);
    assert!(first.data.get("payment_method").is_none(), "what is stored is not what is told");
    assert_eq!(first.traceparent.correlation(), banyan_kernel::TraceParent::root(order.0).correlation());
}

#[tokio::test]
async fn a_slot_is_told_its_own() {
    let world = World::new().await;
    let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    world.place_all(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let source = world.orders.source();
    told(&source, &slots(), names.len()).await;
    let mut all = 0;
    for slot in slots() {
        let mine = told(&source, &[slot], 0).await;
        assert!(mine.iter().all(|event| slot_of(&event.subject) == slot));
        all += mine.len();
    }
    assert_eq!(all, names.len());
}

#[tokio::test]
async fn a_subject_is_told_from_a_sequence_on() {
    let world = World::new().await;
    let (source, subject) = (world.orders.source(), world.placed("a").await.to_string());
    append(&world, "a", done(Step::Reserve)).await;
    append(&world, "a", OrderEvent::OrderShipped { tracking: Vec::new() }).await;
    assert_eq!(
        lines(&source.of_subject(&subject, 0).await.expect("told")),
        ["OrderCreated 1", "OrderShipped 2"]
    );
    assert_eq!(lines(&source.of_subject(&subject, 1).await.expect("told")), ["OrderShipped 2"]);
    assert!(source.of_subject(&subject, 2).await.expect("told").is_empty());
    for nobody in ["not an order", &uuid::Uuid::nil().to_string()] {
        assert!(source.of_subject(nobody, 0).await.expect("told").is_empty());
    }
}

/// Who has read past a place never finds an event below it later.
#[tokio::test]
async fn a_lower_place_that_commits_late_is_not_skipped() {
    let world = World::new().await;
    let source = world.orders.source();
    let mut early = world.store.begin(&Locks::none()).await.expect("a write");
    let xid: i64 = sqlx::query_scalar("select pg_current_xact_id()::text::int8")
        .fetch_one(early.connection())
        .await
        .expect("an xid");
    world.placed("late in places, early to commit").await;
    let page = source.page(Position::START, &slots(), 10).await.expect("a page");
    assert!(page.events.is_empty(), "what is above the oldest open transaction waits");
    assert!(page.end.xid < xid, "nobody stands above it");
    assert!(source.end().await.expect("an end").xid < xid);
    let mut moved = "insert into order_event (order_id, version, sequence, type, schema_version, payload, hash, at, \
        traceparent, slot, epoch) select gen_random_uuid(), 1, 1, type, schema_version, payload, hash, at, traceparent, \
        slot, epoch from order_event".to_owned();
    moved.push_str(" where sequence = 1");
    sqlx::query(sqlx::AssertSqlSafe(moved)).execute(early.connection()).await.expect("inserted");
    early.commit().await.expect("committed");
    let told = told(&source, &slots(), 2).await;
    assert_eq!(told[1].subject, id("late in places, early to commit").to_string(), "by xid, not by commit");
    let rest = source.page(page.end, &slots(), 10).await.expect("a page");
    assert_eq!(rest.events.len(), 2, "who stood at the first page's end misses neither");
}

#[tokio::test]
async fn what_was_told_before_a_move_comes_first() {
    let world = World::new().await;
    world.placed("before").await;
    world.store.fence().raise().await.expect("raised");
    world.placed("after").await;
    let told = told(&world.orders.source(), &slots(), 2).await;
    assert_eq!([&told[0].subject, &told[1].subject], [&id("before").to_string(), &id("after").to_string()]);
}
