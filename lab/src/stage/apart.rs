//! A shop taken apart: some of its modules as processes of their own, the others with the front, events on a broker.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use banyan_kafka::testing::Broker;
use banyan_kernel::SystemClock;
use banyan_net::port::ServiceKey;

use super::{Addresses, ServiceProcess, ShopOptions, ShopProcess, Stage, free_port};

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
    /// The front, beyond what it must be told of the others.
    pub front: ShopOptions,
}

impl Plan {
    /// One process of each of these.
    #[must_use]
    pub fn one_of(modules: &[&'static str]) -> Self {
        Self { services: modules.iter().map(|module| (*module, 1)).collect(), ..Self::default() }
    }
}

/// A shop taken apart, on its front's database server. Everybody knows everybody's key.
pub struct Apart {
    /// Where customers, staff and operators are.
    pub front: ShopProcess,
    /// The processes of each module that is out.
    pub services: BTreeMap<&'static str, Vec<ServiceProcess>>,
    wiring: Wiring,
}

/// Who finds whom where.
struct Wiring {
    keys: PathBuf,
    broker: Arc<Broker>,
    prefix: String,
    /// Where the front serves the modules that are with it.
    front: u16,
    out: BTreeMap<&'static str, Vec<Addresses>>,
    databases: Databases,
}

impl Apart {
    /// Starts the front, then each process; returns when all are ready.
    ///
    /// # Panics
    /// When one is not.
    pub async fn start(stage: &Stage, name: &str, broker: &Arc<Broker>, plan: Plan) -> Self {
        let wiring = Wiring::new(stage, name, broker.clone(), &plan);
        let Plan { mut front, .. } = plan;
        front.env.extend(wiring.of_front());
        let front = stage.shop(name, front).await;
        let mut services = BTreeMap::new();
        for (module, all) in &wiring.out {
            if wiring.databases == Databases::Own {
                front.create_database(module).await;
            }
            let mut started = Vec::new();
            for addresses in all {
                let env = wiring.of_service(module, *addresses, &front);
                started.push(ServiceProcess::start(stage, module, *addresses, env).await);
            }
            services.insert(*module, started);
        }
        Self { front, services, wiring }
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

    /// Stops everybody; whether all ended well.
    ///
    /// # Panics
    /// When one does not end.
    pub async fn stop(&mut self) -> bool {
        let mut well = self.front.stop().await.success();
        for service in self.services.values_mut().flatten().filter(|service| service.lives()) {
            well &= service.stop().await;
        }
        well
    }
}

impl Wiring {
    fn new(stage: &Stage, name: &str, broker: Arc<Broker>, plan: &Plan) -> Self {
        let keys = stage.folder().join(format!("{name}-keys"));
        std::fs::create_dir_all(&keys).expect("a folder for keys");
        for who in MODULES.into_iter().chain(["shop"]) {
            ServiceKey::open(who, &keys.join(format!("{who}.pem")), Arc::new(SystemClock)).expect("a key");
        }
        let addresses = |count: usize| std::iter::repeat_with(Addresses::draw).take(count).collect();
        let out = plan.services.iter().map(|(module, count)| (*module, addresses(*count))).collect();
        let (prefix, databases) = (name.to_owned(), plan.databases);
        Self { keys, broker, prefix, front: free_port(), out, databases }
    }

    /// What everybody is told: the key to sign with, whose keys count, the broker, and where the others are.
    fn of(&self, who: &str) -> Vec<(String, String)> {
        let public = |who: &str| format!("{who}={}", self.keys.join(format!("{who}.pub.pem")).display());
        let callers: Vec<String> = MODULES.into_iter().chain(["shop"]).map(public).collect();
        let all = [
            ("BANYAN_SERVICE_KEY", self.keys.join(format!("{who}.pem")).display().to_string()),
            ("BANYAN_CALLERS", callers.join(",")),
            ("BANYAN_KAFKA", self.broker.cluster("").brokers),
            ("BANYAN_KAFKA_PREFIX", self.prefix.clone()),
        ];
        let out = self.out.iter().filter(|(module, _)| **module != who);
        let out = out.map(|(module, all)| {
            let all: Vec<String> = all.iter().map(Addresses::port).collect();
            (format!("BANYAN_{}", module.to_uppercase()), all.join(","))
        });
        all.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(out).collect()
    }

    fn of_front(&self) -> Vec<(String, String)> {
        let listen = ("BANYAN_SERVICE_LISTEN".to_owned(), format!("127.0.0.1:{}", self.front));
        let own = ("BANYAN_OWN_DATABASES".to_owned(), "true".to_owned());
        let own = (self.databases == Databases::Own).then_some(own);
        self.of("shop").into_iter().chain([listen]).chain(own).collect()
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
