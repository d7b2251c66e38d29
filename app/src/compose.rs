//! Who implements what: the one place in the shop that names implementations, and says where each module is.

mod here;
mod shop;
mod stores;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::{Brokers, Bus, Carriage, Consumer, Source, Told, Topics};
use banyan_host::{Module, Reconciler, operations::Elsewhere};
use banyan_kernel::Clock;
use banyan_net::{call::Looked, outbound::Callee, port::PortClient, route::Switch};
use banyan_store::{Schema, Signal};
use catalog_api::Catalog;
use catalog_http::{CachedCatalog, HttpCatalog, ProductCache};
use inventory_api::Inventory;
use payments_api::Payments;
use shipping_api::Shipping;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    config::{self, MailConfig, Outside},
    faults::{FaultBook, FaultyInventory},
    routes::Both,
    staff_log,
};

#[cfg(feature = "notifications")]
pub use notifications_core::MailServer;
pub use stores::Stores;

/// The modules that this program has in it.
pub const IN_HERE: &[&str] = &[
    #[cfg(feature = "catalog")]
    catalog_api::NAME,
    #[cfg(feature = "inventory")]
    inventory_api::NAME,
    #[cfg(feature = "payments")]
    payments_api::NAME,
    #[cfg(feature = "shipping")]
    shipping_api::NAME,
    #[cfg(feature = "orders")]
    orders_api::NAME,
    #[cfg(feature = "notifications")]
    notifications_api::NAME,
];

/// All modules that may be processes of their own.
pub const MODULES: [&str; 6] = [
    catalog_api::NAME,
    inventory_api::NAME,
    payments_api::NAME,
    shipping_api::NAME,
    orders_api::NAME,
    notifications_api::NAME,
];

/// The schema of every module that is here.
#[must_use]
pub fn schemas(elsewhere: &config::Elsewhere) -> Vec<Schema> {
    let mut schemas: Vec<Schema> = vec![
        #[cfg(feature = "catalog")]
        catalog_core::schema(),
        #[cfg(feature = "inventory")]
        inventory_core::schema(),
        #[cfg(feature = "notifications")]
        notifications_core::schema(),
        #[cfg(feature = "orders")]
        orders_core::schema(),
        #[cfg(feature = "payments")]
        payments_core::schema(),
        #[cfg(feature = "shipping")]
        shipping_core::schema(),
    ];
    schemas.retain(|schema| !elsewhere.contains_key(schema.name));
    schemas
}

/// All that is prepared: the modules' schemas, and the edge's own.
#[must_use]
pub fn all_schemas(elsewhere: &config::Elsewhere) -> Vec<Schema> {
    let mut schemas = schemas(elsewhere);
    schemas.push(staff_log::schema());
    schemas
}

/// Whether mails may be from this one.
///
/// # Errors
/// When it is no address.
#[cfg(feature = "notifications")]
pub fn mail_sender(from: &str) -> Result<(), String> {
    MailServer::sender(from).map(drop).map_err(|error| error.to_string())
}

/// Whether mails may be from this one: whoever sends them says so.
///
/// # Errors
/// None.
#[cfg(not(feature = "notifications"))]
pub fn mail_sender(_: &str) -> Result<(), String> {
    Ok(())
}

/// Where mails are sent by.
///
/// # Errors
/// When it is no address of a server, or nobody here sends mails.
#[cfg(feature = "notifications")]
pub fn mail_server(mail: &MailConfig) -> Result<MailServer, String> {
    MailServer::new(&mail.url, &mail.from).map_err(|error| error.to_string())
}

/// Nobody here sends mails.
#[cfg(not(feature = "notifications"))]
pub enum MailServer {}

/// Where mails are sent by.
///
/// # Errors
/// Always: nobody here sends mails.
#[cfg(not(feature = "notifications"))]
pub fn mail_server(_: &MailConfig) -> Result<MailServer, String> {
    Err("this program has no notifications of its own: their service sends mails".to_owned())
}

/// Every module as it is asked, here or elsewhere, and what works for those that are here.
#[derive(Clone)]
pub struct Shop {
    /// Catalog, through its cache.
    pub catalog: Arc<dyn Catalog>,
    /// The products in memory.
    pub product_cache: Arc<ProductCache>,
    /// Inventory.
    pub inventory: inventory_http::Served,
    /// Payments.
    pub payments: payments_http::Served,
    /// Shipping.
    pub shipping: shipping_http::Served,
    /// Orders.
    pub orders: orders_http::Served,
    /// Raised after each commit of orders in this process; never, where they are elsewhere.
    pub orders_signal: Signal,
    /// Notifications.
    pub notifications: notifications_http::Served,
    /// What they tell each other through.
    pub bus: Arc<dyn Bus>,
    /// Its topics, where it has any.
    pub topics: Option<Arc<dyn Topics>>,
    /// What modules tell that are elsewhere.
    pub others: Vec<Arc<dyn Source>>,
    /// How those can be called.
    pub callees: BTreeMap<&'static str, Looked>,
    /// The processes of those.
    pub elsewhere: BTreeMap<&'static str, Arc<Elsewhere>>,
    /// The modules that are on both sides, with what is counted of each.
    pub routes: BTreeMap<&'static str, Arc<Both>>,
    /// What is told here, public and private.
    sources: Vec<Arc<dyn Source>>,
}

/// Whom the saga asks.
#[derive(Clone)]
pub struct Participants {
    /// Keeps stock.
    pub inventory: Arc<dyn Inventory>,
    /// Holds and takes money.
    pub payments: Arc<dyn Payments>,
    /// Sends parcels.
    pub shipping: Arc<dyn Shipping>,
}

/// The parts that a shop is wired of, as far as another composition root may want others: the lab's takes a
/// guarantee out to show what it was for.
pub struct Parts {
    /// Whom the saga asks.
    pub ports: Participants,
    /// What is sold, as it is stored: a cache stands before it.
    pub catalog: Arc<dyn Catalog>,
    /// Who hears what others tell; each belongs to the module whose store it works in.
    pub consumers: Vec<Arc<dyn Consumer>>,
    /// What each module that is here tells, as the bus carries it.
    pub sources: Vec<Arc<dyn Source>>,
}

/// Puts other parts in the place of ours; the shop's own root takes them as they are.
pub type Swap = fn(Parts) -> Parts;

/// What the modules are told at start.
pub struct Settings {
    /// How long stock is held for an order that is not confirmed.
    pub hold: Duration,
    /// Where mails are sent by, if anywhere.
    pub mail_server: Option<MailServer>,
    /// After how long an order that is not ended is called late.
    pub late: Duration,
    /// The modules that are elsewhere.
    pub there: There,
    /// What carries events, if not the database itself.
    pub kafka: Option<Brokers>,
}

/// The modules that are elsewhere.
pub struct There {
    /// The way to each.
    pub ways: BTreeMap<&'static str, PortClient>,
    /// What they tell, as it is heard from there.
    pub heard: Vec<Arc<dyn Source>>,
    /// How they can be called.
    pub callees: BTreeMap<&'static str, Looked>,
    /// Who answers for each to its operators.
    pub processes: BTreeMap<&'static str, Arc<Elsewhere>>,
    /// Changes when one of them answers again after a while without.
    pub answers_again: watch::Receiver<u64>,
    /// For what is answered in their place.
    pub clock: Arc<dyn Clock>,
    /// The ways to modules that are here as well.
    pub routed: BTreeMap<&'static str, Routed>,
    /// Those of them that are composed.
    pub routes: BTreeMap<&'static str, Arc<Both>>,
}

/// A module's way elsewhere, beside itself here.
pub struct Routed {
    /// Who decides for each item.
    pub switch: Arc<dyn Switch>,
    /// The way that items go.
    pub way: PortClient,
    /// What is looked at by whoever turns the switch.
    pub both: Arc<Both>,
}

impl There {
    /// None is.
    #[must_use]
    pub fn nobody(clock: Arc<dyn Clock>) -> Self {
        let (ways, heard, callees) = Default::default();
        let (processes, routed, routes) = Default::default();
        let answers_again = watch::Sender::new(0).subscribe();
        Self { ways, heard, callees, processes, answers_again, clock, routed, routes }
    }
}

/// A module as it is asked, and what works for it, if it is here.
type Part<P> = (P, Option<Module>);

/// A module that is neither here nor elsewhere.
#[cfg(not(all(
    feature = "catalog",
    feature = "inventory",
    feature = "payments",
    feature = "shipping",
    feature = "orders",
    feature = "notifications"
)))]
fn nowhere<P>(_: P) -> ! {
    unreachable!("such a start is refused")
}

/// Wires the shop; with it comes what runs by itself. With a `fault_book`, the saga reaches inventory over a bad line.
#[must_use]
pub fn compose(
    stores: &Stores,
    outside: &Outside,
    mut settings: Settings,
    fault_book: Option<Arc<FaultBook>>,
    instance: Uuid,
    swap: Swap,
) -> (Shop, Vec<Module>) {
    let mut there = settings.there;
    let gateway = Callee::new(&outside.address, outside.secret.as_str());
    let carrier = Callee::new(&outside.carrier.0, outside.carrier.1.as_str());
    let (catalog, catalog_here) = catalog(stores, &mut there);
    let (inventory, inventory_here) = inventory(stores, &mut there);
    let (payments, payments_here) = payments(stores, &mut there, gateway);
    let (shipping, shipping_here) = shipping(stores, &mut there, carrier);
    let mails = (settings.mail_server.take(), settings.late);
    let (notifications, notifications_here) = notifications(stores, &mut there, mails);
    let reached: Arc<dyn Inventory> = match fault_book {
        Some(book) => Arc::new(FaultyInventory::new(inventory.inventory.clone(), book)),
        None => inventory.inventory.clone(),
    };
    let here = [catalog_here, inventory_here, notifications_here, orders_here(stores, &there)];
    let here = here.into_iter().chain([payments_here, shipping_here]).flatten();
    let mut modules: Vec<Module> = here.collect();
    let consumers = modules.iter().flat_map(|module| module.consumers.clone()).collect();
    let sources = told(&modules);
    let (payments_port, shipping_port) = (payments.payments.clone(), shipping.shipping.clone());
    let ports = Participants { inventory: reached, payments: payments_port, shipping: shipping_port };
    let parts = swap(Parts { ports, catalog, consumers, sources });
    given_back(&mut modules, &parts);
    let (catalog, product_cache) = CachedCatalog::new(parts.catalog.clone());
    let asked = (catalog.clone() as _, parts.ports.clone(), settings.hold);
    let (orders, orders_signal, saga) = orders(stores, &mut there, asked);
    let of_orders = modules.iter_mut().find(|module| module.schema.name == orders_api::NAME);
    if let Some((module, saga)) = of_orders.zip(saga) {
        module.reconcilers.push(saga);
    }
    let (others, callees, elsewhere) = (there.heard, there.callees, there.processes);
    let routes = there.routes;
    let (bus, topics) = carried(&mut modules, &parts, others.clone(), settings.kafka.as_ref(), instance);
    let Parts { sources, .. } = parts;
    (
        Shop {
            catalog,
            product_cache,
            inventory,
            payments,
            shipping,
            orders,
            orders_signal,
            notifications,
            bus,
            topics,
            others,
            callees,
            elsewhere,
            routes,
            sources,
        },
        modules,
    )
}

fn catalog(stores: &Stores, there: &mut There) -> Part<Arc<dyn Catalog>> {
    match there.ways.remove(catalog_api::NAME) {
        Some(way) => (Arc::new(HttpCatalog(way)), None),
        #[cfg(feature = "catalog")]
        None => here::catalog(stores.of(catalog_api::NAME), there),
        #[cfg(not(feature = "catalog"))]
        None => nowhere(stores),
    }
}

fn inventory(stores: &Stores, there: &mut There) -> Part<inventory_http::Served> {
    use inventory_http::{HttpInventory, Served};
    match there.ways.remove(inventory_api::NAME) {
        Some(way) => (Served::by(Arc::new(HttpInventory(way))), None),
        #[cfg(feature = "inventory")]
        None => here::inventory(stores.of(inventory_api::NAME), there),
        #[cfg(not(feature = "inventory"))]
        None => nowhere(stores),
    }
}

fn payments(stores: &Stores, there: &mut There, gateway: Callee) -> Part<payments_http::Served> {
    use payments_http::{HttpPayments, Served};
    match there.ways.remove(payments_api::NAME) {
        Some(way) => (Served::by(Arc::new(HttpPayments(way))), None),
        #[cfg(feature = "payments")]
        None => here::payments(stores.of(payments_api::NAME), gateway, there),
        #[cfg(not(feature = "payments"))]
        None => nowhere((stores, gateway)),
    }
}

fn shipping(stores: &Stores, there: &mut There, carrier: Callee) -> Part<shipping_http::Served> {
    use shipping_http::{HttpShipping, Served};
    match there.ways.remove(shipping_api::NAME) {
        Some(client) => (Served::by(Arc::new(HttpShipping { client, clock: there.clock.clone() })), None),
        #[cfg(feature = "shipping")]
        None => here::shipping(stores.of(shipping_api::NAME), carrier, there),
        #[cfg(not(feature = "shipping"))]
        None => nowhere((stores, carrier)),
    }
}

fn notifications(
    stores: &Stores,
    there: &mut There,
    (mail_server, late): (Option<MailServer>, Duration),
) -> Part<notifications_http::Served> {
    use notifications_http::{HttpNotifications, Served};
    match there.ways.remove(notifications_api::NAME) {
        Some(way) => (Served::by(Arc::new(HttpNotifications(way))), None),
        #[cfg(feature = "notifications")]
        None => here::notifications(stores.of(notifications_api::NAME), (mail_server, late), there),
        #[cfg(not(feature = "notifications"))]
        None => nowhere((stores, mail_server, late)),
    }
}

fn orders_here(stores: &Stores, there: &There) -> Option<Module> {
    match there.ways.get(orders_api::NAME) {
        Some(_) => None,
        #[cfg(feature = "orders")]
        None => Some(here::orders(stores.of(orders_api::NAME))),
        #[cfg(not(feature = "orders"))]
        None => nowhere(stores),
    }
}

/// With what is raised after their commits, and what drives them, both only if they are here.
fn orders(
    stores: &Stores,
    there: &mut There,
    (catalog, asked, hold): (Arc<dyn Catalog>, Participants, Duration),
) -> (orders_http::Served, Signal, Option<Reconciler>) {
    use orders_http::{HttpOrders, Served};
    match there.ways.remove(orders_api::NAME) {
        Some(way) => (Served::by(Arc::new(HttpOrders(way))), Signal::default(), None),
        #[cfg(feature = "orders")]
        None => {
            let (store, answers_again) = (stores.of(orders_api::NAME), there.answers_again.clone());
            let (orders, signal, saga) = here::saga(store, catalog, asked, (hold, answers_again), there);
            (orders, signal, Some(saga))
        }
        #[cfg(not(feature = "orders"))]
        None => nowhere((stores, catalog, asked, hold, &there.answers_again)),
    }
}

/// What the modules tell, public and private.
fn told(modules: &[Module]) -> Vec<Arc<dyn Source>> {
    let told =
        modules.iter().flat_map(|module| [std::slice::from_ref(&module.source), &module.private].concat());
    told.collect()
}

/// Each module gets what is its own of parts that may have been swapped.
fn given_back(modules: &mut [Module], parts: &Parts) {
    for module in modules {
        let is_own = |consumer: &&Arc<dyn Consumer>| consumer.store().schema() == module.schema.name;
        module.consumers = parts.consumers.iter().filter(is_own).cloned().collect();
        let told = parts.sources.iter().find(|source| source.name() == module.source.name());
        module.source = told.unwrap_or(&module.source).clone();
    }
}

/// What carries the modules' events; with it each gets what brings its own there.
fn carried(
    modules: &mut [Module],
    parts: &Parts,
    others: Vec<Arc<dyn Source>>,
    brokers: Option<&Brokers>,
    instance: Uuid,
) -> (Arc<dyn Bus>, Option<Arc<dyn Topics>>) {
    let own: Vec<_> = modules.iter().map(|module| (module.source.clone(), module.store.clone())).collect();
    let is_own = |source: &&Arc<dyn Source>| own.iter().any(|(own, _)| own.name() == source.name());
    let private = parts.sources.iter().filter(|source| !is_own(source)).cloned().collect();
    let told = Told { own, private, others, consumers: parts.consumers.clone() };
    let Carriage { bus, relaying, topics } = carriage(told, brokers, instance);
    for (source, relaying) in relaying {
        if let Some(module) = modules.iter_mut().find(|module| module.source.name() == source) {
            module.relaying = Some(relaying);
        }
    }
    (bus, topics)
}

/// Brokers, where some are named; else the outboxes themselves.
fn carriage(told: Told, brokers: Option<&Brokers>, instance: Uuid) -> Carriage {
    match brokers {
        #[cfg(feature = "kafka")]
        Some(brokers) => banyan_kafka::carriage(told, brokers, instance),
        // Without Kafka in the program none can be named.
        _ => Carriage::local(told, instance),
    }
}
