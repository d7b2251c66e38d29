//! Facts: what the audit needs to know, from this module's own tables.

use banyan_kernel::{OrderId, Places, Timestamp};
use banyan_store::StoreError;
use inventory_api::{ReservationFact, ReservationState, StockViolation};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    Inventory,
    levels::LevelRow,
    reservation::{Lines, unfold},
};

const FACTS: &str = "select order_id, state, lines, places, version, orders_seen, expires_at from reservation \
     where order_id > $1 and order_id <= $2 order by order_id";

/// Each SKU that any of the three tables names, where they disagree. One statement, so one moment.
const VIOLATIONS: &str = "with receipts as ( \
         select l.key as sku, sum(l.value::int8)::int8 as n from receipt, json_each_text(lines) l group by 1), \
     found as (select sku, sum(quantity)::int8 as found from adjustment group by sku), \
     moved as ( \
         select l.key as sku, \
             coalesce(sum(l.value::int8) filter (where state <> 'shipped'), 0)::int8 as kept, \
             coalesce(sum(l.value::int8) filter (where state = 'shipped'), 0)::int8 as gone \
         from reservation, json_each_text(lines) l where state in ('held', 'committed', 'shipped') group by 1), \
     judged as ( \
         select sku, coalesce(on_hand, 0) as on_hand, coalesce(reserved, 0) as reserved, \
             coalesce(shipped, 0) as shipped, coalesce(received, 0) as received, \
             coalesce(adjusted, 0) as adjusted, coalesce(receipts.n, 0) as receipts, \
             coalesce(place, 'main') as place, coalesce(kept, 0) as kept, coalesce(gone, 0) as gone, coalesce(found, 0) as found \
         from stock full join receipts using (sku) full join moved using (sku) full join found using (sku)) \
     select * from judged where on_hand + reserved + shipped <> received - adjusted \
     or least(on_hand, reserved, shipped, received) < 0 or adjusted <> -found \
     or received <> receipts or reserved <> kept or shipped <> gone order by sku limit 100";

#[derive(FromRow)]
struct FactRow {
    order_id: Uuid,
    #[sqlx(try_from = "String")]
    state: ReservationState,
    #[sqlx(json)]
    lines: Lines,
    #[sqlx(json(nullable))]
    places: Option<Places>,
    version: i64,
    orders_seen: i64,
    expires_at: Timestamp,
}

#[derive(FromRow)]
struct ViolationRow {
    #[sqlx(flatten)]
    level: LevelRow,
    receipts: i64,
    kept: i64,
    gone: i64,
    found: i64,
}

impl Inventory {
    /// The reservations of orders with `after < order <= upto`, in order.
    ///
    /// # Errors
    /// As any statement.
    pub async fn facts(&self, after: OrderId, upto: OrderId) -> Result<Vec<ReservationFact>, StoreError> {
        let rows: Vec<FactRow> =
            sqlx::query_as(FACTS).bind(after.0).bind(upto.0).fetch_all(self.store().pool()).await?;
        Ok(rows.into_iter().map(ReservationFact::from).collect())
    }

    /// SKUs whose numbers do not add up, at most 100: the sum, its signs, receipts, reservations.
    ///
    /// # Errors
    /// As any statement.
    pub async fn stock_violations(&self) -> Result<Vec<StockViolation>, StoreError> {
        let rows: Vec<ViolationRow> = sqlx::query_as(VIOLATIONS).fetch_all(self.store().pool()).await?;
        Ok(rows.into_iter().map(StockViolation::from).collect())
    }
}

impl From<FactRow> for ReservationFact {
    fn from(row: FactRow) -> Self {
        Self {
            order: OrderId(row.order_id),
            state: row.state,
            lines: unfold(&row.lines),
            places: row.places.unwrap_or_default(),
            version: row.version,
            orders_seen: row.orders_seen,
            expires_at: row.expires_at,
        }
    }
}

impl From<ViolationRow> for StockViolation {
    fn from(row: ViolationRow) -> Self {
        Self {
            level: row.level.into(),
            receipts: row.receipts,
            kept: row.kept,
            gone: row.gone,
            found: row.found,
        }
    }
}
