//! Stopping a server: as it is asked, and harder when it does not hear, by a deadline. What was committed is in its log, however it ends.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cluster::{Cluster, StopMode};
use crate::error::Error;
use crate::postmaster::{self, Postmaster};
use crate::site::Site;

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// At the end of a deadline, for each of the harder ways.
const HARDER_MAX: Duration = Duration::from_secs(1);
/// What was killed is gone as soon as the system has taken it away, also where no time was left.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
/// Where nobody says how long it may take.
const WITHIN: Duration = Duration::from_secs(120);

impl Cluster {
    /// Stops the server, and every supervisor of this handle and its copies; returns when it has ended.
    ///
    /// # Errors
    /// As [`Self::stop_within`], which has two minutes here.
    pub async fn stop(&self, mode: StopMode) -> Result<(), Error> {
        self.stop_within(mode, WITHIN).await.map(drop)
    }

    /// As [`Self::stop`], within this time: a server that does not end as it is asked is asked harder, and killed at last, with a warning
    /// in the log each time. False, where that was needed.
    ///
    /// # Errors
    /// [`Error::StopFailed`] when it still runs.
    pub async fn stop_within(&self, mode: StopMode, within: Duration) -> Result<bool, Error> {
        let inner = &self.inner;
        inner.stopped.send_replace(true);
        let steps = Steps::new(mode, Instant::now() + within, (within / 4).min(HARDER_MAX));
        // A start that hangs holds this; it is stopped as any server is.
        let _alone = timeout_at(steps.asked_until(), inner.changing.lock()).await;
        stop(&inner.site, &steps).await
    }
}

/// Signals, and until when each is waited for.
struct Steps(Vec<(Signal, Instant)>);

impl Steps {
    fn new(mode: StopMode, by: Instant, harder: Duration) -> Self {
        let immediate = (Signal::SIGQUIT, by - harder);
        Self(match mode {
            StopMode::Fast => vec![(Signal::SIGINT, by - harder * 2), immediate],
            StopMode::Immediate => vec![immediate],
        })
    }

    fn asked_until(&self) -> Instant {
        self.0.first().map_or_else(Instant::now, |(_, until)| *until)
    }
}

/// Whether it ended by the first of them.
async fn stop(site: &Site, Steps(steps): &Steps) -> Result<bool, Error> {
    let dir = site.data_dir.display();
    for (tried, (signal, until)) in steps.iter().enumerate() {
        let Some(server) = Postmaster::alive(&site.data_dir) else { return Ok(tried == 0) };
        if tried > 0 {
            tracing::warn!(%dir, pid = server.pid, %signal, "PostgreSQL does not stop, and is told to at once");
        }
        // It may end between the look and the signal.
        let _ = kill(Pid::from_raw(server.pid), *signal);
        if has_ended(site, *until).await {
            return Ok(tried == 0);
        }
    }
    let Some(server) = Postmaster::alive(&site.data_dir) else { return Ok(false) };
    tracing::warn!(%dir, pid = server.pid, "PostgreSQL does not stop, and is killed; nothing that was committed is lost");
    kill_all(site, server.pid);
    if has_ended(site, Instant::now() + KILLED_WITHIN).await {
        return Ok(false);
    }
    Err(Error::StopFailed {
        dir: site.data_dir.clone(),
        message: format!("process {} was killed", server.pid),
    })
}

async fn has_ended(site: &Site, until: Instant) -> bool {
    while Postmaster::alive(&site.data_dir).is_some() {
        if Instant::now() >= until {
            return false;
        }
        sleep(LOOK_EVERY).await;
    }
    true
}

/// The server first, which then starts no more of them; its children each lead a group of their own, and one that is frozen does not see that
/// the server is gone: the next one would wait for it.
fn kill_all(site: &Site, server: i32) {
    let children = postmaster::children(server, &site.data_dir);
    for pid in std::iter::once(server).chain(children) {
        if postmaster::works_in(pid, &site.data_dir) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
