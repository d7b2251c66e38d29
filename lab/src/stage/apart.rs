//! A shop taken apart: some of its modules as processes of their own, the others with the front, events on a broker.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use banyan_kafka::testing::Broker;
use banyan_kernel::SystemClock;
use banyan_net::port::ServiceKey;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Addresses, Line, ServiceProcess, ShopOptions, ShopProcess, Stage, free_port};

/// The modules, in the order in which they are started.
pub const MODULES: [&str; 6] = ["catalog", "inventory", "payments", "shipping", "orders", "notifications"];

/// Where services keep what is theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Databases {
    /// All in the front's.
    #[default]
    Shared,
    /// Each in one of its own, on the front's server.
    Own,
}

/// Which modules are processes of their own.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// How many of each.
    pub services: Vec<(&'static str, usize)>,
    /// Where they keep what is theirs.
    pub databases: Databases,
    /// Whether they work with the front as well, and a route decides who is asked.
    pub routed: bool,
    /// The front, beyond what it must be told of the others.
    pub front: ShopOptions,
    /// Whether others reach each process by a line that can be made worse.
    pub lines: bool,
    /// What everybody logs; warnings, unless told.
    pub log: Option<String>,
    /// What the services are told beyond that.
    pub env: Vec<(String, String)>,
}

impl Plan {
    /// One process of each of these.
    #[must_use]
    pub fn one_of(modules: &[&'static str]) -> Self {
        Self { services: modules.iter().map(|module| (*module, 1)).collect(), ..Self::default() }
    }
}

/// A dozen processes and a broker at a time are enough for a small machine.
static TURN: Semaphore = Semaphore::const_new(1);

/// A shop taken apart, on its front's database server. Everybody knows everybody's key.
pub struct Apart {
    /// Where customers, staff and operators are.
    pub front: ShopProcess,
    /// The processes of each module that is out.
    pub services: BTreeMap<&'static str, Vec<ServiceProcess>>,
    /// The lines to them, in the same order, if there are any.
    pub lines: BTreeMap<&'static str, Vec<Line>>,
    wiring: Wiring,
    _turn: Option<SemaphorePermit<'static>>,
}

/// Who finds whom where.
struct Wiring {
    keys: PathBuf,
    broker: Option<Arc<Broker>>,
    prefix: String,
    /// Where the front serves the modules that are with it.
    front: u16,
    out: BTreeMap<&'static str, Vec<Addresses>>,
    /// Where others find them.
    found_at: BTreeMap<&'static str, Vec<String>>,
    databases: Databases,
    routed: bool,
    log: Option<String>,
}

impl Apart {
    /// A shop that is not taken apart, and has no broker.
    ///
    /// # Panics
    /// When it does not open.
    pub async fn whole(stage: &Stage, name: &str, options: ShopOptions) -> Self {
        let wiring = Wiring::new(stage, name, None, &Plan::default());
        let front = stage.shop(name, options).await;
        Self { front, services: BTreeMap::new(), lines: BTreeMap::new(), wiring, _turn: None }
    }

    /// Does something with the broker.
    ///
    /// # Panics
    /// When there is none, or it does not obey.
    pub async fn with_broker(&self, f: impl FnOnce(&Broker) + Send + 'static) {
        let broker = self.wiring.broker.clone().expect("a broker");
        tokio::task::spawn_blocking(move || f(&broker)).await.expect("the broker obeys");
    }

    /// Starts the front, then each process; returns when all are ready. In one process one such shop is open at a time.
    ///
    /// # Panics
    /// When one is not.
    pub async fn start(stage: &Stage, name: &str, broker: &Arc<Broker>, plan: Plan) -> Self {
        let turn = TURN.acquire().await.expect("it is never closed");
        let mut wiring = Wiring::new(stage, name, Some(broker.clone()), &plan);
        let lines = if plan.lines { wiring.by_lines().await } else { BTreeMap::new() };
        let Plan { mut front, env: told, .. } = plan;
        front.env.extend(wiring.of_front());
        let front = stage.shop(name, front).await;
        let mut services = BTreeMap::new();
        for (module, all) in &wiring.out {
            if wiring.databases == Databases::Own {
                front.create_database(module).await;
            }
            let mut started = Vec::new();
            for addresses in all {
                let mut env = wiring.of_service(module, *addresses, &front);
                env.extend(told.iter().cloned());
                started.push(ServiceProcess::start(stage, module, *addresses, env).await);
            }
            services.insert(*module, started);
        }
        Self { front, services, lines, wiring, _turn: Some(turn) }
    }

    /// The only process of a module that is out.
    ///
    /// # Panics
    /// When there is none.
    pub fn service(&mut self, module: &str) -> &mut ServiceProcess {
        self.services.get_mut(module).and_then(|all| all.first_mut()).expect("it is out")
    }

    /// What another front on the same keys must be told.
    #[must_use]
    pub fn like_front(&self) -> Vec<(String, String)> {
        let own = |(name, _): &(String, String)| name != "BANYAN_SERVICE_LISTEN" && name != "BANYAN_CALLERS";
        self.wiring.of_front().into_iter().filter(own).collect()
    }

    /// Starts those again that have ended, and tells their names.
    ///
    /// # Panics
    /// When one does not become ready.
    pub async fn revived(&mut self) -> Vec<&'static str> {
        let mut revived = Vec::new();
        if !self.front.lives() {
            self.front.restart().await;
            revived.push("front");
        }
        for (module, all) in &mut self.services {
            for service in all.iter_mut().filter(|service| !service.lives()) {
                service.restart().await;
                revived.push(*module);
            }
        }
        revived
    }

    /// Stops everybody; whether all ended well.
    ///
    /// # Panics
    /// When one does not end.
    pub async fn stop(&mut self) -> bool {
        let mut well = true;
        // Who asks others before those; and the front last, whose database server it is.
        for module in MODULES.into_iter().rev() {
            for service in
                self.services.get_mut(module).into_iter().flatten().filter(|service| service.lives())
            {
                well &= service.stop().await;
            }
        }
        self.front.stop().await.success() && well
    }
}

impl Wiring {
    fn new(stage: &Stage, name: &str, broker: Option<Arc<Broker>>, plan: &Plan) -> Self {
        let keys = stage.folder().join(format!("{name}-keys"));
        std::fs::create_dir_all(&keys).expect("a folder for keys");
        for who in MODULES.into_iter().chain(["shop"]) {
            ServiceKey::open(who, &keys.join(format!("{who}.pem")), Arc::new(SystemClock)).expect("a key");
        }
        let addresses = |count: usize| std::iter::repeat_with(Addresses::draw).take(count).collect();
        let out = plan.services.iter().map(|(module, count)| (*module, addresses(*count)));
        let out: BTreeMap<_, Vec<Addresses>> = out.collect();
        let found_at = out.iter().map(|(module, all)| (*module, all.iter().map(Addresses::port).collect()));
        let found_at = found_at.collect();
        let (prefix, databases, log) = (name.to_owned(), plan.databases, plan.log.clone());
        let (front, routed) = (free_port(), plan.routed);
        Self { keys, broker, prefix, front, out, found_at, databases, routed, log }
    }

    /// Each process is found at the end of a line.
    async fn by_lines(&mut self) -> BTreeMap<&'static str, Vec<Line>> {
        let mut lines: BTreeMap<_, Vec<Line>> = BTreeMap::new();
        for (module, all) in &self.out {
            for addresses in all {
                lines.entry(*module).or_default().push(Line::to(addresses.port_number()).await);
            }
        }
        let found = |line: &Line| format!("http://127.0.0.1:{}", line.port);
        self.found_at =
            lines.iter().map(|(module, all)| (*module, all.iter().map(found).collect())).collect();
        lines
    }

    /// What everybody is told: the key to sign with, whose keys count, the broker, and where the others are.
    fn of(&self, who: &str) -> Vec<(String, String)> {
        let public = |who: &str| format!("{who}={}", self.keys.join(format!("{who}.pub.pem")).display());
        let callers: Vec<String> = MODULES.into_iter().chain(["shop"]).map(public).collect();
        let all = [
            ("BANYAN_SERVICE_KEY", self.keys.join(format!("{who}.pem")).display().to_string()),
            ("BANYAN_CALLERS", callers.join(",")),
            ("BANYAN_KAFKA", self.broker.as_ref().map(|it| it.cluster("").brokers).unwrap_or_default()),
            ("BANYAN_KAFKA_PREFIX", self.prefix.clone()),
        ];
        let out = self.found_at.iter().filter(|(module, _)| **module != who);
        let out = out.map(|(module, all)| (format!("BANYAN_{}", module.to_uppercase()), all.join(",")));
        let log = self.log.clone().map(|log| ("BANYAN_LOG".to_owned(), log));
        all.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(out).chain(log).collect()
    }

    fn of_front(&self) -> Vec<(String, String)> {
        let listen = ("BANYAN_SERVICE_LISTEN".to_owned(), format!("127.0.0.1:{}", self.front));
        let own = ("BANYAN_OWN_DATABASES".to_owned(), "true".to_owned());
        let own = (self.databases == Databases::Own).then_some(own);
        let modules: Vec<&str> = self.out.keys().copied().collect();
        let routed = self.routed.then(|| ("BANYAN_ROUTED".to_owned(), modules.join(",")));
        self.of("shop").into_iter().chain([listen]).chain(own).chain(routed).collect()
    }

    fn of_service(&self, module: &str, addresses: Addresses, front: &ShopProcess) -> Vec<(String, String)> {
        let with_front = MODULES.into_iter().filter(|other| !self.out.contains_key(other));
        let with_front = with_front.map(|other| {
            let address = format!("http://127.0.0.1:{}/{other}", self.front);
            (format!("BANYAN_{}", other.to_uppercase()), address)
        });
        let outside = front.outside();
        let database = match self.databases {
            Databases::Shared => front.database_url(),
            Databases::Own => front.database_url_of(module),
        };
        let own = [
            ("BANYAN_LISTEN", addresses.listen()),
            ("BANYAN_ADMIN_LISTEN", addresses.admin_listen()),
            ("DATABASE_URL", database),
            ("BANYAN_GATEWAY_URL", outside.address.clone()),
            ("BANYAN_GATEWAY_SECRET", outside.secret.clone()),
            ("BANYAN_CARRIER_URL", outside.address),
            ("BANYAN_CARRIER_SECRET", outside.secret),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        self.of(module).into_iter().chain(with_front).chain(own).collect()
    }
}
