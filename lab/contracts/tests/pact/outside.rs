//! The outside world, for modules that have one: the sandbox, in this process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use banyan_net::outbound::Callee;
use banyan_sandbox::{Config, SystemClock, serve};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;

const SECRET: &str = "sk_test";
const CONTROL: &str = "control";

/// Ends when it is dropped.
pub struct Outside {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _folder: TempDir,
}

impl Outside {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config::new(folder.path(), SECRET, CONTROL);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let ready = move |address| tell.send(address).expect("the test waits");
        tokio::spawn(serve(config, Arc::new(SystemClock::new()), ready, async { drop(stopped.await) }));
        Self { address: told.await.expect("the sandbox listens"), _stop: stop, _folder: folder }
    }

    /// With time enough for a busy machine: what is not answered in time is asked again, and no pact says so.
    pub fn callee(&self) -> Callee {
        let patience = Duration::from_secs(20);
        Callee {
            time_out: patience,
            soft_wait: patience,
            ..Callee::new(format!("http://{}", self.address), SECRET)
        }
    }

    /// The carrier takes nothing, or everything again.
    pub async fn refuses(&self, refuses: bool) {
        let (url, client) = (format!("http://{}/sandbox/break", self.address), banyan_net::client().build());
        let client = client.expect("a client");
        let fault = json!({ "target": "carrier", "fault": "refuse", "percent": 100, "seconds": 600 });
        let request = if refuses { client.post(url).json(&fault) } else { client.delete(url) };
        let answer = request.bearer_auth(CONTROL).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
    }
}
