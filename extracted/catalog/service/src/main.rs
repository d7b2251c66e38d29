//! Catalog as a process of its own.

use std::process::ExitCode;

use banyan_host::{Alone, Module};
use catalog_core::{Catalog, schema};
use catalog_http::port;

fn main() -> ExitCode {
    banyan_host::run(catalog_api::NAME, banyan_kafka::carriage, |given| {
        let store = given.store();
        let catalog = Catalog::new(store.clone());
        Ok(Alone::new(Module::new(schema(), store), |door| port().router(catalog, door)))
    })
}
