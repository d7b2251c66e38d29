//! The contract by HTTP: real client, real router, and the contract's own fake behind it.

use std::{path::Path, sync::Arc};

use banyan_net::port::testing::{Database, Wire, agreed};
use catalog_api::{
    Catalog, NAME, Unavailable,
    testing::{FakeCatalog, conformance, sku},
};
use catalog_http::{HttpCatalog, port};

#[tokio::test]
async fn a_catalogue_by_http_conforms_and_says_when_it_cannot_be_asked() {
    let fake: Arc<dyn Catalog> = Arc::new(FakeCatalog::new());
    let wire = Wire::serve(NAME, port(), fake, Arc::new(Database("1/2/catalog/1"))).await;
    conformance(&HttpCatalog(wire.client())).await;
    let stranger = HttpCatalog(wire.client_as(wire.key.credential("payments")));
    let said = stranger.products(vec![sku("A")]).await;
    assert!(matches!(&said, Err(Unavailable(why)) if why.contains("does not let us in")), "{said:?}");
}

#[test]
fn the_contract_of_catalog_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/catalog/v1.json");
    agreed(&port(), &path);
}
