//! The connection under a request, for the faults that reach below HTTP.

use std::sync::Arc;

use tokio::sync::Notify;

/// The connection that a request came by.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Notify>);

impl Wire {
    /// Resets the connection; never returns, since whoever waits goes down with it.
    pub(crate) async fn reset(&self) -> ! {
        self.0.notify_one();
        std::future::pending().await
    }

    pub(crate) async fn to_be_reset(&self) {
        self.0.notified().await;
    }
}
