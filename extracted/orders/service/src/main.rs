//! Orders as a process of their own.

use std::{process::ExitCode, sync::Arc};

use banyan_host::{Alone, Module, Reconciler};
use catalog_http::{CachedCatalog, HttpCatalog};
use orders_core::{DriveConfig, OrderList, Orders, OrdersSource, Ports, SagaReconciler, SalesByHour, schema};
use orders_http::{Served, port};
use shipping_http::HttpShipping;

fn main() -> ExitCode {
    banyan_host::run(orders_api::NAME, banyan_kafka::carriage, |given| {
        let store = given.store();
        let (catalog, cache) = CachedCatalog::new(Arc::new(HttpCatalog(given.way(catalog_api::NAME)?)));
        let orders = Orders::new(store.clone(), catalog);
        let ports = Ports {
            inventory: Arc::new(inventory_http::HttpInventory(given.way(inventory_api::NAME)?)),
            payments: Arc::new(payments_http::HttpPayments(given.way(payments_api::NAME)?)),
            shipping: Arc::new(HttpShipping { client: given.way(shipping_api::NAME)?, clock: given.clock() }),
        };
        let saga = orders.saga(ports, DriveConfig::holding(given.seconds("BANYAN_HOLD_S", 900)?));
        let saga = saga.woken_by(given.answers_again()?);
        let module = Module::new(schema(), store.clone())
            .shows(OrderList::new(store.clone()))
            .shows(SalesByHour::new(store.clone()))
            .does([Reconciler::new(<SagaReconciler>::GROUP, |held, stop| saga.run(held, stop))]);
        let source = Arc::new(OrdersSource::new(store.clone()));
        let module = Module { source, private: vec![Arc::new(OrdersSource::history(store))], ..module };
        let (others, caches) = (vec![given.heard(catalog_api::NAME)?], vec![CachedCatalog::hearing(cache)]);
        let alone = Alone::new(module, |door| port().router(Served::by(orders), door));
        Ok(Alone { others, caches, ..alone })
    })
}
