//! Dispatch: what orders tell. A shipped order's parcel has left the house.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Envelope, OrderId, Sequenced};
use banyan_store::{Locks, Store, StoreError, Write};
use orders_api::OrderShipped;
use sqlx::types::Uuid;

use crate::shipment::{self, Shipment, State};

/// Nothing else of the row changes.
pub(crate) const SEEN: &str = "update shipment s set state = t.state, orders_seen = t.seen \
     from unnest($1::uuid[], $2::text[], $3::int8[]) as t(id, state, seen) where s.order_id = t.id";

/// Applies orders' events to shipments.
pub struct OrdersConsumer(Store);

impl OrdersConsumer {
    /// The group, as slots and positions know it.
    pub const GROUP: &'static str = "shipping.orders";

    /// Of the shipments in this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }
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
        &self.0
    }

    /// The same locks as commands take.
    fn locks(&self, batch: &[Envelope]) -> Locks {
        Locks::none().and("order", batch.iter().map(|event| event.subject.as_str()))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let orders: Vec<OrderId> = batch.iter().filter_map(|event| event.subject.parse().ok()).collect();
        let read = shipment::read(write.connection(), &orders).await?;
        let mut rows: BTreeMap<String, Shipment> =
            read.into_iter().map(|shipment| (shipment.order.to_string(), shipment)).collect();
        let before = rows.clone();
        let applied = batch.iter().map(|event| judge(rows.get_mut(&event.subject), event)).collect();
        let changed: Vec<&Shipment> =
            rows.values().filter(|row| before.get(&row.order.to_string()) != Some(*row)).collect();
        if !changed.is_empty() {
            sqlx::query(SEEN)
                .bind(changed.iter().map(|row| row.order.0).collect::<Vec<Uuid>>())
                .bind(changed.iter().map(|row| row.state.as_str()).collect::<Vec<_>>())
                .bind(changed.iter().map(|row| row.orders_seen).collect::<Vec<_>>())
                .execute(write.connection())
                .await?;
        }
        Ok(applied)
    }
}

/// What one event makes of its shipment. One that was never booked follows no order.
fn judge(shipment: Option<&mut Shipment>, event: &Envelope) -> Applied {
    let shipped = event.kind == OrderShipped::KIND;
    let followed = shipment.and_then(|shipment| Some((shipment.orders_seen?, shipment)));
    let Some((seen, shipment)) = followed else {
        return if shipped { Applied::Poison("no shipment".to_owned()) } else { Applied::Skipped };
    };
    match Sequenced::judge(seen, event.sequence) {
        Sequenced::Duplicate => Applied::Duplicate,
        Sequenced::Gap => Applied::Gap { seen },
        Sequenced::Next => match (shipped, shipment.state) {
            (true, State::Booked) => {
                shipment.state = State::Dispatched;
                shipment.orders_seen = Some(event.sequence);
                Applied::Done
            }
            (true, state) => Applied::Poison(format!("the shipment is {}", state.as_str())),
            (false, _) => {
                shipment.orders_seen = Some(event.sequence);
                Applied::Done
            }
        },
    }
}
