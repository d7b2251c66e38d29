//! A port served over a real socket, for the tests of every contract's HTTP form.

use std::{env, fs, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use banyan_kernel::SystemClock;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Callers, DatabaseIdentity, Door, Port, PortClient, ServiceKey};
use crate::{
    ServerLimits,
    call::{Bounds, Callee, Caller, Credential},
};

/// Who may call in a test.
pub const CALLER: &str = "shop";

/// A port, served, and the key of somebody who may call it.
pub struct Wire {
    /// Where it is served.
    pub address: String,
    /// Of who may call it.
    pub key: Arc<ServiceKey>,
    module: &'static str,
    _folder: TempDir,
    _stop: DropGuard,
}

impl Wire {
    /// Serves `state` as a module.
    ///
    /// # Panics
    /// When this machine gives no socket or folder.
    pub async fn serve<S: Clone + Send + Sync + 'static>(
        module: &'static str,
        port: Port<S>,
        state: S,
        database: Arc<dyn DatabaseIdentity>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, pem) = key(folder.path(), CALLER);
        let callers = Callers::of(module).and(CALLER, &pem).expect("a key");
        let router = port.router(state, Door::new(callers, database));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        tokio::spawn(crate::serve(listener, router, ServerLimits::default(), stop.clone()));
        Self { address, key, module, _folder: folder, _stop: stop.drop_guard() }
    }

    /// Who may call.
    #[must_use]
    pub fn client(&self) -> PortClient {
        self.client_as(self.key.credential(self.module))
    }

    /// Somebody. With time enough for a busy machine, and a limit that does not adapt.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn client_as(&self, credential: Credential) -> PortClient {
        let callee = Callee {
            time_out: Duration::from_secs(20),
            deadline: Duration::from_secs(30),
            bounds: Bounds::fixed(200),
            ..Callee::port(self.address.clone(), credential)
        };
        PortClient::new(self.module, Caller::new(self.module, callee).expect("a client"))
    }
}

/// A key of that name, made in that folder, and its public half.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn key(folder: &Path, name: &str) -> (Arc<ServiceKey>, String) {
    let path = folder.join(format!("{name}.pem"));
    let key = ServiceKey::open(name, &path, Arc::new(SystemClock)).expect("a key");
    (Arc::new(key), fs::read_to_string(path.with_extension("pub.pem")).expect("its public half"))
}

/// Always the same database.
pub struct Database(pub &'static str);

#[async_trait]
impl DatabaseIdentity for Database {
    async fn identity(&self) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
}

/// Compares a port's document with the one that was agreed; `BANYAN_UPDATE_PACTS=1` writes it anew. All it refers to is in it.
///
/// # Panics
/// When it differs.
pub fn agreed<S: Clone + Send + Sync + 'static>(port: &Port<S>, path: &Path) {
    let document = port.document();
    let text = serde_json::to_string_pretty(&document).expect("a document") + "\n";
    let components = document.components.expect("components").schemas;
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap_or_default();
        assert!(components.contains_key(name), "it refers to {name}, which is not in it");
    }
    if env::var_os("BANYAN_UPDATE_PACTS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, &text).expect("a document");
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert!(known == text, "{} is another contract: see BANYAN_UPDATE_PACTS", path.display());
}
