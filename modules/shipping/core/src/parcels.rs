//! An order's parcels, for who follows them.

use banyan_kernel::{Answer, OrderId};
use banyan_store::{Store, StoreError};
use shipping_api::{ParcelState, ParcelView};

use crate::{
    parcel::{Arrival, Parcel},
    shipment::{self, Booking, Shipment, State},
};

pub(crate) async fn parcels(store: &Store, order: OrderId) -> Answer<Vec<ParcelView>> {
    let read = async {
        let mut connection = store.pool().acquire().await?;
        Ok::<_, StoreError>(shipment::read(&mut connection, &[order]).await?)
    };
    read.await.map_or_else(Answer::from, |rows| Answer::Done(rows.iter().flat_map(views).collect()))
}

/// Those that the carrier has taken.
fn views(row: &Shipment) -> impl Iterator<Item = ParcelView> {
    row.booking.iter().flat_map(|booking| row.parcels.iter().filter_map(|parcel| view(row, booking, parcel)))
}

fn view(row: &Shipment, booking: &Booking, parcel: &Parcel) -> Option<ParcelView> {
    let state = match (parcel.arrival, row.state) {
        (_, State::Cancelled) => ParcelState::Cancelled,
        (Some(Arrival::Delivered), _) => ParcelState::Delivered,
        (Some(Arrival::Returned), _) => ParcelState::Returned,
        (None, State::Dispatched) => ParcelState::Dispatched,
        (None, _) => ParcelState::Booked,
    };
    Some(ParcelView {
        tracking: parcel.tracking.clone()?,
        place: parcel.place.clone(),
        state,
        promised_by: booking.promised_by,
        arrived_at: parcel.at,
    })
}
