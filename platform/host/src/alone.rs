//! A module as a process of its own: its database, its port by HTTP, its consumers and reconcilers, and a listener for who looks
//! after it. Which module that is its main says; all else is the same for each.

mod given;
mod settings;
mod watched;

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use banyan_bus::{Brokers, Carriage, Hearing, Source, Told, hear};
use banyan_net::{ServerLimits, call::PROBED_EVERY, port::Door, serve};
use banyan_store::{Store, prepare};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Metrics, Module, StopSignals, Telemetry, TraceSettings, Work,
    operations::{self, Draining, Here, Readiness, observe},
    ports,
};
pub use given::Given;
use settings::Settings;

/// A module, wired.
pub struct Alone {
    /// Where its truth is, what it tells and hears, what it does by itself.
    pub module: Module,
    /// Others whose events it hears.
    pub others: Vec<Arc<dyn Source>>,
    /// What it keeps in memory of theirs.
    pub caches: Vec<Hearing>,
    /// Its contract by HTTP, behind that door.
    pub port: Box<dyn FnOnce(Door) -> Router + Send>,
}

impl Alone {
    /// A module that hears nobody and keeps nothing in memory.
    pub fn new(module: Module, port: impl FnOnce(Door) -> Router + Send + 'static) -> Self {
        Self { module, others: Vec::new(), caches: Vec::new(), port: Box::new(port) }
    }
}

/// What wires a carrier: which one that is is known to mains.
pub type Carry = fn(Told, &Brokers, Uuid) -> Carriage;

/// The whole of a service's main: reads its settings from the environment, serves until it is told to stop, and says in one line
/// what went wrong.
#[must_use]
pub fn run(name: &'static str, carry: Carry, wire: impl FnOnce(&Given) -> Result<Alone, String>) -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let ended = Settings::read(name, Arc::new(variable)).and_then(|settings| {
        let telemetry =
            Telemetry::start(settings.log_format, &settings.log, TraceSettings::read(name, variable)?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let ended = runtime.block_on(serve_until_stopped(name, settings, carry, wire));
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
    carry: Carry,
    wire: impl FnOnce(&Given) -> Result<Alone, String>,
) -> Result<(), String> {
    let mut signals = StopSignals::listen()?;
    let mut running = Running::start(name, settings, carry, wire).await?;
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

/// A probe's way here and back.
const PROBE_TAKES: Duration = Duration::from_millis(250);

struct Running {
    work: Work,
    servers: JoinSet<std::io::Result<()>>,
    stop: CancellationToken,
    draining: Draining,
    store: Store,
    drain: Duration,
}

impl Running {
    async fn start(
        name: &'static str,
        settings: Settings,
        carry: Carry,
        wire: impl FnOnce(&Given) -> Result<Alone, String>,
    ) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let metrics = Metrics::start(name).map_err(|error| said(&error))?;
        let (api, admin) = (bind(settings.listen).await?, bind(settings.admin_listen).await?);
        let given = Given::new(name, &settings)?;
        let Alone { mut module, others, caches, port } = wire(&given)?;
        let (store, source, heard) = (module.store.clone(), module.source.clone(), others.clone());
        let prepared = prepare(&settings.database, &settings.password, std::slice::from_ref(&module.schema));
        prepared.await.map_err(|error| format!("the database could not be prepared: {error}"))?;
        let instance = Uuid::new_v4();
        let own = vec![(source.clone(), store.clone())];
        let (private, consumers) = (module.private.clone(), module.consumers.clone());
        let told = Told { own, private, others, consumers };
        let Carriage { bus, relaying, topics } = carry(told, &settings.brokers, instance);
        module.relaying = relaying.into_iter().map(|(_, relaying)| relaying).next();
        let stop = CancellationToken::new();
        hear(&bus, caches, &stop).await.map_err(|error| said(&error))?;
        let (draining, mut servers) = (Draining::default(), JoinSet::new());
        let readiness =
            Readiness::new(vec![store.clone()], topics.clone(), draining.clone()).calling(given.callees());
        let (readiness, modules) = (Arc::new(readiness), vec![module]);
        let here = Here::new((name, instance), &modules, &heard, topics, readiness.clone());
        let work = Work::start(instance, &bus, modules);
        let here = Arc::new(here.counted(work.counters()));
        tokio::spawn(observe(here.clone(), stop.clone()));
        let door = Door::new(settings.callers, Arc::new(store.clone()));
        println!("{name} is open: {}  (admin {})", address(&api), address(&admin));
        let limits = ServerLimits::default();
        let asked = operations::router(here, door.clone());
        let asked = ports::router(port, source, door).nest(operations::PATH, asked);
        let asked = asked.merge(ports::health(readiness.clone()));
        servers.spawn(serve(api, asked, limits, stop.clone()));
        let watched = watched::router(metrics, readiness);
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
        // Who calls it asks every second whether it can work, and goes elsewhere before it is gone.
        tokio::time::sleep(PROBED_EVERY + PROBE_TAKES).await;
        self.stop.cancel();
        let deadline = Instant::now() + self.drain;
        let answered = async { while self.servers.join_next().await.is_some() {} };
        let (answered, worked) = tokio::join!(timeout_at(deadline, answered), self.work.drain(self.drain));
        self.servers.abort_all();
        let closed = timeout_at(deadline, self.store.pool().close()).await;
        worked && answered.is_ok() && closed.is_ok()
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
}
