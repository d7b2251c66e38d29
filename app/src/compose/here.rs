//! The modules that are in this process: what each works with, and what it does by itself. A service's main says the same of its one.

#![cfg_attr(
    not(all(
        feature = "catalog",
        feature = "inventory",
        feature = "payments",
        feature = "shipping",
        feature = "orders",
        feature = "notifications"
    )),
    allow(unused_imports, reason = "of the modules that are not in this program")
)]

use std::{sync::Arc, time::Duration};

use banyan_host::{Module, Reconciler};
use banyan_net::{outbound::Callee, port::PortClient, route::Route};
use banyan_store::{Signal, Store};
use catalog_api::Catalog;
use tokio::sync::watch;

use super::{MailServer, Part, Participants, Routed, There};

/// A module that is here, as it is asked: by its route, if it is elsewhere as well.
#[cfg(any(
    feature = "catalog",
    feature = "inventory",
    feature = "payments",
    feature = "shipping",
    feature = "orders",
    feature = "notifications"
))]
fn routed<S: Clone + Send + Sync + 'static>(
    module: &'static str,
    here: S,
    there: &mut There,
    (elsewhere, by): (impl FnOnce(PortClient) -> S, impl FnOnce(Route<S>) -> S),
) -> S {
    let Some(Routed { switch, way, both }) = there.routed.remove(module) else { return here };
    let route = Route::new(module, here, elsewhere(way), (switch, both.gauge.clone()));
    there.routes.insert(module, both);
    by(route)
}

#[cfg(feature = "catalog")]
pub(super) fn catalog(store: Store, there: &mut There) -> Part<Arc<dyn Catalog>> {
    use catalog_http::{HttpCatalog, RoutedCatalog};
    let catalog: Arc<dyn Catalog> = catalog_core::Catalog::new(store.clone());
    let elsewhere = |way| Arc::new(HttpCatalog(way)) as _;
    let catalog =
        routed(catalog_api::NAME, catalog, there, (elsewhere, |by| Arc::new(RoutedCatalog(by)) as _));
    (catalog, Some(Module::new(catalog_core::schema(), store)))
}

#[cfg(feature = "inventory")]
pub(super) fn inventory(store: Store, there: &mut There) -> Part<inventory_http::Served> {
    use inventory_core::{ExpiryReconciler, GROUP, Inventory, OrdersConsumer, PublicStock, schema};
    use inventory_http::{HttpInventory, RoutedInventory, Served};
    let (inventory, expiry) = (Inventory::new(store.clone()), ExpiryReconciler::new(store.clone()));
    let module = Module::new(schema(), store.clone())
        .hears(OrdersConsumer::new(store.clone()))
        .shows(PublicStock::new(store))
        .does([Reconciler::new(GROUP, |held, stop| expiry.run(held, stop))]);
    let elsewhere = |way| Served::by(Arc::new(HttpInventory(way)));
    let by = |by| Served::by(Arc::new(RoutedInventory(by)));
    (routed(inventory_api::NAME, Served::by(inventory), there, (elsewhere, by)), Some(module))
}

#[cfg(feature = "payments")]
pub(super) fn payments(store: Store, gateway: Callee, there: &mut There) -> Part<payments_http::Served> {
    use payments_core::{Payments, schema};
    use payments_http::{HttpPayments, RoutedPayments, Served};
    let payments = Payments::new(store.clone(), gateway);
    let intents = [payments.intents(), payments.refund_intents(), payments.looks()];
    let module = Module::new(schema(), store).does(intents.map(Reconciler::outbound));
    let elsewhere = |way| Served::by(Arc::new(HttpPayments(way)));
    let by = |by| Served::by(Arc::new(RoutedPayments(by)));
    (routed(payments_api::NAME, Served::by(payments), there, (elsewhere, by)), Some(module))
}

#[cfg(feature = "shipping")]
pub(super) fn shipping(store: Store, carrier: Callee, there: &mut There) -> Part<shipping_http::Served> {
    use shipping_core::{OrdersConsumer, Shipping, TRACK_GROUP, TrackingReconciler, schema};
    use shipping_http::{HttpShipping, RoutedShipping, Served};
    let shipping = Shipping::new(store.clone(), carrier);
    let tracking = TrackingReconciler::new(&shipping);
    let tracking = Reconciler::new(TRACK_GROUP, |held, stop| tracking.run(held, stop));
    let module = Module::new(schema(), store.clone())
        .hears(OrdersConsumer::new(store))
        .does([Reconciler::outbound(shipping.intents()), tracking]);
    let clock = there.clock.clone();
    let elsewhere = |client| Served::by(Arc::new(HttpShipping { client, clock }));
    let by = |by| Served::by(Arc::new(RoutedShipping(by)));
    (routed(shipping_api::NAME, Served::by(shipping), there, (elsewhere, by)), Some(module))
}

#[cfg(feature = "notifications")]
pub(super) fn notifications(
    store: Store,
    (server, late): (Option<MailServer>, Duration),
    there: &mut There,
) -> Part<notifications_http::Served> {
    use notifications_core::{
        DELAYED_GROUP, DelayedReconciler, MAIL_GROUP, NewsConsumer, Notifications, OrdersConsumer,
        SendReconciler, schema,
    };
    use notifications_http::{HttpNotifications, RoutedNotifications, Served};
    let (is_sent, notifications) = (server.is_some(), Notifications::new(store.clone()));
    let delayed = DelayedReconciler::new(store.clone(), late, is_sent);
    let sending = server.map(|server| SendReconciler::new(notifications.clone(), server));
    let module = Module::new(schema(), store.clone())
        .hears(OrdersConsumer::new(store.clone(), is_sent))
        .hears(NewsConsumer::of_refunds(store.clone(), is_sent))
        .hears(NewsConsumer::of_deliveries(store, is_sent))
        .does([Reconciler::new(DELAYED_GROUP, |held, stop| delayed.run(held, stop))])
        .does(sending.map(|it| Reconciler::new(MAIL_GROUP, |held, stop| it.run(held, stop))));
    let elsewhere = |way| Served::by(Arc::new(HttpNotifications(way)));
    let by = |by| Served::by(Arc::new(RoutedNotifications(by)));
    (routed(notifications_api::NAME, Served::by(notifications), there, (elsewhere, by)), Some(module))
}

/// What works for orders, but for the saga: that comes with those whom it asks.
#[cfg(feature = "orders")]
pub(super) fn orders(store: Store) -> Module {
    use orders_core::{OrderList, OrdersSource, SalesByHour, schema};
    let module = Module::new(schema(), store.clone())
        .shows(OrderList::new(store.clone()))
        .shows(SalesByHour::new(store.clone()));
    let source = Arc::new(OrdersSource::new(store.clone()));
    Module { source, private: vec![Arc::new(OrdersSource::history(store))], ..module }
}

/// Orders, whose prices come from `catalog`; and the saga, over these participants, which is woken when one of them answers again.
#[cfg(feature = "orders")]
pub(super) fn saga(
    store: Store,
    catalog: Arc<dyn Catalog>,
    asked: Participants,
    (hold, answers_again): (Duration, watch::Receiver<u64>),
    there: &mut There,
) -> (orders_http::Served, Signal, Reconciler) {
    use orders_core::{DriveConfig, Orders, Ports, SagaReconciler};
    use orders_http::{HttpOrders, RoutedOrders, Served};
    let orders = Orders::new(store, catalog);
    let Participants { inventory, payments, shipping } = asked;
    let saga = orders.saga(Ports { inventory, payments, shipping }, DriveConfig::holding(hold));
    let saga = saga.woken_by(answers_again);
    let saga = Reconciler::new(<SagaReconciler>::GROUP, |held, stop| saga.run(held, stop));
    let elsewhere = |way| Served::by(Arc::new(HttpOrders(way)));
    let by = |by| Served::by(Arc::new(RoutedOrders(by)));
    let served = routed(orders_api::NAME, Served::by(orders.clone()), there, (elsewhere, by));
    (served, orders.signal(), saga)
}
