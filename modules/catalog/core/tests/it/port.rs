//! The port: its conformance suite, what it tells, and two who put at once.

use banyan_kernel::Answer;
use catalog_api::{
    BATCH_MAX, Catalog,
    testing::{FakeCatalog, conformance, staff, wish, wishes},
};

use crate::world::World;

fn done<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_fake_conforms() {
    conformance(&FakeCatalog::new()).await;
}

#[tokio::test]
async fn postgres_conforms() {
    conformance(&*World::new().await.catalog).await;
}

#[tokio::test]
async fn only_what_changed_is_told() {
    let world = World::new().await;
    for wanted in [vec![wish("A", 1), wish("B", 1)], vec![wish("A", 1), wish("B", 2)], vec![wish("A", 1)]] {
        done(world.catalog.put(staff(), wishes(wanted)).await);
    }
    let told = world.told().await;
    assert_eq!(told, ["ProductUpdated A 1", "ProductUpdated B 1", "ProductUpdated B 2"]);
}

#[tokio::test]
async fn two_who_put_the_same_in_opposite_order_lose_no_version() {
    let world = World::new().await;
    let names: Vec<String> = (0..100).map(|n| format!("P{n}")).collect();
    let forth = names.iter().map(|name| wish(name, 1)).collect();
    let back = names.iter().rev().map(|name| wish(name, 2)).collect();
    let (forth, back) =
        tokio::join!(world.catalog.put(staff(), wishes(forth)), world.catalog.put(staff(), wishes(back)));
    let (forth, back) = (done(forth).products, done(back).products);
    for (one, other) in forth.iter().zip(back.iter().rev()) {
        assert_eq!(one.version + other.version, 3, "{}: one came first", one.sku);
    }
    assert_eq!(world.told().await.len(), 200);
}

#[tokio::test]
async fn the_largest_batch_is_put_and_what_the_database_refuses_changes_nothing() {
    let world = World::new().await;
    let mut wanted: Vec<_> = (0..BATCH_MAX).map(|n| wish(&format!("P{n}"), 1)).collect();
    wanted[7].price.minor = 0;
    let refused = world.catalog.put(staff(), wishes(wanted.clone())).await;
    assert!(matches!(refused, Answer::Broken(_)), "a price of nothing: {refused:?}");
    assert_eq!(world.catalog.products(vec![wanted[0].sku.clone()]).await, Ok(Vec::new()));
    wanted[7].price.minor = 1;
    assert_eq!(done(world.catalog.put(staff(), wishes(wanted)).await).products.len(), BATCH_MAX);
}
