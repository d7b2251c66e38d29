//! Reserve: all lines of an order or none.

use std::cmp::Ordering;

use banyan_kernel::{Answer, Command, Quantity, Refusal, Sku};
use inventory_api::{InventoryReserved, ReservationState, ReserveStock, StockReserved, refusals};

use crate::{
    desk::Desk,
    reservation::{Lines, Reservation, fold, unfold},
};

/// Only what is new is decided from stock; repeats lock nothing.
pub(crate) fn wanted(desk: &Desk, command: &Command<ReserveStock>) -> Vec<Sku> {
    let is_new = match desk.row(command.id.order) {
        Some(row) => row.attempt < command.id.attempt && !row.state.has_stock(),
        None => true,
    };
    command.body.lines.iter().filter(|_| is_new).map(|line| line.sku.clone()).collect()
}

/// A repeat gets the first answer; a later attempt finds the stock that an earlier one got, or tries anew.
pub(crate) fn decide(desk: &mut Desk, command: &Command<ReserveStock>) -> Answer<StockReserved> {
    if let Some(row) = desk.row_mut(command.id.order) {
        match row.attempt.cmp(&command.id.attempt) {
            Ordering::Greater => {
                return Answer::rejected(Refusal::EXPIRED, "a later attempt has taken its place");
            }
            Ordering::Equal => return first_answer(row),
            Ordering::Less if row.state.has_stock() => {
                row.attempt = command.id.attempt;
                return first_answer(row);
            }
            Ordering::Less => {}
        }
    }
    match fold(&command.body.lines) {
        Some(lines) => attempt(desk, command, lines),
        None => Answer::Broken("a reservation has at least one line and names each SKU once".to_owned()),
    }
}

fn first_answer(row: &Reservation) -> Answer<StockReserved> {
    match row.state {
        ReservationState::Refused => {
            Answer::rejected(row.reason.clone().unwrap_or_default(), row.detail.clone().unwrap_or_default())
        }
        ReservationState::Cancelled => Answer::Rejected(Refusal::cancelled()),
        _ => Answer::Done(StockReserved {
            expires_at: row.expires_at,
            places: row.places.clone().unwrap_or_default(),
        }),
    }
}

fn attempt(desk: &mut Desk, command: &Command<ReserveStock>, lines: Lines) -> Answer<StockReserved> {
    let order = command.id.order;
    let earlier = desk.row(order);
    let lacking = lacking(desk, &lines);
    let row = Reservation {
        attempt: command.id.attempt,
        state: if lacking.is_none() { ReservationState::Held } else { ReservationState::Refused },
        places: desk.places_of(&lines),
        lines,
        expires_at: command.body.expires_at,
        reason: lacking.as_ref().map(|_| refusals::OUT_OF_STOCK.to_owned()),
        detail: lacking,
        version: earlier.map_or(0, |row| row.version),
        orders_seen: earlier.map_or(0, |row| row.orders_seen).max(command.body.orders_sequence),
        traceparent: Some(command.context.trace.to_string()),
    };
    let answer = first_answer(&row);
    if row.state == ReservationState::Held {
        keep(desk, command, row);
    } else {
        desk.put(order, row);
    }
    answer
}

/// Which SKU lacks how many.
fn lacking(desk: &Desk, lines: &Lines) -> Option<String> {
    let lacks = |(sku, quantity): (&Sku, &Quantity)| {
        let more = quantity.get() - desk.stock.get(sku).map_or(0, |stock| stock.on_hand);
        (more > 0).then(|| format!("{sku} lacks {more}"))
    };
    let lacking: Vec<String> = lines.iter().filter_map(lacks).collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

/// Takes it from what the rest of the batch may have, and tells.
fn keep(desk: &mut Desk, command: &Command<ReserveStock>, row: Reservation) {
    let order = command.id.order;
    for (sku, quantity) in &row.lines {
        desk.stock.entry(sku.clone()).or_default().on_hand -= quantity.get();
    }
    let event = InventoryReserved { order, lines: unfold(&row.lines) };
    desk.put(order, row);
    desk.tell(order, InventoryReserved::KIND, &event, (&command.id.to_string(), &command.context));
}
