//! The carrier: shipments, spoken in JSON.

use std::collections::BTreeSet;

use banyan_kernel::{CommandId, Json, Money, OrderId, Place, Refusal, Timestamp, TraceParent, stable_hash};
use banyan_net::outbound::{Call, CallError, Callee, Caller, Method, Outcome, Record, Reply};
use serde_json::json;
use shipping_api::{QuoteParcel, ServiceQuote, refusals};
use sqlx::types::Uuid;

use crate::{
    parcel::{Arrival, Parcel},
    quote,
    shipment::{Shipment, State},
};

const SHIPMENTS: &str = "/carrier/v1/shipments";
const QUOTES: &str = "/carrier/v1/quotes";
const EVENTS: &str = "/carrier/v1/events";

pub(crate) struct Carrier {
    caller: Caller,
    /// Of its own: however many look at their baskets, a parcel gets booked.
    quotes: Caller,
}

/// What the carrier says of a shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booked {
    /// Its id.
    pub(crate) id: String,
    /// The number on each of its parcels, in the order in which they were asked for.
    pub(crate) tracking: Vec<String>,
    /// By when they are there.
    pub(crate) promised_by: Option<Timestamp>,
}

/// A parcel's way ended.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) position: i64,
    pub(crate) order: OrderId,
    /// The carrier's id of the shipment.
    pub(crate) shipment: String,
    /// The number on the parcel.
    pub(crate) tracking: String,
    pub(crate) arrival: Arrival,
    pub(crate) at: Timestamp,
}

/// A page of the carrier's events.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// In their order; those of other shops left out.
    pub(crate) arrived: Vec<Arrived>,
    pub(crate) next: i64,
    pub(crate) more: bool,
}

impl Carrier {
    pub(crate) fn new(config: Callee) -> Self {
        let client = "a client without TLS and proxy reads nothing that could fail";
        let quotes = Callee { time_out: config.time_out.min(quote::TIME_OUT), ..config.clone() };
        let quotes = Caller::new("carrier quotes", quotes).expect(client);
        Self { caller: Caller::new("carrier", config).expect(client), quotes }
    }

    /// What each service would cost.
    pub(crate) async fn quote(&self, wish: &QuoteParcel) -> Outcome<Vec<ServiceQuote>> {
        let path = format!("{QUOTES}?items={}&currency={}", wish.items, wish.currency.as_str());
        match get(&self.quotes, &wish.trace, "quote", path, 1).await {
            Ok(Reply { status: 200, body }) => {
                let all = body["data"].as_array();
                let all = all.and_then(|all| all.iter().map(|one| quoted(wish, one)).collect());
                all.map_or_else(|| Outcome::Unclear("quotes that are none".to_owned()), Outcome::Done)
            }
            Ok(reply) => Outcome::Broken(format!("the carrier answered {}", reply.status)),
            Err(error) => Outcome::from(error),
        }
    }

    /// What became of parcels, behind a position.
    pub(crate) async fn events(&self, after: i64) -> Outcome<Page> {
        // The position stands for what it belongs to.
        let trace = TraceParent::root(Uuid::from_u128(u128::from(stable_hash(&after.to_be_bytes())) | 1));
        match get(&self.caller, &trace.unsampled(), "track", format!("{EVENTS}?after={after}"), 1).await {
            Ok(Reply { status: 200, body }) => page(after, &body)
                .map_or_else(|| Outcome::Unclear("events that are none".to_owned()), Outcome::Done),
            Ok(reply) => {
                Outcome::Broken(format!("the carrier answered {} {}", reply.status, reply.body["code"]))
            }
            Err(error) => Outcome::from(error),
        }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Does what the shipment's intent says, or looks up whether it was done.
    pub(crate) async fn ask(&self, shipment: &Shipment) -> Outcome<Booked> {
        let Some(id) = shipment.command() else { return Outcome::Broken("nothing is under way".to_owned()) };
        let answered = if shipment.intent.is_look_up() {
            self.look_up(shipment, &id).await.map(|reply| looked_up(shipment, &reply))
        } else {
            self.send(shipment, &id).await.map(|reply| answered(shipment, &reply))
        };
        answered.unwrap_or_else(Outcome::from)
    }

    async fn send(&self, shipment: &Shipment, id: &CommandId) -> Result<Reply, CallError> {
        let metadata = json!({ "order": id.order, "step": id.step, "attempt": id.attempt });
        let (path, body) = match shipment.state {
            State::Cancelling => {
                (format!("{SHIPMENTS}/{}/cancel", carrier_id(shipment)), json!({ "metadata": metadata }))
            }
            _ => {
                let parcels: Vec<Json> = shipment.parcels.iter().map(parcel).collect();
                let body = json!({ "reference": id.order, "customer": shipment.customer, "parcels": parcels,
                    "metadata": metadata });
                (SHIPMENTS.to_owned(), body)
            }
        };
        let call = Call::new(Method::POST, &id.step, path, shipment.trace)
            .body("application/json", body.to_string())
            .key(shipment.intent.key(id))
            .delivery(shipment.intent.tries);
        self.caller.call(call).await
    }

    async fn look_up(&self, shipment: &Shipment, id: &CommandId) -> Result<Reply, CallError> {
        let path = match shipment.state {
            State::Cancelling => format!("{SHIPMENTS}/{}", carrier_id(shipment)),
            _ => format!("{SHIPMENTS}?reference={}", id.order),
        };
        get(&self.caller, &shipment.trace, &format!("look up {}", id.step), path, shipment.intent.tries).await
    }
}

async fn get(
    caller: &Caller,
    trace: &TraceParent,
    step: &str,
    path: String,
    delivery: i32,
) -> Result<Reply, CallError> {
    caller.call(Call::new(Method::GET, step, path, *trace).delivery(delivery)).await
}

/// A parcel as it is asked for. The carrier fetches at the address that it knows, unless another place is named.
fn parcel(parcel: &Parcel) -> Json {
    let mut asked = json!({ "items": parcel.items });
    if parcel.place.as_str() != Place::MAIN {
        asked["place"] = parcel.place.as_str().into();
    }
    asked
}

fn quoted(wish: &QuoteParcel, body: &Json) -> Option<ServiceQuote> {
    let minor = body["amount"].as_i64().filter(|minor| *minor >= 0)?;
    let same = body["currency"] == wish.currency.as_str();
    Some(ServiceQuote {
        service: body["service"].as_str()?.to_owned(),
        price: Some(Money { minor, currency: wish.currency }).filter(|_| same)?,
        promised_by: seconds(&body["promised"])?,
    })
}

fn page(after: i64, body: &Json) -> Option<Page> {
    let arrived = body["data"].as_array()?.iter().map(arrived).collect::<Option<Vec<_>>>()?;
    let next = body["next"].as_i64().filter(|next| *next >= after)?;
    Some(Page { arrived: arrived.into_iter().flatten().collect(), next, more: body["has_more"] == true })
}

/// One event; within it none, where it is about no order of a shop like this.
fn arrived(event: &Json) -> Option<Option<Arrived>> {
    let (position, reference) = (event["position"].as_i64()?, event["reference"].as_str()?);
    let (shipment, tracking) =
        (event["shipment"].as_str()?.to_owned(), event["tracking"].as_str()?.to_owned());
    let (arrival, at) = (Arrival::parse(event["status"].as_str()?)?, seconds(&event["at"])?);
    let order = reference.parse().ok();
    Some(order.map(|order| Arrived { position, order, shipment, tracking, arrival, at }))
}

fn seconds(body: &Json) -> Option<Timestamp> {
    Timestamp::from_unix_timestamp(body.as_i64()?).ok()
}

fn carrier_id(shipment: &Shipment) -> &str {
    shipment.booking.as_ref().map(|booking| booking.id.as_str()).unwrap_or_default()
}

/// What an answer means, by its status. Statuses that say nothing of the request are [`CallError`]s.
fn answered(shipment: &Shipment, reply: &Reply) -> Outcome<Booked> {
    let code = reply.body["code"].as_str().unwrap_or_default();
    match (reply.status, code) {
        (200..=299, _) => match by_shipment(shipment, &reply.body) {
            Outcome::Absent => unclear(&reply.body),
            outcome => outcome,
        },
        (400, "idempotency_key_reused") => Outcome::Broken("the key was used for something else".to_owned()),
        (422, _) if shipment.state == State::Booking => {
            let detail = reply.body["message"].as_str().unwrap_or("the carrier does not take it");
            Outcome::Refused(Refusal::new(refusals::UNDELIVERABLE, detail))
        }
        (status, _) => Outcome::Broken(format!("the carrier answered {status} {code}")),
    }
}

/// What a look-up means.
fn looked_up(shipment: &Shipment, reply: &Reply) -> Outcome<Booked> {
    match (reply.status, shipment.state) {
        (200, State::Booking) => {
            let Some(shipments) = reply.body["data"].as_array() else { return unclear(&reply.body) };
            let live: Vec<&Json> = shipments.iter().filter(|one| one["status"] != "cancelled").collect();
            match live[..] {
                [] => Outcome::Absent,
                [one] => by_shipment(shipment, one),
                _ => Outcome::Broken("more than one shipment is booked".to_owned()),
            }
        }
        (200, _) => by_shipment(shipment, &reply.body),
        (status, _) => Outcome::Broken(format!("the look-up was answered {status}")),
    }
}

/// Where it stands with the carrier says whether what is under way was done.
fn by_shipment(shipment: &Shipment, body: &Json) -> Outcome<Booked> {
    let Some(booked) = booked(body) else { return unclear(body) };
    match (shipment.state, body["status"].as_str().unwrap_or_default()) {
        (State::Booking, "booked" | "delivered" | "returned") => match differs(shipment, &booked) {
            Some(why) => Outcome::Broken(why),
            None => Outcome::Done(booked),
        },
        (State::Cancelling, "cancelled") => Outcome::Done(booked),
        (State::Cancelling, "booked" | "delivered" | "returned") => Outcome::Absent,
        _ => unclear(body),
    }
}

fn booked(body: &Json) -> Option<Booked> {
    let number = |parcel: &Json| Some(parcel["tracking"].as_str()?.to_owned());
    let tracking = body["parcels"].as_array()?.iter().map(number).collect::<Option<_>>()?;
    Some(Booked { id: body["id"].as_str()?.to_owned(), tracking, promised_by: seconds(&body["promised"]) })
}

/// Whether it is another number of parcels than was asked for.
fn differs(shipment: &Shipment, booked: &Booked) -> Option<String> {
    let (wanted, numbers) = (shipment.parcels.len(), booked.tracking.iter().collect::<BTreeSet<_>>().len());
    let same = numbers == wanted && booked.tracking.len() == wanted;
    (!same).then(|| format!("{wanted} parcels were asked for, and {numbers} are booked"))
}

fn unclear(body: &Json) -> Outcome<Booked> {
    Outcome::Unclear(format!("status {} is not understood", body["status"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use banyan_kernel::{Actor, Command, Context, OrderId, TraceParent};

    fn shipment(state: State) -> Shipment {
        let order = OrderId::derive("a", "k");
        let context = Context { actor: Actor::system("test"), trace: TraceParent::root(order.0) };
        let command = Command { id: CommandId::new(order, "book", 1), context, body: () };
        let parcels =
            vec![Parcel { place: Place::default(), items: 1, tracking: None, arrival: None, at: None }];
        Shipment { state, parcels, ..Shipment::tombstone(&command) }
    }

    /// As the carrier shows a shipment.
    fn shown(tracking: &[&str], status: &str) -> Json {
        let parcels: Vec<Json> = tracking.iter().map(|tracking| json!({ "tracking": tracking })).collect();
        json!({ "id": "shp_1", "parcels": parcels, "status": status })
    }

    /// What an outcome is, in a word.
    fn word(outcome: Outcome<Booked>) -> &'static str {
        match outcome {
            Outcome::Done(_) => "done",
            Outcome::Refused(_) => "refused",
            Outcome::Absent => "absent",
            Outcome::Unclear(_) => "unclear",
            Outcome::Broken(_) => "broken",
            _ => "other",
        }
    }

    #[test]
    fn each_status_means_one_thing() {
        let one = |status: &str| shown(&["T"], status);
        let problem = |code: &str| json!({ "code": code, "message": "No." });
        let (b, c) = (State::Booking, State::Cancelling);
        for (state, status, body, expected) in [
            (b, 201, one("booked"), "done"),
            (b, 200, one("lost"), "unclear"),
            (b, 200, json!([]), "unclear"),
            (b, 201, shown(&["T", "U"], "booked"), "broken"),
            (b, 201, shown(&[], "booked"), "broken"),
            (b, 422, problem("undeliverable"), "refused"),
            (b, 400, problem("idempotency_key_reused"), "broken"),
            (b, 400, problem("body_invalid"), "broken"),
            (c, 200, one("cancelled"), "done"),
            (c, 200, one("booked"), "unclear"),
            (c, 404, problem("no_such_shipment"), "broken"),
            (c, 422, problem("undeliverable"), "broken"),
        ] {
            let reply = Reply { status, body };
            assert_eq!(word(answered(&shipment(state), &reply)), expected, "{state:?} {reply:?}");
        }
    }

    #[test]
    fn a_look_up_tells_done_absent_or_that_it_cannot_tell() {
        let one = |status: &str| shown(&["T"], status);
        let (b, c) = (State::Booking, State::Cancelling);
        for (state, body, expected) in [
            (b, json!({ "data": [] }), "absent"),
            (b, json!({ "data": [one("cancelled")] }), "absent"),
            (b, json!({ "data": [one("cancelled"), one("booked")] }), "done"),
            (b, json!({ "data": [one("booked"), one("booked")] }), "broken"),
            (b, json!("<html>"), "unclear"),
            (c, one("booked"), "absent"),
            (c, one("cancelled"), "done"),
        ] {
            let reply = Reply { status: 200, body };
            assert_eq!(word(looked_up(&shipment(state), &reply)), expected, "{state:?} {reply:?}");
        }
    }
}
