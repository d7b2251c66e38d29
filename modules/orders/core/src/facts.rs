//! What orders say to the audit about their own schema.

use banyan_kernel::OrderId;
use banyan_store::StoreError;
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    Orders,
    order::Order,
    place::response_hash,
    postgres::{fold, streams},
};

const ROWS: &str = "select order_id, version, told, hash, response, state, open from orders \
     where order_id > $1 and order_id <= $2 order by order_id";
const PAGE_END: &str = "select order_id from (select order_id from orders where order_id > $1 order by order_id limit $2) p order by order_id desc limit 1";
const STREAM_IDS: &str = "select distinct order_id from order_event where order_id > $1 and order_id <= $2";
const OUT_OF_ORDER: &str = "select distinct a.order_id from order_event a join order_event b \
     on b.order_id = a.order_id and b.version = a.version + 1 \
     where a.order_id > $1 and a.order_id <= $2 and (b.epoch, b.xid, b.seq) <= (a.epoch, a.xid, a.seq)";

/// One order's truth, judged within the module.
#[derive(Clone, Debug)]
pub struct OrderFact {
    /// Which.
    pub id: OrderId,
    /// The fold of its events, if they can be believed.
    pub order: Option<Order>,
    /// What is wrong with its events: the chain.
    pub chain: Option<String>,
    /// What is wrong with its row: not the fold.
    pub row: Option<String>,
    /// Events whose commit order is not the order of their versions.
    pub out_of_order: bool,
    /// Whether a repeat would get another answer than the first.
    pub answers_otherwise: bool,
}

#[derive(FromRow)]
struct Row {
    order_id: Uuid,
    version: i32,
    told: i16,
    hash: Vec<u8>,
    response: i64,
    state: String,
    open: bool,
}

impl Orders {
    /// The last order of the page of at most `limit` orders after this one, or none.
    ///
    /// # Errors
    /// As any statement.
    pub async fn page_end(&self, after: OrderId, limit: u16) -> Result<Option<OrderId>, StoreError> {
        let end: Option<Uuid> = sqlx::query_scalar(PAGE_END)
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_optional(self.store.pool())
            .await?;
        Ok(end.map(OrderId))
    }

    /// Facts about the orders after one, up to and with another.
    ///
    /// # Errors
    /// As any statement.
    pub async fn facts(&self, after: OrderId, upto: OrderId) -> Result<Vec<OrderFact>, StoreError> {
        let pool = self.store.pool();
        let ids: Vec<Uuid> =
            sqlx::query_scalar(STREAM_IDS).bind(after.0).bind(upto.0).fetch_all(pool).await?;
        let rows: Vec<Row> = sqlx::query_as(ROWS).bind(after.0).bind(upto.0).fetch_all(pool).await?;
        // Events after rows: a stream may be ahead of its row, never behind.
        let mut streams = streams(pool, &ids).await?;
        let disordered: Vec<Uuid> =
            sqlx::query_scalar(OUT_OF_ORDER).bind(after.0).bind(upto.0).fetch_all(pool).await?;
        let mut facts = Vec::new();
        for row in rows {
            let id = OrderId(row.order_id);
            let folded = fold(id, streams.remove(&id).unwrap_or_default());
            facts.push(judge(id, Some(&row), folded.map_err(|e| e.to_string()), &disordered));
        }
        for (id, stream) in streams {
            let folded = fold(id, stream).map_err(|error| error.to_string());
            facts.push(judge(id, None, folded, &disordered));
        }
        Ok(facts)
    }
}

fn judge(id: OrderId, row: Option<&Row>, folded: Result<Order, String>, disordered: &[Uuid]) -> OrderFact {
    let (order, mut chain) = match folded {
        Ok(order) => (Some(order), None),
        Err(why) => (None, Some(why)),
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
        (Some(_), None) => against_row = Some("events without an order".to_owned()),
        _ => {}
    }
    let otherwise = |order: &Order| row.is_some_and(|row| row.response != response_hash(order));
    let answers_otherwise = order.as_ref().is_some_and(otherwise);
    OrderFact {
        id,
        order,
        chain,
        row: against_row,
        out_of_order: disordered.contains(&id.0),
        answers_otherwise,
    }
}

fn differs(order: &Order, row: &Row) -> Option<String> {
    let state = order.public_state().as_str();
    let same = row.state == state && row.open == order.ended.is_none() && i64::from(row.told) == order.told;
    (!same).then(|| format!("the row says {} and the events say {state}", row.state))
}
