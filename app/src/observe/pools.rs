//! Connections of each module's pool.

use banyan_store::Store;
use opentelemetry::KeyValue;

use super::gauge;

pub(super) fn look(stores: &[Store]) {
    for store in stores {
        let module = [KeyValue::new("module", store.schema())];
        let (open, idle) = (u64::from(store.pool().size()), store.pool().num_idle() as u64);
        gauge("banyan.pool.open", "Open connections").record(open, &module);
        gauge("banyan.pool.busy", "Connections at work").record(open.saturating_sub(idle), &module);
    }
}
