//! A batch that PostgreSQL refuses is run again by halves, so that only the guilty item sees the error.

use futures::future::BoxFuture;

use crate::StoreError;

/// Runs `write` on all items at once; on an error of the statement itself, on each half in new
/// transactions, down to the single guilty item. Answers per item, in order. A transient error is every
/// item's.
pub async fn by_halves<'a, T, R, F>(items: Vec<T>, write: &F) -> Vec<Result<R, StoreError>>
where
    T: Clone + Send + 'a,
    R: Send + 'a,
    F: Fn(Vec<T>) -> BoxFuture<'a, Result<Vec<R>, StoreError>> + Sync,
{
    let mut answers: Vec<Option<Result<R, StoreError>>> = items.iter().map(|_| None).collect();
    let mut ranges = Vec::new();
    ranges.push(0..items.len());
    while let Some(range) = ranges.pop() {
        match write(items[range.clone()].to_vec()).await {
            Ok(replies) => range.zip(replies).for_each(|(at, reply)| answers[at] = Some(Ok(reply))),
            Err(error) if range.len() > 1 && !error.is_transient() => {
                let middle = range.start + range.len() / 2;
                ranges.extend([range.start..middle, middle..range.end]);
            }
            Err(error) => {
                for at in range.clone() {
                    answers[at] = Some(Err(copy(&error)));
                }
            }
        }
    }
    let unanswered =
        || Err(StoreError::Conflict("the batch answered for fewer items than it was asked".into()));
    answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
}

/// The same error for each item of a batch.
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(why.clone()),
        StoreError::Closed => StoreError::Closed,
        StoreError::Conflict(why) => StoreError::Conflict(why.clone()),
        StoreError::Statement(error) => StoreError::Statement(sqlx::Error::Protocol(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn only_the_guilty_item_of_fifty_sees_the_error() {
        let runs = AtomicUsize::new(0);
        let write = |batch: Vec<u32>| -> BoxFuture<'_, Result<Vec<u32>, StoreError>> {
            runs.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                if batch.contains(&13) {
                    return Err(StoreError::Statement(sqlx::Error::RowNotFound));
                }
                Ok(batch)
            })
        };
        let answers = by_halves((0..50).collect(), &write).await;
        for (item, answer) in (0..50).zip(&answers) {
            assert_eq!(answer.is_err(), item == 13, "item {item}");
        }
        assert!(runs.load(Ordering::SeqCst) <= 13, "log2(50) halvings, two runs each");
    }
}
