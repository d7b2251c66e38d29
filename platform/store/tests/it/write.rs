//! A write whose caller is gone leaves nothing, at whatever moment it went.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
};

use banyan_kernel::ManualClock;
use banyan_store::{Locks, Store, role_of, sqlx};

use crate::fence::store;

const OPEN: &str = "select count(*) from pg_stat_activity where datname = current_database() \
     and state like 'idle in transaction%'";

/// Begins a write and forgets it when it was woken `wakes` times; whether it had begun by then.
async fn forgotten(store: &Store, wakes: u32) -> bool {
    let locks = Locks::none();
    let mut begins = pin!(store.begin(&locks));
    let mut polled = 0;
    poll_fn(|context| {
        if polled == wakes {
            return Poll::Ready(false);
        }
        polled += 1;
        let begun = ready!(begins.as_mut().poll(context));
        Poll::Ready(begun.is_ok())
    })
    .await
}

#[tokio::test]
async fn who_goes_while_it_begins_leaves_no_open_transaction() {
    let (database, many) = store().await;
    let clock = Arc::new(ManualClock::at_micros(0));
    let store = Store::new(database.options(&role_of(many.schema())), many.schema(), 1, clock);
    let mut wakes = 0;
    while !forgotten(&store, wakes).await {
        // Waits until the only connection is back.
        sqlx::query("select 1").execute(store.pool()).await.expect("the connection");
        let open: i64 = sqlx::query_scalar(OPEN).fetch_one(many.pool()).await.expect("activity");
        assert_eq!(open, 0, "the transaction of who went after {wakes} wakes");
        wakes += 1;
    }
    assert!(wakes > 1, "nobody went while it began");
}
