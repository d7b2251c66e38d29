//! Disputes, as the gateway says they stand: found by the look-up, kept, told when they change.

use banyan_kernel::{Answer, Context, Money, OrderId, Timestamp};
use banyan_store::{Store, StoreError, Tell};
use payments_api::{DisputeView, PaymentDisputed};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Uuid};

use crate::payment::parsed;

const READ: &str = "select d.order_id, d.id, d.amount_minor, p.currency, d.reason, d.status, d.seen_at, d.at from dispute d \
     join payment p on p.order_id = d.order_id where d.order_id = any($1) order by d.order_id, d.seen_at, d.id";
const PUT: &str = "insert into dispute (order_id, id, amount_minor, reason, status, seen_at, at) \
     select o, id, amount, reason, status, $6, $6 from unnest($1::uuid[], $2::text[], $3::int8[], $4::text[], $5::text[]) \
     as t(o, id, amount, reason, status) \
     on conflict (order_id, id) do update set amount_minor = excluded.amount_minor, status = excluded.status, at = excluded.at";
/// Each change is told under the payment's own count.
const VERSION: &str = "update payment p set version = t.version from (select o, max(version) as version \
     from unnest($1::uuid[], $2::int8[]) as t(o, version) group by o) as t where p.order_id = t.o";

/// One dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) amount_minor: i64,
    pub(crate) reason: String,
    pub(crate) status: String,
}

/// One that is new, or stands otherwise than it did; with what tells it.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) order: OrderId,
    pub(crate) dispute: Dispute,
    pub(crate) amount: Money,
    pub(crate) sequence: i64,
    pub(crate) context: Context,
}

impl Changed {
    pub(crate) fn tell(&self, at: Timestamp) -> Tell {
        let Dispute { reason, status, .. } = &self.dispute;
        let data = json!({ "order": self.order, "amount": self.amount, "reason": reason, "status": status });
        Tell {
            kind: PaymentDisputed::KIND,
            subject: self.order.to_string(),
            sequence: self.sequence,
            schema_version: 1,
            data,
            at,
            causation: self.dispute.id.clone(),
            context: self.context.clone(),
        }
    }
}

pub(crate) async fn put(
    connection: &mut PgConnection,
    changed: &[&Changed],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(changed: &[&'a Changed], f: impl Fn(&'a Changed) -> T) -> Vec<T> {
        changed.iter().map(|one| f(one)).collect()
    }
    sqlx::query(PUT)
        .bind(all(changed, |one| one.order.0))
        .bind(all(changed, |one| one.dispute.id.as_str()))
        .bind(all(changed, |one| one.dispute.amount_minor))
        .bind(all(changed, |one| one.dispute.reason.as_str()))
        .bind(all(changed, |one| one.dispute.status.as_str()))
        .bind(at)
        .execute(&mut *connection)
        .await?;
    sqlx::query(VERSION)
        .bind(all(changed, |one| one.order.0))
        .bind(all(changed, |one| one.sequence))
        .execute(connection)
        .await?;
    Ok(())
}

/// The disputes of these orders.
pub(crate) async fn read(
    connection: &mut PgConnection,
    orders: &[OrderId],
) -> Result<Vec<(OrderId, Dispute)>, sqlx::Error> {
    let dispute = |row: &PgRow| {
        let dispute = Dispute {
            id: row.try_get("id")?,
            amount_minor: row.try_get("amount_minor")?,
            reason: row.try_get("reason")?,
            status: row.try_get("status")?,
        };
        Ok((OrderId(row.try_get("order_id")?), dispute))
    };
    rows(connection, orders).await?.iter().map(dispute).collect()
}

async fn rows(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<PgRow>, sqlx::Error> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    sqlx::query(READ).bind(ids).fetch_all(connection).await
}

/// For staff.
pub(crate) async fn disputes(store: &Store, order: OrderId) -> Answer<Vec<DisputeView>> {
    let view = |row: &PgRow| {
        Ok(DisputeView {
            id: row.try_get("id")?,
            amount: Money { minor: row.try_get("amount_minor")?, currency: parsed(row, "currency")? },
            reason: row.try_get("reason")?,
            status: row.try_get("status")?,
            seen_at: row.try_get("seen_at")?,
            at: row.try_get("at")?,
        })
    };
    let read = async {
        let mut connection = store.pool().acquire().await?;
        let rows = rows(&mut connection, &[order]).await?;
        Ok::<_, StoreError>(rows.iter().map(view).collect::<Result<_, sqlx::Error>>()?)
    };
    read.await.map_or_else(Answer::from, Answer::Done)
}
