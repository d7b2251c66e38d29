//! What payments tell: money that was given back.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Envelope, OrderId};
use banyan_store::{Locks, Store, StoreError, Write};
use notifications_api::{Kind, MailId};
use payments_api::PaymentRefunded;
use uuid::Uuid;

use crate::mail::{self, Mail};

const KNOWN: &str = "select order_id, n from mail where order_id = any($1) and kind = 'refunded'";

/// Puts a mail into the mailbox for each refund. The mail's own key, with the event's sequence in it, is the record
/// that it was heard; in which order refunds are heard makes no difference.
pub struct RefundsConsumer {
    store: Store,
    is_sent: bool,
}

impl RefundsConsumer {
    /// The group, as slots and positions know it.
    pub const GROUP: &'static str = "notifications.payments";

    /// Over the module's store; `is_sent` where there is a server to send by.
    #[must_use]
    pub fn new(store: Store, is_sent: bool) -> Self {
        Self { store, is_sent }
    }
}

#[async_trait]
impl Consumer for RefundsConsumer {
    fn group(&self) -> &'static str {
        Self::GROUP
    }

    fn source(&self) -> &'static str {
        payments_api::NAME
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        let refunds = batch.iter().filter(|event| event.kind == PaymentRefunded::KIND);
        Locks::none().and("order", refunds.map(|event| event.subject.as_str()))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let refunds = batch.iter().filter(|event| event.kind == PaymentRefunded::KIND);
        let orders: Vec<OrderId> = refunds.filter_map(|event| event.subject.parse().ok()).collect();
        if orders.is_empty() {
            return Ok(vec![Applied::Skipped; batch.len()]);
        }
        let first = mail::first(write.connection(), &orders).await?;
        let first: BTreeMap<OrderId, Mail> = first.into_iter().map(|mail| (mail.id.order, mail)).collect();
        let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
        let mut known: Vec<(Uuid, i32)> =
            sqlx::query_as(KNOWN).bind(ids).fetch_all(write.connection()).await?;
        let (mut new, mut applied) = (Vec::new(), Vec::new());
        for event in batch {
            applied.push(judge(&first, &mut known, &mut new, event)?);
        }
        mail::insert(write, &new, self.is_sent).await?;
        Ok(applied)
    }
}

/// An order that was not heard of yet comes by another road: this one waits for it.
fn judge(
    first: &BTreeMap<OrderId, Mail>,
    known: &mut Vec<(Uuid, i32)>,
    new: &mut Vec<Mail>,
    event: &Envelope,
) -> Result<Applied, StoreError> {
    if event.kind != PaymentRefunded::KIND {
        return Ok(Applied::Skipped);
    }
    let refunded: PaymentRefunded = match serde_json::from_value(event.data.clone()) {
        Ok(refunded) => refunded,
        Err(error) => return Ok(Applied::Poison(format!("the event cannot be read: {error}"))),
    };
    let order = refunded.order;
    let Some(first) = first.get(&order) else {
        return Err(StoreError::Unavailable(format!("order {order} was not heard of yet")));
    };
    let n = i32::try_from(event.sequence).unwrap_or(i32::MAX);
    if known.contains(&(order.0, n)) {
        return Ok(Applied::Duplicate);
    }
    known.push((order.0, n));
    let mail = first.about(Kind::Refunded, event.time);
    new.push(Mail { id: MailId { n, ..mail.id }, amount: refunded.amount, ..mail });
    Ok(Applied::Done)
}
