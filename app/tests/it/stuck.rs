//! An order that is stopped, as the command line tells of it: why, which ones, and the way out.

use std::{net::SocketAddr, sync::Arc};

use banyan_sandbox::{Config, SystemClock};
use tokio::sync::oneshot;

use crate::{
    http::basket,
    shop::{ALICE, Call, Shop, shop, until},
};

/// An outside that knows the shop by another secret than the shop has: it can tell nobody what was done.
async fn stranger() -> (SocketAddr, oneshot::Sender<()>) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::new(folder.path(), "the gateway's secret", "the control token");
    let ((bound, is_bound), (stop, stopped)) = (oneshot::channel(), oneshot::channel());
    tokio::spawn(async move {
        let ready = |address| bound.send(address).expect("somebody waits");
        // Ends as the test does.
        let stop = async { stopped.await.unwrap_or(()) };
        let served = banyan_sandbox::serve(config, Arc::new(SystemClock::new()), ready, stop).await;
        drop(folder);
        served.expect("the sandbox serves");
    });
    (is_bound.await.expect("it listens"), stop)
}

async fn place(shop: &Shop, key: &str) -> String {
    let placed = Call::post("/v1/orders").customer(ALICE).key(key).json(&basket()).send(shop).await;
    placed.is(201).json()["id"].as_str().expect("an id").to_owned()
}

async fn reaches(shop: &Shop, order: &str, state: &str) {
    let look = async || {
        let view = Call::get(&format!("/v1/orders/{order}")).customer(ALICE).send(shop).await.is(200).json();
        (view["state"] == state).then_some(())
    };
    until(&format!("order {order} to be {state}"), look).await;
}

/// Runs the command line; it succeeds, complains of nothing, and says each of the words.
fn says(shop: &Shop, arguments: &[&str], words: &[&str]) {
    let output = shop.banyan(arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{arguments:?}: {stdout}{stderr}");
    for word in words {
        assert!(stdout.contains(word), "{arguments:?} does not say {word:?}: {stdout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_order_is_explained_listed_and_got_going_again() {
    let (address, _stop) = stranger().await;
    let url = format!("http://{address}");
    let shop = Shop::open(&[("BANYAN_GATEWAY_URL", &url), ("BANYAN_GATEWAY_SECRET", "another secret")]).await;
    let (retried, cancelled) = (place(&shop, "retried").await, place(&shop, "cancelled").await);
    for order in [&retried, &cancelled] {
        reaches(&shop, order, "stuck").await;
        says(&shop, &["order", "why", order], &["stuck", "authorise", "payments", "check the secret"]);
        says(&shop, &["order", "stuck"], &[order, "stuck", "authorise", "payments", "check the secret"]);
    }
    for (order, how, step) in [(&retried, "--retry", "authorise"), (&cancelled, "--cancel", "undo authorise")]
    {
        says(&shop, &["order", "resolve", order, how, "--reason", "asked the gateway"], &[order]);
        let look = async || {
            let why = String::from_utf8(shop.banyan(&["order", "why", order]).stdout).expect("text");
            (why.contains(step) && why.contains("check the secret")).then_some(())
        };
        until("what it waits for now", look).await;
        says(&shop, &["order", "show", order], &["asked the gateway", "by staff"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_order_is_explained_as_well() {
    let shop = shop().await;
    let order = place(shop, "ended").await;
    reaches(shop, &order, "shipped").await;
    says(shop, &["order", "why", &order], &["shipped", "it is ended"]);
}
