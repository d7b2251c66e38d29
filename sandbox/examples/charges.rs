//! Charges per second, fsync included: `cargo run --release -p banyan-sandbox --example charges`.
//!
//! Arguments: seconds (5), callers (64). Callers and sandbox share the machine.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use banyan_sandbox::{Config, SystemClock, serve};
use futures::future::join_all;
use reqwest::Client;
use tokio::sync::oneshot;

const SECRET: &str = "sk_test_charges";

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().expect("a whole number"));
    let (seconds, callers) = (numbers.next().unwrap_or(5), numbers.next().unwrap_or(64));
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let (address, stop, running) = start(folder.path()).await;
    let order = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let mut took: Vec<Duration> =
        join_all((0..callers).map(|_| charge(address, order.clone(), until))).await.concat();
    let elapsed = began.elapsed();
    drop(stop);
    running.await.unwrap();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let rate = took.len() as f64 / elapsed.as_secs_f64();
    println!("{} charges, {rate:.0}/s, p50 {:?}, p99 {:?}", took.len(), at(0.5), at(0.99));
    read_back(folder.path()).await;
}

async fn start(folder: &Path) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let config = Config::new(folder, SECRET, "control");
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, bound) = oneshot::channel();
    let running = tokio::spawn(async move {
        let clock = Arc::new(SystemClock::new());
        let stopped = async { drop(stopped.await) };
        serve(config, clock, move |address| ready.send(address).unwrap(), stopped).await.unwrap();
    });
    (bound.await.expect("the sandbox starts"), stop, running)
}

async fn charge(address: SocketAddr, order: Arc<AtomicU64>, until: Instant) -> Vec<Duration> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{address}/v1/payment_intents");
    let mut took = Vec::new();
    while Instant::now() < until {
        let order = order.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            "amount=1999&currency=gbp&payment_method=pm_card_visa&capture_method=manual&confirm=true\
             &metadata[order]=order-{order}&metadata[step]=authorise&metadata[attempt]=1"
        );
        let asked = Instant::now();
        let request = client.post(&url).bearer_auth(SECRET).header("Idempotency-Key", format!("key-{order}"));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap();
        took.push(asked.elapsed());
    }
    took
}

async fn read_back(folder: &Path) {
    let bytes = std::fs::metadata(folder.join("book.jsonl")).unwrap().len();
    let began = Instant::now();
    let (_, stop, running) = start(folder).await;
    println!("{} MB of book read back in {:?}", bytes / 1_000_000, began.elapsed());
    drop(stop);
    running.await.unwrap();
}
