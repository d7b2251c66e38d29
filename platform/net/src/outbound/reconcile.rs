//! The loop that finds requests without an outcome.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The net below every wake-up.
const POLL: Duration = Duration::from_millis(200);

/// Turns, on the slots held, until told to stop: soon again when the last turn was full, else after a
/// while, or as soon as a callee answers again (`woken`) or other slots are held. `turn` is given the slots and
/// whether it was woken, and tells whether there is more.
pub async fn reconcile<H, F, Fut>(
    mut held: watch::Receiver<BTreeMap<u16, H>>,
    mut closed: watch::Receiver<u64>,
    stop: CancellationToken,
    turn: F,
) where
    F: Fn(Vec<u16>, bool) -> Fut,
    Fut: Future<Output = bool>,
{
    let mut woken = false;
    while !stop.is_cancelled() {
        let slots: Vec<u16> = held.borrow_and_update().keys().copied().collect();
        if !slots.is_empty() && turn(slots, woken).await {
            continue;
        }
        woken = tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = held.changed() => false,
            Ok(()) = closed.changed() => true,
            () = tokio::time::sleep(POLL) => false,
        };
    }
}
