//! What there is of each SKU.

use std::collections::{BTreeMap, BTreeSet};

use banyan_kernel::{Place, Sku, stable_hash};
use banyan_store::{StoreError, Write};
use sqlx::{Error, FromRow};

/// Everybody who changes stock locks its SKUs here and not with `Locks`, which are taken when a write
/// begins: which SKUs a release, an expiry or a shipment is about is known only once the reservation was
/// read. Always after the orders' locks, in one order, before the transaction has an xid.
const LOCK: &str = "select pg_advisory_xact_lock($1, key) from unnest($2::int4[]) as t(key)";
/// Advisory locks are of the whole database: a first number of our own keeps ours apart.
const LOCK_NAME: &[u8] = b"inventory/stock";
/// How many locks all SKUs share: bounds PostgreSQL's lock table, as in `Locks`.
const LOCK_BUCKETS: u64 = 2_048;

const READ: &str = "select sku, on_hand, reserved, place from stock where sku = any($1) order by sku";

/// What is kept or shipped comes from on_hand, what is given back returns there: the sum stays.
const MOVE: &str = "update stock s set on_hand = s.on_hand - t.reserved - t.shipped, \
     reserved = s.reserved + t.reserved, shipped = s.shipped + t.shipped \
     from unnest($1::text[], $2::int8[], $3::int8[]) as t(sku, reserved, shipped) where s.sku = t.sku";

/// What there is of one SKU.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub(crate) struct Stock {
    pub on_hand: i64,
    pub reserved: i64,
    #[sqlx(try_from = "String")]
    pub place: Place,
}

#[derive(FromRow)]
struct Row {
    sku: String,
    #[sqlx(flatten)]
    stock: Stock,
}

/// What comes on top of reserved and shipped of one SKU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Move {
    pub reserved: i64,
    pub shipped: i64,
}

/// Waits until nobody else changes these SKUs.
pub(crate) async fn lock(write: &mut Write, skus: impl IntoIterator<Item = &Sku>) -> Result<(), StoreError> {
    let bucket = |sku: &Sku| (stable_hash(sku.as_str().as_bytes()) % LOCK_BUCKETS) as i32;
    let keys: BTreeSet<i32> = skus.into_iter().map(bucket).collect();
    if !keys.is_empty() {
        let keys: Vec<i32> = keys.into_iter().collect();
        sqlx::query(LOCK).bind(stable_hash(LOCK_NAME) as i32).bind(keys).execute(write.connection()).await?;
    }
    Ok(())
}

/// How much is free of each of these SKUs, and where; nothing, at `main`, of one that was never received.
pub(crate) async fn read(write: &mut Write, skus: BTreeSet<Sku>) -> Result<BTreeMap<Sku, Stock>, StoreError> {
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    let rows: Vec<Row> = sqlx::query_as(READ).bind(names).fetch_all(write.connection()).await?;
    let mut found: BTreeMap<String, Stock> = rows.into_iter().map(|row| (row.sku, row.stock)).collect();
    let stock = |sku: Sku| {
        let stock = found.remove(sku.as_str()).unwrap_or_default();
        (sku, stock)
    };
    Ok(skus.into_iter().map(stock).collect())
}

/// Moves stock of locked SKUs, in one statement.
pub(crate) async fn shift(write: &mut Write, moves: &BTreeMap<&Sku, Move>) -> Result<(), StoreError> {
    if moves.is_empty() {
        return Ok(());
    }
    let moved = sqlx::query(MOVE)
        .bind(moves.keys().map(|sku| sku.as_str()).collect::<Vec<_>>())
        .bind(moves.values().map(|by| by.reserved).collect::<Vec<_>>())
        .bind(moves.values().map(|by| by.shipped).collect::<Vec<_>>())
        .execute(write.connection())
        .await?;
    // Stock of a SKU that was never received cannot move.
    let whole = moved.rows_affected() as usize == moves.len();
    if whole { Ok(()) } else { Err(StoreError::Statement(Error::RowNotFound)) }
}
