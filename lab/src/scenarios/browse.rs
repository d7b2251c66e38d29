//! Somebody who browses: looks at the catalogue, again and again, and notes how long each look took.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use banyan_lab::stage::ShopClient;
use tokio::{task::JoinHandle, time::Instant};

use super::{SKUS, p50_p99};

/// Between two looks, so that the one who browses is no load.
const BETWEEN: Duration = Duration::from_millis(10);
/// A goal of issue and bench: what others do not notice.
const GOAL: f64 = 1.5;

/// Browses until it is told to stop.
pub struct Browsing {
    stop: Arc<AtomicBool>,
    looks: JoinHandle<Looked>,
}

/// What came of it.
pub struct Looked {
    /// Each look, in milliseconds.
    millis: Vec<f64>,
    /// Looks without an answer that shows something.
    pub failed: usize,
}

impl Browsing {
    /// From now on.
    pub async fn start(shop: &ShopClient) -> Self {
        let (stop, shop) = (Arc::new(AtomicBool::new(false)), shop.clone());
        let (stopped, token) = (stop.clone(), shop.customer_token("customer-0").await);
        let looks = tokio::spawn(async move {
            let mut looked = Looked { millis: Vec::new(), failed: 0 };
            for n in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let path = match n % 2 {
                    0 => format!("/v1/products/{}", SKUS[n % SKUS.len()]),
                    _ => "/v1/products?limit=20".to_owned(),
                };
                let began = Instant::now();
                let status = shop.get(&path, &token).await.0;
                looked.millis.push(began.elapsed().as_secs_f64() * 1e3);
                looked.failed += usize::from(status != 200);
                tokio::time::sleep(BETWEEN).await;
            }
            looked
        });
        Self { stop, looks }
    }

    /// No longer.
    pub async fn stop(self) -> Looked {
        self.stop.store(true, Ordering::Relaxed);
        self.looks.await.expect("who looks does not panic")
    }
}

impl Looked {
    /// In words, with the ratio beside its goal.
    pub fn beside(&self, other: &Self) -> String {
        let ((_, now), (_, then)) = (p50_p99(&mut self.millis.clone()), p50_p99(&mut other.millis.clone()));
        format!(
            "p99 {now:.0} ms, {then:.0} ms before: {:.2}x (goal {GOAL}x), {} of {} looks failed",
            now / then,
            self.failed,
            self.millis.len()
        )
    }
}
