//! A module as a process of its own: its database, its port by HTTP, its consumers and reconcilers, and a listener for who looks
//! after it. Which module that is its main says; all else is the same for each.

mod settings;
mod watched;

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use banyan_bus::{Bus, LocalBus, Source};
use banyan_kernel::{Clock, SystemClock};
use banyan_net::{ServerLimits, port::Door, serve};
use banyan_store::{Store, prepare, role_options, sqlx::postgres::PgConnectOptions};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Metrics, Module, StopSignals, Telemetry, TraceSettings, Work};
use settings::Settings;

/// A module, wired.
pub struct Alone {
    /// Where its truth is, what it tells and hears, what it does by itself.
    pub module: Module,
    /// Others whose events it hears.
    pub hears: Vec<Arc<dyn Source>>,
    /// Its contract by HTTP, behind that door.
    pub port: Box<dyn FnOnce(Door) -> Router + Send>,
}

/// What a main wires its module with.
pub struct Given {
    administrator: PgConnectOptions,
    password: String,
    connections: u32,
    clock: Arc<dyn Clock>,
}

impl Given {
    /// A module's store, under its own role. Of another module one reads what it tells, where both share a database.
    #[must_use]
    pub fn store(&self, module: &'static str) -> Store {
        let options = role_options(&self.administrator, &self.password, module);
        Store::new(options, module, self.connections, self.clock.clone())
    }
}

/// The whole of a service's main: reads its settings from the environment, serves until it is told to stop, and says in one line
/// what went wrong.
#[must_use]
pub fn run(name: &'static str, wire: impl FnOnce(&Given) -> Alone) -> ExitCode {
    let ended = Settings::read(name, |variable| std::env::var(variable).ok()).and_then(|settings| {
        let traces = TraceSettings::read(|variable| std::env::var(variable).ok())?;
        let telemetry = Telemetry::start(settings.log_format, &settings.log, traces)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let ended = runtime.block_on(serve_until_stopped(name, settings, wire));
        runtime.shutdown_background();
        telemetry.stop();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // There may be no log, and nobody else says it.
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_until_stopped(
    name: &'static str,
    settings: Settings,
    wire: impl FnOnce(&Given) -> Alone,
) -> Result<(), String> {
    let mut signals = StopSignals::listen()?;
    let mut running = Running::start(name, settings, wire).await?;
    let failed = tokio::select! {
        _ = signals.next() => None,
        why = running.failed() => Some(why),
    };
    let in_time = running.stop().await;
    match failed {
        Some(why) => Err(format!("stopped: {why}")),
        None if !in_time => Err("not everything ended in time; the next start goes on with it".to_owned()),
        None => Ok(()),
    }
}

struct Running {
    work: Work,
    servers: JoinSet<std::io::Result<()>>,
    stop: CancellationToken,
    draining: watched::Draining,
    store: Store,
    drain: Duration,
}

impl Running {
    async fn start(
        name: &'static str,
        settings: Settings,
        wire: impl FnOnce(&Given) -> Alone,
    ) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let metrics = Metrics::start(name).map_err(|error| said(&error))?;
        let (api, admin) = (bind(settings.listen).await?, bind(settings.admin_listen).await?);
        let given = Given {
            administrator: settings.database,
            password: settings.password,
            connections: settings.pool,
            clock: Arc::new(SystemClock),
        };
        let Alone { module, hears, port } = wire(&given);
        let store = module.store.clone();
        let prepared = prepare(&given.administrator, &given.password, std::slice::from_ref(&module.schema));
        prepared.await.map_err(|error| format!("the database could not be prepared: {error}"))?;
        let sources = hears.into_iter().chain([module.source.clone()]);
        let instance = Uuid::new_v4();
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new(sources, instance));
        let work = Work::start(instance, &bus, vec![module]);
        let (stop, draining) = (CancellationToken::new(), watched::Draining::default());
        let mut servers = JoinSet::new();
        let door = Door::new(settings.callers, Arc::new(store.clone()));
        println!("{name} is open: {}  (admin {})", address(&api), address(&admin));
        let limits = ServerLimits::default();
        servers.spawn(serve(api, port(door), limits, stop.clone()));
        let watched = watched::router(metrics, store.clone(), draining.clone());
        servers.spawn(serve(admin, watched, limits, stop.clone()));
        Ok(Self { work, servers, stop, draining, store, drain: settings.drain })
    }

    async fn failed(&mut self) -> String {
        tokio::select! {
            why = self.work.failed() => why,
            Some(ended) = self.servers.join_next() => format!("a listener ended: {ended:?}"),
        }
    }

    /// Says that it is not ready, takes no more requests, finishes what is under way. False when that took longer than the deadline;
    /// nothing is lost either way.
    async fn stop(mut self) -> bool {
        self.draining.begin();
        self.stop.cancel();
        let answered = async { while self.servers.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(self.drain, answered).await.is_ok();
        self.servers.abort_all();
        let in_time = self.work.drain(self.drain).await && in_time;
        tokio::time::timeout(self.drain, self.store.pool().close()).await.is_ok() && in_time
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
}
