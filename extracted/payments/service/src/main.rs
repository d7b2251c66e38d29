//! Payments as a process of their own.

use std::process::ExitCode;

use banyan_host::{Alone, Module, Reconciler};
use payments_core::{Payments, schema};
use payments_http::{Served, port};

fn main() -> ExitCode {
    banyan_host::run(payments_api::NAME, banyan_kafka::carriage, |given| {
        let store = given.store();
        let payments = Payments::new(store.clone(), given.callee("GATEWAY")?);
        let intents = [payments.intents(), payments.refund_intents(), payments.looks()];
        let module = Module::new(schema(), store).does(intents.map(Reconciler::outbound));
        Ok(Alone::new(module, |door| port().router(Served::by(payments), door)))
    })
}
