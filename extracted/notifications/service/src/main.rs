//! Notifications as a process of their own.

use std::process::ExitCode;

use banyan_host::{Alone, Module, Reconciler};
use notifications_core::{
    DELAYED_GROUP, DelayedReconciler, MAIL_GROUP, MailServer, NewsConsumer, Notifications, OrdersConsumer,
    SendReconciler, schema,
};
use notifications_http::{Served, port};

fn main() -> ExitCode {
    banyan_host::run(notifications_api::NAME, banyan_kafka::carriage, |given| {
        let (store, late) = (given.store(), given.seconds("BANYAN_LATE_S", 900)?);
        let server = given.both("BANYAN_SMTP_URL", "BANYAN_MAIL_FROM")?;
        let server = server.map(|(url, from)| MailServer::new(&url, &from)).transpose();
        let server = server.map_err(|error| error.to_string())?;
        let (is_sent, notifications) = (server.is_some(), Notifications::new(store.clone()));
        let delayed = DelayedReconciler::new(store.clone(), late, is_sent);
        let sending = server.map(|server| SendReconciler::new(notifications.clone(), server));
        let module = Module::new(schema(), store.clone())
            .hears(OrdersConsumer::new(store.clone(), is_sent))
            .hears(NewsConsumer::of_refunds(store.clone(), is_sent))
            .hears(NewsConsumer::of_deliveries(store, is_sent))
            .does([Reconciler::new(DELAYED_GROUP, |held, stop| delayed.run(held, stop))])
            .does(sending.map(|it| Reconciler::new(MAIL_GROUP, |held, stop| it.run(held, stop))));
        let heard = |module| given.heard(module);
        let others = vec![heard(orders_api::NAME)?, heard(payments_api::NAME)?, heard(shipping_api::NAME)?];
        Ok(Alone { others, ..Alone::new(module, |door| port().router(Served::by(notifications), door)) })
    })
}
