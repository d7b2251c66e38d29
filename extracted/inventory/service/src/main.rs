//! Inventory as a process of its own.

use std::{process::ExitCode, sync::Arc};

use banyan_bus::{Feed, OutboxSource};
use banyan_host::{Alone, Module, Reconciler};
use inventory_core::{ExpiryReconciler, GROUP, Inventory, OrdersConsumer, PublicStock, schema};
use inventory_http::{Served, port};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    banyan_host::run(inventory_api::NAME, |given| {
        let (store, orders) = (given.store(inventory_api::NAME), given.store(orders_api::NAME));
        let (inventory, expiry) = (Inventory::new(store.clone()), ExpiryReconciler::new(store.clone()));
        let hears_orders = Arc::new(OrdersConsumer::new(store.clone()));
        let counts = Arc::new(Feed::new(Arc::new(PublicStock::new(store.clone()))));
        let module = Module {
            schema: schema(),
            source: Arc::new(OutboxSource::new(store.clone())),
            consumers: vec![hears_orders, counts],
            reconcilers: vec![Reconciler::new(GROUP, |held, stop| expiry.run(held, stop))],
            relaying: None,
            store,
        };
        let hears = vec![Arc::new(orders_core::OrdersSource::new(orders)) as _];
        Alone { module, hears, port: Box::new(|door| port().router(Served::by(inventory), door)) }
    })
}
