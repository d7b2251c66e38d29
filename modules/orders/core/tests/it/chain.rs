//! A changed event and a cut tail are seen: by who drives, and by the audit.

use banyan_kernel::{Answer, OrderId};
use orders_api::{OrderFact, OrderFacts as _, Orders};
use orders_core::{
    Step,
    log::{Kept, OrderLog},
};
use uuid::Uuid;

use crate::{
    log_suite::{done, load, with},
    world::{World, told},
};

/// An order of three events beside a sound one.
async fn world() -> (World, OrderId) {
    let world = World::new().await;
    let order = world.placed("tampered with").await;
    world.placed("sound").await;
    for step in [Step::Reserve, Step::Authorise] {
        let save = with(&load(&world.log, order).await, done(step), world.now());
        assert_eq!(world.log.save(&[save]).await.expect("saved"), [Kept::Kept]);
    }
    (world, order)
}

async fn facts(world: &World) -> Vec<OrderFact> {
    told(world.orders.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await)
}

/// The audit names this order and no other, so; it is not driven any more.
async fn check(tampering: &str, chain: Option<&str>, row: Option<&str>) {
    let (world, order) = world().await;
    assert!(facts(&world).await.iter().all(|fact| fact.chain.is_none() && fact.row.is_none()));
    world.plant(&tampering.replace("IT", &format!("order_id = '{order}'"))).await;
    for fact in facts(&world).await {
        let expected = if fact.id == order { (chain, row) } else { (None, None) };
        assert_eq!((fact.chain.as_deref(), fact.row.as_deref()), expected, "{tampering}");
    }
    let loaded = world.log.load(&[order]).await.expect("loaded");
    let is_row_there = row != Some("events without an order");
    assert_eq!(loaded.is_empty(), chain.is_some() || !is_row_there, "{tampering}");
}

#[tokio::test]
async fn a_changed_field_is_seen() {
    let changed = Some("event 2 was changed");
    for change in [
        "payload = payload || '{\"step\": \"book\"}'",
        "payload = payload || '{\"actor\": \"staff:mallory\"}'",
        "payload = payload - 'result'",
        "type = 'StepUndone'",
        "at = at - interval '1 microsecond'",
        "schema_version = 2",
        "hash = decode(repeat('00', 32), 'hex')",
    ] {
        check(&format!("update orders.order_event set {change} where IT and version = 2"), changed, None)
            .await;
    }
}

#[tokio::test]
async fn what_is_cut_out_or_cut_off_is_seen() {
    let delete = |which: &str| format!("delete from orders.order_event where IT and version {which}");
    check(&delete("= 1"), Some("event 1 is missing"), None).await;
    check(&delete("= 2"), Some("event 2 is missing"), None).await;
    check(&delete("= 3"), Some("the tail is cut off after event 2"), None).await;
    check(&delete("> 0"), Some("event 1 is missing"), None).await;
}

/// Who rewrites the tail with its hashes right meets the row, which remembers the last one.
#[tokio::test]
async fn a_tail_rewritten_whole_is_seen() {
    let tampering = "update orders.orders set hash = decode(repeat('11', 32), 'hex') where IT";
    check(tampering, Some("event 3 is not the one the order's row remembers"), None).await;
}

#[tokio::test]
async fn a_row_that_is_not_the_fold_is_seen() {
    let says = |what: &str| format!("its row says that its {what}");
    let set = async |change: &str, what: &str| {
        check(&format!("update orders.orders set {change} where IT"), None, Some(&says(what))).await;
    };
    set("state = 'shipped'", "state is shipped, and its events say placed").await;
    set("open = false", "order is ended, and its events say open").await;
    set("told = 2", "count of what was told is 2, and its events say 1").await;
    let (theirs, other) = (Uuid::from_u128(1), Uuid::from_u128(7));
    let customer = format!("customer is {other}, and its events say {theirs}");
    set(&format!("customer_id = '{other}'"), &customer).await;
    check("delete from orders.orders where IT", None, Some("events without an order")).await;
}

/// It would be told to nobody, or be missed by whoever heard of it.
#[tokio::test]
async fn an_event_told_under_another_number_is_seen() {
    let changed = |sequence: &str, version: u8| {
        format!("update orders.order_event set sequence = {sequence} where IT and version = {version}")
    };
    for (sequence, version) in [("2", 1), ("null", 1), ("2", 3)] {
        let named = format!("event {version} is not told under its number");
        check(&changed(sequence, version), Some(&named), None).await;
    }
}

#[tokio::test]
async fn another_first_answer_is_seen() {
    let (world, order) = world().await;
    world
        .plant(&format!("update orders.orders set response = response + 1 where order_id = '{order}'"))
        .await;
    for fact in facts(&world).await {
        assert_eq!(fact.answers_otherwise, fact.id == order);
    }
}

/// Placed between two readings of a page: an order is as whole as any.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_placed_while_facts_are_read_is_whole() {
    const ORDERS: usize = 300;
    let world = World::new().await;
    let placing = async {
        for n in 0..ORDERS {
            world.placed(&format!("busy-{n}")).await;
        }
    };
    let reading = async {
        loop {
            let facts = facts(&world).await;
            let broken = facts.iter().find(|fact| fact.chain.is_some() || fact.row.is_some());
            assert_eq!(broken, None);
            if facts.len() == ORDERS {
                break;
            }
        }
    };
    tokio::join!(placing, reading);
}

#[tokio::test]
async fn facts_come_in_pages_of_orders() {
    let (world, _) = world().await;
    world.placed("third").await;
    let (mut after, mut seen) = (OrderId(Uuid::nil()), Vec::new());
    while let Some(end) = told(world.orders.page_end(after, 2).await) {
        seen.extend(told(world.orders.facts(after, end).await).into_iter().map(|fact| fact.id));
        after = end;
    }
    assert_eq!(seen.len(), 3);
    assert!(matches!(world.orders.view(seen, None).await, Answer::Done(views) if views.len() == 3));
}
