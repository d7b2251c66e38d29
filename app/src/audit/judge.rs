//! Judges one order by everything that is known of it.

use std::fmt::Display;

use banyan_kernel::{Line, OrderId, Timestamp};
use inventory_api::{ReservationFact, ReservationState};
use notifications_api::{Kind, MailFact};
use orders_api::{OrderFact, OrderFold, OrderState};
use payments_api::PaymentFact;
use shipping_api::ShipmentFact;

use super::{Audit, DEADLINE, DELIVERY, book::Done};

/// What the modules say of one order.
pub(super) struct Facts {
    pub(super) id: OrderId,
    pub(super) order: Option<OrderFact>,
    pub(super) reservation: Option<ReservationFact>,
    pub(super) payment: Option<PaymentFact>,
    pub(super) shipment: Option<ShipmentFact>,
    pub(super) mails: Option<MailFact>,
}

impl Facts {
    pub(super) fn of(id: OrderId) -> Self {
        Self { id, order: None, reservation: None, payment: None, shipment: None, mails: None }
    }
}

pub(super) fn judge_order(audit: &mut Audit, facts: &Facts, done: Option<&Done>, now: Timestamp) {
    let id = facts.id;
    let Some(fact) = &facts.order else { return };
    if let Some(why) = &fact.chain {
        audit.violated("chain", format!("{id}: {why}"));
    }
    if let Some(why) = &fact.row {
        audit.violated("chain", format!("{id}: {why}"));
    }
    if fact.out_of_order {
        audit.violated(
            "order",
            format!("{id}: its events were committed in another order than their versions"),
        );
    }
    if fact.answers_otherwise {
        audit.violated("replay", format!("{id}: asked again it would answer otherwise than the first time"));
    }
    if let Some(how) = &fact.list {
        audit.violated("read-model", format!("{id}: {how}"));
    }
    let Some(order) = &fact.order else { return };
    if fact.sale_heard && !fact.is_sold {
        audit.violated("read-model", format!("{id} was shipped, and the sales have heard it and lack it"));
    }
    match order.ended {
        Some(ended) if ended + DELIVERY <= now || delivered(facts, order) => {
            audit.settled += 1;
            settled(audit, facts, order, done);
        }
        Some(_) => audit.open += 1,
        None => open(audit, facts, order, done, now),
    }
}

/// Whether those who listen to orders have heard its end.
fn delivered(facts: &Facts, order: &OrderFold) -> bool {
    let heard = |seen: i64| seen >= order.told;
    let shown = |fact: &OrderFact| {
        fact.listed >= order.version && (fact.is_sold || order.state != OrderState::Shipped)
    };
    facts.reservation.as_ref().is_none_or(|fact| heard(fact.orders_seen))
        && facts.shipment.as_ref().is_none_or(|fact| heard(fact.orders_seen))
        && facts.mails.as_ref().is_some_and(|fact| heard(fact.orders_seen))
        && facts.order.as_ref().is_some_and(shown)
}

fn open(audit: &mut Audit, facts: &Facts, order: &OrderFold, done: Option<&Done>, now: Timestamp) {
    audit.open += 1;
    let id = facts.id;
    if order.state == OrderState::Stuck {
        audit.stuck += 1;
    } else if order.since + DEADLINE < now && !is_asked_again(facts, now) {
        audit.violated(
            "ended",
            format!("{id}: neither ended nor stuck, and nobody looks after it since {}", order.since),
        );
    }
    if let Some(done) = done
        && (done.captures > 1 || done.authorised > done.voided + 1 || done.booked > done.cancelled + 1)
    {
        audit.violated(
            "once",
            format!("{id}: while under way the outside did more than one order asks for: {done}"),
        );
    }
}

/// Its step is asked again by itself, or was due to be a moment ago: `order stuck` lists it, and a callee that is away makes no
/// order untrue.
fn is_asked_again(facts: &Facts, now: Timestamp) -> bool {
    facts.order.as_ref().and_then(|fact| fact.due_at).is_some_and(|due| due + DEADLINE > now)
}

fn settled(audit: &mut Audit, facts: &Facts, order: &OrderFold, done: Option<&Done>) {
    let end = if order.state == OrderState::Shipped { Kind::Shipped } else { Kind::Cancelled };
    told_once(audit, facts, end);
    shown(audit, facts, order);
    currency(audit, facts, order, done);
    if end == Kind::Shipped {
        shipped(audit, facts, order, done);
    } else {
        cancelled(audit, facts, done);
    }
}

/// Those who look at read models see how it ended.
fn shown(audit: &mut Audit, facts: &Facts, order: &OrderFold) {
    let Some(fact) = &facts.order else { return };
    let id = facts.id;
    if fact.listed < order.version && fact.list.is_none() {
        let what = format!("{id}: the list shows {} of its {} events", fact.listed, order.version);
        audit.violated("read-model", what);
    }
    if order.state == OrderState::Shipped && !fact.is_sold && !fact.sale_heard {
        audit.violated("read-model", format!("{id} was shipped, and is not in the sales"));
    }
}

/// The customer was told of the beginning and of the end, once of each, and of no other end.
fn told_once(audit: &mut Audit, facts: &Facts, end: Kind) {
    let told = facts.mails.as_ref().map(|fact| fact.kinds.as_slice()).unwrap_or_default();
    let count = |kind: Kind| told.iter().filter(|told| **told == kind).count();
    let other = if end == Kind::Shipped { Kind::Cancelled } else { Kind::Shipped };
    if (count(Kind::Confirmed), count(end), count(other)) != (1, 1, 0) {
        audit.violated(
            "once",
            format!("{} is {}, and its customer was told of: {}", facts.id, end.as_str(), kinds(told)),
        );
    }
}

fn shipped(audit: &mut Audit, facts: &Facts, order: &OrderFold, done: Option<&Done>) {
    let given_back = facts.payment.as_ref().map_or(0, |payment| payment.given_back_minor);
    let (id, owed) = (facts.id, order.total.minor - given_back);
    match &facts.reservation {
        Some(r) if r.state == ReservationState::Shipped && same_lines(&r.lines, order) => {}
        other => {
            let is = words(other.as_ref());
            audit.violated("stock", format!("{id} was shipped, and its reservation is {is}"));
        }
    }
    match &facts.payment {
        Some(p) if p.captured_minor - p.refunded_minor == owed && p.held_minor == 0 => {}
        other => {
            let is = words(other.as_ref());
            audit.violated("money", format!("{id} was shipped and owes {owed}, and its payment is {is}"));
        }
    }
    if facts.shipment.as_ref().is_none_or(|s| s.state != "dispatched") {
        let is = words(facts.shipment.as_ref());
        audit.violated("once", format!("{id} was shipped, and its shipment is {is}"));
    }
    parcels(audit, facts, order, done);
    let Some(done) = done else { return };
    if done.captured_minor - done.refunded_minor != owed {
        audit.violated(
            "money",
            format!("{id} was shipped and owes {owed}, and the gateway's book says {done}"),
        );
    }
    let once = done.captures == 1 && done.authorised == done.voided + 1 && done.booked == done.cancelled + 1;
    if !once {
        audit.violated("once", format!("{id} was shipped, and the outside's book says {done}"));
    }
}

/// The payment is of what the order costs, and all that was paid for it was paid in its currency.
fn currency(audit: &mut Audit, facts: &Facts, order: &OrderFold, done: Option<&Done>) {
    let (id, total) = (facts.id, order.total);
    let owed = total.currency.to_string();
    // A tombstone is of nothing, in no currency that anybody chose.
    let payment = facts.payment.as_ref().filter(|payment| payment.amount.minor != 0);
    if let Some(payment) = payment.filter(|payment| payment.amount != total) {
        audit.violated("money", format!("{id} costs {total}, and its payment is one of {}", payment.amount));
    }
    let by_payment = facts.payment.iter().flat_map(|payment| payment.currencies.iter().cloned());
    let by_book = done.into_iter().flat_map(|done| done.currencies.iter().cloned());
    if let Some(other) = by_payment.chain(by_book).find(|currency| *currency != owed) {
        audit.violated("money", format!("{id} costs {owed}, and of its money some is {other}"));
    }
}

/// The parcels that the shop tells its customer of are the ones that the carrier has, one for each place where their goods stood.
fn parcels(audit: &mut Audit, facts: &Facts, order: &OrderFold, done: Option<&Done>) {
    let Some(shipment) = &facts.shipment else { return };
    let (id, told) = (facts.id, order.tracking.join(", "));
    let Some(shipped) = shipment.carrier_id.as_ref().filter(|_| !shipment.tracking.is_empty()) else {
        audit.violated("once", format!("{id} was shipped, and its parcel has no number"));
        return;
    };
    let packed = shipment.tracking.join(", ");
    if told != packed {
        audit.violated("once", format!("{id} was shipped as {packed}, and its customer was told of {told}"));
    }
    let places = facts.reservation.as_ref().map(|kept| kept.places.parcels(kept.lines.clone()).len());
    if let Some(places) = places.filter(|places| shipment.tracking.len() != *places) {
        let parcels = shipment.tracking.len();
        let what = format!("{id} was shipped in {parcels} parcels, and its goods stood at {places} places");
        audit.violated("once", what);
    }
    let Some(done) = done else { return };
    if done.parcels.get(shipped) != Some(&shipment.tracking) {
        let had = done.parcels.iter().map(|(id, numbers)| format!("{id}, {}", numbers.join(", ")));
        let had = had.collect::<Vec<_>>().join("; ");
        let had = if had.is_empty() { "none".to_owned() } else { had };
        let what = format!("{id} was shipped as {shipped}, {packed}, and the carrier's book has {had}");
        audit.violated("once", what);
    }
}

fn cancelled(audit: &mut Audit, facts: &Facts, done: Option<&Done>) {
    let id = facts.id;
    let kept = |r: &ReservationFact| {
        matches!(r.state, ReservationState::Held | ReservationState::Committed | ReservationState::Shipped)
    };
    if facts.reservation.as_ref().is_some_and(kept) {
        let is = words(facts.reservation.as_ref());
        audit.violated("stock", format!("{id} was cancelled, and its reservation is {is}"));
    }
    let owes = |p: &PaymentFact| p.captured_minor != p.refunded_minor || p.held_minor != 0;
    if facts.payment.as_ref().is_some_and(owes) {
        let is = words(facts.payment.as_ref());
        audit.violated("money", format!("{id} was cancelled, and its payment is {is}"));
    }
    if facts.shipment.as_ref().is_some_and(|s| s.state == "booked" || s.state == "dispatched") {
        let is = words(facts.shipment.as_ref());
        audit.violated("once", format!("{id} was cancelled, and its shipment is {is}"));
    }
    let Some(done) = done else { return };
    if done.captured_minor != done.refunded_minor {
        audit.violated("money", format!("{id} was cancelled, and the gateway's book says {done}"));
    }
    let held = done.authorised > done.voided + done.captures;
    if done.captures > 1 || held || done.booked != done.cancelled {
        audit.violated("once", format!("{id} was cancelled, and the outside's book says {done}"));
    }
}

fn same_lines(lines: &[Line], order: &OrderFold) -> bool {
    let ordered = order.lines.iter().map(|line| (&line.sku, line.quantity));
    let mut ordered: Vec<_> = ordered.collect();
    let mut kept: Vec<_> = lines.iter().map(|line| (&line.sku, line.quantity)).collect();
    ordered.sort_unstable_by_key(|(sku, _)| *sku);
    kept.sort_unstable_by_key(|(sku, _)| *sku);
    ordered == kept
}

fn words(fact: Option<&impl Display>) -> String {
    fact.map_or("missing".to_owned(), ToString::to_string)
}

fn kinds(told: &[Kind]) -> String {
    if told.is_empty() {
        return "nothing".to_owned();
    }
    told.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}
