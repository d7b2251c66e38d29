//! Receive: goods came in, each delivery once.

use std::collections::{BTreeMap, BTreeSet};

use banyan_kernel::{Answer, Context, Json, Place, Sku, Timestamp, slot_of};
use banyan_store::{Locks, Store, StoreError, Tell, Write, by_halves};
use futures::future::BoxFuture;
use inventory_api::{GoodsReceived, ReceiveStock, StockReceived, Told, refusals};
use sqlx::types::Json as SqlJson;

use crate::{
    adjust::{changes, subject},
    reservation::{Lines, fold, json},
    stock::{self, Stock},
};

const READ: &str = "select key, lines, place, told_epoch, told_xid::text::int8 from receipt where key = any($1) order by key";
const INSERT: &str = "insert into receipt (key, lines, place, at, actor, told_epoch, told_xid) \
     select key, lines::json, place, $4, $5, $6, pg_current_xact_id() \
     from unnest($1::text[], $2::text[], $3::text[]) as t(key, lines, place) returning key, told_epoch, told_xid::text::int8";
const ADD: &str = "insert into stock (sku, on_hand, received, place) \
     select sku, quantity, quantity, place from unnest($1::text[], $2::int8[], $3::text[]) as t(sku, quantity, place) \
     on conflict (sku) do update set on_hand = stock.on_hand + excluded.on_hand, \
     received = stock.received + excluded.received, place = excluded.place";

/// What came, and where it was said to be put.
#[derive(Clone, PartialEq)]
struct Receipt {
    lines: Lines,
    place: Option<Place>,
}

type Receipts = BTreeMap<String, Receipt>;
/// Where what was told of each stands.
type ToldOf = BTreeMap<String, Told>;

/// What a batch is decided on.
struct Shelf {
    known: Receipts,
    new: Receipts,
    told: ToldOf,
    stock: BTreeMap<Sku, Stock>,
}

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
    let (known, told) = read(&mut write, &keys).await?;
    let unknown = items.iter().filter(|item| !known.contains_key(&item.key));
    let skus: BTreeSet<Sku> =
        unknown.flat_map(|item| item.lines.iter().map(|line| line.sku.clone())).collect();
    stock::lock(&mut write, &skus).await?;
    let stock = stock::read(&mut write, skus).await?;
    let mut shelf = Shelf { known, new: Receipts::new(), told, stock };
    let mut answers: Vec<_> = items.iter().map(|item| decide(&mut shelf, item)).collect();
    if !shelf.new.is_empty() {
        let told = insert(&mut write, store, context, &shelf).await?;
        shelf.told.extend(told);
    }
    write.commit().await?;
    for (item, answer) in items.iter().zip(&mut answers) {
        if let Answer::Done(received) = answer {
            received.told = shelf.told.get(&item.key).copied().unwrap_or_default();
        }
    }
    Ok(answers)
}

type Row = (String, SqlJson<Lines>, Option<String>, Option<i64>, Option<i64>);

async fn read(write: &mut Write, keys: &[&str]) -> Result<(Receipts, ToldOf), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(READ).bind(keys).fetch_all(write.connection()).await?;
    let (mut receipts, mut told) = (Receipts::new(), ToldOf::new());
    for (key, lines, place, epoch, xid) in rows {
        let place = place.map(Place::try_from).transpose();
        let place = place.map_err(|error| sqlx::Error::Decode(error.into()))?;
        told.insert(key.clone(), told_at(&subject("receipt", &key), epoch, xid));
        receipts.insert(key, Receipt { lines: lines.0, place });
    }
    Ok((receipts, told))
}

/// Where an event of this subject stands; before everything where nobody kept it.
pub(crate) fn told_at(subject: &str, epoch: Option<i64>, xid: Option<i64>) -> Told {
    // There are few slots.
    let slot = slot_of(subject) as i16;
    epoch.zip(xid).map_or_else(Told::default, |(epoch, xid)| Told { slot, epoch, xid })
}

fn decide(shelf: &mut Shelf, item: &ReceiveStock) -> Answer<StockReceived> {
    let Some(lines) = fold(&item.lines) else {
        return Answer::Broken("a receipt has at least one line and names each SKU once".to_owned());
    };
    let receipt = Receipt { lines, place: item.place.clone() };
    match shelf.known.get(&item.key) {
        Some(first) if *first == receipt => {
            return Answer::Done(StockReceived { repeated: true, told: Told::default() });
        }
        Some(_) => {
            return Answer::rejected(
                refusals::KEY_REUSED,
                "this key came before with other lines, or another place",
            );
        }
        None => {}
    }
    if let Some(why) = shelf.elsewhere(&receipt) {
        return Answer::rejected(refusals::STANDS_ELSEWHERE, why);
    }
    shelf.put(&receipt);
    shelf.known.insert(item.key.clone(), receipt.clone());
    shelf.new.insert(item.key.clone(), receipt);
    Answer::Done(StockReceived { repeated: false, told: Told::default() })
}

impl Shelf {
    /// Which product is left at another place, and how many of it.
    fn elsewhere(&self, receipt: &Receipt) -> Option<String> {
        let place = receipt.place.as_ref()?;
        let left = |sku: &Sku| {
            let stock = self.stock.get(sku).filter(|stock| stock.place != *place)?;
            let left = stock.on_hand + stock.reserved;
            (left > 0).then(|| {
                format!("{left} of {sku} stand at {}, and a product stands at one place", stock.place)
            })
        };
        receipt.lines.keys().find_map(left)
    }

    fn put(&mut self, receipt: &Receipt) {
        for (sku, quantity) in &receipt.lines {
            let stock = self.stock.entry(sku.clone()).or_default();
            stock.on_hand += quantity.get();
            if let Some(place) = &receipt.place {
                stock.place = place.clone();
            }
        }
    }
}

async fn insert(
    write: &mut Write,
    store: &Store,
    context: &Context,
    Shelf { new, stock, .. }: &Shelf,
) -> Result<ToldOf, StoreError> {
    let mut sums: BTreeMap<&Sku, i64> = BTreeMap::new();
    for (sku, quantity) in new.values().flat_map(|receipt| &receipt.lines) {
        *sums.entry(sku).or_default() += quantity.get();
    }
    let now = store.clock().now();
    let epoch = write.epoch();
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(INSERT)
        .bind(new.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(new.values().map(|receipt| json(&receipt.lines)).collect::<Vec<_>>())
        .bind(new.values().map(|receipt| receipt.place.as_ref().map(Place::as_str)).collect::<Vec<_>>())
        .bind(now)
        .bind(context.actor.to_string())
        .bind(epoch)
        .fetch_all(write.connection())
        .await?;
    sqlx::query(ADD)
        .bind(sums.keys().map(|sku| sku.as_str()).collect::<Vec<_>>())
        .bind(sums.values().copied().collect::<Vec<_>>())
        .bind(sums.keys().filter_map(|sku| Some(stock.get(*sku)?.place.as_str())).collect::<Vec<_>>())
        .execute(write.connection())
        .await?;
    let told: Vec<Tell> = new.iter().map(|(key, receipt)| told(key, &receipt.lines, context, now)).collect();
    write.tell(&told).await?;
    let stands = |(key, epoch, xid): (String, i64, i64)| {
        let told = told_at(&subject("receipt", &key), Some(epoch), Some(xid));
        (key, told)
    };
    Ok(rows.into_iter().map(stands).collect())
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
