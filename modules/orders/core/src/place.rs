//! Places orders: a batch in one commit; a repeat finds its own first row by primary key.

use std::collections::{BTreeSet, HashMap};

use banyan_kernel::{Answer, Money, OrderId, Refusal, Sku, Timestamp, slot_of, stable_hash};
use banyan_store::{Store, StoreError, Write, by_halves};
use catalog_api::{Catalog, Product};
use orders_api::{OrderAccepted, OrderState, PlaceOrder, Placed, PricedLine, refusals};
use uuid::Uuid;

use crate::{
    event::Created,
    measure,
    order::{Order, Recorded},
    postgres::{BrokenChain, fold, insert_events},
    saga,
    spans::{self, Shared},
};

const EXISTING: &str = "select order_id, version, sequence, type as kind, schema_version, payload, hash, at, traceparent \
     from order_event where order_id = any($1) and version = 1";
const INSERT_ORDERS: &str = "insert into orders (order_id, customer_id, slot, placed_at, state, version, told, hash, response, open, due_at) \
     select o, customer, slot, at, 'placed', 1, 1, hash, response, true, at \
     from unnest($1::uuid[], $2::uuid[], $3::int2[], $4::timestamptz[], $5::bytea[], $6::int8[]) \
     as t(o, customer, slot, at, hash, response)";

/// Answers in the order of the batch.
pub(crate) async fn place(
    store: &Store,
    catalog: &dyn Catalog,
    batch: Vec<PlaceOrder>,
) -> Vec<Answer<Placed>> {
    let skus: BTreeSet<Sku> =
        batch.iter().flat_map(|wish| wish.lines.iter().map(|l| l.sku.clone())).collect();
    let products = match catalog.products(skus.into_iter().collect()).await {
        Ok(products) => products,
        Err(error) => return batch.iter().map(|_| Answer::Unavailable(error.0.clone())).collect(),
    };
    let products: HashMap<Sku, Product> = products.into_iter().map(|p| (p.sku.clone(), p)).collect();
    let write = |wishes: Vec<PlaceOrder>| {
        let (store, products) = (store.clone(), products.clone());
        Box::pin(async move { place_all(&store, &products, wishes).await })
            as futures::future::BoxFuture<'_, _>
    };
    let answers = by_halves(batch, &write).await;
    answers.into_iter().map(crate::answer).collect()
}

/// One commit. Whose key another transaction is working on is told so, and not waited for.
async fn place_all(
    store: &Store,
    products: &HashMap<Sku, Product>,
    wishes: Vec<PlaceOrder>,
) -> Result<Vec<Answer<Placed>>, StoreError> {
    let ids: BTreeSet<OrderId> = wishes.iter().map(|wish| wish.order).collect();
    let keys: Vec<String> = ids.iter().map(OrderId::to_string).collect();
    let (mut write, free) = store.begin_where_free("place", &keys).await?;
    let free: HashMap<OrderId, bool> = ids.into_iter().zip(free).collect();
    let mut known = existing(&mut write, free.keys().copied()).await?;
    let (mut answers, mut new, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    for wish in wishes {
        let answer = match known.get(&wish.order) {
            _ if !free[&wish.order] => {
                Answer::rejected(refusals::IN_FLIGHT, "the same key is being worked on")
            }
            Some(Err(error)) => Answer::Broken(error.to_string()),
            Some(Ok(order)) => repeat(order, &wish),
            None => match create(&wish, products, store.clock().now()) {
                Err(refusal) => Answer::Rejected(refusal),
                Ok((order, first)) => {
                    let accepted = accepted(&order);
                    known.insert(order.id, Ok(order.clone()));
                    spans.push((spans::place(&order), wish.context.trace));
                    new.push((order, first));
                    Answer::Done(Placed { accepted, repeated: false })
                }
            },
        };
        answers.push(answer);
    }
    let first = new.first().map(|(order, _): &(Order, Recorded)| order.trace);
    let shared = first.and_then(|first| Shared::begin("place batch", &first, new.len(), ""));
    keep(write, &new).await?;
    let placed = spans.iter().zip(&new).map(|((span, request), (order, _))| (span, order, *request));
    spans::placed(placed, shared.as_ref());
    Ok(answers)
}

/// Those of them that were placed before; what of them cannot be believed is no other's trouble.
async fn existing(
    write: &mut Write,
    ids: impl Iterator<Item = OrderId>,
) -> Result<HashMap<OrderId, Result<Order, BrokenChain>>, StoreError> {
    let ids: Vec<Uuid> = ids.map(|id| id.0).collect();
    let rows: Vec<crate::postgres::EventRow> =
        sqlx::query_as(EXISTING).bind(ids).fetch_all(write.connection()).await?;
    let order = |row: crate::postgres::EventRow| {
        let id = OrderId(row.order_id);
        (id, fold(id, vec![row]))
    };
    Ok(rows.into_iter().map(order).collect())
}

/// The first answer again, or a refusal if the key is used for something else.
fn repeat(order: &Order, wish: &PlaceOrder) -> Answer<Placed> {
    if order.created.request_hash == wish.request_hash {
        return Answer::Done(Placed { accepted: accepted(order), repeated: true });
    }
    Answer::rejected(refusals::KEY_REUSED, "this Idempotency-Key was used with another body")
}

fn create(
    wish: &PlaceOrder,
    products: &HashMap<Sku, Product>,
    at: Timestamp,
) -> Result<(Order, Recorded), Refusal> {
    let lines = wish.lines.iter().map(|line| {
        let product = products.get(&line.sku).ok_or_else(|| {
            Refusal::new(refusals::UNKNOWN_PRODUCT, format!("there is no product {}", line.sku))
        })?;
        if product.retired {
            let detail = format!("product {} is no longer sold", line.sku);
            return Err(Refusal::new(refusals::RETIRED_PRODUCT, detail));
        }
        Ok(PricedLine { sku: line.sku.clone(), quantity: line.quantity, unit_price: product.price })
    });
    let lines = lines.collect::<Result<Vec<_>, Refusal>>()?;
    let total = total(&lines)?;
    let created = Created {
        customer: wish.customer,
        lines,
        total,
        payment_method: wish.payment_method.clone(),
        request_hash: wish.request_hash.clone(),
        saga: saga::VERSION,
    };
    let trace = wish.context.trace.of_order(wish.order);
    Ok(Order::create(wish.order, created, trace, at, &wish.context.actor))
}

fn total(lines: &[PricedLine]) -> Result<Money, Refusal> {
    let refusal = |why: String| Refusal::new(refusals::PRICE, why);
    let Some(first) = lines.first() else { return Err(refusal("there is no line".to_owned())) };
    let total = lines.iter().try_fold(Money::zero(first.unit_price.currency), |sum, line| {
        line.unit_price
            .times(line.quantity)
            .and_then(|price| sum.plus(price))
            .map_err(|e| refusal(e.to_string()))
    })?;
    if total.minor > payments_api::AMOUNT_MINOR_MAX {
        return Err(refusal(format!(
            "an order costs at most {} minor units",
            payments_api::AMOUNT_MINOR_MAX
        )));
    }
    Ok(total)
}

fn accepted(order: &Order) -> OrderAccepted {
    OrderAccepted {
        id: order.id,
        state: OrderState::Placed,
        total: order.created.total,
        lines: order.created.lines.clone(),
        placed_at: order.placed_at,
    }
}

/// Of the first answer, as it is rebuilt for a repeat.
pub(crate) fn response_hash(order: &Order) -> i64 {
    // A struct of strings and numbers always becomes JSON.
    stable_hash(&serde_json::to_vec(&accepted(order)).unwrap_or_default()).cast_signed()
}

/// Commits, or ends the write before it answers: the halves of a batch that failed try the same keys at once, and
/// must not meet their own locks as somebody else's.
async fn keep(mut write: Write, new: &[(Order, Recorded)]) -> Result<(), StoreError> {
    let kept = if new.is_empty() { Ok(()) } else { insert(&mut write, new).await };
    if kept.is_err() || new.is_empty() {
        write.abandon().await;
        return kept;
    }
    write.commit().await?;
    measure::placed(new.len());
    Ok(())
}

async fn insert(write: &mut Write, new: &[(Order, Recorded)]) -> Result<(), StoreError> {
    let events: Vec<(&Order, &Recorded)> = new.iter().map(|(order, first)| (order, first)).collect();
    insert_events(write, &events).await?;
    sqlx::query(INSERT_ORDERS)
        .bind(new.iter().map(|(order, _)| order.id.0).collect::<Vec<_>>())
        .bind(new.iter().map(|(order, _)| order.created.customer.0).collect::<Vec<_>>())
        .bind(new.iter().map(|(order, _)| slot_of(&order.id.to_string()) as i16).collect::<Vec<_>>())
        .bind(new.iter().map(|(order, _)| order.placed_at).collect::<Vec<_>>())
        .bind(new.iter().map(|(order, _)| &order.hash[..]).collect::<Vec<_>>())
        .bind(new.iter().map(|(order, _)| response_hash(order)).collect::<Vec<_>>())
        .execute(write.connection())
        .await?;
    Ok(())
}
