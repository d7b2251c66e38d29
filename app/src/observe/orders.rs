//! Orders that are not ended: how many, and for how long the oldest.

use banyan_kernel::Answer;
use opentelemetry::KeyValue;
use orders_api::{OrderFacts, OrderState};

use super::{gauge, natural, seconds};

const STATES: [OrderState; 4] =
    [OrderState::Placed, OrderState::Paid, OrderState::Cancelling, OrderState::Stuck];

/// What is not known is not told.
pub(super) async fn look(orders: &dyn OrderFacts) {
    let Answer::Done(open) = orders.open().await else { return };
    for state in STATES {
        // A state without orders is told as such, or its last number would stand for ever.
        let found = open.iter().find(|open| open.state == state);
        let (count, age) = found.map_or((0, 0.0), |open| (open.orders, open.oldest_s));
        let state = [KeyValue::new("state", state.as_str())];
        gauge("banyan.orders.open", "Orders that are not ended").record(natural(count), &state);
        seconds("banyan.orders.oldest", "Since the oldest of them was placed").record(age, &state);
    }
}
