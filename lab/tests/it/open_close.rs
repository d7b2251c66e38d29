//! Start and stop.

use std::time::Duration;

use banyan_lab::stage::{ShopOptions, Stage, Wish};
use nix::sys::signal::Signal;

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
