//! Events of one order get their places in the order of their versions, whoever appends.

use banyan_kernel::OrderId;
use futures::future::join_all;
use orders_api::OrderFacts as _;
use orders_core::{
    PostgresLog, Step,
    log::{Kept, OrderLog, Save},
};
use uuid::Uuid;

use crate::{
    log_suite::{done, with},
    world::{World, told},
};

const WRITERS: usize = 8;
const ROUNDS: usize = 25;

/// All orders at once, each writer in an order of its own; who is outrun has lost that turn.
async fn write(log: PostgresLog, ids: Vec<OrderId>, now: banyan_kernel::Timestamp) -> usize {
    let mut kept = 0;
    for round in 0..ROUNDS {
        let mut loaded = log.load(&ids).await.expect("loaded");
        if round % 2 == 0 {
            loaded.reverse();
        }
        let batch: Vec<Save> = loaded.iter().map(|order| with(order, done(Step::Reserve), now)).collect();
        let saved = log.save(&batch).await.expect("saved");
        kept += saved.iter().filter(|one| **one == Kept::Kept).count();
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_commits_is_the_order_of_versions() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(world.placed(name).await);
    }
    let writer = |n: usize| {
        let mut mine = ids.clone();
        mine.rotate_left(n % ids.len());
        tokio::spawn(write(world.log.clone(), mine, world.now()))
    };
    let kept = join_all((0..WRITERS).map(writer)).await;
    let kept: usize = kept.into_iter().map(|kept| kept.expect("no panic")).sum();
    let disordered = "select count(*) from (select version, row_number() over \
        (partition by order_id order by epoch, xid, seq) as place from order_event) e where version <> place";
    assert_eq!(world.count(disordered).await, 0);
    let events = world.count("select count(*) from order_event").await;
    assert_eq!(
        usize::try_from(events).expect("few"),
        kept + ids.len(),
        "what was kept is there, nothing else"
    );
    let facts = told(world.orders.facts(OrderId(Uuid::nil()), OrderId(Uuid::max())).await);
    assert_eq!(facts.len(), ids.len());
    assert!(facts.iter().all(|fact| fact.chain.is_none() && !fact.out_of_order), "{facts:?}");
    assert!(kept >= ROUNDS * ids.len(), "in each round somebody is first: {kept}");
}
