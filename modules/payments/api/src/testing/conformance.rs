//! The rules of the port, each a short story on orders of its own.

use std::future::Future;

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Line, OrderId, Refusal};

use super::words::{self, authorise, capture, order, refund, void};
use crate::{
    GiveBack, LineBack, PaymentAuthorisedReply, PaymentCapturedReply, PaymentUndone, Payments, RefundState,
    RefundView, Refunds, refusals,
};

/// Payments, and the world around them.
#[async_trait]
pub trait UnderTest: Send + Sync {
    /// The port.
    fn port(&self) -> &dyn Payments;
    /// The port for staff.
    fn refunds(&self) -> &dyn Refunds;
    /// Lets what is under way come a little further.
    async fn settle(&self);
    /// What the gateway did for an order: `authorised`, `declined`, `captured`, `cancelled`, `refunded`.
    async fn book(&self, order: OrderId) -> Vec<String>;
}

/// So often is asked again: longer than a breaker stays open, and short enough for what never ends to be seen.
const ROUNDS_MAX: u32 = 2_000;

/// Asks until there is an answer: `Pending` and `Unavailable` mean to ask again, with the same id.
///
/// # Panics
/// When it stays so.
pub async fn ask_until_settled<A, F>(on: &dyn UnderTest, ask: impl Fn() -> F) -> Answer<A>
where
    F: Future<Output = Vec<Answer<A>>>,
{
    for _ in 0..ROUNDS_MAX {
        match ask().await.into_iter().next().expect("an answer per item") {
            Answer::Pending | Answer::Unavailable(_) => on.settle().await,
            answer => return answer,
        }
    }
    panic!("it stays without an answer")
}

/// Holds an implementation to the port's rules.
///
/// # Panics
/// At the first rule that is broken.
pub async fn conformance(on: &dyn UnderTest) {
    a_repeat_gets_the_first_answer_in_each_state(on).await;
    a_refusal_stays_and_a_later_attempt_is_a_new_do(on).await;
    an_undo_before_its_do_leaves_a_tombstone(on).await;
    a_void_lets_go_once(on).await;
    what_was_taken_is_not_voided(on).await;
    a_refused_capture_stays_refused_and_can_be_voided(on).await;
    nothing_is_captured_that_is_not_held(on).await;
    a_refund_before_the_capture_bars_it(on).await;
    a_refund_without_a_payment_bars_the_capture_alone(on).await;
    an_undo_touches_no_later_attempt(on).await;
    a_later_attempt_owns_what_it_finds(on).await;
    duplicates_in_a_batch_are_one(on).await;
    answers_come_in_the_order_asked(on).await;
    money_is_given_back_in_parts_each_once_and_never_more_than_was_taken(on).await;
    what_was_not_taken_or_was_undone_is_not_given_back(on).await;
    so_many_of_a_product_are_given_back_once(on).await;
}

const GOOD: &str = "pm_card_visa";

async fn hold(
    on: &dyn UnderTest,
    order: OrderId,
    attempt: u32,
    method: &str,
) -> Answer<PaymentAuthorisedReply> {
    ask_until_settled(on, || on.port().authorise(vec![authorise(order, attempt, method)])).await
}

async fn take(on: &dyn UnderTest, order: OrderId, attempt: u32) -> Answer<PaymentCapturedReply> {
    ask_until_settled(on, || on.port().capture(vec![capture(order, attempt)])).await
}

async fn let_go(on: &dyn UnderTest, order: OrderId, attempt: u32) -> Answer<PaymentUndone> {
    ask_until_settled(on, || on.port().void(vec![void(order, attempt)])).await
}

async fn give_back(on: &dyn UnderTest, order: OrderId, attempt: u32) -> Answer<PaymentUndone> {
    ask_until_settled(on, || on.port().refund(vec![refund(order, attempt)])).await
}

fn done<A>(answer: &Answer<A>) -> bool {
    matches!(answer, Answer::Done(_))
}

fn code<A>(answer: Answer<A>) -> String {
    match answer {
        Answer::Done(_) => "done".to_owned(),
        Answer::Rejected(refusal) => refusal.code.into_owned(),
        Answer::Pending => "pending".to_owned(),
        Answer::Unavailable(why) | Answer::Broken(why) => why,
    }
}

async fn a_repeat_gets_the_first_answer_in_each_state(on: &dyn UnderTest) {
    let order = order("repeat");
    let held = hold(on, order, 1, GOOD).await;
    assert!(done(&held), "{held:?}");
    assert_eq!(hold(on, order, 1, GOOD).await, held);
    let taken = take(on, order, 1).await;
    assert!(done(&taken), "{taken:?}");
    assert_eq!(take(on, order, 1).await, taken);
    assert_eq!(hold(on, order, 1, GOOD).await, held);
    for _ in 0..2 {
        assert_eq!(give_back(on, order, 1).await, Answer::Done(PaymentUndone {}));
    }
    assert_eq!(take(on, order, 1).await, taken);
    assert_eq!(hold(on, order, 1, GOOD).await, held);
    assert_eq!(on.book(order).await, ["authorised", "captured", "refunded"]);
}

async fn a_refusal_stays_and_a_later_attempt_is_a_new_do(on: &dyn UnderTest) {
    let order = order("refused");
    for _ in 0..2 {
        let refused = hold(on, order, 1, "pm_card_chargeDeclinedInsufficientFunds").await;
        assert_eq!(code(refused), "insufficient_funds");
    }
    assert_eq!(code(take(on, order, 1).await), refusals::NOT_AUTHORISED);
    assert!(done(&hold(on, order, 2, GOOD).await));
    assert_eq!(code(hold(on, order, 1, GOOD).await), Refusal::EXPIRED);
    assert_eq!(on.book(order).await, ["declined", "authorised"]);
}

async fn an_undo_before_its_do_leaves_a_tombstone(on: &dyn UnderTest) {
    let order = order("tombstone");
    for _ in 0..2 {
        assert!(done(&let_go(on, order, 1).await));
        assert_eq!(code(hold(on, order, 1, GOOD).await), Refusal::CANCELLED);
    }
    assert!(on.book(order).await.is_empty());
    assert!(done(&hold(on, order, 2, GOOD).await));
    assert_eq!(on.book(order).await, ["authorised"]);
}

async fn a_void_lets_go_once(on: &dyn UnderTest) {
    let order = order("void");
    let held = hold(on, order, 1, GOOD).await;
    for _ in 0..2 {
        assert!(done(&let_go(on, order, 1).await));
    }
    assert_eq!(hold(on, order, 1, GOOD).await, held, "the first answer");
    assert_eq!(code(take(on, order, 1).await), refusals::NOT_AUTHORISED);
    assert_eq!(on.book(order).await, ["authorised", "cancelled"]);
    assert!(done(&hold(on, order, 2, GOOD).await));
    assert!(done(&take(on, order, 1).await));
}

async fn what_was_taken_is_not_voided(on: &dyn UnderTest) {
    let order = order("taken");
    hold(on, order, 1, GOOD).await;
    take(on, order, 1).await;
    assert_eq!(code(let_go(on, order, 1).await), "captured");
    assert!(done(&give_back(on, order, 1).await));
    assert!(done(&let_go(on, order, 1).await));
    assert_eq!(on.book(order).await, ["authorised", "captured", "refunded"]);
}

async fn a_refused_capture_stays_refused_and_can_be_voided(on: &dyn UnderTest) {
    let order = order("capture-fails");
    assert!(done(&hold(on, order, 1, "pm_sandbox_captureFails").await));
    for _ in 0..2 {
        assert_eq!(code(take(on, order, 1).await), "generic_decline");
    }
    assert!(done(&let_go(on, order, 1).await));
    assert_eq!(code(take(on, order, 1).await), "generic_decline", "the first answer");
    assert_eq!(on.book(order).await, ["authorised", "declined", "cancelled"]);
}

async fn nothing_is_captured_that_is_not_held(on: &dyn UnderTest) {
    let order = order("nothing");
    assert_eq!(code(take(on, order, 1).await), refusals::NOT_AUTHORISED);
    assert!(on.book(order).await.is_empty());
}

async fn a_refund_before_the_capture_bars_it(on: &dyn UnderTest) {
    let order = order("barred");
    hold(on, order, 1, GOOD).await;
    for _ in 0..2 {
        assert!(done(&give_back(on, order, 1).await));
        assert_eq!(code(take(on, order, 1).await), Refusal::CANCELLED);
    }
    assert!(done(&let_go(on, order, 1).await));
    assert_eq!(on.book(order).await, ["authorised", "cancelled"]);
}

async fn a_refund_without_a_payment_bars_the_capture_alone(on: &dyn UnderTest) {
    let order = order("barred-early");
    assert!(done(&give_back(on, order, 1).await));
    assert_eq!(code(take(on, order, 1).await), Refusal::CANCELLED);
    assert!(done(&hold(on, order, 1, GOOD).await));
    assert_eq!(code(take(on, order, 1).await), Refusal::CANCELLED);
}

async fn an_undo_touches_no_later_attempt(on: &dyn UnderTest) {
    let order = order("later");
    hold(on, order, 1, "pm_card_chargeDeclined").await;
    hold(on, order, 2, GOOD).await;
    assert!(done(&let_go(on, order, 1).await));
    assert!(done(&take(on, order, 1).await));
    assert_eq!(on.book(order).await, ["declined", "authorised", "captured"]);
}

async fn a_later_attempt_owns_what_it_finds(on: &dyn UnderTest) {
    let order = order("owns");
    let held = hold(on, order, 1, GOOD).await;
    assert_eq!(hold(on, order, 2, GOOD).await, held);
    assert!(done(&let_go(on, order, 1).await));
    let taken = take(on, order, 1).await;
    assert!(done(&taken));
    assert_eq!(take(on, order, 2).await, taken);
    assert!(done(&give_back(on, order, 1).await));
    assert_eq!(on.book(order).await, ["authorised", "captured"]);
    for _ in 0..2 {
        assert!(done(&give_back(on, order, 3).await));
        assert_eq!(take(on, order, 3).await, taken, "the undo is of what was found, and its do stays done");
    }
    assert_eq!(code(hold(on, order, 1, GOOD).await), Refusal::EXPIRED);
    assert_eq!(code(take(on, order, 2).await), Refusal::EXPIRED);
    assert_eq!(on.book(order).await, ["authorised", "captured", "refunded"]);
}

async fn duplicates_in_a_batch_are_one(on: &dyn UnderTest) {
    let order = order("twice");
    let held = hold_twice(on, order).await;
    assert_eq!(held[0], held[1]);
    assert_eq!(on.book(order).await, ["authorised"]);
}

async fn hold_twice(on: &dyn UnderTest, order: OrderId) -> Vec<Answer<PaymentAuthorisedReply>> {
    let batch = || vec![authorise(order, 1, GOOD), authorise(order, 1, GOOD)];
    let held = on.port().authorise(batch()).await;
    if held.iter().all(done) {
        return held;
    }
    hold(on, order, 1, GOOD).await;
    on.port().authorise(batch()).await
}

async fn answers_come_in_the_order_asked(on: &dyn UnderTest) {
    let methods = [GOOD, "pm_card_chargeDeclined", GOOD, "pm_card_chargeDeclinedExpiredCard"];
    let batch = || {
        let one = |(n, method): (usize, &&str)| authorise(order(&format!("batch-{n}")), 1, method);
        methods.iter().enumerate().map(one).collect::<Vec<_>>()
    };
    let mut codes = Vec::new();
    for _ in 0..ROUNDS_MAX {
        codes = on.port().authorise(batch()).await.into_iter().map(code).collect();
        if !codes.contains(&"pending".to_owned()) {
            break;
        }
        on.settle().await;
    }
    assert_eq!(codes, ["done", "generic_decline", "done", "expired_card"]);
}

async fn back(on: &dyn UnderTest, order: OrderId, key: &str, amount: Option<i64>) -> Answer<RefundView> {
    ask_until_settled(on, || on.refunds().give_back(vec![words::give_back(order, key, amount)])).await
}

async fn money_is_given_back_in_parts_each_once_and_never_more_than_was_taken(on: &dyn UnderTest) {
    let order = order("given-back");
    hold(on, order, 1, GOOD).await;
    take(on, order, 1).await;
    let first = back(on, order, "a", Some(300)).await;
    assert!(matches!(&first, Answer::Done(one) if (one.n, one.amount.minor) == (1, 300)), "{first:?}");
    assert_eq!(code(back(on, order, "a", Some(301)).await), refusals::KEY_REUSED);
    assert_eq!(code(back(on, order, "b", Some(1_000)).await), refusals::MORE_THAN_TAKEN);
    let rest = back(on, order, "b", None).await;
    assert!(matches!(&rest, Answer::Done(one) if (one.n, one.amount.minor) == (2, 999)), "{rest:?}");
    assert_eq!(code(back(on, order, "c", None).await), refusals::MORE_THAN_TAKEN);
    let again = back(on, order, "a", Some(300)).await;
    assert!(matches!(&again, Answer::Done(one) if one.n == 1), "whatever came after it: {again:?}");
    let Answer::Done(all) = on.refunds().refunds(order).await else { panic!("a list") };
    let all: Vec<_> =
        all.iter().map(|one| (one.n, one.amount.minor, one.state, one.actor.as_str())).collect();
    assert_eq!(all, [(1, 300, RefundState::Done, "staff:bob"), (2, 999, RefundState::Done, "staff:bob")]);
    assert_eq!(on.book(order).await, ["authorised", "captured", "refunded", "refunded"]);
}

async fn what_was_not_taken_or_was_undone_is_not_given_back(on: &dyn UnderTest) {
    let [unknown, held, undone] = ["back-unknown", "back-held", "back-undone"].map(order);
    hold(on, held, 1, GOOD).await;
    hold(on, undone, 1, GOOD).await;
    take(on, undone, 1).await;
    give_back(on, undone, 1).await;
    for order in [unknown, held, undone] {
        assert_eq!(code(back(on, order, "a", None).await), refusals::NOT_CAPTURED);
        assert_eq!(on.refunds().refunds(order).await, Answer::Done(Vec::new()));
    }
}

async fn so_many_of_a_product_are_given_back_once(on: &dyn UnderTest) {
    let order = order("back-lines");
    hold(on, order, 1, GOOD).await;
    take(on, order, 1).await;
    let apples = |key: &str, quantity: i64| {
        let mut wish = words::give_back(order, key, Some(100 * quantity));
        let of = |quantity: i64| quantity.try_into().expect("a quantity");
        let line = Line { sku: "apple".parse().expect("a product"), quantity: of(quantity) };
        wish.body.lines = vec![LineBack { line, ordered: of(3) }];
        wish
    };
    let back = async |wish: Command<GiveBack>| {
        ask_until_settled(on, || on.refunds().give_back(vec![wish.clone()])).await
    };
    assert_eq!(code(back(apples("a", 4)).await), refusals::MORE_THAN_ORDERED);
    let two = back(apples("a", 2)).await;
    assert!(matches!(&two, Answer::Done(one) if one.lines[0].quantity.get() == 2), "{two:?}");
    assert_eq!(code(back(apples("b", 2)).await), refusals::MORE_THAN_ORDERED);
    assert_eq!(code(back(apples("a", 1)).await), refusals::KEY_REUSED);
    assert_eq!(code(back(words::give_back(order, "a", Some(200))).await), refusals::KEY_REUSED);
    assert_eq!(code(back(apples("b", 1)).await), "done");
    assert_eq!(code(back(apples("c", 1)).await), refusals::MORE_THAN_ORDERED);
}
