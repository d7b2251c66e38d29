//! Ten thousand connections that say nothing, or half of something.

use std::time::Duration;

use banyan_lab::stage::{ShopOptions, Stage, Wish};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

const CONNECTIONS: usize = 10_000;
/// Beside the connections: what the test itself has open.
const FILES: u64 = CONNECTIONS as u64 + 500;
const SETTLE: Duration = Duration::from_secs(60);
/// The shop keeps an idle connection for 15 s.
const CLOSED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_keep_nobody_from_buying_and_are_let_go() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    assert!(
        hard >= FILES,
        "this test opens {CONNECTIONS} connections: raise the hard limit of open files ({hard})"
    );
    setrlimit(Resource::RLIMIT_NOFILE, FILES, hard).expect("a soft limit below the hard one");
    let stage = Stage::new();
    let shop = stage.shop("shop", ShopOptions::default()).await;
    shop.stock(&["APPLE", "PEAR"], 100).await;
    let address = shop.api.trim_start_matches("http://").to_owned();
    let begun = Instant::now();
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for n in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        if n % 2 == 0 {
            stream.write_all(b"GET /v1/orders HTTP/1.1\r\nHost: shop\r\n").await.expect("half a head");
        }
        idle.push(stream);
    }
    let opened = begun.elapsed();
    let wishes = (0..20).map(|n| Wish::of("ada", &format!("order-{n}"), &["APPLE", "PEAR"])).collect();
    let orders = shop.place_all(wishes, 4).await;
    let answered = begun.elapsed();
    let open = idle.iter().filter(|stream| is_open(stream)).count();
    let ended = shop.settled(&orders, SETTLE).await.unwrap();
    assert!(ended.values().all(|order| order["state"] == "shipped"), "{ended:?}");
    println!(
        "{CONNECTIONS} opened in {opened:?}; 20 orders accepted after {answered:?}, when {open} were still open"
    );
    assert_eq!(open, CONNECTIONS, "the orders were placed while all of them were open");
    let mut closing = JoinSet::new();
    for mut stream in idle {
        closing.spawn(async move {
            let mut rest = Vec::new();
            // Closed by a reset or in good order, with a 408 before it or without.
            timeout(CLOSED, stream.read_to_end(&mut rest)).await.is_ok()
        });
    }
    let closed = closing.join_all().await.into_iter().filter(|closed| *closed).count();
    assert_eq!(closed, CONNECTIONS, "all are let go");
    println!("all let go after {:?}", begun.elapsed());
    shop.clean_audit(SETTLE).await;
}

/// Nothing has come, and it has not ended.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(stream.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
