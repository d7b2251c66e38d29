//! Payments: asked by orders and by the shop. What orders expect is asked of the core, and all of it of the contract's own fake, which
//! keeps to the suite that the core keeps to.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Json, ManualClock, Money, OrderId};
use banyan_postgres::testing::database;
use banyan_store::{Store, prepare, role_of};
use payments_api::{
    DisputeView, GatewayEvents, Heard, LedgerViolation, NAME, PaymentAuthorisedReply, PaymentCapturedReply,
    PaymentFact, PaymentFacts, PaymentUndone, Payments, RefundState, RefundView, Refunds, refusals,
    testing::{FakePayments, authorise, capture, give_back, order, refund, void},
};
use payments_core::schema;
use payments_http::{HttpPayments, Served, port};
use serde_json::json;

use crate::{
    inventory::before,
    outside::Outside,
    talk::Talk,
    verify::{Provider, States},
};

const CARD: &str = "pm_card_visa";
const NOTHING: &str = "nothing is known of the order";
const HELD: &str = "money is held for an order";
const TAKEN: &str = "an order's money was taken";
const GIVEN_BACK: &str = "some of an order's money was given back";

fn amount(minor: i64) -> Money {
    Money { minor, currency: "USD".parse().expect("a currency") }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_orders_expect_of_payments() {
    let talk = Talk::new("orders", NAME);
    they_hold(&talk).await;
    they_take_and_undo(&talk).await;
    talk.agreed();
}

async fn they_hold(talk: &Talk) {
    let batch = vec![authorise(order("wanted"), 1, CARD)];
    let reply = PaymentAuthorisedReply { reference: "pi_1".to_owned(), asked_again: false };
    let held = vec![Answer::Done(reply)];
    talk.ask("authorise", NOTHING, &batch.clone(), held, async |to| HttpPayments(to).authorise(batch).await)
        .await;
    let batch = vec![authorise(order("declined"), 1, "pm_card_chargeDeclined")];
    let refused = vec![Answer::rejected("generic_decline", "Your card was declined.")];
    let given = "the card will be declined";
    talk.ask("authorise", given, &batch.clone(), refused, async |to| HttpPayments(to).authorise(batch).await)
        .await;
}

async fn they_take_and_undo(talk: &Talk) {
    let batch = vec![capture(order("held"), 1)];
    let taken = vec![Answer::Done(PaymentCapturedReply { asked_again: false })];
    talk.ask("capture", HELD, &batch.clone(), taken, async |to| HttpPayments(to).capture(batch).await).await;
    let batch = vec![capture(order("nobody's"), 1)];
    let refused = vec![Answer::rejected(refusals::NOT_AUTHORISED, "nothing is held for this order")];
    talk.ask("capture", NOTHING, &batch.clone(), refused, async |to| HttpPayments(to).capture(batch).await)
        .await;
    let batch = vec![void(order("let go"), 1)];
    let undone = || vec![Answer::Done(PaymentUndone {})];
    talk.ask("void", HELD, &batch.clone(), undone(), async |to| HttpPayments(to).void(batch).await).await;
    let batch = vec![refund(order("taken"), 1)];
    talk.ask("refund", TAKEN, &batch.clone(), undone(), async |to| HttpPayments(to).refund(batch).await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_expects_of_payments() {
    let talk = Talk::new("shop", NAME);
    staff_give_back(&talk).await;
    the_gateway_tells(&talk).await;
    the_audit_asks(&talk).await;
    talk.agreed();
}

fn given_back() -> RefundView {
    let (reason, actor) = ("broken".to_owned(), "staff:bob".to_owned());
    RefundView {
        n: 1,
        amount: amount(300),
        lines: Vec::new(),
        reason,
        state: RefundState::Done,
        actor,
        at: None,
    }
}

fn dispute() -> DisputeView {
    let (id, reason) = ("dp_1".to_owned(), "fraudulent".to_owned());
    let (status, seen_at) = ("needs_response".to_owned(), banyan_kernel::Timestamp::UNIX_EPOCH);
    DisputeView { id, amount: amount(1_299), reason, status, seen_at, at: seen_at }
}

async fn staff_give_back(talk: &Talk) {
    let batch = vec![give_back(order("broken"), "staff/bob/1", Some(300))];
    let done = vec![Answer::Done(given_back())];
    talk.ask("give-back", TAKEN, &batch.clone(), done, async |to| HttpPayments(to).give_back(batch).await)
        .await;
    let batch = vec![give_back(order("nobody's"), "staff/bob/2", None)];
    let refused = vec![Answer::rejected(refusals::NOT_CAPTURED, "nothing was taken")];
    talk.ask("give-back", NOTHING, &batch.clone(), refused, async |to| {
        HttpPayments(to).give_back(batch).await
    })
    .await;
    let (of, disputed) = (order("given back"), order("mine"));
    let done = Answer::Done(vec![given_back()]);
    talk.ask("refunds", GIVEN_BACK, &json!({ "order": of }), done, async |to| {
        HttpPayments(to).refunds(of).await
    })
    .await;
    let done = Answer::Done(vec![dispute()]);
    talk.ask("disputes", "a payment is disputed", &json!({ "order": disputed }), done, async |to| {
        HttpPayments(to).disputes(disputed).await
    })
    .await;
}

async fn the_gateway_tells(talk: &Talk) {
    let event = || -> Json { json!({ "id": "evt_1" }) };
    talk.ask("hear", NOTHING, &json!({ "event": event() }), Answer::Done(Heard::Noted), async |to| {
        HttpPayments(to).hear(event()).await
    })
    .await;
    let refused = Answer::rejected(refusals::INVALID_EVENT, "no event");
    talk.ask("hear", "what is told is no event", &json!({ "event": null }), refused, async |to| {
        HttpPayments(to).hear(Json::Null).await
    })
    .await;
    talk.ask("look-at-all", NOTHING, &json!({}), Answer::Done(7), async |to| {
        HttpPayments(to).look_at_all().await
    })
    .await;
}

async fn the_audit_asks(talk: &Talk) {
    let of = order("mine");
    let question = json!({ "after": before(of), "upto": of });
    talk.ask("facts", TAKEN, &question, Answer::Done(vec![fact()]), async |to| {
        HttpPayments(to).facts(before(of), of).await
    })
    .await;
    let wrong = Answer::Done(vec![violation()]);
    talk.ask("violations", "a payment has no entries", &json!({}), wrong, async |to| {
        HttpPayments(to).violations().await
    })
    .await;
}

fn fact() -> PaymentFact {
    PaymentFact {
        order: order("mine"),
        state: "captured".to_owned(),
        amount: amount(1_299),
        reference: Some("pi_1".to_owned()),
        held_minor: 0,
        captured_minor: 1_299,
        refunded_minor: 0,
        given_back_minor: 0,
        currencies: vec!["USD".to_owned()],
        version: 2,
    }
}

fn violation() -> LedgerViolation {
    let (order, state) = (order("mine"), "missing".to_owned());
    let (held_minor, held_expected_minor, cash_minor, cash_expected_minor) = (1, 2, 3, 4);
    LedgerViolation { order, state, held_minor, held_expected_minor, cash_minor, cash_expected_minor }
}

/// What the fake knows nothing of: a gateway that tells, and an audit that asks.
struct Tells(Arc<FakePayments>);

#[async_trait]
impl GatewayEvents for Tells {
    async fn hear(&self, event: Json) -> Answer<Heard> {
        let is_event = event["id"].is_string();
        if is_event {
            Answer::Done(Heard::Noted)
        } else {
            Answer::rejected(refusals::INVALID_EVENT, "no event")
        }
    }

    async fn look_at_all(&self) -> Answer<u64> {
        Answer::Done(1)
    }
}

#[async_trait]
impl PaymentFacts for Tells {
    async fn facts(&self, _: OrderId, _: OrderId) -> Answer<Vec<PaymentFact>> {
        Answer::Done(vec![fact()])
    }

    async fn violations(&self) -> Answer<Vec<LedgerViolation>> {
        Answer::Done(vec![violation()])
    }
}

#[async_trait]
impl Refunds for Tells {
    async fn give_back(
        &self,
        batch: Vec<banyan_kernel::Command<payments_api::GiveBack>>,
    ) -> Vec<Answer<RefundView>> {
        self.0.give_back(batch).await
    }

    async fn disputes(&self, _: OrderId) -> Answer<Vec<DisputeView>> {
        Answer::Done(vec![dispute()])
    }

    async fn refunds(&self, order: OrderId) -> Answer<Vec<RefundView>> {
        self.0.refunds(order).await
    }
}

/// Whatever does what payments do.
struct World {
    payments: Arc<dyn Payments>,
    refunds: Arc<dyn Refunds>,
}

fn all_done<T: std::fmt::Debug>(answers: &[Answer<T>]) {
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Done(_))), "{answers:?}");
}

impl World {
    async fn hold(&self, names: &[&str]) {
        let batch = names.iter().map(|name| authorise(order(name), 1, CARD)).collect();
        all_done(&self.payments.authorise(batch).await);
    }

    async fn take(&self, names: &[&str]) {
        self.hold(names).await;
        all_done(&self.payments.capture(names.iter().map(|name| capture(order(name), 1)).collect()).await);
    }
}

#[async_trait]
impl States for World {
    async fn bring_about(&self, state: &str) {
        match state {
            HELD => self.hold(&["held", "let go"]).await,
            TAKEN => self.take(&["taken", "broken"]).await,
            GIVEN_BACK => {
                self.take(&["given back"]).await;
                all_done(
                    &self
                        .refunds
                        .give_back(vec![give_back(order("given back"), "staff/bob/3", Some(300))])
                        .await,
                );
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_keep_their_pacts() {
    let fake = Arc::new(FakePayments::default());
    let tells = Arc::new(Tells(fake.clone()));
    let world = World { payments: fake.clone(), refunds: fake.clone() };
    let served = Served { payments: fake, refunds: tells.clone(), events: tells.clone(), facts: tells };
    Provider::new(NAME, port(), served, Arc::new(world), ()).keeps_its_pacts().await;
}

/// What moves money, by the core on real PostgreSQL, with a gateway.
#[tokio::test(flavor = "multi_thread")]
async fn payments_with_a_gateway_keep_their_pact_with_orders() {
    let (database, outside) = (database().await, Outside::start().await);
    prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    let store = Store::new(database.options(&role_of(NAME)), NAME, 8, clock);
    let core = payments_core::Payments::new(store, outside.callee());
    let world = World { payments: core.clone(), refunds: core.clone() };
    let provider = Provider::new(NAME, port(), Served::by(core), Arc::new(world), (database, outside));
    provider.keeps_its_pact_with("orders").await;
}
