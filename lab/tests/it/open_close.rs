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
