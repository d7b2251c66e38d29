//! The row of an order: movement of its stock, record of what was asked, and answer, all in one.

use std::collections::BTreeMap;

use banyan_kernel::{Line, OrderId, Places, Quantity, Sku, Timestamp, slot_of};
use banyan_store::{StoreError, Write};
use inventory_api::ReservationState;
use sqlx::FromRow;
use uuid::Uuid;

/// In the order of ids, as they were locked.
const READ: &str = "select order_id, attempt, state, lines, places, expires_at, reason, detail, version, orders_seen, \
     traceparent from reservation where order_id = any($1) order by order_id";

/// Another attempt takes the row's place; rare, so it may cost two statements.
const CLEAR: &str = "delete from reservation where order_id = any($1)";

const INSERT: &str = "insert into reservation (order_id, slot, attempt, state, lines, expires_at, reason, detail, \
     version, orders_seen, traceparent, places) \
     select order_id, slot, attempt, state, lines::json, expires_at, reason, detail, version, seen, trace, places::json \
     from unnest($1::uuid[], $2::int2[], $3::int4[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], \
     $8::text[], $9::int8[], $10::int8[], $11::text[], $12::text[]) \
     as t(order_id, slot, attempt, state, lines, expires_at, reason, detail, version, seen, trace, places)";

/// Guarded by the state that was decided from, and a confirmation by the expiry. The order's lock makes both
/// true already: should it ever not, the write ends here.
const UPDATE: &str = "update reservation r set state = t.state, reason = t.reason, version = t.version, \
     orders_seen = t.orders_seen, traceparent = case t.state when 'held' then r.traceparent end \
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[]) \
     as t(order_id, was, state, reason, version, orders_seen) \
     where r.order_id = t.order_id and r.state = t.was \
     and (r.state <> 'held' or t.state <> 'committed' or r.expires_at > $7)";

/// How many of each.
pub(crate) type Lines = BTreeMap<Sku, Quantity>;

/// An order's reservation as it stands.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub(crate) struct Reservation {
    /// Of the command that made the row.
    #[sqlx(try_from = "i32")]
    pub attempt: u32,
    #[sqlx(try_from = "String")]
    pub state: ReservationState,
    #[sqlx(json)]
    pub lines: Lines,
    /// Where they stood when they were reserved.
    #[sqlx(json(nullable))]
    pub places: Option<Places>,
    pub expires_at: Timestamp,
    /// The refusal's code, or why it was released.
    pub reason: Option<String>,
    /// The refusal's sentence.
    pub detail: Option<String>,
    /// The last sequence told, 0 if none.
    pub version: i64,
    /// The last sequence heard from orders.
    pub orders_seen: i64,
    /// Of the command that made the row, while it is held.
    pub traceparent: Option<String>,
}

/// A row that is to change: whose, what it was, what it becomes.
pub(crate) type Change<'a> = (OrderId, &'a Reservation, &'a Reservation);

#[derive(FromRow)]
struct Row {
    order_id: Uuid,
    #[sqlx(flatten)]
    reservation: Reservation,
}

/// Each SKU once and at least one, as the contract asks; otherwise none.
pub(crate) fn fold(lines: &[Line]) -> Option<Lines> {
    let folded: Lines = lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect();
    (!folded.is_empty() && folded.len() == lines.len()).then_some(folded)
}

/// As the contract's events carry them.
pub(crate) fn unfold(lines: &Lines) -> Vec<Line> {
    lines.iter().map(|(sku, quantity)| Line { sku: sku.clone(), quantity: *quantity }).collect()
}

/// As rows keep them; a map of texts to numbers always has a JSON form.
pub(crate) fn json(lines: &Lines) -> String {
    serde_json::to_string(lines).unwrap_or_default()
}

/// The rows of these orders.
pub(crate) async fn read(
    write: &mut Write,
    orders: &[OrderId],
) -> Result<BTreeMap<OrderId, Reservation>, StoreError> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    let rows: Vec<Row> = sqlx::query_as(READ).bind(ids).fetch_all(write.connection()).await?;
    Ok(rows.into_iter().map(|row| (OrderId(row.order_id), row.reservation)).collect())
}

/// Takes away rows whose place another attempt takes.
pub(crate) async fn clear(write: &mut Write, orders: &[OrderId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    if !ids.is_empty() {
        sqlx::query(CLEAR).bind(ids).execute(write.connection()).await?;
    }
    Ok(())
}

/// Puts new rows.
pub(crate) async fn insert(write: &mut Write, rows: &[(OrderId, &Reservation)]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(rows: &[(OrderId, &'a Reservation)], f: impl Fn(&'a Reservation) -> T) -> Vec<T> {
        rows.iter().map(|(_, row)| f(row)).collect()
    }
    sqlx::query(INSERT)
        .bind(rows.iter().map(|(order, _)| order.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(order, _)| slot_of(&order.to_string()) as i16).collect::<Vec<_>>())
        .bind(all(rows, |row| row.attempt as i32))
        .bind(all(rows, |row| row.state.as_str()))
        .bind(all(rows, |row| json(&row.lines)))
        .bind(all(rows, |row| row.expires_at))
        .bind(all(rows, |row| row.reason.as_deref()))
        .bind(all(rows, |row| row.detail.as_deref()))
        .bind(all(rows, |row| row.version))
        .bind(all(rows, |row| row.orders_seen))
        .bind(all(rows, |row| row.traceparent.as_deref()))
        .bind(all(rows, |row| {
            row.places.as_ref().map(|places| serde_json::to_string(places).unwrap_or_default())
        }))
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Moves rows of the same attempt on.
pub(crate) async fn update(
    write: &mut Write,
    changes: &[Change<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(changes: &[Change<'a>], f: impl Fn(&'a Reservation) -> T) -> Vec<T> {
        changes.iter().map(|(_, _, row)| f(row)).collect()
    }
    let updated = sqlx::query(UPDATE)
        .bind(changes.iter().map(|(order, _, _)| order.0).collect::<Vec<_>>())
        .bind(changes.iter().map(|(_, was, _)| was.state.as_str()).collect::<Vec<_>>())
        .bind(all(changes, |row| row.state.as_str()))
        .bind(all(changes, |row| row.reason.as_deref()))
        .bind(all(changes, |row| row.version))
        .bind(all(changes, |row| row.orders_seen))
        .bind(now)
        .execute(write.connection())
        .await?;
    if updated.rows_affected() as usize != changes.len() {
        return Err(StoreError::Conflict("a reservation changed between its lock and its update".into()));
    }
    Ok(())
}
