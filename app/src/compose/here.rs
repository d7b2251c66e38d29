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
use banyan_net::outbound::Callee;
use banyan_store::{Signal, Store};
use catalog_api::Catalog;
use tokio::sync::watch;

use super::{MailServer, Part, Participants};

#[cfg(feature = "catalog")]
pub(super) fn catalog(store: Store) -> Part<Arc<dyn Catalog>> {
    (catalog_core::Catalog::new(store.clone()), Some(Module::new(catalog_core::schema(), store)))
}

#[cfg(feature = "inventory")]
pub(super) fn inventory(store: Store) -> Part<inventory_http::Served> {
    use inventory_core::{ExpiryReconciler, GROUP, Inventory, OrdersConsumer, PublicStock, schema};
    let (inventory, expiry) = (Inventory::new(store.clone()), ExpiryReconciler::new(store.clone()));
    let module = Module::new(schema(), store.clone())
        .hears(OrdersConsumer::new(store.clone()))
        .shows(PublicStock::new(store))
        .does([Reconciler::new(GROUP, |held, stop| expiry.run(held, stop))]);
    (inventory_http::Served::by(inventory), Some(module))
}

#[cfg(feature = "payments")]
pub(super) fn payments(store: Store, gateway: Callee) -> Part<payments_http::Served> {
    use payments_core::{Payments, schema};
    let payments = Payments::new(store.clone(), gateway);
    let intents = [payments.intents(), payments.refund_intents(), payments.looks()];
    let module = Module::new(schema(), store).does(intents.map(Reconciler::outbound));
    (payments_http::Served::by(payments), Some(module))
}

#[cfg(feature = "shipping")]
pub(super) fn shipping(store: Store, carrier: Callee) -> Part<shipping_http::Served> {
    use shipping_core::{OrdersConsumer, Shipping, TRACK_GROUP, TrackingReconciler, schema};
    let shipping = Shipping::new(store.clone(), carrier);
    let tracking = TrackingReconciler::new(&shipping);
    let tracking = Reconciler::new(TRACK_GROUP, |held, stop| tracking.run(held, stop));
    let module = Module::new(schema(), store.clone())
        .hears(OrdersConsumer::new(store))
        .does([Reconciler::outbound(shipping.intents()), tracking]);
    (shipping_http::Served::by(shipping), Some(module))
}

#[cfg(feature = "notifications")]
pub(super) fn notifications(
    store: Store,
    server: Option<MailServer>,
    late: Duration,
) -> Part<notifications_http::Served> {
    use notifications_core::{
        DELAYED_GROUP, DelayedReconciler, MAIL_GROUP, NewsConsumer, Notifications, OrdersConsumer,
        SendReconciler, schema,
    };
    let (is_sent, notifications) = (server.is_some(), Notifications::new(store.clone()));
    let delayed = DelayedReconciler::new(store.clone(), late, is_sent);
    let sending = server.map(|server| SendReconciler::new(notifications.clone(), server));
    let module = Module::new(schema(), store.clone())
        .hears(OrdersConsumer::new(store.clone(), is_sent))
        .hears(NewsConsumer::of_refunds(store.clone(), is_sent))
        .hears(NewsConsumer::of_deliveries(store, is_sent))
        .does([Reconciler::new(DELAYED_GROUP, |held, stop| delayed.run(held, stop))])
        .does(sending.map(|it| Reconciler::new(MAIL_GROUP, |held, stop| it.run(held, stop))));
    (notifications_http::Served::by(notifications), Some(module))
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
    hold: Duration,
    answers_again: watch::Receiver<u64>,
) -> (orders_http::Served, Signal, Reconciler) {
    use orders_core::{DriveConfig, Orders, Ports, SagaReconciler};
    let orders = Orders::new(store, catalog);
    let Participants { inventory, payments, shipping } = asked;
    let saga = orders.saga(Ports { inventory, payments, shipping }, DriveConfig::holding(hold));
    let saga = saga.woken_by(answers_again);
    let saga = Reconciler::new(<SagaReconciler>::GROUP, |held, stop| saga.run(held, stop));
    (orders_http::Served::by(orders.clone()), orders.signal(), saga)
}
