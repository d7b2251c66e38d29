//! Many requests at once, of which a slow one stalls no other.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::oneshot;

use super::Outcome;

/// A module's side of its calls.
#[async_trait]
pub trait Outside: Clone + Send + Sync + 'static {
    /// A request whose intent is committed.
    type Asked: Send + Sync + 'static;
    /// What comes of one that is done.
    type Came: Send + 'static;
    /// What is known once the outcome is committed.
    type Settled: Send + 'static;
    /// Sends it once, or looks it up. No transaction is open.
    async fn ask(&self, asked: &Self::Asked) -> Outcome<Self::Came>;
    /// Commits what came of each, in one write.
    async fn settle(&self, came: Vec<(Self::Asked, Outcome<Self::Came>)>) -> Vec<Self::Settled>;
}

/// Sends all, at most `at_once` under way; commits together and tells what came within `soft_wait`. The
/// slower ones go on by themselves, and commit what comes of them when it comes.
pub async fn perform<O: Outside>(
    outside: O,
    asked: Vec<O::Asked>,
    soft_wait: Duration,
    at_once: usize,
) -> Vec<O::Settled> {
    if asked.is_empty() {
        return Vec::new();
    }
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let outside = &outside;
        let one = |asked: O::Asked| async move {
            let outcome = outside.ask(&asked).await;
            (asked, outcome)
        };
        let mut calls = stream::iter(asked).map(one).buffer_unordered(at_once.max(1));
        let mut came = Vec::new();
        let all = async {
            while let Some(one) = calls.next().await {
                came.push(one);
            }
        };
        // Elapsed or not: what came is settled, the rest goes on below.
        let _ = tokio::time::timeout(soft_wait, all).await;
        let settled = if came.is_empty() { Vec::new() } else { outside.settle(came).await };
        // Who asked may have gone; the outcome stays.
        let _ = tell.send(settled);
        let mut later = calls.ready_chunks(at_once.max(1));
        while let Some(came) = later.next().await {
            outside.settle(came).await;
        }
    });
    // A task that died leaves intents, which the reconciler finds.
    told.await.unwrap_or_default()
}

/// Runs `work` to its end, even where the caller goes away. None if it died.
pub async fn uncancelled<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    match tokio::spawn(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, correlation = "", "a task died; what it intended is found again");
            None
        }
    }
}
