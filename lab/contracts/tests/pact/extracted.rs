//! The same pacts, asked of services: processes of their own on databases of their own, as they are run. Nobody carries events to
//! them here, which an answer does not wait for.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use banyan_contracts::Way;
use banyan_net::port::{PortClient, ServiceKey, testing::key};
use banyan_postgres::testing::{TestDatabase, database};
use catalog_http::HttpCatalog;
use inventory_http::HttpInventory;
use notifications_http::HttpNotifications;
use tempfile::TempDir;

use crate::{
    catalog, inventory, notifications, talk,
    verify::{States, anybody, authorization, pacts, verify},
};

/// Where nobody is.
const NOBODY: &str = "127.0.0.1:1";

/// A module's process, until it is dropped.
struct Service {
    module: &'static str,
    address: String,
    key: Arc<ServiceKey>,
    child: Child,
    _folder: TempDir,
}

/// Built by whoever builds all programs; one is not made of the test's own crate.
fn program(module: &str) -> Option<PathBuf> {
    let me = env::current_exe().expect("the path of this program");
    let program = me.ancestors().nth(2).expect("a folder").join(format!("{module}-service"));
    if !program.is_file() {
        println!("not verified: no {}; `make test` builds it", program.display());
        return None;
    }
    Some(program)
}

fn url(database: &TestDatabase) -> String {
    let to = database.superuser();
    let socket = to.get_socket().expect("a socket").display();
    format!("postgres://{}@localhost:{}/{}?host={socket}", to.get_username(), to.get_port(), database.name)
}

impl Service {
    /// Started and open; none where it was not built.
    fn open(module: &'static str, database: &TestDatabase) -> Option<Self> {
        let mut command = Command::new(program(module)?);
        let folder = tempfile::tempdir().expect("a folder");
        let ((key, _), _) = (key(folder.path(), "shop"), key(folder.path(), module));
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (nobody, log) = (format!("http://{NOBODY}"), path("log"));
        command.env_clear().envs([
            ("BANYAN_LISTEN", "127.0.0.1:0"),
            ("BANYAN_ADMIN_LISTEN", "127.0.0.1:0"),
            ("BANYAN_KAFKA", NOBODY),
            ("BANYAN_ORDERS", &nobody),
            ("BANYAN_PAYMENTS", &nobody),
            ("BANYAN_SHIPPING", &nobody),
            ("BANYAN_SERVICE_KEY", &path(&format!("{module}.pem"))),
            ("BANYAN_CALLERS", &format!("shop={}", path("shop.pub.pem"))),
            ("DATABASE_URL", &url(database)),
        ]);
        let told = fs::File::create(&log).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(told).spawn().expect("a process");
        let said = BufReader::new(child.stdout.take().expect("what it says"));
        let opened = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(" is open: ")?.1.split_whitespace().next()?.to_owned()));
        let address = opened.unwrap_or_else(|| panic!("{}", fs::read_to_string(&log).unwrap_or_default()));
        Some(Self { module, address, key, child, _folder: folder })
    }

    fn client(&self) -> PortClient {
        talk::client(self.module, &self.key, &self.address)
    }

    async fn keeps_its_pacts(self, states: Arc<dyn States>) {
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        let headers = authorization(self.module, &self.key);
        let said = verify(self.module, &pacts(self.module, Way::Http, &anybody), port, headers, states).await;
        assert!(said.result, "{}", said.output.join("\n"));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_as_a_service_keeps_its_pacts() {
    let database = database().await;
    let Some(service) = Service::open("inventory", &database) else { return };
    let asked = inventory_http::Served::by(Arc::new(HttpInventory(service.client())));
    let world = inventory::World::new(asked, &database);
    service.keeps_its_pacts(Arc::new(world)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_as_a_service_keeps_its_pacts() {
    let database = database().await;
    let Some(service) = Service::open("catalog", &database) else { return };
    let world = catalog::World(Arc::new(HttpCatalog(service.client())));
    service.keeps_its_pacts(Arc::new(world)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_as_a_service_keep_their_pacts() {
    let database = database().await;
    let Some(service) = Service::open("notifications", &database) else { return };
    let asked = notifications_http::Served::by(Arc::new(HttpNotifications(service.client())));
    let world = notifications::World::new(asked, &database);
    service.keeps_its_pacts(Arc::new(world)).await;
}
