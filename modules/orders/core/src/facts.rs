//! What orders say to the audit about their own schema.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use banyan_kernel::{Answer, OrderId, Timestamp};
use banyan_store::StoreError;
use orders_api::{OpenOrders, OrderFact, OrderFacts, OrderFold, OrderState, RefusedStep, Settled};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    Orders,
    list::{ListRow, live_rows},
    open,
    order::Order,
    place::response_hash,
    postgres::{BrokenChain, EventRow, fold, streams},
    sales, settled,
};

const ROWS: &str = "select order_id, customer_id, version, told, hash, response, state, open, due_at from orders \
     where order_id > $1 and order_id <= $2 order by order_id";
const PAGE_END: &str = "select order_id from (select order_id from orders where order_id > $1 order by order_id limit $2) p order by order_id desc limit 1";
const STREAM_IDS: &str = "select distinct order_id from order_event where order_id > $1 and order_id <= $2";
const OUT_OF_ORDER: &str = "select distinct a.order_id from order_event a join order_event b \
     on b.order_id = a.order_id and b.version = a.version + 1 \
     where a.order_id > $1 and a.order_id <= $2 and (b.epoch, b.xid, b.seq) <= (a.epoch, a.xid, a.seq)";

/// What the views' groups have heard of each order, by the positions that they committed; what waits behind a dead letter is not heard.
const HEARD: &str = "select e.order_id, max(e.version) filter (where s.group_name = 'orders.list'), \
     bool_or(s.group_name = 'orders.sales' and e.type = 'OrderShipped') \
     from order_event e join slot s on s.group_name in ('orders.list', 'orders.sales') and s.slot = e.slot \
     where e.order_id > $1 and e.order_id <= $2 and (e.epoch, e.xid, e.seq) <= (s.source_epoch, s.source_xid, s.source_seq) \
     and not exists (select from dead_letter d where d.group_name = s.group_name and d.key = e.order_id::text) \
     group by e.order_id";

#[derive(FromRow)]
struct Row {
    order_id: Uuid,
    customer_id: Uuid,
    version: i32,
    told: i16,
    hash: Vec<u8>,
    response: i64,
    state: String,
    open: bool,
    due_at: Option<Timestamp>,
}

#[async_trait]
impl OrderFacts for Orders {
    async fn page_end(&self, after: OrderId, limit: u16) -> Answer<Option<OrderId>> {
        self.find_page_end(after, limit).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<OrderFact>> {
        self.read_facts(after, upto).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn sales_violations(&self) -> Answer<Vec<String>> {
        sales::violations(&self.store).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn settled(&self, orders: Vec<OrderId>) -> Answer<Vec<Settled>> {
        settled::settled(self.store.pool(), &orders).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn refusals(&self) -> Answer<BTreeMap<String, RefusedStep>> {
        settled::refusals(self.store.pool()).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn open(&self) -> Answer<Vec<OpenOrders>> {
        open::open(&self.store).await.map_or_else(StoreError::of_facts, Answer::Done)
    }
}

impl Orders {
    async fn find_page_end(&self, after: OrderId, limit: u16) -> Result<Option<OrderId>, StoreError> {
        let end: Option<Uuid> = sqlx::query_scalar(PAGE_END)
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_optional(self.store.pool())
            .await?;
        Ok(end.map(OrderId))
    }

    async fn read_facts(&self, after: OrderId, upto: OrderId) -> Result<Vec<OrderFact>, StoreError> {
        let pool = self.store.pool();
        let ids: Vec<Uuid> =
            sqlx::query_scalar(STREAM_IDS).bind(after.0).bind(upto.0).fetch_all(pool).await?;
        let mut rows = self.rows(after, upto).await?;
        // What was placed between the two readings has a row, and a stream that the next one finds.
        let ids: BTreeSet<Uuid> = ids.into_iter().chain(rows.keys().map(|id| id.0)).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let heard = self.heard(after, upto).await?;
        let listed = live_rows(pool, after, upto).await?;
        // Events after rows: a stream may be ahead of its row, never behind.
        let streams = streams(pool, &ids).await?;
        let lists: BTreeMap<OrderId, String> = ids
            .iter()
            .filter_map(|id| {
                let id = OrderId(*id);
                let applied = heard.get(&id).map_or(0, |heard| heard.0);
                Some((id, against_list(listed.get(&id), streams.get(&id)?, applied)?))
            })
            .collect();
        let folded: BTreeMap<OrderId, Result<Order, BrokenChain>> =
            streams.into_iter().map(|(id, stream)| (id, fold(id, stream))).collect();
        let behind = |id: &OrderId| {
            let order = folded.get(id).and_then(|folded| folded.as_ref().ok());
            order
                .filter(|order| order.ended.is_some())
                .is_some_and(|order| rows.get(id).is_some_and(|row| i64::from(row.version) < order.version))
        };
        let behind: Vec<OrderId> = folded.keys().copied().filter(behind).collect();
        if !behind.is_empty() {
            // They ended between the two readings, or were changed by hand: to an ended order nothing more happens.
            let newer = self.rows(after, upto).await?.into_iter();
            rows.extend(newer.filter(|(id, _)| behind.contains(id)));
        }
        let disordered: Vec<Uuid> =
            sqlx::query_scalar(OUT_OF_ORDER).bind(after.0).bind(upto.0).fetch_all(pool).await?;
        let missing = |id: &&OrderId| !folded.contains_key(id);
        let without: Vec<OrderId> = rows.keys().filter(missing).copied().collect();
        let without = without.into_iter().map(|id| (id, Err(BrokenChain::Missing { expected: 1 })));
        let all: Vec<_> = folded.into_iter().chain(without).collect();
        let shipped = all.iter().filter_map(|(id, folded)| {
            let order = folded.as_ref().ok().filter(|order| order.public_state() == OrderState::Shipped)?;
            Some((order.ended?, id.0))
        });
        let sold = sales::sold(&self.store, &shipped.collect::<Vec<_>>()).await?;
        let fact = |(id, folded)| OrderFact {
            listed: listed.get(&id).map_or(0, |row| row.version.into()),
            list: lists.get(&id).cloned(),
            is_sold: sold.contains(&id.0),
            sale_heard: heard.get(&id).is_some_and(|heard| heard.1),
            ..judge(id, rows.get(&id), folded, &disordered)
        };
        let mut facts: Vec<OrderFact> = all.into_iter().map(fact).collect();
        let known: BTreeSet<OrderId> = facts.iter().map(|fact| fact.id).collect();
        facts.extend(listed.keys().filter(|id| !known.contains(id)).map(|id| listed_alone(*id)));
        Ok(facts)
    }

    async fn heard(
        &self,
        after: OrderId,
        upto: OrderId,
    ) -> Result<BTreeMap<OrderId, (i32, bool)>, StoreError> {
        let rows: Vec<(Uuid, Option<i32>, bool)> =
            sqlx::query_as(HEARD).bind(after.0).bind(upto.0).fetch_all(self.store.pool()).await?;
        Ok(rows.into_iter().map(|(id, list, sale)| (OrderId(id), (list.unwrap_or(0), sale))).collect())
    }

    async fn rows(&self, after: OrderId, upto: OrderId) -> Result<BTreeMap<OrderId, Row>, StoreError> {
        let rows = sqlx::query_as(ROWS).bind(after.0).bind(upto.0).fetch_all(self.store.pool()).await?;
        Ok(rows.into_iter().map(|row: Row| (OrderId(row.order_id), row)).collect())
    }
}

fn judge(
    id: OrderId,
    row: Option<&Row>,
    folded: Result<Order, BrokenChain>,
    disordered: &[Uuid],
) -> OrderFact {
    let (order, mut chain) = match folded {
        Ok(order) => (Some(order), None),
        Err(why) => (None, Some(why.to_string())),
    };
    let mut against_row = None;
    match (&order, row) {
        (Some(order), Some(row)) if order.version < i64::from(row.version) => {
            chain = Some(format!("the tail is cut off after event {}", order.version));
        }
        (Some(order), Some(row)) if order.version == i64::from(row.version) => {
            if order.hash != *row.hash {
                chain = Some(format!("event {} is not the one the order's row remembers", order.version));
            }
            against_row = differs(order, row);
        }
        (Some(order), Some(row)) if order.ended.is_some() => {
            against_row = Some(format!("its row stands at event {} of {}", row.version, order.version));
        }
        (Some(_), None) => against_row = Some("events without an order".to_owned()),
        _ => {}
    }
    let otherwise = |order: &Order| row.is_some_and(|row| row.response != response_hash(order));
    let answers_otherwise = order.as_ref().is_some_and(otherwise);
    OrderFact {
        id,
        order: order.map(told),
        chain,
        row: against_row,
        out_of_order: disordered.contains(&id.0),
        answers_otherwise,
        due_at: row.and_then(|row| row.due_at),
        listed: 0,
        list: None,
        is_sold: false,
        sale_heard: false,
    }
}

/// What others are measured by.
fn told(order: Order) -> OrderFold {
    OrderFold {
        state: order.public_state(),
        total: order.created.total,
        version: order.version,
        told: order.told,
        since: order.since,
        ended: order.ended,
        lines: order.created.lines,
        tracking: order.tracking,
    }
}

/// A row of the list against the fold of as many events as it says it shows, which are at least those that were applied.
fn against_list(row: Option<&ListRow>, stream: &[EventRow], applied: i32) -> Option<String> {
    let version = row.map_or(0, |row| row.version);
    if version < applied {
        return Some(format!("the list shows {version} of the {applied} events that were applied to it"));
    }
    let (row, shown) = (row?, stream.get(..version.unsigned_abs() as usize)?);
    // A chain that is too short, or cannot be folded, is named as such.
    row.differs(&fold(OrderId(row.order_id), shown.to_vec()).ok()?)
}

fn listed_alone(id: OrderId) -> OrderFact {
    OrderFact {
        id,
        order: None,
        chain: None,
        row: None,
        out_of_order: false,
        answers_otherwise: false,
        due_at: None,
        listed: 0,
        list: Some("it is in the list, and there is no such order".to_owned()),
        is_sold: false,
        sale_heard: false,
    }
}

fn differs(order: &Order, row: &Row) -> Option<String> {
    let word = |is_open: bool| if is_open { "open" } else { "ended" }.to_owned();
    let (state, customer) = (order.public_state().as_str(), order.created.customer);
    let pairs = [
        ("state", row.state.clone(), state.to_owned()),
        ("customer", row.customer_id.to_string(), customer.to_string()),
        ("order", word(row.open), word(order.ended.is_none())),
        ("count of what was told", row.told.to_string(), order.told.to_string()),
    ];
    let (what, by_row, by_events) = pairs.into_iter().find(|(_, by_row, by_events)| by_row != by_events)?;
    Some(format!("its row says that its {what} is {by_row}, and its events say {by_events}"))
}
