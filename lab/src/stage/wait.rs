//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is something, and says after how long.
///
/// # Errors
/// With what was waited for, when there is nothing by the deadline.
pub async fn within<T>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<(T, Duration), String> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok((found, begun.elapsed()));
        }
        if begun.elapsed() >= deadline {
            return Err(format!("waited {deadline:?} in vain: {what}"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// As [`within`], where nothing can be done about a deadline missed.
///
/// # Panics
/// When there is nothing by the deadline.
pub async fn until<T>(deadline: Duration, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(deadline, what, look).await.unwrap_or_else(|why| panic!("{why}")).0
}
