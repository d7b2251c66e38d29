//! Who implements what: the one place in the shop that names implementations.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::{Bus, Consumer, LocalBus, OutboxSource, Source};
use banyan_host::{Module, Reconciler};
use banyan_kernel::Clock;
use banyan_net::outbound::Callee;
use banyan_store::{Schema, Store, role_of, role_password, sqlx::postgres::PgConnectOptions};
use inventory_api::Inventory;
use orders_core::{DriveConfig, Ports};
use uuid::Uuid;

use crate::{
    config::Outside,
    faults::{FaultBook, FaultyInventory},
};

/// Every module's schema.
#[must_use]
pub fn schemas() -> Vec<Schema> {
    vec![
        catalog_core::schema(),
        inventory_core::schema(),
        orders_core::schema(),
        payments_core::schema(),
        shipping_core::schema(),
    ]
}

/// Each module's store under its own role.
pub struct Stores(BTreeMap<&'static str, Store>);

impl Stores {
    /// Pools of at most `connections` each, on the administrator's database. Nothing is connected yet.
    #[must_use]
    pub fn new(
        administrator: &PgConnectOptions,
        password: &str,
        connections: u32,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let store = |schema: Schema| {
            let options = administrator.clone().username(&role_of(schema.name));
            let options = match role_password(password, schema.name) {
                Some(password) => options.password(&password),
                None => options,
            };
            (schema.name, Store::new(options, schema.name, connections, clock.clone()))
        };
        Self(schemas().into_iter().map(store).collect())
    }

    fn of(&self, module: &str) -> Store {
        self.0[module].clone()
    }

    /// How many connections all pools take together at most.
    #[must_use]
    pub fn connections(&self, each: u32) -> u32 {
        each * u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

/// The modules, wired.
pub struct Shop {
    /// Catalog.
    pub catalog: Arc<catalog_core::Catalog>,
    /// Orders.
    pub orders: Arc<orders_core::Orders>,
    /// Inventory, as it is.
    pub inventory: Arc<inventory_core::Inventory>,
    /// Payments.
    pub payments: Arc<payments_core::Payments>,
    /// Shipping.
    pub shipping: Arc<shipping_core::Shipping>,
    /// What they tell each other through.
    pub bus: Arc<dyn Bus>,
    consumers: Vec<Arc<dyn Consumer>>,
    sources: Vec<Arc<dyn Source>>,
}

impl Shop {
    /// Everybody who hears something.
    #[must_use]
    pub fn consumers(&self) -> Vec<Arc<dyn Consumer>> {
        self.consumers.clone()
    }

    /// What a module tells.
    #[must_use]
    pub fn source(&self, module: &str) -> Option<Arc<dyn Source>> {
        self.sources.iter().find(|source| source.name() == module).cloned()
    }
}

/// Wires the shop; with it comes what runs by itself. With a `fault_book`, the saga reaches inventory over a bad line.
#[must_use]
pub fn compose(
    stores: &Stores,
    outside: &Outside,
    hold: Duration,
    fault_book: Option<Arc<FaultBook>>,
    instance: Uuid,
) -> (Shop, Vec<Module>) {
    let callee = || Callee::new(outside.address.clone(), outside.secret.clone());
    let catalog = catalog_core::Catalog::new(stores.of(catalog_api::NAME));
    let inventory = inventory_core::Inventory::new(stores.of(inventory_api::NAME));
    let payments = payments_core::Payments::new(stores.of(payments_api::NAME), callee());
    let shipping = shipping_core::Shipping::new(stores.of(shipping_api::NAME), callee());
    let orders = orders_core::Orders::new(stores.of(orders_api::NAME), catalog.clone());
    let reached: Arc<dyn Inventory> = match fault_book {
        Some(book) => Arc::new(FaultyInventory::new(inventory.clone(), book)),
        None => inventory.clone(),
    };
    let ports = Ports { inventory: reached, payments: payments.clone(), shipping: shipping.clone() };
    let saga = orders.saga(ports, DriveConfig { hold, ..DriveConfig::default() });
    let modules = vec![
        module(stores, catalog_core::schema(), None),
        Module {
            consumers: vec![Arc::new(inventory_core::OrdersConsumer::new(inventory.store().clone()))],
            reconcilers: vec![expiry(&inventory)],
            ..module(stores, inventory_core::schema(), None)
        },
        Module {
            reconcilers: vec![Reconciler::new(
                orders_core::SagaReconciler::<orders_core::PostgresLog>::GROUP,
                |held, stop| saga.run(held, stop),
            )],
            ..module(stores, orders_core::schema(), Some(Arc::new(orders.source())))
        },
        Module {
            reconcilers: vec![payment_intents(&payments)],
            ..module(stores, payments_core::schema(), None)
        },
        Module {
            consumers: vec![Arc::new(shipping_core::OrdersConsumer::new(shipping.store().clone()))],
            reconcilers: vec![shipment_intents(&shipping)],
            ..module(stores, shipping_core::schema(), None)
        },
    ];
    let sources: Vec<Arc<dyn Source>> = modules.iter().map(|module| module.source.clone()).collect();
    let consumers = modules.iter().flat_map(|module| module.consumers.clone()).collect();
    let bus = Arc::new(LocalBus::new(sources.clone(), instance));
    (Shop { catalog, orders, inventory, payments, shipping, bus, consumers, sources }, modules)
}

/// A module that only tells; its source is its outbox unless it has one of its own.
fn module(stores: &Stores, schema: Schema, source: Option<Arc<dyn Source>>) -> Module {
    let store = stores.of(schema.name);
    let source = source.unwrap_or_else(|| Arc::new(OutboxSource::new(store.clone())));
    Module { store, schema, source, consumers: Vec::new(), reconcilers: Vec::new() }
}

fn expiry(inventory: &inventory_core::Inventory) -> Reconciler {
    let reconciler = inventory_core::ExpiryReconciler::new(inventory.store().clone());
    Reconciler::new(inventory_core::GROUP, |held, stop| reconciler.run(held, stop))
}

fn payment_intents(payments: &Arc<payments_core::Payments>) -> Reconciler {
    let reconciler = payments_core::IntentReconciler::new(payments.clone());
    Reconciler::new(payments_core::GROUP, |held, stop| reconciler.run(held, stop))
}

fn shipment_intents(shipping: &Arc<shipping_core::Shipping>) -> Reconciler {
    let reconciler = shipping_core::IntentReconciler::new(shipping.clone());
    Reconciler::new(shipping_core::GROUP, |held, stop| reconciler.run(held, stop))
}
