//! Inventory as a process of its own.

use std::process::ExitCode;

use banyan_host::{Alone, Module, Reconciler};
use inventory_core::{ExpiryReconciler, GROUP, Inventory, OrdersConsumer, PublicStock, schema};
use inventory_http::{Served, port};

fn main() -> ExitCode {
    banyan_host::run(inventory_api::NAME, banyan_kafka::carriage, |given| {
        let store = given.store();
        let (inventory, expiry) = (Inventory::new(store.clone()), ExpiryReconciler::new(store.clone()));
        let module = Module::new(schema(), store.clone())
            .hears(OrdersConsumer::new(store.clone()))
            .shows(PublicStock::new(store))
            .does([Reconciler::new(GROUP, |held, stop| expiry.run(held, stop))]);
        let others = vec![given.heard(orders_api::NAME)?];
        Ok(Alone { others, ..Alone::new(module, |door| port().router(Served::by(inventory), door)) })
    })
}
