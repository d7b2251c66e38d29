//! Public: how much of a product the public is told there is. A read model of this module's own events: it says the time of the
//! last one that it has applied, and stands still when nobody applies them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Envelope, Sku, Timestamp};
use banyan_store::{Locks, Store, StoreError, Write};
use inventory_api::{
    Availability, GoodsReceived, InventoryReleased, InventoryReserved, StockAdjusted, StockChange,
};
use serde::Deserialize;

const READ: &str = "select sku, available, as_of from public_stock where sku = any($1) order by sku";
/// Sums commute: in whatever order the events of different orders come, the count ends up the same.
const APPLY: &str = "insert into public_stock as p (sku, available, as_of) \
     select sku, change, at from unnest($1::text[], $2::int8[], $3::timestamptz[]) as t(sku, change, at) \
     on conflict (sku) do update set available = p.available + excluded.available, \
     as_of = greatest(p.as_of, excluded.as_of)";

/// Applies the module's own events to the public's count.
pub struct PublicStockConsumer(Store);

impl PublicStockConsumer {
    /// The group, as slots and positions know it.
    pub const GROUP: &'static str = "inventory.public";

    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

#[derive(Deserialize)]
struct Lines {
    lines: Vec<StockChange>,
}

#[async_trait]
impl Consumer for PublicStockConsumer {
    fn group(&self) -> &'static str {
        Self::GROUP
    }

    fn source(&self) -> &'static str {
        inventory_api::NAME
    }

    fn store(&self) -> &Store {
        &self.0
    }

    /// Rows are locked as they are changed, in SKU order.
    fn locks(&self, _: &[Envelope]) -> Locks {
        Locks::none()
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let mut changes: BTreeMap<Sku, (i64, Timestamp)> = BTreeMap::new();
        let applied = batch.iter().map(|event| fold(&mut changes, event)).collect();
        if !changes.is_empty() {
            sqlx::query(APPLY)
                .bind(changes.keys().map(Sku::as_str).collect::<Vec<_>>())
                .bind(changes.values().map(|(change, _)| *change).collect::<Vec<_>>())
                .bind(changes.values().map(|(_, at)| *at).collect::<Vec<_>>())
                .execute(write.connection())
                .await?;
        }
        Ok(applied)
    }
}

/// Position and effect commit together and the slot's epoch fences the one before: an event is applied once.
fn fold(changes: &mut BTreeMap<Sku, (i64, Timestamp)>, event: &Envelope) -> Applied {
    let sign = match event.kind.as_str() {
        InventoryReserved::KIND => -1,
        InventoryReleased::KIND | GoodsReceived::KIND | StockAdjusted::KIND => 1,
        _ => return Applied::Skipped,
    };
    let lines: Lines = match serde_json::from_value(event.data.clone()) {
        Ok(lines) => lines,
        Err(error) => return Applied::Poison(format!("the event cannot be read: {error}")),
    };
    for StockChange { sku, quantity } in lines.lines {
        let (change, at) = changes.entry(sku).or_insert((0, event.time));
        *change += sign * quantity;
        *at = event.time.max(*at);
    }
    Applied::Done
}

/// What the public is told of these SKUs; one never received is left out.
pub(crate) async fn read(store: &Store, skus: &[Sku]) -> Result<Vec<Availability>, StoreError> {
    let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    let rows: Vec<(String, i64, Timestamp)> =
        sqlx::query_as(READ).bind(names).fetch_all(store.pool()).await?;
    let told = |(sku, available, as_of): (String, i64, Timestamp)| {
        // It may be behind, and then below nought for a moment; nobody is told so.
        Some(Availability { sku: sku.parse().ok()?, available: available.max(0), as_of: Some(as_of) })
    };
    Ok(rows.into_iter().filter_map(told).collect())
}
