//! Quote: what a parcel would cost, and when it would be there. The carrier is asked; where it does not say in time, the shop's own
//! table does, and the answer says so.

use std::time::Duration;

use banyan_kernel::Timestamp;
use banyan_net::outbound::Outcome;
use shipping_api::{QuoteParcel, QuoteSource, Quotes};

use crate::carrier::Carrier;

/// A customer looks at a basket: later is as good as never.
pub(crate) const TIME_OUT: Duration = Duration::from_millis(500);
pub(crate) async fn quote(carrier: &Carrier, wish: &QuoteParcel, now: Timestamp) -> Quotes {
    match carrier.quote(wish).await {
        Outcome::Done(services) if !services.is_empty() => Quotes { source: QuoteSource::Carrier, services },
        other => {
            tracing::info!(?other, correlation = wish.trace.correlation(), "no quote; the table says");
            Quotes::by_table(wish, now)
        }
    }
}
