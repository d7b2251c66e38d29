//! What must be true once every order has ended, by the books of those who did the work.

use banyan_kernel::Answer;
use inventory_api::{Inventory, testing::sku};
use orders_api::OrderState;

use super::Modules;
use crate::{Step, event::OrderEvent, memory::Row, order::Order};

/// Judges ended orders; says what is wrong with the first that is. Ships what was sold, so once alone.
pub(crate) async fn balance(modules: &Modules, rows: &[Row]) -> Result<(), String> {
    for row in rows {
        judge(modules, row).map_err(|why| format!("order {}: {why}\n{}", row.order.id, story(row)))?;
    }
    stock(modules, rows).await
}

/// Its events, a line each.
pub(crate) fn story(row: &Row) -> String {
    let line = |event: &crate::log::Recorded| format!("  {} {} {}", event.version, event.kind, event.payload);
    row.events.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn judge(modules: &Modules, row: &Row) -> Result<(), String> {
    let order = row.refold()?;
    if order != row.order {
        return Err(format!("the row {:?} is not the fold {order:?}", row.order));
    }
    let (money, parcels) = (modules.payments.book(order.id), modules.shipping.book_of(order.id));
    let count = |what: &str| money.iter().filter(|line| *line == what).count();
    let parcel = |what: &str| parcels.iter().filter(|line| *line == what).count();
    let (held, taken, back) = (count("authorised"), count("captured"), count("refunded"));
    match order.public_state() {
        OrderState::Shipped if (held, taken, back, count("cancelled")) != (1, 1, 0, 0) => {
            Err(format!("it was shipped, and the money's book says {money:?}"))
        }
        OrderState::Shipped if (parcel("shipment_booked"), parcel("shipment_cancelled")) != (1, 0) => {
            Err(format!("it was shipped, and the carrier's book says {parcels:?}"))
        }
        OrderState::Shipped if order.tracking != modules.shipping.tracking_of(order.id) => {
            Err(format!("its customer is told of {:?}", order.tracking))
        }
        OrderState::Shipped if order.tracking.len() != places(&order) => {
            Err(format!("{:?}, and its goods stood at {}", order.tracking, places(&order)))
        }
        OrderState::Cancelled if held > 1 || taken != back || held != back + count("cancelled") => {
            Err(format!("it was cancelled, and the money's book says {money:?}"))
        }
        OrderState::Cancelled
            if parcel("shipment_booked") > 1 || parcel("shipment_booked") != parcel("shipment_cancelled") =>
        {
            Err(format!("it was cancelled, and the carrier's book says {parcels:?}"))
        }
        OrderState::Shipped | OrderState::Cancelled => amounts(modules, row).and_then(|()| backwards(row)),
        other => Err(format!("it did not end: {other:?}, due at {:?}, {:?}", row.due_at, row.waiting)),
    }
}

/// On this stage B stands elsewhere.
fn places(order: &Order) -> usize {
    1 + usize::from(order.created.lines.iter().any(|line| line.sku == sku("B")))
}

fn amounts(modules: &Modules, row: &Row) -> Result<(), String> {
    let asked = modules.amounts.lock().expect("no panic");
    let wrong = asked.iter().find(|(id, amount)| *id == row.order.id && *amount != row.order.created.total);
    wrong.map_or(Ok(()), |(_, amount)| Err(format!("{amount} was asked for")))
}

/// Undone in the reverse order, and nothing done after it turned back.
fn backwards(row: &Row) -> Result<(), String> {
    let mut rest = Step::BACKWARD.iter();
    let (mut turned_back, mut ended) = (false, false);
    for event in &row.events {
        if ended {
            return Err("something was recorded after its end".to_owned());
        }
        match &event.event {
            OrderEvent::StepUndone { step, .. } if !rest.any(|next| next == step) => {
                return Err(format!("{step:?} was undone out of turn"));
            }
            OrderEvent::StepDone { step, .. } if turned_back => {
                return Err(format!("{step:?} was done after it turned back"));
            }
            OrderEvent::StepRefused { .. } | OrderEvent::CancelRequested { .. } => turned_back = true,
            OrderEvent::OrderShipped { .. } | OrderEvent::OrderCancelled { .. } => ended = true,
            _ => {}
        }
    }
    Ok(())
}

/// Nothing is kept for anybody once what was sold has left, and nothing came from nowhere.
async fn stock(modules: &Modules, rows: &[Row]) -> Result<(), String> {
    let sold = rows.iter().filter(|row| row.order.public_state() == OrderState::Shipped);
    let mut shipped = 0;
    for row in sold {
        modules.inventory.ship(row.order.id);
        let of_a = row.order.created.lines.iter().filter(|line| line.sku == sku("A"));
        shipped += of_a.map(|line| line.quantity.get()).sum::<i64>();
    }
    let Answer::Done(levels) = modules.inventory.levels(vec![sku("A")]).await else {
        return Err("the fake answers".to_owned());
    };
    match levels.first() {
        Some(a) if (a.reserved, a.shipped, a.on_hand) != (0, shipped, a.received - shipped) => {
            Err(format!("{shipped} were sold, and the stock says {a:?}"))
        }
        _ => Ok(()),
    }
}
