//! Track: what became of parcels. The carrier lists arrivals in their order; one of the shops that share a database reads the list
//! on, and takes in a page in one commit with how far it got. An order costs no call of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use banyan_kernel::{Actor, Context, OrderId, Timestamp};
use banyan_net::outbound::Outcome;
use banyan_store::{Held, Locks, StoreError, Tell, Write};
use opentelemetry::{KeyValue, global, metrics::Histogram};
use serde_json::json;
use shipping_api::{ShipmentDelivered, ShipmentReturned};
use sqlx::PgConnection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Shipping,
    carrier::{Arrived, Page},
    depot::Depot,
    shipment::{self, Arrival, Shipment, State},
};

/// The group of which one slot says who reads.
pub const TRACK_GROUP: &str = "shipping.tracking";
const SLOT: u16 = 0;
/// Parcels take days: nobody waits for less.
const POLL: Duration = Duration::from_secs(2);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(10);

const POSITION: &str = "select position from carrier_feed";
/// Whoever moved it meanwhile took the same page in.
const MOVE: &str = "update carrier_feed set position = $1 where position = $2";
const ARRIVED: &str = "update shipment s set arrival = t.arrival, arrived_at = t.at, version = t.version \
     from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::int8[]) as t(id, arrival, at, version) where s.order_id = t.id";

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// There is more.
    More,
    /// All was taken in that could be.
    Whole,
    /// The carrier did not say.
    Unread,
}

/// Reads the carrier's events on.
pub struct TrackingReconciler(Depot);

impl TrackingReconciler {
    /// Of these shipments.
    #[must_use]
    pub fn new(shipping: &Shipping) -> Self {
        Self(shipping.0.clone())
    }

    /// Reads on while it holds the slot that says who reads, until told to stop.
    pub async fn run(self, mut held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let reads = held.borrow_and_update().contains_key(&SLOT);
            let turned = if reads { self.turn().await } else { Ok(Turned::Whole) };
            let wait = match turned {
                Ok(Turned::More) => continue,
                Ok(Turned::Whole) => POLL,
                Ok(Turned::Unread) => PAUSE,
                Err(error) => {
                    tracing::warn!(%error, group = TRACK_GROUP, correlation = "", "a turn failed");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = held.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes one page in.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn(&self) -> Result<Turned, StoreError> {
        let after: i64 = sqlx::query_scalar(POSITION).fetch_one(self.0.store.pool()).await?;
        let page = match self.0.carrier.events(after).await {
            Outcome::Done(page) => page,
            // The call has said it already.
            Outcome::Unknown(_) | Outcome::NotSent(_) => return Ok(Turned::Unread),
            other => {
                tracing::error!(?other, after, correlation = "", "the carrier's events cannot be read");
                return Ok(Turned::Unread);
            }
        };
        if page.next == after {
            return Ok(Turned::Whole);
        }
        self.take_in(after, &page).await
    }

    async fn take_in(&self, after: i64, page: &Page) -> Result<Turned, StoreError> {
        let orders: BTreeSet<OrderId> = page.arrived.iter().map(|one| one.order).collect();
        let orders: Vec<OrderId> = orders.into_iter().collect();
        let locks = Locks::none().and("order", orders.iter().map(ToString::to_string));
        let mut write = self.0.store.begin(&locks).await?;
        let read = shipment::read(write.connection(), &orders).await?;
        let mut rows: BTreeMap<OrderId, Shipment> = read.into_iter().map(|row| (row.order, row)).collect();
        let taken = judge(&mut rows, page);
        if taken.next == after {
            write.abandon().await;
            return Ok(Turned::Whole);
        }
        let moved = sqlx::query(MOVE).bind(taken.next).bind(after).execute(write.connection()).await?;
        if moved.rows_affected() == 0 {
            write.abandon().await;
            return Ok(Turned::More);
        }
        let arrived: Vec<&Shipment> = taken.orders.iter().filter_map(|order| rows.get(order)).collect();
        put(write.connection(), &arrived).await?;
        tell(&mut write, &arrived).await?;
        write.commit().await?;
        arrived.iter().for_each(|row| measure(row));
        Ok(if page.more { Turned::More } else { Turned::Whole })
    }
}

/// By how much parcels came too late; below nought, in time.
static AGAINST_PROMISE: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    const DAY_S: f64 = 86_400.0;
    global::meter("banyan")
        .f64_histogram("banyan.parcels.against_promise")
        .with_description("When parcels came, after the date that was promised; below nought, before it")
        .with_unit("s")
        .with_boundaries([-7.0, -3.0, -1.0, 0.0, 1.0, 3.0, 7.0].map(|days| days * DAY_S).to_vec())
        .build()
});

fn measure(row: &Shipment) {
    let promised = row.booking.as_ref().and_then(|booking| booking.promised_by);
    if let (Some((arrival, at)), Some(promised)) = (row.arrival, promised) {
        let late = (at - promised).as_seconds_f64();
        AGAINST_PROMISE.record(late, &[KeyValue::new("arrival", arrival.as_str())]);
    }
}

/// What a page comes to.
struct Taken {
    /// Whose parcel arrived.
    orders: Vec<OrderId>,
    /// How far.
    next: i64,
}

/// In the page's order, up to a parcel whose booking is not known to be done yet: it is, and that will be found out first.
fn judge(rows: &mut BTreeMap<OrderId, Shipment>, page: &Page) -> Taken {
    let (mut orders, mut next) = (Vec::new(), None);
    for Arrived { position, order, parcel, arrival, at } in &page.arrived {
        let Some(row) = rows.get_mut(order) else { continue };
        if row.state == State::Booking && row.intent.broken.is_none() {
            next = Some(position - 1);
            break;
        }
        let is_ours = row.booking.as_ref().is_some_and(|booking| booking.id == *parcel);
        if is_ours && row.arrival.is_none() {
            row.arrival = Some((*arrival, *at));
            row.version += 1;
            orders.push(*order);
        }
    }
    Taken { orders, next: next.unwrap_or(page.next) }
}

async fn put(connection: &mut PgConnection, rows: &[&Shipment]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(ARRIVED)
        .bind(rows.iter().map(|row| row.order.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.arrival.map(|(arrival, _)| arrival.as_str())).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.arrival.map(|(_, at)| at)).collect::<Vec<Option<Timestamp>>>())
        .bind(rows.iter().map(|row| row.version).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn tell(write: &mut Write, rows: &[&Shipment]) -> Result<(), StoreError> {
    let event = |row: &&Shipment| {
        let (arrival, at) = row.arrival?;
        let booking = row.booking.as_ref()?;
        let kind = match arrival {
            Arrival::Delivered => ShipmentDelivered::KIND,
            Arrival::Returned => ShipmentReturned::KIND,
        };
        Some(Tell {
            kind,
            subject: row.order.to_string(),
            sequence: row.version,
            schema_version: 1,
            data: json!({ "order": row.order, "tracking": booking.tracking }),
            at,
            causation: booking.id.clone(),
            // Days later, and the row does not know whether its customer wanted the order's trace to be collected.
            context: Context { actor: Actor::system(TRACK_GROUP), trace: row.trace.unsampled() },
        })
    };
    let events: Vec<Tell> = rows.iter().filter_map(event).collect();
    if events.is_empty() { Ok(()) } else { write.tell(&events).await }
}
