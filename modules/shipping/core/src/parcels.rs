//! An order's parcels, for who follows them.

use banyan_kernel::{Answer, OrderId};
use banyan_store::{Store, StoreError};
use shipping_api::{ParcelState, ParcelView};

use crate::shipment::{self, Arrival, Shipment, State};

pub(crate) async fn parcels(store: &Store, order: OrderId) -> Answer<Vec<ParcelView>> {
    let read = async {
        let mut connection = store.pool().acquire().await?;
        Ok::<_, StoreError>(shipment::read(&mut connection, &[order]).await?)
    };
    read.await.map_or_else(Answer::from, |rows| Answer::Done(rows.iter().filter_map(view).collect()))
}

/// One that the carrier has taken.
fn view(row: &Shipment) -> Option<ParcelView> {
    let booking = row.booking.as_ref()?;
    let state = match (row.arrival, row.state) {
        (_, State::Cancelled) => ParcelState::Cancelled,
        (Some((Arrival::Delivered, _)), _) => ParcelState::Delivered,
        (Some((Arrival::Returned, _)), _) => ParcelState::Returned,
        (None, State::Dispatched) => ParcelState::Dispatched,
        (None, _) => ParcelState::Booked,
    };
    Some(ParcelView {
        tracking: booking.tracking.clone(),
        state,
        promised_by: booking.promised_by,
        arrived_at: row.arrival.map(|(_, at)| at),
    })
}
