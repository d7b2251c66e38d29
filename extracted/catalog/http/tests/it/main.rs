//! The contract by HTTP: real client, real router, and the contract's own fake behind it.

use std::{path::Path, sync::Arc};

use banyan_kernel::Answer;
use banyan_net::{
    port::testing::{Database, Wire, agreed},
    route::{Side, testing::alternating},
};
use catalog_api::{
    Catalog, NAME, Unavailable,
    testing::{FakeCatalog, conformance, sku, staff, wish, wishes},
};
use catalog_http::{CachedCatalog, HttpCatalog, RoutedCatalog, port};

#[tokio::test]
async fn a_catalogue_by_http_conforms_and_says_when_it_cannot_be_asked() {
    let fake: Arc<dyn Catalog> = Arc::new(FakeCatalog::new());
    let wire = Wire::serve(NAME, port(), fake, Arc::new(Database("1/2/catalog/1"))).await;
    conformance(&HttpCatalog(wire.client())).await;
    let stranger = HttpCatalog(wire.client_as(wire.key.credential("payments")));
    let said = stranger.products(vec![sku("A")]).await;
    assert!(matches!(&said, Err(Unavailable(why)) if why.contains("does not let us in")), "{said:?}");
}

#[tokio::test]
async fn a_catalogue_by_a_route_that_splits_what_it_is_asked_conforms() {
    let fake: Arc<dyn Catalog> = Arc::new(FakeCatalog::new());
    let wire = Wire::serve(NAME, port(), fake.clone(), Arc::new(Database("1/2/catalog/1"))).await;
    let (route, gauge) = alternating(NAME, fake, Arc::new(HttpCatalog(wire.client())));
    conformance(&RoutedCatalog(route)).await;
    assert_eq!(gauge.differences(), []);
    for side in [Side::Here, Side::There] {
        assert!(gauge.counts(side).items > 0, "{side:?} was asked nothing");
    }
}

#[test]
fn the_contract_of_catalog_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/catalog/v1.json");
    agreed(&port(), &path);
}

/// Before a catalogue, with nobody who tells it what changed.
fn cached() -> (Arc<FakeCatalog>, Arc<CachedCatalog>) {
    let fake = Arc::new(FakeCatalog::new());
    (fake.clone(), CachedCatalog::new(fake).0)
}

#[tokio::test]
async fn the_cached_one_conforms() {
    conformance(&*cached().1).await;
}

/// What another process changed, of which this one was not told yet.
#[tokio::test]
async fn who_asks_for_what_is_now_is_not_answered_by_the_cache() {
    let (catalog, cached) = cached();
    let sku = wish("A", 1).sku;
    let price = async |now: bool| {
        let asked = vec![sku.clone()];
        let found = if now { cached.products_now(asked).await } else { cached.products(asked).await };
        found.expect("the catalogue")[0].price.minor
    };
    let put = async |minor: i64| {
        let put = catalog.put(staff(), wishes(vec![wish("A", minor)])).await;
        assert!(matches!(put, Answer::Done(_)), "{put:?}");
    };
    put(1).await;
    assert_eq!(price(false).await, 1);
    put(2).await;
    assert_eq!(price(false).await, 1, "the cache was not told");
    assert_eq!(price(true).await, 2);
    assert_eq!(price(false).await, 2, "and it keeps what was read past it");
}
