//! A provider's side: its pacts are asked of the real router, in this process.

use std::{any::Any, collections::HashMap, fmt, fs, sync::Arc};

use async_trait::async_trait;
use axum::Router;
use banyan_contracts::{Seam, Way, root, seams};
use banyan_net::port::{
    Callers, Door, Port, ServiceKey,
    testing::{CALLER, Database, key},
};
use pact_models::provider_states::ProviderState;
use pact_verifier::{
    FilterInfo, NullRequestFilterExecutor, PactSource, ProviderInfo, ProviderTransport, VerificationOptions,
    callback_executors::ProviderStateExecutor, verification_result::VerificationExecutionResult,
    verify_provider_async,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};

use crate::talk::is_quiet;

/// What has to be so before something is asked.
#[async_trait]
pub trait States: Send + Sync + 'static {
    /// Makes it so; once more changes nothing.
    async fn bring_about(&self, state: &str);
}

/// A module behind its port, and how it comes into the states that its consumers name.
pub struct Provider {
    router: Router,
    states: Arc<dyn States>,
    module: &'static str,
    key: Arc<ServiceKey>,
    _kept: (TempDir, Box<dyn Any + Send>),
}

impl Provider {
    /// By whatever is behind its port; `kept` lives as long as it does.
    pub fn new<S: Clone + Send + Sync + 'static>(
        module: &'static str,
        port: Port<S>,
        served: S,
        states: Arc<dyn States>,
        kept: impl Any + Send,
    ) -> Self {
        let made = Self::of(module, |door| (port.router(served, door), states));
        Self { _kept: (made._kept.0, Box::new(kept)), ..made }
    }

    /// By a router behind this door.
    pub fn of(module: &'static str, made: impl FnOnce(Door) -> (Router, Arc<dyn States>)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, pem) = key(folder.path(), CALLER);
        let callers = Callers::of(module).and(CALLER, &pem).expect("a key");
        let (router, states) = made(Door::new(callers, Arc::new(Database("1/2/3/1"))));
        Self { router, states, module, key, _kept: (folder, Box::new(())) }
    }

    /// With something done to its router.
    pub fn with(self, change: impl FnOnce(Router) -> Router) -> Self {
        Self { router: change(self.router), ..self }
    }

    /// Keeps to all that its consumers expect.
    pub async fn keeps_its_pacts(self) {
        let said = self.verified(&anybody).await;
        assert!(said.result, "{}", said.output.join("\n"));
    }

    /// Keeps to all that one of them expects.
    pub async fn keeps_its_pact_with(self, consumer: &str) {
        let said = self.verified(&|seam| seam.consumer == consumer).await;
        assert!(said.result, "{}", said.output.join("\n"));
    }

    /// Asks for what those expect of it.
    pub async fn verified(self, of: &dyn Fn(&Seam) -> bool) -> VerificationExecutionResult {
        let (port, _serving) = serve(self.router).await;
        let pacts = pacts(self.module, Way::Http, of);
        verify(self.module, &pacts, port, authorization(self.module, &self.key), self.states).await
    }
}

/// Whoever it is.
pub fn anybody(_: &Seam) -> bool {
    true
}

/// Serves until what is handed back is dropped.
pub async fn serve(router: Router) -> (u16, JoinSet<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await });
    (port, serving)
}

/// A pact says that there is a token; which one counts now is not for it to say.
pub fn authorization(module: &str, key: &ServiceKey) -> HashMap<String, String> {
    let token = key.mint(module).expect("a token");
    HashMap::from([("Authorization".to_owned(), format!("Bearer {token}"))])
}

/// Holds whoever answers there to the pacts of a module.
pub async fn verify(
    module: &str,
    (way, pacts): &(Way, Vec<String>),
    port: u16,
    custom_headers: HashMap<String, String>,
    states: Arc<dyn States>,
) -> VerificationExecutionResult {
    is_quiet();
    let transport = if *way == Way::Http { "http" } else { "async-message" };
    let transport =
        ProviderTransport { transport: transport.to_owned(), port: Some(port), path: None, scheme: None };
    let provider = ProviderInfo {
        name: module.to_owned(),
        host: "127.0.0.1".to_owned(),
        transports: vec![transport],
        ..ProviderInfo::default()
    };
    let options = VerificationOptions::<NullRequestFilterExecutor> {
        custom_headers,
        coloured_output: false,
        request_timeout: 30_000,
        ..VerificationOptions::default()
    };
    let (filter, states) = (FilterInfo::None, Arc::new(Executor(states)));
    let expected: usize = pacts.iter().map(|pact| interactions(pact)).sum();
    let pacts = pacts.iter().cloned().map(PactSource::String).collect();
    let verified = verify_provider_async(provider, pacts, filter, Vec::new(), &options, None, &states, None);
    let verified = verified.await.expect("Pact verifies");
    assert_eq!(verified.interaction_results.len(), expected, "of {module}, all was asked");
    verified
}

/// What is expected of a module, and by what it is asked.
pub fn pacts(module: &str, way: Way, of: &dyn Fn(&Seam) -> bool) -> (Way, Vec<String>) {
    let seams = seams().into_iter().filter(|seam| seam.way == way && seam.provider == module && of(seam));
    let read = |path: String| {
        fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let pacts: Vec<String> = seams.map(|seam| read(seam.pact())).collect();
    assert!(!pacts.is_empty(), "nobody expects anything of {module}");
    (way, pacts)
}

fn interactions(pact: &str) -> usize {
    let pact: Value = serde_json::from_str(pact).expect("JSON");
    pact["interactions"].as_array().map_or(0, Vec::len)
}

struct Executor(Arc<dyn States>);

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

#[async_trait]
impl ProviderStateExecutor for Executor {
    async fn call(
        self: Arc<Self>,
        _interaction_id: Option<String>,
        provider_state: &ProviderState,
        setup: bool,
        _client: Option<&reqwest::Client>,
    ) -> anyhow::Result<HashMap<String, Value>> {
        if setup {
            self.0.bring_about(&provider_state.name).await;
        }
        Ok(HashMap::new())
    }

    fn teardown(&self) -> bool {
        false
    }
}
