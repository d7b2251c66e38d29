//! The gateway: Stripe's PaymentIntents and Refunds, spoken in forms. The sandbox and Stripe take the same; where a server of
//! this shape lacks something, that is handled here and nowhere else.

use banyan_kernel::{CommandId, Json, OrderId, Refusal, TraceParent, stable_hash};
use banyan_net::outbound::{Call, CallError, Callee, Caller, Method, Outcome, Record, Reply};

use serde_json::json;
use sqlx::types::Uuid;

use crate::{
    disputes::Dispute,
    payment::{Payment, State},
};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
const INTENTS: &str = "/v1/payment_intents";
/// Where there is no search, so many intents are read at once, and so many times: an answer is bounded.
const LISTED: &str = "25";
const PAGES_MAX: usize = 40;
/// Cancelled there by somebody else, or expired there: nothing is held any more.
const CANCELLED_THERE: &str = "cancelled_at_gateway";
/// Nothing is held, and nothing will be.
const AUTHENTICATION: &str = "authentication_required";

pub(crate) struct Gateway {
    caller: Caller,
}

impl Gateway {
    pub(crate) fn new(config: Callee) -> Self {
        let caller = Caller::new("gateway", config);
        Self { caller: caller.expect("a client without TLS and proxy reads nothing that could fail") }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Does what the payment's intent says, or looks up whether it was done. Done brings the gateway's id.
    pub(crate) async fn ask(&self, payment: &Payment) -> Outcome<String> {
        let Some(id) = payment.command() else { return Outcome::Broken("nothing is under way".to_owned()) };
        let answered = if payment.intent.is_look_up() {
            self.look_up(payment, &id).await.map(|reply| looked_up(payment, &reply))
        } else {
            self.send(payment, &id).await.map(|reply| answered(payment, &reply))
        };
        answered.unwrap_or_else(Outcome::from)
    }

    async fn send(&self, payment: &Payment, id: &CommandId) -> Result<Reply, CallError> {
        let (path, mut fields) = request(payment);
        // What exists already keeps what it was made with; a cancel takes none.
        if matches!(payment.state, State::Authorising | State::Refunding) {
            fields.extend(metadata(id));
        }
        let call = Call::new(Method::POST, &id.step, path, payment.trace)
            .body(FORM, form(&fields))
            .key(payment.intent.key(id))
            .delivery(payment.intent.tries);
        self.caller.call(call).await
    }

    /// An order's intents: by search, or, where the server has no search, among its latest.
    async fn intents_of(&self, payment: &Payment, id: &CommandId) -> Result<Reply, CallError> {
        let query = format!("metadata['order']:'{}'", id.order);
        let query = form(&[("query".to_owned(), query), ("limit".to_owned(), "100".to_owned())]);
        let found = self.page(payment, id, format!("{INTENTS}/search?{query}")).await?;
        if found.status == 404 { self.listed(payment, id).await } else { Ok(found) }
    }

    async fn listed(&self, payment: &Payment, id: &CommandId) -> Result<Reply, CallError> {
        let (mut ours, mut after) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let page = self.page(payment, id, format!("{INTENTS}?limit={LISTED}{after}")).await?;
            let (200, Some(intents)) = (page.status, page.body["data"].as_array()) else { return Ok(page) };
            ours.extend(intents.iter().filter(|intent| order_in(intent) == Some(id.order)).cloned());
            let last = intents.last().and_then(|intent| intent["id"].as_str()).filter(|id| is_id(id));
            match last {
                Some(last) if page.body["has_more"] == true => after = format!("&starting_after={last}"),
                _ => return Ok(Reply { status: 200, body: json!({ "data": ours, "has_more": false }) }),
            }
        }
        // It goes on, and nobody can tell.
        Ok(Reply { status: 200, body: json!({ "data": ours, "has_more": true }) })
    }

    async fn page(&self, payment: &Payment, id: &CommandId, path: String) -> Result<Reply, CallError> {
        self.get(&payment.trace, &format!("look up {}", id.step), path, payment.intent.tries).await
    }

    /// All that was given back of a payment.
    pub(crate) async fn given_back(
        &self,
        trace: &TraceParent,
        reference: &str,
        delivery: i32,
    ) -> Outcome<Vec<GivenBack>> {
        let path = format!("/v1/refunds?{}", all_of(reference));
        listed(self.get(trace, "look up refunds", path, delivery).await, GivenBack::read)
    }

    /// All that is disputed of a payment; nothing, where the server knows no disputes.
    pub(crate) async fn disputed(
        &self,
        trace: &TraceParent,
        reference: &str,
        delivery: i32,
    ) -> Outcome<Vec<Dispute>> {
        let path = format!("/v1/disputes?{}", all_of(reference));
        match self.get(trace, "look up disputes", path, delivery).await {
            Ok(Reply { status: 404, .. }) => Outcome::Done(Vec::new()),
            reply => listed(reply, disputed),
        }
    }

    /// Whose payment the gateway's id stands for; `Absent` where it is none of this shop.
    pub(crate) async fn order_of(&self, reference: &str) -> Outcome<OrderId> {
        let trace = TraceParent::root(Uuid::from_u128(u128::from(stable_hash(reference.as_bytes())) | 1));
        match self.get(&trace, "look up whose", format!("{INTENTS}/{reference}"), 1).await {
            Ok(Reply { status: 200, body }) => order_in(&body).map_or(Outcome::Absent, Outcome::Done),
            Ok(Reply { status: 404, .. }) => Outcome::Absent,
            Ok(reply) => Outcome::Unclear(format!("the look-up was answered {}", reply.status)),
            Err(error) => Outcome::from(error),
        }
    }

    async fn get(
        &self,
        trace: &TraceParent,
        step: &str,
        path: String,
        delivery: i32,
    ) -> Result<Reply, CallError> {
        self.caller.call(Call::new(Method::GET, step, path, *trace).delivery(delivery)).await
    }

    async fn look_up(&self, payment: &Payment, id: &CommandId) -> Result<Reply, CallError> {
        let reference = payment.reference.as_deref().unwrap_or_default();
        let path = match payment.state {
            State::Authorising => return self.intents_of(payment, id).await,
            State::Refunding => {
                format!("/v1/refunds?{}", form(&[("payment_intent".to_owned(), reference.to_owned())]))
            }
            _ => format!("{INTENTS}/{reference}"),
        };
        self.get(&payment.trace, &format!("look up {}", id.step), path, payment.intent.tries).await
    }
}

fn all_of(reference: &str) -> String {
    form(&[("payment_intent".to_owned(), reference.to_owned()), ("limit".to_owned(), "100".to_owned())])
}

/// A whole list, all of it understood.
fn listed<T>(reply: Result<Reply, CallError>, read: impl Fn(&Json) -> Option<T>) -> Outcome<Vec<T>> {
    match reply {
        Ok(Reply { status: 200, body }) => {
            let whole = body["data"].as_array().filter(|_| body["has_more"] != true);
            let all = whole.and_then(|all| all.iter().map(read).collect());
            all.map_or_else(|| Outcome::Unclear("a list that is none, or goes on".to_owned()), Outcome::Done)
        }
        Ok(reply) => Outcome::Broken(format!("the look-up was answered {}", reply.status)),
        Err(error) => Outcome::from(error),
    }
}

fn disputed(dispute: &Json) -> Option<Dispute> {
    let code = |name: &str| dispute[name].as_str().filter(|code| is_id(code)).map(str::to_owned);
    Some(Dispute {
        id: code("id")?,
        amount_minor: dispute["amount"].as_i64().filter(|minor| *minor > 0)?,
        reason: code("reason")?,
        status: code("status")?,
    })
}

/// Money given back, as the gateway lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenBack {
    pub(crate) id: String,
    pub(crate) amount_minor: i64,
    /// By whom it was asked for, if by us.
    pub(crate) step: Option<String>,
    pub(crate) attempt: Option<String>,
    /// It was, and came back.
    pub(crate) failed: bool,
}

impl GivenBack {
    fn read(refund: &Json) -> Option<Self> {
        let of_us = |name: &str| refund["metadata"][name].as_str().map(str::to_owned);
        Some(Self {
            id: refund["id"].as_str().filter(|id| is_id(id))?.to_owned(),
            amount_minor: refund["amount"].as_i64().filter(|minor| *minor > 0)?,
            step: of_us("step"),
            attempt: of_us("attempt"),
            failed: matches!(status(refund), "failed" | "canceled"),
        })
    }
}

/// What an event of the gateway is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Where a payment stands.
    Standing,
    /// What was given back of it, or is disputed.
    Money,
}

/// An event of the gateway, as far as it is looked at: all else in it is hearsay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    /// The event's id.
    pub(crate) event: String,
    pub(crate) about: About,
    /// Whose, where it says so.
    pub(crate) order: Option<OrderId>,
    /// The payment's id at the gateway, where it says so.
    pub(crate) reference: Option<String>,
}

/// Reads an event; none, where it is about nothing that is looked up here.
pub(crate) fn hint(event: &Json) -> Result<Option<Hint>, &'static str> {
    let id = event["id"].as_str().filter(|id| is_id(id)).ok_or("an event has an id of letters and digits")?;
    let kind = event["type"].as_str().ok_or("an event has a type")?;
    let about = match kind.split_once('.') {
        Some(("payment_intent", _)) => About::Standing,
        Some(("charge", kind)) if kind.starts_with("dispute.") => About::Money,
        Some(("refund", _) | ("charge", "refunded" | "refund.updated")) => About::Money,
        _ => return Ok(None),
    };
    let object = &event["data"]["object"];
    let reference = match object["object"].as_str() {
        Some("payment_intent") => object["id"].as_str(),
        _ => object["payment_intent"].as_str(),
    };
    let reference = reference.filter(|id| is_id(id)).map(str::to_owned);
    Ok(Some(Hint { event: id.to_owned(), about, order: order_in(object), reference }))
}

fn order_in(object: &Json) -> Option<OrderId> {
    object["metadata"]["order"].as_str()?.parse().ok()
}

/// Whether a text is an id as the gateway makes them, and as such safe in a path.
fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(crate) fn form(fields: &[(String, String)]) -> String {
    // Pairs of texts always encode.
    serde_urlencoded::to_string(fields).unwrap_or_default()
}

/// What it belongs to, for whoever looks it up.
pub(crate) fn metadata(id: &CommandId) -> [(String, String); 3] {
    let metadata =
        [("order", id.order.to_string()), ("step", id.step.clone()), ("attempt", id.attempt.to_string())];
    metadata.map(|(name, value)| (format!("metadata[{name}]"), value))
}

/// Path and fields of what is under way; the same for each sending, as the key is.
fn request(payment: &Payment) -> (String, Vec<(String, String)>) {
    let reference = payment.reference.as_deref().unwrap_or_default();
    let (path, fields): (String, &[(&str, String)]) = match payment.state {
        State::Capturing => (format!("{INTENTS}/{reference}/capture"), &[]),
        State::Voiding => (format!("{INTENTS}/{reference}/cancel"), &[]),
        State::Refunding => ("/v1/refunds".to_owned(), &[("payment_intent", reference.to_owned())]),
        _ => (
            INTENTS.to_owned(),
            &[
                ("amount", payment.amount.minor.to_string()),
                ("currency", payment.amount.currency.as_str().to_ascii_lowercase()),
                ("payment_method", payment.method.clone()),
                ("payment_method_types[]", "card".to_owned()),
                ("capture_method", "manual".to_owned()),
                ("confirm", "true".to_owned()),
            ],
        ),
    };
    (path, fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

/// What an answer means, by its status. Statuses that say nothing of the request are [`CallError`]s.
fn answered(payment: &Payment, reply: &Reply) -> Outcome<String> {
    let error = &reply.body["error"];
    let code = code_of(error);
    let undoes = matches!(payment.state, State::Voiding | State::Refunding);
    match (reply.status, code) {
        (200..=299, _) if payment.state == State::Refunding => refunded(payment, &reply.body),
        (200..=299, _) => match by_intent(payment, &reply.body) {
            Outcome::Absent => unclear(&reply.body),
            outcome => outcome,
        },
        (400, "payment_intent_unexpected_state") => by_intent(payment, &error["payment_intent"]),
        (400, "charge_already_refunded") if payment.state == State::Refunding => done(payment),
        (400, "idempotency_key_reused") => Outcome::Broken("the key was used for something else".to_owned()),
        (402, _) if !undoes => Outcome::Refused(declined(error)),
        // The request itself is not taken: a method of payment that does not exist, an amount too large.
        (400 | 404 | 422, _) if payment.state == State::Authorising && error.is_object() => {
            Outcome::Refused(declined(error))
        }
        (status, _) => Outcome::Broken(format!("the gateway answered {status} {code}")),
    }
}

/// What a look-up means.
fn looked_up(payment: &Payment, reply: &Reply) -> Outcome<String> {
    match (reply.status, payment.state) {
        (200, State::Authorising) => found(payment, &reply.body),
        (200, State::Refunding) => match reply.body["data"].as_array().map(Vec::as_slice) {
            Some([]) => Outcome::Absent,
            Some([refund]) => refunded(payment, refund),
            Some(_) => Outcome::Broken("more than one refund is found".to_owned()),
            None => unclear(&reply.body),
        },
        (200, _) => by_intent(payment, &reply.body),
        (status, _) => Outcome::Broken(format!("the look-up was answered {status}")),
    }
}

/// Among an order's intents: the one that holds money, of whichever attempt; else what became of this attempt.
fn found(payment: &Payment, body: &Json) -> Outcome<String> {
    let Some(intents) = body["data"].as_array().filter(|_| body["has_more"] != true) else {
        return unclear(body);
    };
    let live: Vec<&Json> =
        intents.iter().filter(|intent| matches!(status(intent), "requires_capture" | "succeeded")).collect();
    let attempt = payment.attempt.to_string();
    let mut of_attempt = intents.iter().filter(|intent| intent["metadata"]["attempt"] == attempt.as_str());
    match live[..] {
        [intent] => by_intent(payment, intent),
        [] => of_attempt.next().map_or(Outcome::Absent, |intent| by_intent(payment, intent)),
        _ => Outcome::Broken("more than one payment is held".to_owned()),
    }
}

/// Where the intent stands says whether what is under way was done.
fn by_intent(payment: &Payment, intent: &Json) -> Outcome<String> {
    let cancelled = || Outcome::Refused(Refusal::new(CANCELLED_THERE, "nothing is held any more"));
    match (payment.state, status(intent)) {
        (State::Authorising, "requires_capture" | "succeeded") => adopted(payment, intent),
        (State::Authorising | State::Capturing, "requires_payment_method") => {
            Outcome::Refused(declined(&intent["last_payment_error"]))
        }
        (State::Authorising, "requires_action" | "requires_confirmation") => {
            Outcome::Refused(Refusal::new(AUTHENTICATION, "the bank wants the customer, who is not there"))
        }
        (State::Authorising | State::Capturing, "canceled") => cancelled(),
        (State::Capturing, "succeeded") | (State::Voiding, "canceled") => done(payment),
        (State::Capturing, "requires_capture") => Outcome::Absent,
        (State::Voiding, "requires_capture" | "requires_payment_method") => Outcome::Absent,
        (State::Voiding, "succeeded") => Outcome::Broken("the money was taken by somebody else".to_owned()),
        (State::Refunding, standing) => Outcome::Broken(format!("the payment to refund is {standing}")),
        _ => unclear(intent),
    }
}

fn adopted(payment: &Payment, intent: &Json) -> Outcome<String> {
    let same = intent["amount"] == payment.amount.minor
        && intent["currency"]
            .as_str()
            .is_some_and(|code| code.eq_ignore_ascii_case(payment.amount.currency.as_str()));
    match intent["id"].as_str() {
        Some(id) if same => Outcome::Done(id.to_owned()),
        Some(id) => Outcome::Broken(format!("{id} is about another amount")),
        None => unclear(intent),
    }
}

fn refunded(payment: &Payment, refund: &Json) -> Outcome<String> {
    match (status(refund), refund["amount"] == payment.amount.minor) {
        ("succeeded" | "pending", true) => done(payment),
        ("succeeded" | "pending", false) => Outcome::Broken("another amount was refunded".to_owned()),
        _ => unclear(refund),
    }
}

fn done(payment: &Payment) -> Outcome<String> {
    Outcome::Done(payment.reference.clone().unwrap_or_default())
}

fn unclear(body: &Json) -> Outcome<String> {
    Outcome::Unclear(format!("status {:?} is not understood", status(body)))
}

pub(crate) fn status(object: &Json) -> &str {
    object["status"].as_str().unwrap_or_default()
}

/// Stripe tells a reused key by the error's type alone.
pub(crate) fn code_of(error: &Json) -> &str {
    let is_reused = error["type"] == "idempotency_error";
    error["code"].as_str().unwrap_or(if is_reused { "idempotency_key_reused" } else { "" })
}

pub(crate) fn declined(error: &Json) -> Refusal {
    let code = error["decline_code"].as_str().or(error["code"].as_str()).unwrap_or("card_declined");
    Refusal::new(code.to_owned(), error["message"].as_str().unwrap_or("the card was declined"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use banyan_kernel::{Actor, Command, Context, Currency, Money, OrderId, TraceParent};

    fn payment(state: State) -> Payment {
        let order = OrderId::derive("a", "k");
        let context = Context { actor: Actor::system("test"), trace: TraceParent::root(order.0) };
        let command = Command { id: CommandId::new(order, "authorise", 1), context, body: () };
        let currency: Currency = "USD".parse().unwrap();
        let amount = Money { minor: 500, currency };
        Payment { state, amount, reference: Some("pi_1".into()), ..Payment::tombstone(&command) }
    }

    fn intent(status: &str) -> Json {
        json!({ "id": "pi_1", "status": status, "amount": 500, "currency": "usd", "metadata": { "attempt": "1" },
            "last_payment_error": { "code": "card_declined", "decline_code": "lost_card", "message": "No." } })
    }

    /// What an outcome is, in a word.
    fn word(outcome: Outcome<String>) -> String {
        match outcome {
            Outcome::Done(_) => "done".into(),
            Outcome::Refused(refusal) => format!("refused {}", refusal.code),
            Outcome::Absent => "absent".into(),
            Outcome::Unclear(_) => "unclear".into(),
            Outcome::Broken(_) => "broken".into(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_status_means_one_thing() {
        let (a, c, v, r) = (State::Authorising, State::Capturing, State::Voiding, State::Refunding);
        let card = json!({ "error": { "code": "card_declined", "decline_code": "insufficient_funds", "message": "No." } });
        let expired = json!({ "error": { "code": "expired_card", "message": "No." } });
        let error = |code: &str| json!({ "error": { "code": code, "message": "No." } });
        let standing = |status: &str| json!({ "error": { "code": "payment_intent_unexpected_state", "payment_intent": intent(status) } });
        let refund = json!({ "id": "re_1", "status": "succeeded", "amount": 500 });
        let other = json!({ "id": "pi_2", "status": "requires_capture", "amount": 501, "currency": "usd" });
        for (state, status, body, expected) in [
            (a, 200, intent("requires_capture"), "done"),
            (a, 200, intent("requires_action"), "refused authentication_required"),
            (a, 200, intent("processing"), "unclear"),
            (a, 404, json!({ "code": "no_such_path" }), "broken"),
            (a, 404, error("resource_missing"), "refused resource_missing"),
            (a, 400, json!({ "error": { "type": "idempotency_error", "message": "No." } }), "broken"),
            (a, 200, other, "broken"),
            (a, 402, card.clone(), "refused insufficient_funds"),
            (a, 402, expired, "refused expired_card"),
            (a, 400, error("parameter_invalid"), "refused parameter_invalid"),
            (a, 400, error("idempotency_key_reused"), "broken"),
            (c, 200, intent("succeeded"), "done"),
            (c, 200, intent("requires_capture"), "unclear"),
            (c, 402, card.clone(), "refused insufficient_funds"),
            (c, 400, standing("succeeded"), "done"),
            (c, 400, standing("canceled"), "refused cancelled_at_gateway"),
            (c, 400, error("parameter_invalid"), "broken"),
            (c, 404, error("resource_missing"), "broken"),
            (v, 200, intent("canceled"), "done"),
            (v, 400, standing("canceled"), "done"),
            (v, 400, standing("succeeded"), "broken"),
            (v, 402, card, "broken"),
            (r, 200, refund, "done"),
            (r, 400, error("charge_already_refunded"), "done"),
            (r, 400, standing("requires_capture"), "broken"),
            (r, 404, error("resource_missing"), "broken"),
        ] {
            let reply = Reply { status, body };
            assert_eq!(word(answered(&payment(state), &reply)), expected, "{state:?} {reply:?}");
        }
    }

    #[test]
    fn a_look_up_tells_done_absent_or_that_it_cannot_tell() {
        let list = |intents: Vec<Json>| json!({ "data": intents, "has_more": false });
        let other = |status: &str| {
            let mut other = intent(status);
            other["metadata"]["attempt"] = json!("0");
            other
        };
        let (a, c, v, r) = (State::Authorising, State::Capturing, State::Voiding, State::Refunding);
        let refund = json!({ "status": "succeeded", "amount": 500 });
        for (state, body, expected) in [
            (a, list(vec![]), "absent"),
            (a, list(vec![intent("requires_capture")]), "done"),
            (a, list(vec![other("requires_capture")]), "done"),
            (a, list(vec![other("requires_payment_method"), other("canceled")]), "absent"),
            (a, list(vec![intent("requires_payment_method")]), "refused lost_card"),
            (a, list(vec![intent("requires_capture"), other("requires_capture")]), "broken"),
            (a, json!({ "data": [], "has_more": true }), "unclear"),
            (a, json!("<html>"), "unclear"),
            (c, intent("requires_capture"), "absent"),
            (c, intent("succeeded"), "done"),
            (v, intent("requires_capture"), "absent"),
            (v, intent("canceled"), "done"),
            (r, list(vec![]), "absent"),
            (r, list(vec![refund.clone()]), "done"),
            (r, list(vec![refund.clone(), refund]), "broken"),
        ] {
            let reply = Reply { status: 200, body };
            assert_eq!(word(looked_up(&payment(state), &reply)), expected, "{state:?} {reply:?}");
        }
    }
}
