//! Restarting a server that died, with back-off, until it is stopped on purpose.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, interval, sleep};

use crate::cluster::Cluster;
use crate::postmaster::Postmaster;

/// How often the server's process is looked for: it may be adopted, so that nobody reports its end to us.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A server that lived that long starts again without a pause.
const LIVED: Duration = Duration::from_secs(30);

impl Cluster {
    /// Restarts the server with back-off whenever it has died, until [`Cluster::stop`]; to be spawned as a task.
    ///
    /// Pools notice by themselves: their connections break, and new ones work once it is back.
    pub fn supervise(&self) -> impl Future<Output = ()> + Send + use<> {
        let cluster = self.clone();
        async move { cluster.keep_alive().await }
    }

    async fn keep_alive(&self) {
        let mut stopped = self.inner.stopped.subscribe();
        let mut pause = Duration::ZERO;
        loop {
            // Only the waiting is cut short: a start under way is finished, so that `stop` sees its server.
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                next = self.died_and_paused(pause) => pause = next,
            }
            match self.restart().await {
                Ok(()) => tracing::info!(dir = %self.data_dir().display(), "PostgreSQL is back"),
                Err(error) => tracing::error!(%error, "PostgreSQL did not come back"),
            }
        }
    }

    /// Waits for the server's death and then for the pause; answers the pause after the next death.
    async fn died_and_paused(&self, pause: Duration) -> Duration {
        let since = Instant::now();
        self.died().await;
        let pause = if since.elapsed() >= LIVED { Duration::ZERO } else { pause };
        tracing::warn!(dir = %self.data_dir().display(), ?pause, "PostgreSQL died, starting it again");
        sleep(pause).await;
        (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
    }

    async fn died(&self) {
        let mut looks = interval(LOOK_EVERY);
        while Postmaster::alive(self.data_dir()).is_some() {
            looks.tick().await;
        }
    }
}
