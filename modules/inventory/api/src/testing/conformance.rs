//! The rules of the port, each a short story on stock and orders of its own.

use std::{future::Future, pin::pin, task::Poll};

use async_trait::async_trait;
use banyan_kernel::{Answer, Clock, ManualClock, OrderId, Refusal};

use super::words::{confirm, context, lines, order, receipt, receipt_at, release, reserve, sku};
use crate::{
    Inventory, ReservationConfirmed, StockLevel, StockReceived, StockReleased, StockReserved, refusals,
};

/// An inventory, and the world around it.
#[async_trait]
pub trait UnderTest: Send + Sync {
    /// The port.
    fn port(&self) -> &dyn Inventory;
    /// The clock it looks at.
    fn clock(&self) -> &ManualClock;
    /// Lets it hear that the order was shipped, as the second event of the order.
    async fn ship(&self, order: OrderId);
    /// Lets it give back what has expired.
    async fn expire(&self);
}

const MINUTE_MICROS: i64 = 60_000_000;

/// Holds an implementation to the port's rules; it must be empty.
///
/// # Panics
/// At the first rule that is broken.
pub async fn conformance(on: &dyn UnderTest) {
    all_lines_or_none(on).await;
    what_is_scarce_goes_to_as_many_as_it_is_for(on).await;
    a_repeat_gets_the_first_answer_in_each_state(on).await;
    a_later_attempt_is_a_new_do_where_nothing_is_kept(on).await;
    a_later_attempt_finds_what_is_kept(on).await;
    an_earlier_attempt_is_expired(on).await;
    lines_name_each_sku_once(on).await;
    a_confirmed_hold_does_not_expire(on).await;
    an_expired_hold_cannot_be_confirmed(on).await;
    what_is_not_kept_cannot_be_confirmed(on).await;
    a_release_gives_back_once(on).await;
    an_undo_before_its_do_leaves_a_tombstone(on).await;
    an_undo_touches_no_later_attempt(on).await;
    an_undo_of_a_later_attempt_ends_the_earlier(on).await;
    what_was_shipped_is_not_given_back(on).await;
    a_delivery_is_booked_once(on).await;
    a_product_stands_at_one_place_while_any_is_left(on).await;
    what_is_kept_tells_where_it_stands_for_good(on).await;
    levels_name_only_what_was_received(on).await;
    overlapping_batches_in_opposite_order_both_end(on).await;
}

async fn stock(on: &dyn UnderTest, name: &str, quantity: i64) {
    let booked = on.port().receive(context(), vec![receipt(name, &[(name, quantity)])]).await;
    assert_eq!(was_booked(&booked), [Some(false)], "{name}");
}

/// Of each that was booked, whether it was before.
fn was_booked(answers: &[Answer<StockReceived>]) -> Vec<Option<bool>> {
    let repeated = |answer: &Answer<StockReceived>| match answer {
        Answer::Done(StockReceived { repeated, .. }) => Some(*repeated),
        _ => None,
    };
    answers.iter().map(repeated).collect()
}

async fn hold(on: &dyn UnderTest, order: OrderId, attempt: u32, of: &[(&str, i64)]) -> Answer<StockReserved> {
    let mut answers = on.port().reserve(vec![reserve(order, attempt, of, on.clock().now())]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

async fn firm(on: &dyn UnderTest, order: OrderId) -> Answer<ReservationConfirmed> {
    on.port().confirm(vec![confirm(order)]).await.remove(0)
}

async fn undo(on: &dyn UnderTest, order: OrderId, attempt: u32) -> Answer<StockReleased> {
    on.port().release(vec![release(order, attempt)]).await.remove(0)
}

/// On hand, reserved, shipped; and their sum is what was received.
async fn check(on: &dyn UnderTest, name: &str, expected: [i64; 3]) {
    let Answer::Done(levels) = on.port().levels(vec![sku(name)]).await else { panic!("no levels") };
    let [StockLevel { on_hand, reserved, shipped, received, adjusted, .. }] = levels[..] else {
        panic!("{name}: {levels:?}");
    };
    assert_eq!([on_hand, reserved, shipped], expected, "{name}");
    assert_eq!(on_hand + reserved + shipped, received - adjusted, "{name}");
}

fn code<T: std::fmt::Debug>(answer: &Answer<T>) -> &str {
    match answer {
        Answer::Done(_) => "done",
        Answer::Rejected(refusal) => &refusal.code,
        other => panic!("neither done nor rejected: {other:?}"),
    }
}

async fn all_lines_or_none(on: &dyn UnderTest) {
    stock(on, "all-1", 5).await;
    stock(on, "all-2", 1).await;
    let refused = hold(on, order("all-a"), 1, &[("all-1", 5), ("all-2", 3), ("all-0", 1)]).await;
    let lacks = "all-0 lacks 1, all-2 lacks 2";
    assert_eq!(refused, Answer::rejected(refusals::OUT_OF_STOCK, lacks), "names who lacks how many");
    check(on, "all-1", [5, 0, 0]).await;
    assert_eq!(code(&hold(on, order("all-b"), 1, &[("all-1", 4), ("all-2", 1)]).await), "done");
    check(on, "all-1", [1, 4, 0]).await;
    check(on, "all-2", [0, 1, 0]).await;
}

/// Three orders' worth, asked for by five, backwards and one of them twice; who got it.
async fn scarce(on: &dyn UnderTest, name: &str) -> [Vec<&'static str>; 2] {
    stock(on, name, 10).await;
    let mut orders: Vec<OrderId> = (0..5).map(|n| order(&format!("{name}-{n}"))).collect();
    orders.sort();
    let now = on.clock().now();
    let ask = |at: usize| reserve(orders[at], 1, &[(name, 3)], now);
    let answers = on.port().reserve(vec![ask(4), ask(3), ask(2), ask(0), ask(1), ask(0)]).await;
    let codes =
        answers.iter().map(|answer| if code(answer) == "done" { "done" } else { refusals::OUT_OF_STOCK });
    let codes: Vec<&str> = codes.collect();
    check(on, name, [1, 9, 0]).await;
    [codes[..5].to_vec(), vec![codes[3], codes[5]]]
}

async fn what_is_scarce_goes_to_as_many_as_it_is_for(on: &dyn UnderTest) {
    let [each, repeated] = scarce(on, "batch").await;
    assert_eq!(each.iter().filter(|code| **code == "done").count(), 3, "{each:?}");
    assert_eq!(repeated[0], repeated[1], "who is twice in a batch is answered once");
    assert_eq!(on.port().reserve(Vec::new()).await, []);
}

/// What holds where a batch is one commit, and not where a route splits it: of what is scarce the first ids get it.
///
/// # Panics
/// When others do.
pub async fn a_batch_is_decided_in_the_order_of_ids(on: &dyn UnderTest) {
    let [each, _] = scarce(on, "ids").await;
    assert_eq!(each, ["out_of_stock", "out_of_stock", "done", "done", "done"]);
}

async fn a_repeat_gets_the_first_answer_in_each_state(on: &dyn UnderTest) {
    stock(on, "repeat", 2).await;
    let (of, kept, refused) = ([("repeat", 2)], order("repeat-kept"), order("repeat-refused"));
    let first = hold(on, kept, 1, &of).await;
    assert_eq!(code(&first), "done");
    let refusal = hold(on, refused, 1, &of).await;
    on.clock().advance_micros(1_000_000);
    assert_eq!(hold(on, kept, 1, &of).await, first, "held");
    assert_eq!(firm(on, kept).await, Answer::Done(ReservationConfirmed {}));
    assert_eq!(firm(on, kept).await, Answer::Done(ReservationConfirmed {}), "confirmed twice");
    assert_eq!(hold(on, kept, 1, &of).await, first, "committed");
    assert_eq!(undo(on, kept, 1).await, Answer::Done(StockReleased {}));
    assert_eq!(hold(on, kept, 1, &of).await, first, "released: a late repeat of a do that was done");
    assert_eq!(hold(on, refused, 1, &of).await, refusal, "refused, though there is enough by now");
    check(on, "repeat", [2, 0, 0]).await;
}

async fn a_later_attempt_is_a_new_do_where_nothing_is_kept(on: &dyn UnderTest) {
    stock(on, "later", 2).await;
    let (of, released, refused, cancelled) =
        ([("later", 2)], order("later-released"), order("later-refused"), order("later-cancelled"));
    hold(on, released, 1, &of).await;
    assert_eq!(code(&hold(on, refused, 1, &of).await), "out_of_stock");
    undo(on, released, 1).await;
    undo(on, cancelled, 1).await;
    for order in [released, refused, cancelled] {
        assert_eq!(code(&hold(on, order, 2, &of).await), "done");
        check(on, "later", [0, 2, 0]).await;
        undo(on, order, 2).await;
        check(on, "later", [2, 0, 0]).await;
    }
}

async fn a_later_attempt_finds_what_is_kept(on: &dyn UnderTest) {
    stock(on, "found", 4).await;
    let (of, order) = ([("found", 2)], order("found"));
    let first = hold(on, order, 1, &of).await;
    on.clock().advance_micros(1_000_000);
    assert_eq!(hold(on, order, 2, &of).await, first, "one reservation per order");
    assert_eq!(code(&firm(on, order).await), "done");
    assert_eq!(hold(on, order, 3, &of).await, first);
    on.ship(order).await;
    assert_eq!(hold(on, order, 4, &of).await, first);
    check(on, "found", [2, 0, 2]).await;
}

async fn an_earlier_attempt_is_expired(on: &dyn UnderTest) {
    stock(on, "earlier", 4).await;
    hold(on, order("earlier"), 2, &[("earlier", 2)]).await;
    assert_eq!(code(&hold(on, order("earlier"), 1, &[("earlier", 2)]).await), Refusal::EXPIRED);
    check(on, "earlier", [2, 2, 0]).await;
}

async fn lines_name_each_sku_once(on: &dyn UnderTest) {
    stock(on, "once", 4).await;
    for of in [&[][..], &[("once", 1), ("once", 1)]] {
        let answer = hold(on, order("once"), 1, of).await;
        assert!(matches!(answer, Answer::Broken(_)), "{answer:?}");
        let answer = on.port().receive(context(), vec![receipt("once-twice", of)]).await;
        assert!(matches!(answer[..], [Answer::Broken(_)]), "{answer:?}");
    }
    check(on, "once", [4, 0, 0]).await;
}

async fn a_confirmed_hold_does_not_expire(on: &dyn UnderTest) {
    stock(on, "firm", 2).await;
    hold(on, order("firm"), 1, &[("firm", 1)]).await;
    hold(on, order("loose"), 1, &[("firm", 1)]).await;
    assert_eq!(code(&firm(on, order("firm")).await), "done");
    on.clock().advance_micros(MINUTE_MICROS - 1);
    on.expire().await;
    check(on, "firm", [0, 2, 0]).await;
    on.clock().advance_micros(1);
    on.expire().await;
    on.expire().await;
    check(on, "firm", [1, 1, 0]).await;
    assert_eq!(code(&firm(on, order("firm")).await), "done");
    assert_eq!(code(&firm(on, order("loose")).await), refusals::RESERVATION_EXPIRED);
}

async fn an_expired_hold_cannot_be_confirmed(on: &dyn UnderTest) {
    stock(on, "expired", 1).await;
    let first = hold(on, order("expired"), 1, &[("expired", 1)]).await;
    on.clock().advance_micros(MINUTE_MICROS);
    let twice = on.port().confirm(vec![confirm(order("expired")), confirm(order("expired"))]).await;
    assert_eq!(code(&twice[0]), refusals::RESERVATION_EXPIRED);
    assert_eq!(twice[0], twice[1]);
    check(on, "expired", [1, 0, 0]).await;
    assert_eq!(firm(on, order("expired")).await, twice[0], "a repeat");
    on.expire().await;
    assert_eq!(undo(on, order("expired"), 1).await, Answer::Done(StockReleased {}));
    check(on, "expired", [1, 0, 0]).await;
    assert_eq!(hold(on, order("expired"), 1, &[("expired", 1)]).await, first);
}

async fn what_is_not_kept_cannot_be_confirmed(on: &dyn UnderTest) {
    stock(on, "kept", 1).await;
    assert_eq!(code(&firm(on, order("kept-never")).await), refusals::NOT_RESERVED);
    hold(on, order("kept-refused"), 1, &[("kept", 2)]).await;
    assert_eq!(code(&firm(on, order("kept-refused")).await), refusals::NOT_RESERVED);
    hold(on, order("kept-released"), 1, &[("kept", 1)]).await;
    undo(on, order("kept-released"), 1).await;
    assert_eq!(code(&firm(on, order("kept-released")).await), Refusal::CANCELLED);
    undo(on, order("kept-cancelled"), 1).await;
    assert_eq!(code(&firm(on, order("kept-cancelled")).await), Refusal::CANCELLED);
    check(on, "kept", [1, 0, 0]).await;
}

async fn a_release_gives_back_once(on: &dyn UnderTest) {
    stock(on, "back", 3).await;
    let (held, committed, refused) = (order("back-held"), order("back-committed"), order("back-refused"));
    hold(on, held, 1, &[("back", 1)]).await;
    hold(on, committed, 1, &[("back", 2)]).await;
    hold(on, refused, 1, &[("back", 1)]).await;
    firm(on, committed).await;
    let all = || vec![release(held, 1), release(committed, 1), release(refused, 1), release(held, 1)];
    for _ in 0..2 {
        let answers = on.port().release(all()).await;
        assert_eq!(answers, vec![Answer::Done(StockReleased {}); 4]);
        check(on, "back", [3, 0, 0]).await;
    }
}

async fn an_undo_before_its_do_leaves_a_tombstone(on: &dyn UnderTest) {
    stock(on, "tomb", 1).await;
    for _ in 0..2 {
        assert_eq!(undo(on, order("tomb"), 1).await, Answer::Done(StockReleased {}));
    }
    for _ in 0..2 {
        let late = hold(on, order("tomb"), 1, &[("tomb", 1)]).await;
        assert_eq!(late, Answer::Rejected(Refusal::cancelled()), "a do after its undo");
    }
    check(on, "tomb", [1, 0, 0]).await;
}

async fn an_undo_touches_no_later_attempt(on: &dyn UnderTest) {
    stock(on, "newer", 1).await;
    undo(on, order("newer"), 1).await;
    hold(on, order("newer"), 2, &[("newer", 1)]).await;
    assert_eq!(undo(on, order("newer"), 1).await, Answer::Done(StockReleased {}));
    check(on, "newer", [0, 1, 0]).await;
    assert_eq!(code(&firm(on, order("newer")).await), "done");
}

async fn an_undo_of_a_later_attempt_ends_the_earlier(on: &dyn UnderTest) {
    stock(on, "older", 2).await;
    hold(on, order("older"), 1, &[("older", 1)]).await;
    assert_eq!(undo(on, order("older"), 2).await, Answer::Done(StockReleased {}));
    check(on, "older", [2, 0, 0]).await;
    assert_eq!(code(&hold(on, order("older"), 2, &[("older", 1)]).await), Refusal::CANCELLED);
    assert_eq!(code(&hold(on, order("older"), 1, &[("older", 1)]).await), Refusal::EXPIRED);
    assert_eq!(code(&hold(on, order("older"), 3, &[("older", 1)]).await), "done");
    check(on, "older", [1, 1, 0]).await;
}

async fn what_was_shipped_is_not_given_back(on: &dyn UnderTest) {
    stock(on, "gone", 3).await;
    let first = hold(on, order("gone"), 1, &[("gone", 2)]).await;
    firm(on, order("gone")).await;
    on.ship(order("gone")).await;
    check(on, "gone", [1, 0, 2]).await;
    for attempt in [1, 2] {
        assert_eq!(code(&undo(on, order("gone"), attempt).await), refusals::ALREADY_SHIPPED);
    }
    assert_eq!(code(&firm(on, order("gone")).await), "done");
    assert_eq!(hold(on, order("gone"), 1, &[("gone", 2)]).await, first);
    check(on, "gone", [1, 0, 2]).await;
}

async fn a_delivery_is_booked_once(on: &dyn UnderTest) {
    let (of, other) = ([("came-1", 2), ("came-2", 3)], [("came-1", 2), ("came-2", 4)]);
    let turned = [("came-2", 3), ("came-1", 2)];
    let batch = || vec![receipt("came", &of), receipt("came", &turned), receipt("came", &other)];
    let first = on.port().receive(context(), batch()).await;
    assert_eq!(was_booked(&first), [Some(false), Some(true), None]);
    assert_eq!(code(&first[2]), refusals::KEY_REUSED);
    let again = on.port().receive(context(), batch()).await;
    assert_eq!(was_booked(&again), [Some(true), Some(true), None]);
    assert_eq!(code(&again[2]), refusals::KEY_REUSED);
    let more = on.port().receive(context(), vec![receipt("came-again", &of)]).await;
    assert_eq!(was_booked(&more), [Some(false)]);
    check(on, "came-1", [4, 0, 0]).await;
    check(on, "came-2", [6, 0, 0]).await;
}

/// Of one piece of a product.
async fn receive_at(on: &dyn UnderTest, key: &str, place: Option<&str>, name: &str) -> String {
    let mut delivery = receipt(key, &[(name, 1)]);
    delivery.place = place.map(|place| place.parse().expect("a place"));
    code(&on.port().receive(context(), vec![delivery]).await.remove(0)).to_owned()
}

async fn place_of(on: &dyn UnderTest, name: &str) -> String {
    let Answer::Done(levels) = on.port().levels(vec![sku(name)]).await else { panic!("no levels") };
    levels[0].place.to_string()
}

async fn a_product_stands_at_one_place_while_any_is_left(on: &dyn UnderTest) {
    assert_eq!(receive_at(on, "place-1", None, "place").await, "done");
    assert_eq!(place_of(on, "place").await, "main", "where nobody says where");
    for _ in 0..2 {
        assert_eq!(receive_at(on, "place-2", Some("north"), "place").await, refusals::STANDS_ELSEWHERE);
    }
    check(on, "place", [1, 0, 0]).await;
    let kept = order("place");
    hold(on, kept, 1, &[("place", 1)]).await;
    assert_eq!(receive_at(on, "place-2", Some("north"), "place").await, refusals::STANDS_ELSEWHERE, "held");
    firm(on, kept).await;
    assert_eq!(receive_at(on, "place-2", Some("north"), "place").await, refusals::STANDS_ELSEWHERE, "firm");
    on.ship(kept).await;
    assert_eq!(receive_at(on, "place-2", Some("north"), "place").await, "done", "nothing is left");
    assert_eq!(place_of(on, "place").await, "north");
    assert_eq!(receive_at(on, "place-3", None, "place").await, "done", "to where it stands");
    assert_eq!(receive_at(on, "place-4", Some("north"), "place").await, "done");
    assert_eq!(place_of(on, "place").await, "north");
    assert_eq!(receive_at(on, "place-4", Some("north"), "place").await, "done", "a repeat");
    assert_eq!(receive_at(on, "place-4", Some("main"), "place").await, refusals::KEY_REUSED);
    check(on, "place", [3, 0, 1]).await;
}

async fn what_is_kept_tells_where_it_stands_for_good(on: &dyn UnderTest) {
    stock(on, "stands-1", 2).await;
    let cold = receipt_at("stands-2", "cold", &[("stands-2", 1), ("stands-3", 1)]);
    assert_eq!(code(&on.port().receive(context(), vec![cold]).await[0]), "done");
    let of = [("stands-1", 1), ("stands-2", 1), ("stands-3", 1)];
    let first = hold(on, order("stands"), 1, &of).await;
    let Answer::Done(reserved) = &first else { panic!("{first:?}") };
    let places = reserved.places.parcels(lines(&of));
    let places: Vec<(&str, usize)> =
        places.iter().map(|(place, lines)| (place.as_str(), lines.len())).collect();
    assert_eq!(places, [("cold", 2), ("main", 1)]);
    undo(on, order("stands"), 1).await;
    let gone = hold(on, order("stands-gone"), 1, &[("stands-2", 1), ("stands-3", 1)]).await;
    assert_eq!(code(&gone), "done");
    firm(on, order("stands-gone")).await;
    on.ship(order("stands-gone")).await;
    assert_eq!(receive_at(on, "stands-4", Some("main"), "stands-2").await, "done");
    assert_eq!(hold(on, order("stands"), 1, &of).await, first, "a repeat, after it was moved");
    assert_eq!(hold(on, order("stands-gone"), 2, &of).await, gone, "a later attempt, of what is gone");
}

async fn levels_name_only_what_was_received(on: &dyn UnderTest) {
    stock(on, "level-b", 1).await;
    stock(on, "level-A", 1).await;
    let Answer::Done(levels) = on.port().levels(["level-b", "level-A", "level-0"].map(sku).into()).await
    else {
        panic!("no levels");
    };
    let skus: Vec<&str> = levels.iter().map(|level| level.sku.as_str()).collect();
    assert_eq!(skus, ["level-A", "level-b"], "in SKU order");
}

async fn overlapping_batches_in_opposite_order_both_end(on: &dyn UnderTest) {
    let names: Vec<String> = (0..20).map(|n| format!("cross-{n}")).collect();
    let of: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 20)).collect();
    on.port().receive(context(), vec![receipt("cross", &of)]).await;
    let now = on.clock().now();
    // All ask for all SKUs, backwards in one batch; ten orders are in both batches.
    let ask = |n: usize, backwards: bool| {
        let mut command = reserve(order(&format!("cross-{n}")), 1, &[("cross-0", 1)], now);
        command.body.lines = lines(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
        if backwards {
            command.body.lines.reverse();
        }
        command
    };
    let forth: Vec<_> = (0..20).map(|n| ask(n, false)).collect();
    let back: Vec<_> = (10..30).rev().map(|n| ask(n, true)).collect();
    let (forth, mut back) = both(on.port().reserve(forth), on.port().reserve(back)).await;
    back.reverse();
    let done = |answers: &[Answer<StockReserved>]| answers.iter().filter(|a| code(a) == "done").count();
    assert_eq!(forth[10..], back[..10], "who asks in both gets one answer");
    assert_eq!(done(&forth[..10]) + done(&forth[10..]) + done(&back[10..]), 20, "stock is for twenty");
    check(on, "cross-7", [0, 20, 0]).await;
}

/// Both at once, on whatever runs this.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    std::future::poll_fn(|context| {
        if of_a.is_none()
            && let Poll::Ready(answer) = a.as_mut().poll(context)
        {
            of_a = Some(answer);
        }
        if of_b.is_none()
            && let Poll::Ready(answer) = b.as_mut().poll(context)
        {
            of_b = Some(answer);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
