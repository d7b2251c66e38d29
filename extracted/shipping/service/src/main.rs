//! Shipping as a process of its own.

use std::process::ExitCode;

use banyan_host::{Alone, Module, Reconciler};
use shipping_core::{OrdersConsumer, Shipping, TRACK_GROUP, TrackingReconciler, schema};
use shipping_http::{Served, port};

fn main() -> ExitCode {
    banyan_host::run(shipping_api::NAME, banyan_kafka::carriage, |given| {
        let store = given.store();
        let shipping = Shipping::new(store.clone(), given.callee("CARRIER")?);
        let tracking = TrackingReconciler::new(&shipping);
        let tracking = Reconciler::new(TRACK_GROUP, |held, stop| tracking.run(held, stop));
        let module = Module::new(schema(), store.clone())
            .hears(OrdersConsumer::new(store))
            .does([Reconciler::outbound(shipping.intents()), tracking]);
        let others = vec![given.heard(orders_api::NAME)?];
        Ok(Alone { others, ..Alone::new(module, |door| port().router(Served::by(shipping), door)) })
    })
}
