//! In-process wake-up after a commit. A slow poll is the net below it.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// Counts commits; who waits for one is woken.
#[derive(Clone, Debug)]
pub struct Signal(Arc<watch::Sender<u64>>);

impl Default for Signal {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Signal {
    /// Wakes everybody who listens.
    pub fn raise(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// From now on.
    #[must_use]
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// Waits for the next raise that `receiver` has not seen, at most `poll`.
    pub async fn wait(receiver: &mut watch::Receiver<u64>, poll: Duration) {
        // Elapsed and closed mean the same here: look again.
        let _ = tokio::time::timeout(poll, receiver.changed()).await;
    }
}
