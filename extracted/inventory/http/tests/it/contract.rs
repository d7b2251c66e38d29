//! The contract's document.

use std::path::Path;

use banyan_net::port::testing::agreed;
use inventory_http::port;

#[test]
fn the_contract_of_inventory_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/inventory/v1.json");
    agreed(&port(), &path);
}
