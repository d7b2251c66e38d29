//! What payments and shipping tell of an order that was heard of before: money that was given back, a parcel that arrived.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Envelope, Money, OrderId};
use banyan_store::{Locks, Store, StoreError, Write};
use notifications_api::{Kind, MailId};
use payments_api::PaymentRefunded;
use shipping_api::ShipmentDelivered;
use uuid::Uuid;

use crate::mail::{self, Mail};

const KNOWN: &str = "select order_id, n from mail where order_id = any($1) and kind = $2";

/// One kind of news, and the mail that it makes.
struct News {
    group: &'static str,
    source: &'static str,
    event: &'static str,
    mail: Kind,
    /// None, where there is nothing to tell yet.
    read: fn(&Envelope) -> Result<Option<Told>, serde_json::Error>,
}

/// What an event says.
struct Told {
    order: OrderId,
    /// The mail's, among those of its kind.
    n: i32,
    /// Where it is not the order's.
    amount: Option<Money>,
}

const REFUNDED: News = News {
    group: "notifications.payments",
    source: payments_api::NAME,
    event: PaymentRefunded::KIND,
    mail: Kind::Refunded,
    read: |event| {
        let PaymentRefunded { order, amount } = serde_json::from_value(event.data.clone())?;
        let n = i32::try_from(event.sequence).unwrap_or(i32::MAX);
        Ok(Some(Told { order, n, amount: Some(amount) }))
    },
};

const DELIVERED: News = News {
    group: "notifications.shipping",
    source: shipping_api::NAME,
    event: ShipmentDelivered::KIND,
    mail: Kind::Delivered,
    read: |event| {
        // Of several parcels, the last one that their customer had to wait for.
        let ShipmentDelivered { order, whole, .. } = serde_json::from_value(event.data.clone())?;
        Ok(whole.then_some(Told { order, n: 0, amount: None }))
    },
};

/// Puts a mail into the mailbox for each of the news. The mail's own key is the record that it was heard; in which order they are
/// heard makes no difference.
pub struct NewsConsumer {
    news: &'static News,
    store: Store,
    is_sent: bool,
}

impl NewsConsumer {
    /// Of refunds. Over the module's store; `is_sent` where there is a server to send by.
    #[must_use]
    pub fn of_refunds(store: Store, is_sent: bool) -> Self {
        Self { news: &REFUNDED, store, is_sent }
    }

    /// Of orders that their customers have; as [`Self::of_refunds`].
    #[must_use]
    pub fn of_deliveries(store: Store, is_sent: bool) -> Self {
        Self { news: &DELIVERED, store, is_sent }
    }

    /// An order that was not heard of yet comes by another road: this one waits for it.
    fn judge(
        &self,
        first: &BTreeMap<OrderId, Mail>,
        known: &mut Vec<(Uuid, i32)>,
        new: &mut Vec<Mail>,
        event: &Envelope,
    ) -> Result<Applied, StoreError> {
        if event.kind != self.news.event {
            return Ok(Applied::Skipped);
        }
        let Told { order, n, amount } = match (self.news.read)(event) {
            Ok(Some(told)) => told,
            Ok(None) => return Ok(Applied::Skipped),
            Err(error) => return Ok(Applied::Poison(format!("the event cannot be read: {error}"))),
        };
        let Some(first) = first.get(&order) else {
            return Err(StoreError::Unavailable(format!("order {order} was not heard of yet")));
        };
        if known.contains(&(order.0, n)) {
            return Ok(Applied::Duplicate);
        }
        known.push((order.0, n));
        let mail = first.about(self.news.mail, event.time);
        new.push(Mail { id: MailId { n, ..mail.id }, amount: amount.unwrap_or(mail.amount), ..mail });
        Ok(Applied::Done)
    }
}

#[async_trait]
impl Consumer for NewsConsumer {
    fn group(&self) -> &'static str {
        self.news.group
    }

    fn source(&self) -> &'static str {
        self.news.source
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        let news = batch.iter().filter(|event| event.kind == self.news.event);
        Locks::none().and("order", news.map(|event| event.subject.as_str()))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let news = batch.iter().filter(|event| event.kind == self.news.event);
        let orders: Vec<OrderId> = news.filter_map(|event| event.subject.parse().ok()).collect();
        if orders.is_empty() {
            return Ok(vec![Applied::Skipped; batch.len()]);
        }
        let first = mail::first(write.connection(), &orders).await?;
        let first: BTreeMap<OrderId, Mail> = first.into_iter().map(|mail| (mail.id.order, mail)).collect();
        let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
        let known = sqlx::query_as(KNOWN).bind(ids).bind(self.news.mail.as_str());
        let mut known: Vec<(Uuid, i32)> = known.fetch_all(write.connection()).await?;
        let (mut new, mut applied) = (Vec::new(), Vec::new());
        for event in batch {
            applied.push(self.judge(&first, &mut known, &mut new, event)?);
        }
        mail::insert(write, &new, self.is_sent).await?;
        Ok(applied)
    }
}
