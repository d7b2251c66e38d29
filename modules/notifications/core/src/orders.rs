//! What orders tell: accepted, shipped, undone. Each is told to the customer once.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Envelope, OrderId, Sequenced};
use banyan_store::{Locks, Store, StoreError, Write};
use notifications_api::{Kind, MailId, Sending};
use orders_api::{OrderCancelled, OrderCreated, OrderShipped};
use uuid::Uuid;

use crate::mail::{self, Mail};

/// Only what was heard changes; an order whose end was heard is no longer watched for a delay.
const SEEN: &str = "update mail m set orders_seen = t.seen, open = t.open \
     from unnest($1::uuid[], $2::int8[], $3::bool[]) as t(o, seen, open) \
     where m.order_id = t.o and m.kind = 'confirmed'";

/// Puts a mail into the mailbox for each event that a customer cares about.
pub struct OrdersConsumer {
    store: Store,
    is_sent: bool,
}

impl OrdersConsumer {
    /// The group, as slots and positions know it.
    pub const GROUP: &'static str = "notifications.orders";

    /// Over the module's store; `is_sent` where there is a server to send by.
    #[must_use]
    pub fn new(store: Store, is_sent: bool) -> Self {
        Self { store, is_sent }
    }
}

/// What is known of the orders of a batch, and what becomes of it.
#[derive(Default)]
struct Desk {
    first: BTreeMap<OrderId, Mail>,
    new: Vec<Mail>,
    seen: BTreeMap<OrderId, (i64, bool)>,
}

#[async_trait]
impl Consumer for OrdersConsumer {
    fn group(&self) -> &'static str {
        Self::GROUP
    }

    fn source(&self) -> &'static str {
        orders_api::NAME
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        Locks::none().and("order", batch.iter().map(|event| event.subject.as_str()))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let orders: Vec<OrderId> = batch.iter().filter_map(|event| event.subject.parse().ok()).collect();
        let first = mail::first(write.connection(), &orders).await?;
        let first = first.into_iter().map(|mail| (mail.id.order, mail)).collect();
        let mut desk = Desk { first, ..Desk::default() };
        let applied = batch.iter().map(|event| judge(&mut desk, event)).collect();
        mail::insert(write, &desk.new, self.is_sent).await?;
        if !desk.seen.is_empty() {
            sqlx::query(SEEN)
                .bind(desk.seen.keys().map(|order| order.0).collect::<Vec<Uuid>>())
                .bind(desk.seen.values().map(|(seen, _)| *seen).collect::<Vec<_>>())
                .bind(desk.seen.values().map(|(_, open)| *open).collect::<Vec<_>>())
                .execute(write.connection())
                .await?;
        }
        Ok(applied)
    }
}

fn judge(desk: &mut Desk, event: &Envelope) -> Applied {
    let Ok(order) = event.subject.parse::<OrderId>() else {
        return Applied::Poison("its subject is no order".to_owned());
    };
    let seen = desk.first.get(&order).and_then(|mail| mail.orders_seen).unwrap_or(0);
    match Sequenced::judge(seen, event.sequence) {
        Sequenced::Duplicate => return Applied::Duplicate,
        Sequenced::Gap => return Applied::Gap { seen },
        Sequenced::Next => {}
    }
    match told(desk.first.get(&order), order, event) {
        Err(why) => Applied::Poison(why),
        Ok(mail) => {
            let ends =
                matches!(mail.as_ref().map(|mail| mail.id.kind), Some(Kind::Shipped | Kind::Cancelled));
            keep(desk, order, event.sequence, ends);
            desk.new.extend(mail.clone());
            if let Some(mail) = mail.filter(|mail| mail.id.kind == Kind::Confirmed) {
                desk.first.insert(order, mail);
            }
            Applied::Done
        }
    }
}

fn keep(desk: &mut Desk, order: OrderId, sequence: i64, ends: bool) {
    if let Some(first) = desk.first.get_mut(&order) {
        first.orders_seen = Some(sequence);
        let was_open = desk.seen.get(&order).is_none_or(|(_, open)| *open);
        desk.seen.insert(order, (sequence, was_open && !ends));
    }
}

/// What an event has to tell its customer; nothing where it is of a kind that nobody is told of.
fn told(first: Option<&Mail>, order: OrderId, event: &Envelope) -> Result<Option<Mail>, String> {
    let unreadable = |error: serde_json::Error| format!("the event cannot be read: {error}");
    let unknown = || "nothing was heard of its order before".to_owned();
    match event.kind.as_str() {
        OrderCreated::KIND => {
            let created: OrderCreated = serde_json::from_value(event.data.clone()).map_err(unreadable)?;
            Ok(Some(Mail {
                id: MailId { order, kind: Kind::Confirmed, n: 0 },
                customer: created.customer,
                at: event.time,
                amount: created.total,
                pieces: created.lines.iter().map(|line| line.quantity.get()).sum(),
                cause: None,
                tracking: Vec::new(),
                orders_seen: Some(event.sequence),
                sending: Sending::Kept,
                tries: 0,
                refusals: 0,
                trace: Some(Uuid::from_u128(event.traceparent.trace_id())),
            }))
        }
        OrderShipped::KIND => {
            let shipped: OrderShipped = serde_json::from_value(event.data.clone()).map_err(unreadable)?;
            let mail = first.ok_or_else(unknown)?.about(Kind::Shipped, event.time);
            Ok(Some(Mail { tracking: shipped.tracking, ..mail }))
        }
        OrderCancelled::KIND => {
            let cancelled: OrderCancelled = serde_json::from_value(event.data.clone()).map_err(unreadable)?;
            let mail = first.ok_or_else(unknown)?.about(Kind::Cancelled, event.time);
            Ok(Some(Mail { cause: Some(cancelled.cause), ..mail }))
        }
        _ => Ok(None),
    }
}
