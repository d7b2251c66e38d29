//! A server of flags as it should not be: away, slow, wrong, large.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use banyan_flags::{Files, Flags, TurnError, Unleash, UnleashConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::flag;

/// What is answered to who asks for flags.
#[derive(Clone)]
enum Says {
    Flags(u16),
    Text(u16, String),
    Nothing,
}

/// A server that says what it is told to say, as a client sees Unleash's `/api/client/features`.
async fn server(says: Arc<Mutex<Says>>, asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/api", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let says = says.lock().expect("it is not poisoned").clone();
            asked.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                let mut head = [0; 4_096];
                let _ = stream.read(&mut head).await;
                let (status, body) = match says {
                    Says::Flags(remote) => (200, features(remote).to_string()),
                    Says::Text(status, text) => (status, text),
                    Says::Nothing => return std::future::pending().await,
                };
                let answer = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

fn features(remote: u16) -> Value {
    let exported = flag("way", &[("local", 1_000 - remote), ("remote", remote)]);
    json!({"version": 2, "features": [{"name": "way", "enabled": true, "strategies": exported["featureStrategies"]}]})
}

struct World {
    flags: Arc<Unleash>,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
    _folder: TempDir,
    _stop: DropGuard,
}

impl World {
    /// The files say local, the server whatever it is told.
    async fn new(says: Says) -> Self {
        let (folder, says) = (tempfile::tempdir().expect("a folder"), Arc::new(Mutex::new(says)));
        let built_in = flag("way", &[("local", 1_000), ("remote", 0)]).to_string();
        let files = Arc::new(Files::open(&[("way", &built_in)], folder.path()).expect("flags"));
        let every = Duration::from_millis(20);
        let asked = Arc::<AtomicUsize>::default();
        let config = UnleashConfig {
            url: server(says.clone(), asked.clone()).await,
            token: "token".to_owned(),
            every,
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let (flags, stop) = (Arc::new(Unleash::new(config, client, files)), CancellationToken::new());
        tokio::spawn(flags.clone().follow(stop.clone()));
        Self { flags, says, asked, _folder: folder, _stop: stop.drop_guard() }
    }

    fn says(&self, says: Says) {
        *self.says.lock().expect("it is not poisoned") = says;
    }

    fn way(&self) -> Option<String> {
        self.flags.variant("way", Some("k"))
    }

    async fn becomes(&self, way: &str) {
        until(way, || self.way().as_deref() == Some(way)).await;
    }

    /// Until the server was asked so many times more: of the one before the last the answer was dealt with.
    async fn asks(&self, times: usize) {
        let before = self.asked.load(SeqCst);
        until("it asks", || self.asked.load(SeqCst) >= before + times).await;
    }
}

/// A flag that the server turns is seen; what it answers instead of flags changes nothing, and neither does its silence.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_state_holds_while_the_server_is_wrong_slow_or_away() {
    let world = World::new(Says::Text(500, "{}".to_owned())).await;
    assert_eq!(world.way().as_deref(), Some("local"), "the files hold until it answers");
    world.says(Says::Flags(1_000));
    world.becomes("remote").await;
    let large = " ".repeat(9 * 1024 * 1024);
    let wrong = [
        Says::Text(200, "<html>".to_owned()),
        Says::Text(200, "{}".to_owned()),
        Says::Text(401, features(0).to_string()),
        Says::Text(200, format!("{}{large}", features(0))),
        Says::Nothing,
    ];
    for says in wrong {
        world.says(says);
        world.asks(3).await;
        assert_eq!(world.way().as_deref(), Some("remote"));
    }
    world.says(Says::Flags(0));
    world.becomes("local").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_a_server_keeps_are_turned_there() {
    let world = World::new(Says::Flags(1_000)).await;
    world.becomes("remote").await;
    let refused = world.flags.turn("way", &[("local", 1_000)].into());
    assert!(matches!(refused, Err(TurnError::Elsewhere(_, flag)) if flag == "way"));
    assert_eq!(world.way().as_deref(), Some("remote"));
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let looked = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looked).await.unwrap_or_else(|_| panic!("never: {what}"));
}
