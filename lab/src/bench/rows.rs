//! Which rows an order writes, what they cost in PostgreSQL's log, and why they are there.

use std::{collections::BTreeMap, time::Duration};

use banyan_lab::stage::{ShopClient, until};
use banyan_store::sqlx::{self, PgPool};

use super::load::Load;

/// How many orders are counted.
const ORDERS: usize = 1_000;
/// Backends tell the server what they did about once a second.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
const STATISTICS: &str = "select schemaname || '.' || relname as name, n_tup_ins as inserted, n_tup_upd as updated, \
     n_tup_hot_upd as hot, n_tup_del as deleted from pg_stat_user_tables";
const EVENTS: &str = "select count(*) from orders.order_event";
const LSN: &str = "select pg_current_wal_insert_lsn()::text";
const FLUSHED: &str = "select pg_current_wal_flush_lsn() >= $1::text::pg_lsn";
const XIDS: &str = "select pg_snapshot_xmax(pg_current_snapshot())::text::float8";
const INSPECT: &str = "create extension if not exists pg_walinspect";
/// An index's bytes count as its table's; what is about no table (commits above all) stands for itself.
const BYTES: &str = "with record as ( \
         select resource_manager, record_length, substring(block_ref from 'rel \\d+/\\d+/(\\d+)')::oid as node \
         from pg_get_wal_records_info($1::text::pg_lsn, $2::text::pg_lsn)), \
     relation as ( \
         select pg_relation_filenode(c.oid) as node, coalesce(i.indrelid, c.oid) as heap, i.indrelid is not null as is_index \
         from pg_class c left join pg_index i on i.indexrelid = c.oid where c.relkind in ('r', 'i', 'S')) \
     select coalesce(n.nspname || '.' || t.relname, lower(resource_manager)) as name, \
         coalesce(sum(record_length) filter (where not coalesce(is_index, false)), 0)::float8 as heap, \
         coalesce(sum(record_length) filter (where is_index), 0)::float8 as index \
     from record left join relation using (node) left join pg_class t on t.oid = relation.heap \
     left join pg_namespace n on n.oid = t.relnamespace group by 1";

/// Why a row is written.
const WHY: [(&str, &str); 21] = [
    (
        "orders.orders",
        "what is asked often; found when due; keeps the stream's head, so that a cut tail shows",
    ),
    (
        "orders.order_event",
        "the order itself: each step recorded, hashed; the public ones are the outbox as well",
    ),
    ("inventory.reservation", "movement, dedup and answer at once: held, committed, shipped"),
    (
        "inventory.stock",
        "how much there is; a row per product of the basket, when it is held and when it is gone",
    ),
    ("inventory.outbox", "InventoryReserved, InventoryReleased"),
    ("payments.payment", "intent before the call and outcome after it, for authorise and for capture"),
    ("payments.ledger_entry", "double entry: held, taken"),
    ("payments.outbox", "PaymentAuthorised, PaymentCaptured"),
    ("shipping.shipment", "intent, outcome, dispatched"),
    ("shipping.outbox", "ShipmentBooked"),
    ("inventory.slot", "position of what inventory has heard; per batch and slot"),
    ("shipping.slot", "position of what shipping has heard; per batch and slot"),
    ("inventory.public_stock", "what the public is told; a row per product of the basket"),
    ("notifications.mail", "what its customer was told of it: confirmed, shipped"),
    ("notifications.slot", "positions of what notifications have heard; per batch and slot"),
    ("orders.order_list", "the order as lists show it; several events of a batch are one update"),
    ("orders.sales", "what was sold in this hour; a row per product of the basket"),
    ("orders.sold_order", "that the order is in these sums; told twice, it counts once"),
    ("orders.slot", "positions of the two views, and who drives which orders; per batch and slot"),
    ("transaction", "commit records: one per write transaction, of a whole batch"),
    ("orders.order_event_seq_seq", "the order of events within a transaction"),
];

#[derive(Clone, Copy, Default)]
struct Rows {
    inserted: f64,
    updated: f64,
    hot: f64,
    deleted: f64,
}

/// A table's name; rows inserted, updated, of them HOT, deleted.
type Statistic = (String, i64, i64, i64, i64);
/// A table's name; bytes of its own, bytes of its indexes.
type Bytes = (String, f64, f64);

/// Places orders, and prints what they wrote as a table in Markdown.
pub async fn table(shop: &ShopClient, load: &Load) {
    let database = shop.superuser_pool();
    let inspected = sqlx::query(INSPECT).execute(&database).await.is_ok();
    load.orders(100).await;
    let (before, from) = (settled(&database).await, one::<String>(&database, LSN).await);
    let first: f64 = one(&database, XIDS).await;
    load.orders(ORDERS).await;
    let until_lsn: String = one(&database, LSN).await;
    let xids = (one::<f64>(&database, XIDS).await - first) / ORDERS as f64;
    let after = settled(&database).await;
    let bytes = if inspected { bytes(&database, &from, &until_lsn).await } else { BTreeMap::new() };
    if !inspected {
        println!("pg_walinspect is not installed: no bytes");
    }
    let written = |name: &String| {
        let (was, is) = (before.get(name).copied().unwrap_or_default(), after[name]);
        Rows {
            inserted: is.inserted - was.inserted,
            updated: is.updated - was.updated,
            hot: is.hot - was.hot,
            deleted: is.deleted - was.deleted,
        }
    };
    let rows: BTreeMap<&String, Rows> = after.keys().map(|name| (name, written(name))).collect();
    print(&rows, &bytes, xids);
}

fn print(rows: &BTreeMap<&String, Rows>, bytes: &BTreeMap<String, (f64, f64)>, xids: f64) {
    println!("| table | inserted | updated | of them HOT | WAL bytes, heap | index | why |");
    println!("|---|---:|---:|---:|---:|---:|---|");
    let why = |name: &str| WHY.iter().find(|(of, _)| *of == name).map_or("", |(_, why)| *why);
    let per = |number: f64| number / ORDERS as f64;
    let mut lines: Vec<(&str, Rows, (f64, f64))> = Vec::new();
    for (name, row) in rows.iter().filter(|(_, row)| row.inserted + row.updated + row.deleted > 0.0) {
        lines.push((name, *row, bytes.get(*name).copied().unwrap_or_default()));
    }
    for (name, bytes) in bytes.iter().filter(|(name, _)| rows.get(name).is_none()) {
        lines.push((name, Rows::default(), *bytes));
    }
    // Late statistics of what was on the shelf before: an order writes nothing without a trace in the log.
    lines.retain(|(_, _, (heap, index))| bytes.is_empty() || heap + index > 0.0);
    lines.sort_by(|a, b| (b.2.0 + b.2.1).total_cmp(&(a.2.0 + a.2.1)));
    let (mut sum, mut all) = (Rows::default(), 0.0);
    for (name, row, (heap, index)) in &lines {
        (sum.inserted, sum.updated, sum.hot) =
            (sum.inserted + row.inserted, sum.updated + row.updated, sum.hot + row.hot);
        all += heap + index;
        // What is small is in the sum alone.
        if heap + index > 5.0 * ORDERS as f64 || row.inserted + row.updated > 0.1 * ORDERS as f64 {
            println!(
                "| {name} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {} |",
                per(row.inserted),
                per(row.updated),
                per(row.hot),
                per(*heap),
                per(*index),
                why(name)
            );
        }
    }
    println!(
        "| all, per order | {:.2} | {:.2} | {:.2} | {:.0} | | {xids:.2} transactions that wrote |",
        per(sum.inserted),
        per(sum.updated),
        per(sum.hot),
        per(all)
    );
}

async fn one<T>(database: &PgPool, statement: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(statement).fetch_one(database).await.expect("the server's own counters")
}

/// The statistics, once they tell of every event and stand still.
async fn settled(database: &PgPool) -> BTreeMap<String, Rows> {
    let mut last = 0.0;
    until(TOLD_WITHIN, "the server's statistics", async || {
        let events: i64 = one(database, EVENTS).await;
        let rows: Vec<Statistic> = sqlx::query_as(STATISTICS).fetch_all(database).await.ok()?;
        let of = |(name, inserted, updated, hot, deleted): Statistic| {
            let [inserted, updated, hot, deleted] = [inserted, updated, hot, deleted].map(|n| n as f64);
            (name, Rows { inserted, updated, hot, deleted })
        };
        let rows: BTreeMap<String, Rows> = rows.into_iter().map(of).collect();
        // Beats go on by time; what belongs to orders does not.
        let orders = |name: &str| !name.ends_with(".member") && !name.ends_with(".slot");
        let sum = rows.iter().filter(|(name, _)| orders(name)).map(|(_, r)| r.inserted + r.updated).sum();
        let still = sum == std::mem::replace(&mut last, sum);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        (still && rows["orders.order_event"].inserted >= events as f64).then_some(rows)
    })
    .await
}

async fn bytes(database: &PgPool, from: &str, to: &str) -> BTreeMap<String, (f64, f64)> {
    until(TOLD_WITHIN, "the log to be on disk", async || {
        let flushed: bool = sqlx::query_scalar(FLUSHED).bind(to).fetch_one(database).await.ok()?;
        flushed.then_some(())
    })
    .await;
    let rows: Vec<Bytes> =
        sqlx::query_as(BYTES).bind(from).bind(to).fetch_all(database).await.expect("pg_walinspect");
    rows.into_iter().map(|(name, heap, index)| (name, (heap, index))).collect()
}
