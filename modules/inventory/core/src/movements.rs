//! Movements: where stock came from and where it went, from what was told of it. Nothing is written for this alone: it is an
//! operator's question, and its price is paid when it is asked.

use banyan_kernel::{Sku, Timestamp, TraceParent};
use banyan_store::{Position, Store, StoreError};
use inventory_api::{InventoryReserved, StockMovement};
use sqlx::FromRow;

/// Backwards along the outbox's own key, until there are enough.
const MOVEMENTS: &str = "select epoch, xid::text::int8 as xid, seq, type as kind, aggregateid as subject, at, actor, \
     traceparent, payload->>'reason' as reason, \
     (select (l->>'quantity')::int8 from jsonb_array_elements(payload->'lines') l where l->>'sku' = $1 limit 1) as quantity \
     from outbox where payload->'lines' @> jsonb_build_array(jsonb_build_object('sku', $1::text)) \
     and (epoch, xid, seq) < ($2, $3::text::xid8, $4) order by epoch desc, xid desc, seq desc limit $5";

#[derive(FromRow)]
struct Row {
    epoch: i64,
    xid: i64,
    seq: i64,
    kind: String,
    subject: String,
    at: Timestamp,
    actor: String,
    traceparent: String,
    reason: Option<String>,
    quantity: Option<i64>,
}

impl Row {
    fn movement(self) -> StockMovement {
        let sign = if self.kind == InventoryReserved::KIND { -1 } else { 1 };
        let trace: Option<TraceParent> = self.traceparent.parse().ok();
        StockMovement {
            place: [self.epoch, self.xid, self.seq],
            at: self.at,
            what: self.kind,
            quantity: sign * self.quantity.unwrap_or(0),
            of: self.subject,
            reason: self.reason,
            actor: self.actor,
            correlation: trace.map(|trace| trace.correlation()).unwrap_or_default(),
        }
    }
}

/// The newest first, strictly before a place.
pub(crate) async fn read(
    store: &Store,
    sku: &Sku,
    before: Option<[i64; 3]>,
    limit: u16,
) -> Result<Vec<StockMovement>, StoreError> {
    let end = Position { epoch: i64::MAX, xid: i64::MAX, seq: i64::MAX };
    let before = before.map_or(end, |[epoch, xid, seq]| Position { epoch, xid, seq });
    let rows: Vec<Row> = sqlx::query_as(MOVEMENTS)
        .bind(sku.as_str())
        .bind(before.epoch)
        .bind(before.xid.to_string())
        .bind(before.seq)
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    Ok(rows.into_iter().map(Row::movement).collect())
}
