//! A shop from start to stop: data folder, database, outside world, modules, listeners.

mod database;
mod outside;
mod ports;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use banyan_flags::FilesError;
use banyan_host::{
    Metrics, MetricsError, Module, Ways, Work,
    operations::{Draining, Elsewhere, Here, Readiness, observe},
};
use banyan_kernel::{Clock, SystemClock};
use banyan_net::{
    Identity, Keys, ServerLimits, TokenError, WebhookSecrets,
    identity::{Limits, Oidc},
    port::{CheckError, PortClient},
    route::{Gauge, Switch},
};
use banyan_postgres::Cluster;
use banyan_store::{Store, StoreError};
use futures::future::join_all;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    api::{self, Api, Coalescer, Cursors, Streams, Webhooks},
    compose::{self, Routed, Settings, Shop, Stores, Swap, There},
    config::Config,
    faults::FaultBook,
    flags::{self, ShopFlags},
    forgotten::{self, Forgotten},
    observe::Observer,
    place::{Place, PlaceError, Running},
    processes::{Processes, SHOP},
    routes::{Both, ByFlag, RouteLog, Routes},
};
use database::Database;
use outside::Sandbox;

/// Why a shop did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The private PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] banyan_postgres::Error),
    /// Preparing the schemas.
    #[error("the database could not be prepared: {0}")]
    Prepare(#[from] StoreError),
    /// The pools of all shops together take more connections than the server has.
    #[error(
        "the database allows {allowed} connections and this shop alone would take {wanted}; raise max_connections or lower --pool"
    )]
    Connections {
        /// The server's limit, less what it keeps for superusers.
        allowed: u32,
        /// All pools together.
        wanted: u32,
    },
    /// Flags.
    #[error(transparent)]
    Flags(#[from] FilesError),
    /// What modules tell each other.
    #[error("the bus cannot be heard: {0}")]
    Bus(#[from] banyan_bus::BusError),
    /// What a restored database told since it was copied is in the topics still.
    #[error("a restored shop begins with topics made anew, and they cannot be: {0}")]
    Topics(String),
    /// Whom a restored database has brought back.
    #[error("a restored shop forgets anew who was forgotten, and cannot: {0}")]
    Forgotten(String),
    /// The token key.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The mail server.
    #[error("mails: {0}")]
    Mail(String),
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// An HTTP client.
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The way to a module that is elsewhere.
    #[error("{0}")]
    Way(String),
    /// The sandbox.
    #[error("the sandbox did not start: {0}")]
    Sandbox(String),
    /// A module that is neither in this program nor named.
    #[error("this program has no {0} of its own, and none is named: set BANYAN_{name}", name = .0.to_uppercase())]
    Nowhere(&'static str),
    /// A service that writes another database than this shop's.
    #[error("the {0} that is named is on another database than this shop: {1}")]
    OtherDatabase(&'static str, String),
    /// An address.
    #[error("cannot listen on {0}: {1}; choose another with --listen or --admin-listen")]
    Listen(SocketAddr, std::io::Error),
    /// The admin API is for this machine alone.
    #[error("the admin API listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
}

/// A running shop.
pub struct RunningShop {
    /// Where it listens.
    pub running: Running,
    place: Place,
    work: Work,
    servers: JoinSet<std::io::Result<()>>,
    stop: CancellationToken,
    stores: Vec<Store>,
    database: Database,
    sandbox: Option<Sandbox>,
    drain: Duration,
}

impl RunningShop {
    /// Starts everything and returns when requests are taken. The parts are wired as `swap` hands them on.
    ///
    /// # Errors
    /// With the first thing that cannot be had; what was started before is stopped.
    pub async fn start(config: Config, swap: Swap) -> Result<Self, StartError> {
        if !config.admin_listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(config.admin_listen));
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let place = Place::take(&config.data_dir)?;
        let keys = Keys::open(&place.path("token-key.pem"))?;
        let (secrets, instance) = (place.secrets()?, place.instance()?);
        let client = banyan_net::client().build()?;
        let stop = CancellationToken::new();
        // Whoever follows flags ends with the start that fails.
        let stop_guard = stop.clone().drop_guard();
        let flags = flags_of(&config, &place, (client.clone(), clock.clone()), &stop)?;
        let metrics = Metrics::start("banyan")?;
        let mail_server =
            config.mail.as_ref().map(compose::mail_server).transpose().map_err(StartError::Mail)?;
        let oidc = config.oidc.clone().map(Oidc::new).transpose()?;
        let cursors = Cursors::new(keys.clone());
        let identity = Identity::new(keys, oidc, Limits::new(config.rates.principal, config.rates.address));
        let sockets = Sockets::open(&config)?;
        let database = Database::start(&config, &place);
        let running = sockets.running();
        let sandbox = Sandbox::start(&config, &place, &secrets, &running.api);
        let (database, sandbox) = both(tokio::join!(database, sandbox), config.drain).await?;
        let outside = sandbox.as_ref().map(Sandbox::outside).or_else(|| config.outside.clone());
        let outside = outside.ok_or_else(|| StartError::Sandbox("there is no gateway".to_owned()))?;
        let (password, elsewhere) = (&config.database_password, &config.elsewhere);
        let stores = Stores::new(&database.administrator, password, config.pool, &clock, elsewhere);
        let stores = if config.own_databases { stores.apart() } else { stores };
        let there = match prepared(&config, &place, (&database, &stores), (&clock, &flags)).await {
            Ok(there) => there,
            Err(why) => {
                let_go(Some(database), sandbox, config.drain).await;
                return Err(why);
            }
        };
        let fault_book = config.faults.map(|seed| FaultBook::open(place.path("faults.jsonl"), seed));
        let (hold, late, kafka) = (config.hold, config.late, config.kafka.clone());
        let settings = Settings { hold, mail_server, late, there, kafka };
        let (mut shop, modules) =
            compose::compose(&stores, &outside, settings, fault_book.clone(), instance, swap);
        let forgotten = Forgotten::at(place.path(forgotten::FILE), clock.clone());
        if let Err(why) = begin(&place, &stores, (&shop, &forgotten), &stop).await {
            let_go(Some(database), sandbox, config.drain).await;
            return Err(why);
        }
        let readiness = readiness(&stores, &shop, &modules);
        let (topics, looked_at) = (shop.topics.clone(), readiness.clone());
        let here = Here::new((SHOP, instance), &modules, &shop.others, topics, looked_at);
        let work = Work::start(instance, &shop.bus, modules);
        let here = Arc::new(here.counted(work.counters()));
        tokio::spawn(observe(here.clone(), stop.clone()));
        let processes = Processes::new(here, running.api.clone(), shop.elsewhere.clone(), beside(&shop));
        let gateway = WebhookSecrets::new(outside.webhook_secrets.clone());
        let webhooks = Webhooks { gateway, payments: shop.payments.events.clone(), clock: clock.clone() };
        let callers = config.service_port.map(|port| port.callers);
        let services = callers.map(|callers| ports::router(&shop, &stores, &callers, readiness.clone()));
        let who = (identity.clone(), cursors, forgotten.clone());
        let api = public(&shop, &stores, (who, readiness), webhooks, stop.clone());
        tokio::spawn(Observer::new(shop.clone(), stores.edge()).run(stop.clone()));
        let record = (RouteLog::new(stores.edge()), clock.clone());
        let routes = Routes::new(flags.flags(), std::mem::take(&mut shop.routes), record, stop.clone());
        let looks_at = (client, metrics, stores.edge());
        let who = (identity, stores.staff_log(), forgotten);
        let switches = (routes, Arc::new(flags));
        let admin = Admin::new(who, shop, (outside, fault_book), clock, processes, switches, looks_at);
        let servers = sockets.serve(api::router(api), admin::router(admin), services, &stop);
        place.announce(&running)?;
        let (stores, _) = (stores.all(), stop_guard.disarm());
        Ok(Self { running, place, work, servers, stop, stores, database, sandbox, drain: config.drain })
    }

    /// A path in the data folder.
    #[must_use]
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.place.path(name)
    }

    /// The private PostgreSQL, if this shop runs one.
    #[must_use]
    pub fn private_cluster(&self) -> Option<&Cluster> {
        self.database.private_cluster()
    }

    /// Waits until something fails that the shop cannot go on without, and says what.
    pub async fn failed(&mut self) -> String {
        tokio::select! {
            why = self.work.failed() => why,
            Some(ended) = self.servers.join_next() => format!("a listener ended: {ended:?}"),
        }
    }

    /// Stops taking requests, finishes what is under way, stops what it started. False when that took
    /// longer than the one deadline that all of it has; nothing is lost either way.
    pub async fn stop(mut self) -> bool {
        let by = Instant::now() + self.drain;
        let kept = (self.drain / 3).min(KEPT_MAX);
        let deadline = by - kept;
        self.stop.cancel();
        let answered = async { while self.servers.join_next().await.is_some() {} };
        let answered = tokio::time::timeout_at(deadline, answered);
        let (answered, worked) = tokio::join!(answered, self.work.drain(self.drain - kept));
        self.servers.abort_all();
        // Before the server ends, which would be their connections' trouble.
        let closed = join_all(self.stores.iter().map(|store| store.pool().close()));
        let closed = tokio::time::timeout_at(deadline, closed).await;
        let in_time = worked && answered.is_ok() && closed.is_ok();
        let let_go =
            let_go(Some(self.database), self.sandbox, by.duration_since(Instant::now()).max(kept)).await;
        in_time && let_go
    }
}

/// What comes before anybody works: a restored database begins anew, and caches hear what changes.
async fn begin(
    place: &Place,
    stores: &Stores,
    (shop, forgotten): (&Shop, &Forgotten),
    stop: &CancellationToken,
) -> Result<(), StartError> {
    if place.is_restored() {
        stores.raise_epochs().await?;
        shop.look_outside().await?;
        shop.recover_topics().await.map_err(StartError::Topics)?;
        // Where they are in another database, nobody was brought back.
        if stores.hold(notifications_api::NAME) {
            forget_anew(place, shop, forgotten).await?;
        }
        place.forget_restored()?;
    }
    Ok(banyan_bus::hear(&shop.bus, shop.hearing(), stop).await?)
}

async fn forget_anew(place: &Place, shop: &Shop, forgotten: &Forgotten) -> Result<(), StartError> {
    let as_of = place.restored_as_of()?;
    let back = forgotten.forget_anew(&*shop.notifications.notifications, as_of).await;
    let back = back.map_err(StartError::Forgotten)?;
    if !back.is_empty() {
        tracing::warn!(customers = ?back, "the restored database knew who was forgotten since; they are forgotten anew");
    }
    Ok(())
}

/// All that is here, prepared; with it come the ways to what is not.
async fn prepared(
    config: &Config,
    place: &Place,
    (database, stores): (&Database, &Stores),
    (clock, flags): (&Arc<dyn Clock>, &ShopFlags),
) -> Result<There, StartError> {
    let connections = stores.connections(config.pool);
    database.prepare(&config.database_password, connections, &config.elsewhere).await?;
    let is_somewhere =
        |module: &&str| compose::IN_HERE.contains(module) || config.elsewhere.contains_key(module);
    if let Some(module) = compose::MODULES.into_iter().find(|module| !is_somewhere(module)) {
        return Err(StartError::Nowhere(module));
    }
    let key = config.service_key.clone().unwrap_or_else(|| place.path("service-key.pem"));
    let ways = Ways::open(SHOP, &key, clock.clone()).map_err(StartError::Way)?;
    let answers_again = ways.answers_again();
    let clock = clock.clone();
    let mut there = There { answers_again, ..There::nobody(clock) };
    for (&module, at) in &config.elsewhere {
        let way = way(module, ways.to(module, at).map_err(StartError::Way)?, stores.shared(module)).await?;
        there.ways.insert(module, way);
        there.heard.push(ways.heard(module, at).map_err(StartError::Way)?);
        let processes = ways.operations(module, at).map_err(StartError::Way)?;
        there.processes.insert(module, Arc::new(processes));
    }
    there.callees = ways.callees();
    let switch: Arc<dyn Switch> = Arc::new(ByFlag(flags.flags()));
    for (&module, at) in &config.routed {
        let to = async || {
            way(module, ways.to(module, at).map_err(StartError::Way)?, Some(stores.of(module))).await
        };
        let process = Arc::new(ways.operations(module, at).map_err(StartError::Way)?);
        let both = Arc::new(Both { gauge: Arc::new(Gauge::of(module)), way: to().await?, process });
        there.routed.insert(module, Routed { switch: switch.clone(), way: to().await?, both });
    }
    Ok(there)
}

/// The way to a module. One that is there and writes another database than the one that it should share ends the start; one that is
/// not there yet is waited for by those who ask it.
async fn way(module: &'static str, way: PortClient, shared: Option<Store>) -> Result<PortClient, StartError> {
    let Some(store) = shared else { return Ok(way) };
    let way = way.sharing(Arc::new(store));
    match way.check_database().await {
        Ok(()) => {}
        Err(CheckError::Other(why)) => return Err(StartError::OtherDatabase(module, why)),
        Err(CheckError::NotNow(why)) => {
            tracing::warn!(module, why, correlation = "", "it does not answer yet; who asks it waits");
        }
    }
    Ok(way)
}

fn flags_of(
    config: &Config,
    place: &Place,
    (client, clock): (reqwest::Client, Arc<dyn Clock>),
    stop: &CancellationToken,
) -> Result<ShopFlags, FilesError> {
    let folder = config.flags.clone().unwrap_or_else(|| place.path(flags::FOLDER));
    ShopFlags::start(&folder, config.unleash.clone(), (client, clock), stop)
}

/// The processes of modules that are here as well.
fn beside(shop: &Shop) -> BTreeMap<&'static str, Arc<Elsewhere>> {
    shop.routes.iter().map(|(module, both)| (*module, both.process.clone())).collect()
}

/// What this process depends on. With all modules elsewhere it does nothing but call them.
fn readiness(stores: &Stores, shop: &Shop, modules: &[Module]) -> Arc<Readiness> {
    let readiness = Readiness::new(stores.all(), shop.topics.clone(), Draining::default());
    let readiness = readiness.calling(shop.callees.clone());
    Arc::new(if modules.is_empty() { readiness.of_no_use_alone() } else { readiness })
}

/// What the public API's handlers work with.
fn public(
    shop: &Shop,
    stores: &Stores,
    ((identity, cursors, forgotten), readiness): ((Identity, Cursors, Forgotten), Arc<Readiness>),
    webhooks: Webhooks,
    stop: CancellationToken,
) -> Api {
    Api {
        identity,
        readiness,
        cursors,
        forgotten,
        webhooks,
        staff_log: stores.staff_log(),
        coalescer: Coalescer::start(shop.orders.orders.clone()),
        orders_signal: shop.orders_signal.clone(),
        orders: shop.orders.orders.clone(),
        catalog: shop.catalog.clone(),
        inventory: shop.inventory.inventory.clone(),
        stock_keeping: shop.inventory.keeping.clone(),
        refunds: shop.payments.refunds.clone(),
        parcels: shop.shipping.parcels.clone(),
        notifications: shop.notifications.notifications.clone(),
        streams: Streams::default(),
        stop,
    }
}

/// Both, or neither.
async fn both(
    started: (Result<Database, StartError>, Result<Option<Sandbox>, StartError>),
    within: Duration,
) -> Result<(Database, Option<Sandbox>), StartError> {
    match started {
        (Ok(database), Ok(sandbox)) => Ok((database, sandbox)),
        (Ok(database), Err(why)) => {
            let_go(Some(database), None, within).await;
            Err(why)
        }
        (Err(why), sandbox) => {
            let_go(None, sandbox.ok().flatten(), within).await;
            Err(why)
        }
    }
}

/// Of what a stop may take, so much is kept for the database and the sandbox, which may not hear.
const KEPT_MAX: Duration = Duration::from_secs(4);

/// Stops what this shop started. False where one of them had to be stopped harder than it was asked.
async fn let_go(database: Option<Database>, sandbox: Option<Sandbox>, within: Duration) -> bool {
    let sandbox = async {
        match sandbox {
            Some(sandbox) => sandbox.stop(within).await,
            None => true,
        }
    };
    let database = async {
        match database {
            Some(database) => database.stop(within).await,
            None => true,
        }
    };
    let (sandbox, database) = tokio::join!(sandbox, database);
    sandbox && database
}

/// Connections that wait to be accepted. With the usual 128 a burst of clients overflows the queue, and who is dropped there tries
/// again after a second. The system's `somaxconn` bounds it further.
const BACKLOG: u32 = 4_096;

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A port whose last connections still linger may be taken again, as any server does.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|error| StartError::Listen(address, error))
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
}

/// Where the shop listens, before it does.
struct Sockets {
    api: TcpListener,
    admin: TcpListener,
    service: Option<TcpListener>,
}

impl Sockets {
    fn open(config: &Config) -> Result<Self, StartError> {
        let service = config.service_port.as_ref().map(|port| listen(port.listen)).transpose()?;
        Ok(Self { api: listen(config.listen)?, admin: listen(config.admin_listen)?, service })
    }

    fn running(&self) -> Running {
        Running { pid: std::process::id(), api: address(&self.api), admin: address(&self.admin) }
    }

    fn serve(
        self,
        api: Router,
        admin: Router,
        service: Option<Router>,
        stop: &CancellationToken,
    ) -> JoinSet<std::io::Result<()>> {
        let all = [(self.api, api), (self.admin, admin)].into_iter().chain(self.service.zip(service));
        let limits = ServerLimits::default();
        all.map(|(listener, router)| banyan_net::serve(listener, router, limits, stop.clone())).collect()
    }
}
