//! A row of the list: what an order's events say one after the other.

use banyan_kernel::{CustomerId, Money, OrderId, Timestamp};
use orders_api::{OrderState, OrderSummary, Resolution};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    event::{Created, OrderEvent},
    order::Order,
    saga::Step,
};

#[derive(Clone, Debug, PartialEq, FromRow)]
pub(crate) struct ListRow {
    pub(crate) order_id: Uuid,
    pub(crate) version: i32,
    pub(crate) customer_id: Uuid,
    pub(crate) state: String,
    pub(crate) cause: Option<String>,
    pub(crate) paid: bool,
    pub(crate) stuck: bool,
    pub(crate) total_minor: i64,
    pub(crate) currency: String,
    pub(crate) pieces: i64,
    pub(crate) skus: Vec<String>,
    pub(crate) tracking: Option<String>,
    pub(crate) placed_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
}

impl ListRow {
    pub(super) fn first(order: OrderId, created: &Created, at: Timestamp) -> Self {
        Self {
            order_id: order.0,
            version: 1,
            customer_id: created.customer.0,
            state: OrderState::Placed.as_str().to_owned(),
            cause: None,
            paid: false,
            stuck: false,
            total_minor: created.total.minor,
            currency: created.total.currency.to_string(),
            pieces: created.lines.iter().map(|line| line.quantity.get()).sum(),
            skus: created.lines.iter().map(|line| line.sku.to_string()).collect(),
            tracking: None,
            placed_at: at,
            ended_at: None,
        }
    }

    pub(super) fn advance(&mut self, event: &OrderEvent, at: Timestamp) {
        self.version += 1;
        match event {
            OrderEvent::StepDone { step, result, .. } => match step {
                Step::Book => self.tracking.clone_from(result),
                Step::Capture => self.paid = true,
                _ => {}
            },
            OrderEvent::StepRefused { step, code, .. } => {
                self.paid &= *step != Step::Capture;
                self.turn_back(code);
            }
            OrderEvent::StepUndone { step, .. } => self.paid &= *step != Step::Capture,
            OrderEvent::CancelRequested { .. } => self.turn_back("cancelled"),
            OrderEvent::StepBroken { .. } => self.stuck = true,
            OrderEvent::OrderResolved { how, .. } => {
                self.stuck = false;
                if *how == Resolution::Cancel {
                    self.turn_back("cancelled");
                }
            }
            OrderEvent::OrderShipped { .. } | OrderEvent::OrderCancelled { .. } => self.ended_at = Some(at),
            OrderEvent::OrderCreated(_) => {}
        }
        self.state = self.stands().as_str().to_owned();
    }

    /// The first reason counts.
    fn turn_back(&mut self, cause: &str) {
        self.cause.get_or_insert_with(|| cause.to_owned());
    }

    fn stands(&self) -> OrderState {
        match (self.ended_at.is_some(), self.cause.is_some()) {
            (true, false) => OrderState::Shipped,
            (true, true) => OrderState::Cancelled,
            (false, _) if self.stuck => OrderState::Stuck,
            (false, true) => OrderState::Cancelling,
            (false, false) if self.paid => OrderState::Paid,
            (false, false) => OrderState::Placed,
        }
    }

    /// In which of its members it is not what `order` says.
    pub(crate) fn differs(&self, order: &Order) -> Option<String> {
        let lines = &order.created.lines;
        let pieces: i64 = lines.iter().map(|line| line.quantity.get()).sum();
        let skus: Vec<String> = lines.iter().map(|line| line.sku.to_string()).collect();
        let none = || "none".to_owned();
        let time = |at: Option<Timestamp>| at.map_or_else(none, |at| at.to_string());
        let text = |text: Option<&str>| text.map_or_else(none, str::to_owned);
        let total = format!("{} {}", order.created.total.minor, order.created.total.currency);
        let members = [
            ("version", self.version.to_string(), order.version.to_string()),
            ("customer", self.customer_id.to_string(), order.created.customer.to_string()),
            ("state", self.state.clone(), order.public_state().as_str().to_owned()),
            ("cause", text(self.cause.as_deref()), text(order.cause())),
            ("total", format!("{} {}", self.total_minor, self.currency), total),
            ("pieces", self.pieces.to_string(), pieces.to_string()),
            ("products", self.skus.join(" "), skus.join(" ")),
            ("tracking", text(self.tracking.as_deref()), text(order.tracking.first().map(String::as_str))),
            ("time of placing", time(Some(self.placed_at)), time(Some(order.placed_at))),
            ("time of ending", time(self.ended_at), time(order.ended)),
        ];
        let (what, listed, folded) = members.into_iter().find(|(_, listed, folded)| listed != folded)?;
        Some(format!("the list says that its {what} is {listed}, and its events say {folded}"))
    }

    /// As the contract has it; none for a row that somebody changed into what it cannot be.
    pub(super) fn summary(self) -> Option<OrderSummary> {
        Some(OrderSummary {
            id: OrderId(self.order_id),
            customer: CustomerId(self.customer_id),
            state: OrderState::parse(&self.state)?,
            cause: self.cause,
            total: Money { minor: self.total_minor, currency: self.currency.try_into().ok()? },
            pieces: self.pieces,
            tracking: self.tracking,
            placed_at: self.placed_at,
            ended_at: self.ended_at,
            version: self.version.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use banyan_kernel::{Actor, Places, TraceParent};
    use orders_api::PricedLine;
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    fn created() -> Created {
        let price = Money { minor: 250, currency: "EUR".to_owned().try_into().expect("a currency") };
        let line = |sku: &str| PricedLine {
            sku: sku.parse().expect("a SKU"),
            quantity: 2.try_into().expect("a quantity"),
            unit_price: price,
        };
        Created {
            customer: CustomerId(Uuid::from_u128(1)),
            lines: vec![line("A"), line("B")],
            total: Money { minor: 1_000, ..price },
            payment_method: "pm".to_owned(),
            request_hash: String::new(),
            saga: 1,
        }
    }

    /// Any event after the first, whether or not a saga would record it.
    fn any(rng: &mut SmallRng) -> OrderEvent {
        let step = Step::FORWARD[rng.random_range(0..Step::FORWARD.len())];
        let text = || "text".to_owned();
        match rng.random_range(0..9) {
            0 | 1 => OrderEvent::StepDone {
                step,
                attempt: 1,
                asked: 0,
                asked_again: false,
                result: Some(text()),
                places: Places::default(),
                further: Vec::new(),
            },
            2 => OrderEvent::StepRefused { step, attempt: 1, code: text(), detail: text() },
            3 => OrderEvent::StepUndone { step, attempt: 1 },
            4 => OrderEvent::StepBroken { step, attempt: 1, undo: rng.random(), why: text() },
            5 => OrderEvent::CancelRequested { reason: text() },
            6 => OrderEvent::OrderResolved { how: Resolution::Retry, reason: text() },
            7 => OrderEvent::OrderResolved { how: Resolution::Cancel, reason: text() },
            _ if rng.random() => OrderEvent::OrderShipped { tracking: Vec::new() },
            _ => OrderEvent::OrderCancelled { cause: text() },
        }
    }

    #[test]
    fn row_by_row_it_is_what_the_saga_folds() {
        for seed in 0..2_000 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let (id, actor) = (OrderId::derive("test", &seed.to_string()), Actor::system("test"));
            let mut at = Timestamp::UNIX_EPOCH;
            let (mut order, _) = Order::create(id, created(), TraceParent::root(id.0), at, &actor);
            let mut row = ListRow::first(id, &created(), at);
            for _ in 0..12 {
                at += std::time::Duration::from_secs(1);
                let event = any(&mut rng);
                order.record(event.clone(), at, &actor);
                row.advance(&event, at);
                assert_eq!(row.differs(&order), None, "seed {seed}: after {event:?}");
            }
        }
    }
}
