//! Mailbox: what was told to a customer, to be read here.

use banyan_kernel::{CustomerId, OrderId, Timestamp};
use banyan_store::{Store, StoreError};
use notifications_api::{Kind, MAILS_MAX, MailHead, MailId};
use uuid::Uuid;

use crate::{contact, mail::Mail, render::Templates};

const LIST: &str = "select order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, orders_seen, sending, \
     tries, refusals, tracking, trace from mail where customer_id = $1 and (at, order_id, kind, n) < ($2, $3, $4, $5) \
     order by at desc, order_id desc, kind desc, n desc limit $6";
const ONE: &str = "select order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, orders_seen, sending, \
     tries, refusals, tracking, trace from mail where order_id = $1 and kind = $2 and n = $3";

pub(crate) async fn list(
    store: &Store,
    templates: &Templates,
    customer: CustomerId,
    before: Option<(Timestamp, MailId)>,
    limit: u16,
) -> Result<Vec<MailHead>, StoreError> {
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
    Ok(mails.iter().map(|mail| templates.render(mail, contact.as_ref()).head).collect())
}

pub(crate) async fn read(
    store: &Store,
    templates: &Templates,
    id: MailId,
) -> Result<Option<notifications_api::Mail>, StoreError> {
    let mail: Option<Mail> = sqlx::query_as(ONE)
        .bind(id.order.0)
        .bind(id.kind.as_str())
        .bind(id.n)
        .fetch_optional(store.pool())
        .await?;
    let Some(mail) = mail else { return Ok(None) };
    let contact = contact::read(store.pool(), mail.customer).await?;
    Ok(Some(templates.render(&mail, contact.as_ref())))
}
