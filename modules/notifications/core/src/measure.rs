//! What notifications count: mails that were tried, and what came of it.

use std::sync::LazyLock;

use opentelemetry::{KeyValue, global, metrics::Counter};

/// What may come of a try. `refused` is said of one mail, `server_refuses` of all.
pub(crate) const OUTCOMES: [&str; 7] =
    ["sent", "kept", "refused", "refused_for_good", "server_refuses", "later", "given_up"];

static TRIES: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let meter = global::meter("banyan");
    meter
        .u64_counter("banyan.mails.tries")
        .with_description("Mails that were tried, by what came of it")
        .build()
});

pub(crate) fn tried(outcome: &'static str, mails: u64) {
    TRIES.add(mails, &[KeyValue::new("outcome", outcome)]);
}
