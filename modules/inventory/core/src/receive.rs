//! Receive: goods came in, each delivery once.

use std::collections::BTreeMap;

use banyan_kernel::{Answer, Context, Json, Sku, Timestamp};
use banyan_store::{Locks, Store, StoreError, Tell, Write, by_halves};
use futures::future::BoxFuture;
use inventory_api::{GoodsReceived, ReceiveStock, StockReceived, refusals};
use sqlx::types::Json as SqlJson;

use crate::{
    adjust::{changes, subject},
    reservation::{Lines, fold, json},
    stock,
};

const READ: &str = "select key, lines from receipt where key = any($1) order by key";
const INSERT: &str = "insert into receipt (key, lines, at, actor) \
     select key, lines::json, $3, $4 from unnest($1::text[], $2::text[]) as t(key, lines)";
const ADD: &str = "insert into stock (sku, on_hand, received) \
     select sku, quantity, quantity from unnest($1::text[], $2::int8[]) as t(sku, quantity) \
     on conflict (sku) do update set on_hand = stock.on_hand + excluded.on_hand, \
     received = stock.received + excluded.received";

type Receipts = BTreeMap<String, Lines>;

/// Books deliveries, by halves where PostgreSQL refuses. Answers in the order asked.
pub(crate) async fn run(
    store: &Store,
    context: &Context,
    batch: &[ReceiveStock],
) -> Vec<Answer<StockReceived>> {
    let write = |items| -> BoxFuture<'_, _> { Box::pin(book(store, context, items)) };
    let answers = by_halves(batch.iter().collect(), &write).await.into_iter();
    answers.map(|answer| answer.unwrap_or_else(Answer::from)).collect()
}

async fn book(
    store: &Store,
    context: &Context,
    items: Vec<&ReceiveStock>,
) -> Result<Vec<Answer<StockReceived>>, StoreError> {
    let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    let mut write = store.begin(&Locks::none().and("receipt", &keys)).await?;
    let mut known = read(&mut write, &keys).await?;
    let mut new = Receipts::new();
    let answers = items.iter().map(|item| decide(&mut known, &mut new, item)).collect();
    if !new.is_empty() {
        insert(&mut write, store, context, &new).await?;
    }
    write.commit().await?;
    Ok(answers)
}

async fn read(write: &mut Write, keys: &[&str]) -> Result<Receipts, StoreError> {
    let rows: Vec<(String, SqlJson<Lines>)> =
        sqlx::query_as(READ).bind(keys).fetch_all(write.connection()).await?;
    Ok(rows.into_iter().map(|(key, lines)| (key, lines.0)).collect())
}

fn decide(known: &mut Receipts, new: &mut Receipts, item: &ReceiveStock) -> Answer<StockReceived> {
    let Some(lines) = fold(&item.lines) else {
        return Answer::Broken("a receipt has at least one line and names each SKU once".to_owned());
    };
    match known.get(&item.key) {
        Some(first) if *first == lines => Answer::Done(StockReceived { repeated: true }),
        Some(_) => Answer::rejected(refusals::KEY_REUSED, "this key came before with other lines"),
        None => {
            known.insert(item.key.clone(), lines.clone());
            new.insert(item.key.clone(), lines);
            Answer::Done(StockReceived { repeated: false })
        }
    }
}

async fn insert(
    write: &mut Write,
    store: &Store,
    context: &Context,
    new: &Receipts,
) -> Result<(), StoreError> {
    let mut sums: BTreeMap<&Sku, i64> = BTreeMap::new();
    for (sku, quantity) in new.values().flatten() {
        *sums.entry(sku).or_default() += quantity.get();
    }
    stock::lock(write, sums.keys().copied()).await?;
    sqlx::query(INSERT)
        .bind(new.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(new.values().map(json).collect::<Vec<_>>())
        .bind(store.clock().now())
        .bind(context.actor.to_string())
        .execute(write.connection())
        .await?;
    sqlx::query(ADD)
        .bind(sums.keys().map(|sku| sku.as_str()).collect::<Vec<_>>())
        .bind(sums.values().copied().collect::<Vec<_>>())
        .execute(write.connection())
        .await?;
    let now = store.clock().now();
    let told: Vec<Tell> = new.iter().map(|(key, lines)| told(key, lines, context, now)).collect();
    write.tell(&told).await
}

fn told(key: &str, lines: &Lines, context: &Context, at: Timestamp) -> Tell {
    let lines = changes(lines.iter().map(|(sku, quantity)| (sku.clone(), quantity.get())));
    Tell {
        kind: GoodsReceived::KIND,
        subject: subject("receipt", key),
        sequence: 1,
        schema_version: 1,
        // A struct of texts and numbers always has a JSON form.
        data: serde_json::to_value(GoodsReceived { lines }).unwrap_or(Json::Null),
        at,
        causation: subject("receipt", key),
        context: context.clone(),
    }
}
