//! Mailbox: what was told to a customer, to be read here.

use std::time::Duration;

use banyan_kernel::{Answer, CustomerId, OrderId, Timestamp};
use banyan_store::{Store, StoreError};
use notifications_api::{Awaited, Kind, MAILS_MAX, MailHead, MailId, refusals};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{contact, mail::Mail, render::Templates};

const LIST: &str = "select order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, orders_seen, sending, \
     tries, refusals, tracking, trace from mail where customer_id = $1 and (at, order_id, kind, n) < ($2, $3, $4, $5) \
     order by at desc, order_id desc, kind desc, n desc limit $6";
const ONE: &str = "select order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, orders_seen, sending, \
     tries, refusals, tracking, trace from mail where order_id = $1 and kind = $2 and n = $3";

/// By the key, whose first parts are an order and a kind.
const BEHIND: &str = "select count(*) from unnest($1::uuid[], $2::text[], $3::int4[]) as t(o, kind, mails) \
     where (select count(*) from mail m where m.order_id = t.o and m.kind = t.kind) < t.mails";

/// How long a reader waits for what it asks to see. Who asks from another process hears that it is not there yet, and not that nobody
/// answers: this is well below an attempt of theirs.
const BEHIND_MAX: Duration = Duration::from_millis(1_500);
/// Between two looks, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Waits, for a bounded time, until the mailbox has at least what is asked for; then nothing is said.
async fn behind<T>(store: &Store, at_least: &[Awaited]) -> Result<Option<Answer<T>>, StoreError> {
    let deadline = Instant::now() + BEHIND_MAX;
    let mut wait = LOOKS.0;
    while !at_least.is_empty() && lacks(store, at_least).await? > 0 {
        if Instant::now() + wait > deadline {
            let detail = "the mailbox has not come to what you ask to see; ask again";
            return Ok(Some(Answer::rejected(refusals::BEHIND, detail)));
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOKS.1);
    }
    Ok(None)
}

async fn lacks(store: &Store, at_least: &[Awaited]) -> Result<i64, StoreError> {
    let lacks = sqlx::query_scalar(BEHIND)
        .bind(at_least.iter().map(|awaited| awaited.order.0).collect::<Vec<_>>())
        .bind(at_least.iter().map(|awaited| awaited.kind.as_str()).collect::<Vec<_>>())
        .bind(at_least.iter().map(|awaited| awaited.mails).collect::<Vec<_>>())
        .fetch_one(store.pool())
        .await?;
    Ok(lacks)
}

pub(crate) async fn list(
    store: &Store,
    templates: &Templates,
    customer: CustomerId,
    before: Option<(Timestamp, MailId)>,
    limit: u16,
    at_least: &[Awaited],
) -> Result<Answer<Vec<MailHead>>, StoreError> {
    if let Some(refused) = behind(store, at_least).await? {
        return Ok(refused);
    }
    let last = MailId { order: OrderId(Uuid::max()), kind: Kind::Shipped, n: i32::MAX };
    let (at, id) = before.unwrap_or((store.clock().now() + time::Duration::days(1), last));
    let mails: Vec<Mail> = sqlx::query_as(LIST)
        .bind(customer.0)
        .bind(at)
        .bind(id.order.0)
        .bind(id.kind.as_str())
        .bind(id.n)
        .bind(i64::from(limit.clamp(1, MAILS_MAX)))
        .fetch_all(store.pool())
        .await?;
    let contact = contact::read(store.pool(), customer).await?;
    Ok(Answer::Done(mails.iter().map(|mail| templates.render(mail, contact.as_ref()).head).collect()))
}

pub(crate) async fn read(
    store: &Store,
    templates: &Templates,
    id: MailId,
    at_least: &[Awaited],
) -> Result<Answer<Option<notifications_api::Mail>>, StoreError> {
    if let Some(refused) = behind(store, at_least).await? {
        return Ok(refused);
    }
    let mail: Option<Mail> = sqlx::query_as(ONE)
        .bind(id.order.0)
        .bind(id.kind.as_str())
        .bind(id.n)
        .fetch_optional(store.pool())
        .await?;
    let Some(mail) = mail else { return Ok(Answer::Done(None)) };
    let contact = contact::read(store.pool(), mail.customer).await?;
    Ok(Answer::Done(Some(templates.render(&mail, contact.as_ref()))))
}
