//! A row of the mailbox.

use banyan_kernel::{Currency, CustomerId, Money, OrderId, Timestamp, slot_of};
use banyan_store::{StoreError, Write};
use notifications_api::{Kind, MailId, Sending};
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow, types::Json as SqlJson};
use uuid::Uuid;

const INSERT: &str = "insert into mail (order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, slot, \
     orders_seen, open, sending, next_try_at, tracking, trace) \
     select o, kind, n, customer, at, amount, currency, pieces, cause, slot, seen, seen is not null, $12, $13, tracking::json, trace \
     from unnest($1::uuid[], $2::text[], $3::int4[], $4::uuid[], $5::timestamptz[], $6::int8[], $7::text[], \
     $8::int8[], $9::text[], $10::int2[], $11::int8[], $14::text[], $15::uuid[]) \
     as t(o, kind, n, customer, at, amount, currency, pieces, cause, slot, seen, tracking, trace) \
     on conflict do nothing";
const FIRST: &str = "select order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, orders_seen, sending, \
     tries, refusals, tracking, trace from mail where order_id = any($1) and kind = 'confirmed'";

/// What is told, as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) id: MailId,
    pub(crate) customer: CustomerId,
    pub(crate) at: Timestamp,
    /// Of the order; of the refund, where it tells of one.
    pub(crate) amount: Money,
    pub(crate) pieces: i64,
    pub(crate) cause: Option<String>,
    /// What the parcels are followed by, where it tells of them.
    pub(crate) tracking: Vec<String>,
    /// On the first mail of an order: the last of orders' events applied.
    pub(crate) orders_seen: Option<i64>,
    pub(crate) sending: Sending,
    pub(crate) tries: i32,
    /// How often the server said that it will never take this one.
    pub(crate) refusals: i32,
    /// The order's, in which sending it is one more call.
    pub(crate) trace: Option<Uuid>,
}

impl Mail {
    /// Another mail about the same order.
    pub(crate) fn about(&self, kind: Kind, at: Timestamp) -> Self {
        let (cause, tracking, orders_seen) = (None, Vec::new(), None);
        Self { id: MailId { kind, n: 0, ..self.id }, at, cause, tracking, orders_seen, ..self.clone() }
    }
}

impl FromRow<'_, PgRow> for Mail {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (kind, sending): (String, String) = (row.try_get("kind")?, row.try_get("sending")?);
        let currency: String = row.try_get("currency")?;
        let unknown = |what: &str| sqlx::Error::Decode(what.to_owned().into());
        let currency: Currency = currency.parse().map_err(|_| unknown("currency"))?;
        let kind = Kind::parse(&kind).ok_or_else(|| unknown("kind"))?;
        let tracking: Option<SqlJson<Vec<String>>> = row.try_get("tracking")?;
        let id = MailId { order: OrderId(row.try_get("order_id")?), kind, n: row.try_get("n")? };
        Ok(Self {
            id,
            customer: CustomerId(row.try_get("customer_id")?),
            at: row.try_get("at")?,
            amount: Money { minor: row.try_get("amount_minor")?, currency },
            pieces: row.try_get("pieces")?,
            cause: row.try_get("cause")?,
            tracking: tracking.map(|tracking| tracking.0).unwrap_or_default(),
            orders_seen: row.try_get("orders_seen")?,
            sending: parse_sending(&sending).ok_or_else(|| unknown("sending"))?,
            tries: row.try_get("tries")?,
            refusals: row.try_get("refusals")?,
            trace: row.try_get("trace")?,
        })
    }
}

fn parse_sending(text: &str) -> Option<Sending> {
    match text {
        "kept" => Some(Sending::Kept),
        "due" => Some(Sending::Due),
        "sent" => Some(Sending::Sent),
        "refused" => Some(Sending::Refused),
        _ => None,
    }
}

/// The first mails of these orders, which know their customers.
pub(crate) async fn first(
    connection: &mut PgConnection,
    orders: &[OrderId],
) -> Result<Vec<Mail>, StoreError> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    Ok(sqlx::query_as(FIRST).bind(ids).fetch_all(connection).await?)
}

/// As rows keep it; a list of texts always has a JSON form.
fn tracking(mail: &Mail) -> Option<String> {
    (!mail.tracking.is_empty()).then(|| serde_json::to_string(&mail.tracking).unwrap_or_default())
}

/// Puts mails into the mailbox; one that is there already stays as it is. To be sent, where there is a server.
pub(crate) async fn insert(write: &mut Write, mails: &[Mail], is_sent: bool) -> Result<(), StoreError> {
    if mails.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(mails: &'a [Mail], f: impl Fn(&'a Mail) -> T) -> Vec<T> {
        mails.iter().map(f).collect()
    }
    let due = is_sent.then(|| mails.iter().map(|mail| mail.at).max()).flatten();
    sqlx::query(INSERT)
        .bind(all(mails, |m| m.id.order.0))
        .bind(all(mails, |m| m.id.kind.as_str()))
        .bind(all(mails, |m| m.id.n))
        .bind(all(mails, |m| m.customer.0))
        .bind(all(mails, |m| m.at))
        .bind(all(mails, |m| m.amount.minor))
        .bind(all(mails, |m| m.amount.currency.as_str()))
        .bind(all(mails, |m| m.pieces))
        .bind(all(mails, |m| m.cause.as_deref()))
        .bind(all(mails, |m| slot_of(&m.id.order.to_string()) as i16))
        .bind(all(mails, |m| m.orders_seen))
        .bind(if is_sent { "due" } else { "kept" })
        .bind(due)
        .bind(all(mails, tracking))
        .bind(all(mails, |m| m.trace))
        .execute(write.connection())
        .await?;
    Ok(())
}
