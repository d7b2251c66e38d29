//! A shop from start to stop: data folder, database, outside world, modules, listeners.

mod database;
mod outside;

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use banyan_host::{Metrics, MetricsError, Work};
use banyan_kernel::{Clock, SystemClock};
use banyan_net::{
    Identity, Keys, ServerLimits, TokenError, WebhookSecrets,
    identity::{Limits, Oidc},
    port::{CheckError, ServiceKey},
};
use banyan_postgres::{Cluster, StopMode};
use banyan_store::{Store, StoreError};
use futures::future::join_all;
use inventory_http::HttpInventory;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    api::{self, Api, Coalescer, Cursors, Streams, Webhooks},
    compose::{self, MailServer, MailServerError, Settings, Shop, Stores, Swap},
    config::Config,
    elsewhere,
    faults::FaultBook,
    observe::Observer,
    place::{Place, PlaceError, Running},
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
    /// What modules tell each other.
    #[error("the bus cannot be heard: {0}")]
    Bus(#[from] banyan_bus::BusError),
    /// What a restored database told since it was copied is in the topics still.
    #[error("a restored shop begins with topics made anew, and they cannot be: {0}")]
    Topics(String),
    /// The token key.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The mail server.
    #[error(transparent)]
    Mail(#[from] MailServerError),
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// An HTTP client.
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
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
    drain: std::time::Duration,
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
        let metrics = Metrics::start("banyan")?;
        let mail = config.mail.as_ref().map(|mail| MailServer::new(&mail.url, &mail.from));
        let mail_server = mail.transpose()?;
        let oidc = config.oidc.clone().map(Oidc::new).transpose()?;
        let cursors = Cursors::new(keys.clone());
        let identity = Identity::new(keys, oidc, Limits::new(config.rates.principal, config.rates.address));
        let (api_socket, admin_socket) = (listen(config.listen)?, listen(config.admin_listen)?);
        let database = Database::start(&config, &place);
        let api_address = address(&api_socket);
        let sandbox = Sandbox::start(&config, &place, &secrets, &api_address);
        let (database, sandbox) = both(tokio::join!(database, sandbox)).await?;
        let outside = sandbox.as_ref().map(Sandbox::outside).or_else(|| config.outside.clone());
        let outside = outside.ok_or_else(|| StartError::Sandbox("there is no gateway".to_owned()))?;
        let (password, elsewhere) = (&config.database_password, &config.elsewhere);
        let stores = Stores::new(&database.administrator, password, config.pool, &clock, elsewhere);
        let inventory = match prepared(&config, &place, (&database, &stores), &clock).await {
            Ok(inventory) => inventory,
            Err(why) => {
                let_go(Some(database), sandbox).await;
                return Err(why);
            }
        };
        let fault_book = config.faults.map(|seed| FaultBook::open(place.path("faults.jsonl"), seed));
        let (elsewhere, kafka) = (config.elsewhere.clone(), config.kafka.clone());
        let settings =
            Settings { hold: config.hold, mail_server, late: config.late, elsewhere, inventory, kafka };
        let (shop, modules) =
            compose::compose(&stores, &outside, settings, fault_book.clone(), instance, swap);
        let stop = CancellationToken::new();
        if let Err(why) = begin(&place, &stores, &shop, &stop).await {
            let_go(Some(database), sandbox).await;
            return Err(why);
        }
        let work = Work::start(instance, &shop.bus, modules);
        let gateway = WebhookSecrets::new(outside.webhook_secrets.clone());
        let webhooks = Webhooks { gateway, payments: shop.payments.clone(), clock: clock.clone() };
        let who = (identity.clone(), cursors);
        let api = public(&shop, &stores, who, webhooks, stop.clone());
        let observer =
            Observer::new(shop.clone(), (stores.all(), stores.edge()), work.counters().clone(), instance);
        tokio::spawn(observer.run(stop.clone()));
        let looks_at = (client, metrics, stores.edge());
        let who = (identity, stores.staff_log());
        let admin = Admin::new(who, shop, outside, fault_book, clock, work.counters().clone(), looks_at);
        let mut servers = JoinSet::new();
        let running =
            Running { pid: std::process::id(), api: address(&api_socket), admin: address(&admin_socket) };
        serve(&mut servers, api_socket, api::router(api), &stop);
        serve(&mut servers, admin_socket, admin::router(admin), &stop);
        place.announce(&running)?;
        let stores = stores.all();
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
    /// longer than the deadline; nothing is lost either way.
    pub async fn stop(mut self) -> bool {
        self.stop.cancel();
        let answered = async { while self.servers.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(self.drain, answered).await.is_ok();
        self.servers.abort_all();
        let in_time = self.work.drain(self.drain).await && in_time;
        // Before the server ends, which would be their connections' trouble.
        let closed = join_all(self.stores.iter().map(|store| store.pool().close()));
        let in_time = tokio::time::timeout(self.drain, closed).await.is_ok() && in_time;
        let_go(Some(self.database), self.sandbox).await;
        in_time
    }
}

/// What comes before anybody works: a restored database begins anew, and caches hear what changes.
async fn begin(
    place: &Place,
    stores: &Stores,
    shop: &Shop,
    stop: &CancellationToken,
) -> Result<(), StartError> {
    if place.is_restored() {
        stores.raise_epochs().await?;
        shop.look_outside().await?;
        shop.recover_topics().await.map_err(StartError::Topics)?;
        place.forget_restored()?;
    }
    Ok(shop.start_caches(stop.clone()).await?)
}

/// All that is here, prepared; with it comes the way to what is not.
async fn prepared(
    config: &Config,
    place: &Place,
    (database, stores): (&Database, &Stores),
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<HttpInventory>>, StartError> {
    let connections = stores.connections(config.pool);
    database.prepare(&config.database_password, connections, &config.elsewhere).await?;
    inventory_elsewhere(config, place, stores, clock).await
}

/// The way to inventory, where it is elsewhere. One that is there and writes another database ends the start; one that is not there
/// yet is waited for by its orders.
async fn inventory_elsewhere(
    config: &Config,
    place: &Place,
    stores: &Stores,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<HttpInventory>>, StartError> {
    let Some(addresses) = &config.elsewhere.inventory else {
        let is_here = cfg!(feature = "inventory");
        return if is_here { Ok(None) } else { Err(StartError::Nowhere(inventory_api::NAME)) };
    };
    let key = ServiceKey::open(elsewhere::NAME, &place.path("service-key.pem"), clock.clone())?;
    let shared = stores.shared(inventory_api::NAME);
    let way = elsewhere::inventory(addresses, &Arc::new(key), shared)?;
    match way.0.check_database().await {
        Ok(()) => Ok(Some(way)),
        Err(CheckError::Other(why)) => Err(StartError::OtherDatabase(inventory_api::NAME, why)),
        Err(CheckError::NotNow(why)) => {
            tracing::warn!(why, "inventory does not answer yet; its orders wait");
            Ok(Some(way))
        }
    }
}

/// What the public API's handlers work with.
fn public(
    shop: &Shop,
    stores: &Stores,
    (identity, cursors): (Identity, Cursors),
    webhooks: Webhooks,
    stop: CancellationToken,
) -> Api {
    Api {
        identity,
        cursors,
        webhooks,
        staff_log: stores.staff_log(),
        coalescer: Coalescer::start(shop.orders.clone()),
        orders_signal: shop.orders.signal(),
        orders: shop.orders.clone(),
        catalog: shop.catalog.clone(),
        inventory: shop.inventory.clone(),
        stock_keeping: shop.stock_keeping.clone(),
        refunds: shop.payments.clone(),
        parcels: shop.shipping.clone(),
        notifications: shop.notifications.clone(),
        streams: Streams::default(),
        stop,
    }
}

/// Both, or neither.
async fn both(
    started: (Result<Database, StartError>, Result<Option<Sandbox>, StartError>),
) -> Result<(Database, Option<Sandbox>), StartError> {
    match started {
        (Ok(database), Ok(sandbox)) => Ok((database, sandbox)),
        (Ok(database), Err(why)) => {
            let_go(Some(database), None).await;
            Err(why)
        }
        (Err(why), sandbox) => {
            let_go(None, sandbox.ok().flatten()).await;
            Err(why)
        }
    }
}

/// Stops what this shop started.
async fn let_go(database: Option<Database>, sandbox: Option<Sandbox>) {
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    if let Some(database) = database {
        database.stop(StopMode::Fast).await;
    }
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

fn serve(
    servers: &mut JoinSet<std::io::Result<()>>,
    listener: TcpListener,
    router: Router,
    stop: &CancellationToken,
) {
    servers.spawn(banyan_net::serve(listener, router, ServerLimits::default(), stop.clone()));
}
