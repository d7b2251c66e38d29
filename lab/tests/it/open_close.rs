//! Start and stop.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use banyan_lab::stage::{Seed, ShopOptions, Stage, Wish};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
};

const SETTLE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_everything_and_a_second_start_keeps_the_data() {
    let stage = Stage::new();
    let mut shop = stage.shop("shop", ShopOptions::default()).await;
    println!("first start {:?}", shop.opened_in);
    shop.stock(&["APPLE", "PEAR"], 10).await;
    let order = shop.place(&Wish::of("ada", "one", &["APPLE", "PEAR"])).await;
    let ended = shop.settled(std::slice::from_ref(&order), SETTLE).await.unwrap();
    assert_eq!(ended[&order]["state"], "shipped");
    let status = shop.stop_by(Signal::SIGINT).await;
    assert_eq!(status.code(), Some(0), "Ctrl-C is no failure");
    assert_eq!(stage.processes(), [0; 0], "nobody stays behind");
    shop.restart().await;
    println!("second start {:?}", shop.opened_in);
    let (status, view) = shop.get(&format!("/v1/orders/{order}"), &shop.customer_token("ada").await).await;
    assert_eq!((status, view["state"].as_str()), (200, Some("shipped")), "{view}");
    shop.clean_audit(SETTLE).await;
    assert!(shop.stop().await.success());
    assert_eq!(stage.processes(), [0; 0], "nobody stays behind");
}

/// Ctrl-C; or what a supervisor sends, where this process was started with Ctrl-C ignored, as a script's `&` does: who inherits
/// that hears of none before it listens.
fn interrupt() -> Signal {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("its ignored signals");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a mask");
    if ignored & (1 << (Signal::SIGINT as u32 - 1)) == 0 { Signal::SIGINT } else { Signal::SIGTERM }
}

/// What a start has begun, an initdb, a server, a sandbox, ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_it_starts_ends_everything() {
    const STARTS: u32 = 8;
    let mut seed = Seed::from_env("ctrl_c_while_it_starts_ends_everything");
    let stage = Stage::new();
    let data = stage.folder().join("shop").display().to_string();
    let stop = interrupt();
    let args = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    for _ in 0..STARTS {
        let mut command = stage.command(&args);
        let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(seed.below(1_500))).await;
        // As a terminal does: to the whole group.
        kill(Pid::from_raw(-child.id().cast_signed()), stop).unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
        // Before it listens to signals there is nothing yet to be ended.
        assert!(ended.success() || ended.signal() == Some(stop as i32), "{ended}");
        assert_eq!(stage.processes(), [0; 0], "nobody stays behind");
    }
}

/// A mail server that takes the connection and says nothing, for as long as it is called.
async fn hanging() -> (String, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    let called = Arc::new(Notify::new());
    let heard = called.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
            heard.notify_one();
        }
    });
    (url, called)
}

/// Half a head, and then a byte now and again, until the other side has enough of it.
async fn drip(address: String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET /v1/products HTTP/1.1\r\nHost: shop\r\nX-Drips: ").await.expect("half a head");
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drips_and_a_mail_server_that_hangs_hold_up_no_stop() {
    /// What a stop may take; of it a stop that waits for nobody needs little.
    const DRAIN: Duration = Duration::from_secs(10);
    let stage = Stage::new();
    let (smtp, called) = hanging().await;
    let env =
        vec![("BANYAN_SMTP_URL".to_owned(), smtp), ("BANYAN_MAIL_FROM".to_owned(), "a@b.example".to_owned())];
    let mut shop = stage.shop("shop", ShopOptions { env, ..ShopOptions::default() }).await;
    shop.stock(&["APPLE"], 10).await;
    let contact = json!({"name": "Ada", "email": "ada@example.org",
        "address": {"street": "Ring 1", "postcode": "1010", "city": "Wien", "country": "AT"}});
    let token = shop.customer_token("ada").await;
    let me = format!("{}/v1/customers/me", shop.api);
    let put = shop.ask(Method::PUT, &me, &token, None, Some(&contact)).await;
    assert_eq!(put.expect("an answer").status, 200);
    shop.place(&Wish::of("ada", "one", &["APPLE"])).await;
    tokio::time::timeout(SETTLE, called.notified()).await.expect("a mail is under way");
    let dripping = tokio::spawn(drip(shop.api.trim_start_matches("http://").to_owned()));
    shop.get("/v1/products", &token).await;
    let begun = Instant::now();
    let status = shop.stop_by(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "after {:?}", begun.elapsed());
    assert!(begun.elapsed() < DRAIN, "{:?}", begun.elapsed());
    dripping.await.expect("who drips is cut");
}

/// A backup knows who was there when it was made, and the wish to be forgotten came after it. Who came back since said what the backup does
/// not know, and it knows what was to be forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_forgotten_stays_so_through_a_restore() {
    let stage = Stage::new();
    let mut shop = stage.shop("shop", ShopOptions::default()).await;
    let me = format!("{}/v1/customers/me", shop.api);
    let contact = |name: &str| {
        json!({"name": name, "email": "who@example.org",
            "address": {"street": "Ring 1", "postcode": "1010", "city": "Wien", "country": "AT"}})
    };
    let put = async |who: &str| {
        let (token, contact) = (shop.customer_token(who).await, contact(who));
        shop.ask(Method::PUT, &me, &token, None, Some(&contact)).await.expect("an answer").status
    };
    for who in ["ada", "bob", "eve"] {
        assert_eq!(put(who).await, 200);
    }
    let file = stage.folder().join("backup.tar").display().to_string();
    assert!(shop.banyan(&["backup", &file]).await.status.success());
    assert!(shop.banyan(&["forget", "bob", "--reason", "case 1"]).await.status.success());
    for who in ["ada", "eve"] {
        let token = shop.customer_token(who).await;
        let gone = shop.ask(Method::DELETE, &me, &token, None, None).await;
        assert_eq!(gone.expect("an answer").status, 204, "{who} forgets herself");
    }
    assert_eq!(put("eve").await, 200, "and one of them comes back");
    assert!(shop.stop().await.success());
    let restored = shop.banyan(&["restore", &file]).await;
    assert!(String::from_utf8_lossy(&restored.stdout).contains("forgotten anew"), "{restored:?}");
    shop.restart().await;
    let known = async |who: &str| shop.get("/v1/customers/me", &shop.customer_token(who).await).await.0;
    assert_eq!((known("ada").await, known("bob").await, known("eve").await), (404, 404, 404));
    assert!(shop.stop().await.success());
}
