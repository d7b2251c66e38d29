//! Who implements what: the one place in the shop that names implementations.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::{
    Bus, BusError, Consumer, Feed, OutboxSource, ReadModel, Source,
    cache::{CacheCounts, CacheLimits},
};
use banyan_host::{Module, Reconciler};
use banyan_kernel::{Answer, Clock};
use banyan_net::outbound::{self, Callee};
use banyan_store::{Schema, Store, StoreError, role_options, sqlx::postgres::PgConnectOptions};
use catalog_api::Catalog;
use catalog_core::{CachedCatalog, ProductCache};
use inventory_api::{Inventory, StockFacts, StockKeeping};
use inventory_http::HttpInventory;
pub use notifications_core::{MailServer, MailServerError};
use orders_core::{DriveConfig, Ports};
use payments_api::GatewayEvents as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    carrier::{self, Carrier, Told, Topics},
    config::{Elsewhere, KafkaConfig, Outside},
    faults::{FaultBook, FaultyInventory},
    staff_log::{self, StaffLog},
};

/// A slow call holds its batch of orders up for so long; then the others go on, and it is asked for again.
const SOFT_WAIT: Duration = Duration::from_millis(75);
/// Batches of orders under way at once: enough that the database works while others wait for a gateway.
const BATCHES: usize = 10;

/// A start waits so long until its caches hear.
const CACHES_HEAR: Duration = Duration::from_secs(5);

/// The schema of every module that is here.
#[must_use]
pub fn schemas(elsewhere: &Elsewhere) -> Vec<Schema> {
    let mut schemas = vec![
        catalog_core::schema(),
        #[cfg(feature = "inventory")]
        inventory_core::schema(),
        notifications_core::schema(),
        orders_core::schema(),
        payments_core::schema(),
        shipping_core::schema(),
    ];
    schemas.retain(|schema| !elsewhere.has(schema.name));
    schemas
}

/// All that is prepared: the modules' schemas, and the edge's own.
#[must_use]
pub fn all_schemas(elsewhere: &Elsewhere) -> Vec<Schema> {
    let mut schemas = schemas(elsewhere);
    schemas.push(staff_log::schema());
    schemas
}

/// Connections to the schema of a module that is elsewhere: to know which database it is, and no more.
const SHARED_CONNECTIONS: u32 = 2;

/// Each module's store under its own role.
pub struct Stores {
    own: BTreeMap<&'static str, Store>,
    /// Of modules that are elsewhere, on the same database.
    shared: BTreeMap<&'static str, Store>,
}

impl Stores {
    /// Pools of at most `connections` each, on the administrator's database. Nothing is connected yet.
    #[must_use]
    pub fn new(
        administrator: &PgConnectOptions,
        password: &str,
        connections: u32,
        clock: &Arc<dyn Clock>,
        elsewhere: &Elsewhere,
    ) -> Self {
        let store = |name: &'static str, connections: u32| {
            let options = role_options(administrator, password, name);
            (name, Store::new(options, name, connections, clock.clone()))
        };
        Self {
            own: all_schemas(elsewhere).iter().map(|schema| store(schema.name, connections)).collect(),
            shared: elsewhere.names().map(|name| store(name, SHARED_CONNECTIONS)).collect(),
        }
    }

    fn of(&self, module: &str) -> Store {
        self.own[module].clone()
    }

    /// Of a module that is elsewhere.
    #[must_use]
    pub fn shared(&self, module: &str) -> Option<Store> {
        self.shared.get(module).cloned()
    }

    /// All that modules of this process work in.
    #[must_use]
    pub fn all(&self) -> Vec<Store> {
        self.own.values().cloned().collect()
    }

    /// Begins a new incarnation of every schema: what the database told is not continued but told anew, since it was
    /// restored.
    ///
    /// # Errors
    /// As any statement.
    pub async fn raise_epochs(&self) -> Result<(), StoreError> {
        for store in self.own.values().chain(self.shared.values()) {
            let epoch = store.fence().raise().await?;
            tracing::warn!(schema = store.schema(), epoch, "a restored database: its epoch is raised");
        }
        Ok(())
    }

    /// The edge's own, whose role may read the server's statistics.
    #[must_use]
    pub fn edge(&self) -> Store {
        self.of(staff_log::schema().name)
    }

    /// The record of what staff did.
    #[must_use]
    pub fn staff_log(&self) -> StaffLog {
        StaffLog::new(self.edge())
    }

    /// How many connections all pools take together at most.
    #[must_use]
    pub fn connections(&self, each: u32) -> u32 {
        let count = |stores: &BTreeMap<_, _>| u32::try_from(stores.len()).unwrap_or(u32::MAX);
        each * count(&self.own) + SHARED_CONNECTIONS * count(&self.shared)
    }
}

/// The modules, wired.
#[derive(Clone)]
pub struct Shop {
    /// Catalog, through its cache.
    pub catalog: Arc<dyn Catalog>,
    /// The products in memory.
    pub product_cache: Arc<ProductCache>,
    /// Orders.
    pub orders: Arc<orders_core::Orders>,
    /// Inventory, as it is.
    pub inventory: Arc<dyn Inventory>,
    /// What staff and the public ask of it.
    pub stock_keeping: Arc<dyn StockKeeping>,
    /// What the audit asks of it.
    pub stock_facts: Arc<dyn StockFacts>,
    /// Payments.
    pub payments: Arc<payments_core::Payments>,
    /// Shipping.
    pub shipping: Arc<shipping_core::Shipping>,
    /// Notifications.
    pub notifications: Arc<notifications_core::Notifications>,
    /// What they tell each other through.
    pub bus: Arc<dyn Bus>,
    /// Its topics, where it has any.
    pub topics: Option<Arc<dyn Topics>>,
    consumers: Vec<Arc<dyn Consumer>>,
    sources: Vec<Arc<dyn Source>>,
    read_models: Vec<Arc<dyn ReadModel>>,
    relays: Vec<(&'static str, &'static str)>,
}

impl Shop {
    /// Has the caches hear what changes, until `stop`. A carrier that is away for long is not waited for: until it is back what is in
    /// memory is as old as it may become, and no older.
    ///
    /// # Errors
    /// When a source cannot be read now.
    pub async fn start_caches(&self, stop: CancellationToken) -> Result<(), BusError> {
        let (bus, cache) = (self.bus.clone(), self.product_cache.clone());
        let mut hearing = tokio::spawn(async move {
            let told = bus.broadcast(catalog_api::NAME, stop).await?;
            tokio::spawn(cache.listen(told, CachedCatalog::heard));
            Ok(())
        });
        match tokio::time::timeout(CACHES_HEAR, &mut hearing).await {
            Ok(heard) => heard.unwrap_or(Ok(())),
            Err(_) => {
                tracing::warn!("the caches do not hear yet what changes");
                Ok(())
            }
        }
    }

    /// After a restore: what was done outside since the copy was made is looked up, as far as it is of what the copy knows.
    ///
    /// # Errors
    /// As any statement.
    pub async fn look_outside(&self) -> Result<(), StoreError> {
        let payments = match self.payments.look_at_all().await {
            Answer::Done(payments) => payments,
            other => return Err(StoreError::Unavailable(format!("{other:?}"))),
        };
        tracing::warn!(payments, "a restored database: what was given back is looked up at the gateway");
        Ok(())
    }

    /// After a restore: what is in the topics was told, in part, by what is no more.
    ///
    /// # Errors
    /// When the carrier cannot do it now.
    pub async fn recover_topics(&self) -> Result<(), String> {
        match &self.topics {
            Some(topics) => topics.recover_all().await,
            None => Ok(()),
        }
    }

    /// Every cache, by what it keeps.
    #[must_use]
    pub fn caches(&self) -> BTreeMap<&'static str, CacheCounts> {
        BTreeMap::from([("products", self.product_cache.counts())])
    }

    /// Everybody who hears something.
    #[must_use]
    pub fn consumers(&self) -> Vec<Arc<dyn Consumer>> {
        self.consumers.clone()
    }

    /// Every view that can be rebuilt.
    #[must_use]
    pub fn read_models(&self) -> &[Arc<dyn ReadModel>] {
        &self.read_models
    }

    /// What brings events to the carrier: each group with the source it is of.
    #[must_use]
    pub fn relays(&self) -> &[(&'static str, &'static str)] {
        &self.relays
    }

    /// What a module tells.
    #[must_use]
    pub fn source(&self, module: &str) -> Option<Arc<dyn Source>> {
        self.sources.iter().find(|source| source.name() == module).cloned()
    }
}

/// The parts that a shop is wired of, as far as another composition root may want others: the lab's takes a
/// guarantee out to show what it was for.
pub struct Parts {
    /// Whom the saga asks.
    pub ports: Ports,
    /// What is sold, as it is stored: a cache stands before it.
    pub catalog: Arc<dyn Catalog>,
    /// Who hears what others tell; each belongs to the module whose store it works in.
    pub consumers: Vec<Arc<dyn Consumer>>,
    /// What each module tells, as the bus carries it.
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
    /// Which modules are elsewhere.
    pub elsewhere: Elsewhere,
    /// The way to inventory, where it is one of them.
    pub inventory: Option<Arc<HttpInventory>>,
    /// What carries their events, if not the database itself.
    pub kafka: Option<KafkaConfig>,
}

/// Inventory, here or elsewhere, and what works for it in this process.
struct StockRoom {
    inventory: Arc<dyn Inventory>,
    keeping: Arc<dyn StockKeeping>,
    facts: Arc<dyn StockFacts>,
    consumers: Vec<Arc<dyn Consumer>>,
    read_models: Vec<Arc<dyn ReadModel>>,
    reconcilers: Vec<Reconciler>,
}

impl StockRoom {
    fn elsewhere(way: Arc<HttpInventory>) -> Self {
        Self {
            inventory: way.clone(),
            keeping: way.clone(),
            facts: way,
            consumers: Vec::new(),
            read_models: Vec::new(),
            reconcilers: Vec::new(),
        }
    }

    #[cfg(feature = "inventory")]
    fn here(stores: &Stores) -> Self {
        let inventory = inventory_core::Inventory::new(stores.of(inventory_api::NAME));
        Self {
            consumers: vec![Arc::new(inventory_core::OrdersConsumer::new(inventory.store().clone()))],
            read_models: vec![Arc::new(inventory_core::PublicStock::new(inventory.store().clone()))],
            reconcilers: vec![expiry(&inventory)],
            inventory: inventory.clone(),
            keeping: inventory.clone(),
            facts: inventory,
        }
    }

    #[cfg(not(feature = "inventory"))]
    fn here(_: &Stores) -> Self {
        unreachable!("a start without inventory is refused")
    }
}

/// Wires the shop; with it comes what runs by itself. With a `fault_book`, the saga reaches inventory over a bad line.
#[must_use]
pub fn compose(
    stores: &Stores,
    outside: &Outside,
    settings: Settings,
    fault_book: Option<Arc<FaultBook>>,
    instance: Uuid,
    swap: Swap,
) -> (Shop, Vec<Module>) {
    let callee = |at: &str, secret: &str| Callee { soft_wait: SOFT_WAIT, ..Callee::new(at, secret) };
    let gateway = callee(&outside.address, &outside.secret);
    let carrier = callee(&outside.carrier.0, &outside.carrier.1);
    let catalog = catalog_core::Catalog::new(stores.of(catalog_api::NAME));
    let answers_again = settings.inventory.as_ref().map(|way| way.0.closed());
    let stock_room = match settings.inventory {
        Some(way) => StockRoom::elsewhere(way),
        None => StockRoom::here(stores),
    };
    let payments = payments_core::Payments::new(stores.of(payments_api::NAME), gateway);
    let shipping = shipping_core::Shipping::new(stores.of(shipping_api::NAME), carrier);
    let notifications = notifications_core::Notifications::new(stores.of(notifications_api::NAME));
    let (mails, is_sent) = (notifications.store().clone(), settings.mail_server.is_some());
    let read_models = read_models(&stores.of(orders_api::NAME), stock_room.read_models);
    let reached: Arc<dyn Inventory> = match fault_book {
        Some(book) => Arc::new(FaultyInventory::new(stock_room.inventory.clone(), book)),
        None => stock_room.inventory.clone(),
    };
    let parts = swap(Parts {
        ports: Ports { inventory: reached, payments: payments.clone(), shipping: shipping.clone() },
        catalog,
        consumers: (consumers(shipping.store(), &mails, is_sent).into_iter())
            .chain(stock_room.consumers)
            .chain(read_models.iter().map(|model| Arc::new(Feed::new(model.clone())) as Arc<dyn Consumer>))
            .collect(),
        sources: sources(stores, &settings.elsewhere),
    });
    let product_cache = Arc::new(ProductCache::new(CacheLimits::default(), CachedCatalog::bytes));
    let catalog = CachedCatalog::new(parts.catalog.clone(), product_cache.clone());
    let orders = orders_core::Orders::new(stores.of(orders_api::NAME), catalog.clone());
    let config = DriveConfig { hold: settings.hold, batches: BATCHES, ..DriveConfig::default() };
    let mut reconcilers = vec![
        saga(orders.saga(parts.ports.clone(), config), answers_again),
        outbound(payments.intents()),
        outbound(payments.refund_intents()),
        outbound(payments.looks()),
        outbound(shipping.intents()),
        parcel_tracking(&shipping),
        late_orders(mails, settings.late, is_sent),
    ];
    reconcilers.extend(stock_room.reconcilers);
    reconcilers.extend(settings.mail_server.map(|server| mail(&notifications, server)));
    let mut modules = modules(stores, &parts, reconcilers, &settings.elsewhere);
    let (bus, topics) = carried(&mut modules, &parts, settings.kafka.as_ref(), instance);
    let relays =
        modules.iter().filter_map(|module| Some((module.relaying.as_ref()?.group, module.source.name())));
    let relays = relays.collect();
    let Parts { consumers, sources, .. } = parts;
    (
        Shop {
            catalog,
            product_cache,
            orders,
            inventory: stock_room.inventory,
            stock_keeping: stock_room.keeping,
            stock_facts: stock_room.facts,
            payments,
            shipping,
            notifications,
            bus,
            topics,
            consumers,
            sources,
            read_models,
            relays,
        },
        modules,
    )
}

/// What carries the modules' events; with it each gets what brings its own there.
fn carried(
    modules: &mut [Module],
    parts: &Parts,
    kafka: Option<&KafkaConfig>,
    instance: Uuid,
) -> (Arc<dyn Bus>, Option<Arc<dyn Topics>>) {
    let public = modules.iter().map(|module| (module.source.name(), module.store.clone())).collect();
    let told = Told { sources: parts.sources.clone(), public, consumers: parts.consumers.clone() };
    let Carrier { bus, relaying, topics } = carrier::carrier(told, kafka, instance);
    for (source, relaying) in relaying {
        if let Some(module) = modules.iter_mut().find(|module| module.source.name() == source) {
            module.relaying = Some(relaying);
        }
    }
    (bus, topics)
}

/// Who hears what others tell, of the modules that are always here.
fn consumers(parcels: &Store, mails: &Store, is_sent: bool) -> [Arc<dyn Consumer>; 4] {
    [
        Arc::new(notifications_core::OrdersConsumer::new(mails.clone(), is_sent)),
        Arc::new(shipping_core::OrdersConsumer::new(parcels.clone())),
        Arc::new(notifications_core::NewsConsumer::of_refunds(mails.clone(), is_sent)),
        Arc::new(notifications_core::NewsConsumer::of_deliveries(mails.clone(), is_sent)),
    ]
}

/// The views that can be folded again.
fn read_models(orders: &Store, stock: Vec<Arc<dyn ReadModel>>) -> Vec<Arc<dyn ReadModel>> {
    let list: Arc<dyn ReadModel> = Arc::new(orders_core::OrderList::new(orders.clone()));
    let sales: Arc<dyn ReadModel> = Arc::new(orders_core::SalesByHour::new(orders.clone()));
    stock.into_iter().chain([list, sales]).collect()
}

/// Each module's outbox, in the order of [`schemas`]; orders tell from their event table, and their own read models hear all of it.
fn sources(stores: &Stores, elsewhere: &Elsewhere) -> Vec<Arc<dyn Source>> {
    let source = |schema: Schema| -> Arc<dyn Source> {
        match schema.name {
            orders_api::NAME => Arc::new(orders_core::OrdersSource::new(stores.of(schema.name))),
            name => Arc::new(OutboxSource::new(stores.of(name))),
        }
    };
    let history: Arc<dyn Source> = Arc::new(orders_core::OrdersSource::history(stores.of(orders_api::NAME)));
    schemas(elsewhere).into_iter().map(source).chain([history]).collect()
}

/// Every module with its part of what tells, hears and runs by itself.
fn modules(
    stores: &Stores,
    parts: &Parts,
    reconcilers: Vec<Reconciler>,
    elsewhere: &Elsewhere,
) -> Vec<Module> {
    let mut modules: Vec<Module> = schemas(elsewhere)
        .into_iter()
        .zip(&parts.sources)
        .map(|(schema, source)| Module {
            store: stores.of(schema.name),
            consumers: parts
                .consumers
                .iter()
                .filter(|c| c.store().schema() == schema.name)
                .cloned()
                .collect(),
            source: source.clone(),
            relaying: None,
            reconcilers: Vec::new(),
            schema,
        })
        .collect();
    for reconciler in reconcilers {
        let of = |module: &&mut Module| reconciler.group.split('.').next() == Some(module.schema.name);
        if let Some(module) = modules.iter_mut().find(of) {
            module.reconcilers.push(reconciler);
        }
    }
    modules
}

/// Whose orders wait for a module that is elsewhere are woken when that answers again.
fn saga(saga: orders_core::SagaReconciler, answers_again: Option<watch::Receiver<u64>>) -> Reconciler {
    let saga = match answers_again {
        Some(answers_again) => saga.woken_by(answers_again),
        None => saga,
    };
    Reconciler::new(orders_core::SagaReconciler::<orders_core::PostgresLog>::GROUP, |held, stop| {
        saga.run(held, stop)
    })
}

#[cfg(feature = "inventory")]
fn expiry(inventory: &inventory_core::Inventory) -> Reconciler {
    let reconciler = inventory_core::ExpiryReconciler::new(inventory.store().clone());
    Reconciler::new(inventory_core::GROUP, |held, stop| reconciler.run(held, stop))
}

fn late_orders(store: Store, late: Duration, is_sent: bool) -> Reconciler {
    let reconciler = notifications_core::DelayedReconciler::new(store, late, is_sent);
    Reconciler::new(notifications_core::DELAYED_GROUP, |held, stop| reconciler.run(held, stop))
}

fn mail(notifications: &Arc<notifications_core::Notifications>, server: MailServer) -> Reconciler {
    let reconciler = notifications_core::SendReconciler::new(notifications.clone(), server);
    Reconciler::new(notifications_core::MAIL_GROUP, |held, stop| reconciler.run(held, stop))
}

fn outbound(reconciler: outbound::Reconciler) -> Reconciler {
    Reconciler::new(reconciler.group(), |held, stop| reconciler.run(held, stop))
}

fn parcel_tracking(shipping: &shipping_core::Shipping) -> Reconciler {
    let reconciler = shipping_core::TrackingReconciler::new(shipping);
    Reconciler::new(shipping_core::TRACK_GROUP, |held, stop| reconciler.run(held, stop))
}
