//! Start and stop.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    process::Stdio,
    time::Duration,
};

use banyan_lab::stage::{Seed, ShopOptions, Stage, Wish};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
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

/// What a start has begun, an initdb, a server, a sandbox, ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_it_starts_ends_everything() {
    const STARTS: u32 = 8;
    let mut seed = Seed::from_env("ctrl_c_while_it_starts_ends_everything");
    let stage = Stage::new();
    let data = stage.folder().join("shop").display().to_string();
    let args = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    for _ in 0..STARTS {
        let mut command = stage.command(&args);
        let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(seed.below(1_500))).await;
        // As a terminal does: to the whole group.
        kill(Pid::from_raw(-child.id().cast_signed()), Signal::SIGINT).unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
        // Before it listens to signals there is nothing yet to be ended.
        assert!(ended.success() || ended.signal() == Some(2), "{ended}");
        assert_eq!(stage.processes(), [0; 0], "nobody stays behind");
    }
}
