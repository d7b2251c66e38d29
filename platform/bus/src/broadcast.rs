//! Every event to every instance, from now on: what caches listen to.

use std::{sync::Arc, time::Duration};

use banyan_kernel::{Envelope, SLOTS};
use banyan_store::{Position, Signal, StoreError};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::Source;

/// How many events a receiver may be behind before it is told that it lagged.
pub const BROADCAST_BUFFER_EVENTS: usize = 1_024;

const PAGE_EVENTS: u16 = 500;
const SOON: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_secs(1);

/// Everything `source` tells from now on, and perhaps again what it told just now; until `stop`. No
/// position is kept: after [`broadcast::error::RecvError::Lagged`] the receiver has missed events, and clears
/// or reloads what it keeps. More receivers of the same: [`broadcast::Receiver::resubscribe`].
///
/// # Errors
/// When the source cannot say where it ends.
pub async fn subscribe(
    source: Arc<dyn Source>,
    stop: CancellationToken,
) -> Result<broadcast::Receiver<Arc<Envelope>>, StoreError> {
    let from = source.end().await?;
    let (sender, receiver) = broadcast::channel(BROADCAST_BUFFER_EVENTS);
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = forward(&*source, from, &sender) => {}
        }
    });
    Ok(receiver)
}

/// Until nobody receives any more.
async fn forward(source: &dyn Source, mut position: Position, sender: &broadcast::Sender<Arc<Envelope>>) {
    let slots: Vec<u16> = (0..SLOTS).collect();
    let mut told = source.signal().listen();
    let mut idle = SOON;
    while sender.receiver_count() > 0 {
        told.borrow_and_update();
        match source.page(position, &slots, PAGE_EVENTS).await {
            Ok(page) => {
                position = page.end;
                idle = if page.events.is_empty() { (idle * 2).min(POLL) } else { SOON };
                for (_, event) in page.events {
                    // Refused when the last receiver went: the loop ends.
                    let _ = sender.send(Arc::new(event));
                }
            }
            Err(error) => {
                tracing::warn!(source = source.name(), %error, "cannot read the source");
                idle = POLL;
            }
        }
        if idle > SOON {
            let before = *told.borrow();
            Signal::wait(&mut told, idle).await;
            idle = if *told.borrow() == before { idle } else { SOON };
        }
    }
}
