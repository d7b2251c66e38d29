//! An item that PostgreSQL refuses: it alone is told so, and the rest of its batch is done.

use banyan_kernel::{Answer, CommandId, OrderId};
use inventory_api::{
    Inventory,
    testing::{context, order, receipt, release, reserve},
};

use crate::world::World;

const BATCH: usize = 50;
const GUILTY: usize = 13;

fn orders() -> Vec<OrderId> {
    (0..BATCH).map(|n| order(&format!("poison-{n}"))).collect()
}

/// All done but the guilty, who is broken.
fn check<T: std::fmt::Debug>(answers: &[Answer<T>]) {
    assert_eq!(answers.len(), BATCH);
    for (at, answer) in answers.iter().enumerate() {
        let fits = if at == GUILTY {
            matches!(answer, Answer::Broken(_))
        } else {
            matches!(answer, Answer::Done(_))
        };
        assert!(fits, "item {at}: {answer:?}");
    }
}

/// PostgreSQL takes no NUL in a text, wherever it comes from.
#[tokio::test]
async fn one_item_of_fifty_is_refused_by_the_database() {
    let world = World::new().await;
    let port = &world.inventory;
    port.receive(context(), vec![receipt("in", &[("A", 100)])]).await;

    let mut reserves: Vec<_> =
        orders().iter().map(|order| reserve(*order, 1, &[("A", 1)], world.now())).collect();
    reserves[GUILTY].id = CommandId::new(reserves[GUILTY].id.order, "res\0erve", 1);
    check(&port.reserve(reserves).await);
    assert_eq!(world.told().await.len(), BATCH - 1);

    let mut releases: Vec<_> = orders().iter().map(|order| release(*order, 1)).collect();
    releases[GUILTY].body.reason = "\0".into();
    check(&port.release(releases).await);
    assert_eq!(world.told().await.len(), 2 * (BATCH - 1));

    let mut receipts: Vec<_> = (0..BATCH).map(|n| receipt(&format!("r-{n}"), &[("A", 1)])).collect();
    receipts[GUILTY].key = "\0".into();
    check(&port.receive(context(), receipts).await);
    assert_eq!(world.inventory.stock_violations().await.expect("violations"), []);
}

#[tokio::test]
async fn a_closed_module_and_a_database_that_is_away_are_unavailable() {
    let world = World::new().await;
    let ask = || vec![reserve(order("a"), 1, &[("A", 1)], world.now())];
    world.store.fence().close().await.expect("closed");
    assert!(matches!(world.inventory.reserve(ask()).await[..], [Answer::Unavailable(_)]));
    world.store.fence().open().await.expect("open");
    assert!(matches!(world.inventory.reserve(ask()).await[..], [Answer::Rejected(_)]));
    world.store.pool().close().await;
    assert!(matches!(world.inventory.reserve(ask()).await[..], [Answer::Unavailable(_)]));
}
