//! The rules of the port, each a short story about customers and orders of its own.

use std::time::Duration;

use async_trait::async_trait;
use banyan_kernel::{Answer, Clock as _, ManualClock, OrderId};

use super::words::{PRICE_MINOR, context, customer, order, sku, wish};
use crate::{
    ListOrders, ListSales, OrderAccepted, OrderEventView, OrderFact, OrderFacts, OrderState, OrderSummary,
    OrderView, Orders, OrdersPage, PlaceOrder, Placed, Resolution, Sales, refusals,
};

/// Orders, and the world around them. `tea`, `rice` and `salt` are sold at [`PRICE_MINOR`] cents, `castle` at more than fits into one
/// order, `candle` no longer.
#[async_trait]
pub trait UnderTest: Send + Sync {
    /// The port.
    fn port(&self) -> &dyn Orders;
    /// What they say of themselves.
    fn facts(&self) -> &dyn OrderFacts;
    /// The clock they look at.
    fn clock(&self) -> &ManualClock;
    /// Brings an order to its end: to its customer, or, where it was turned back, to nothing.
    async fn end(&self, order: OrderId);
    /// Stops an order until somebody has looked.
    async fn stop(&self, order: OrderId);
    /// Waits until lists and sales have come to what was recorded.
    async fn catch_up(&self);
}

/// Most orders of one page.
const PAGE_MAX: u16 = 200;
const HOUR_MICROS: i64 = 3_600_000_000;

/// Holds an implementation to the port's rules; it must be empty.
///
/// # Panics
/// At the first rule that is broken.
pub async fn conformance(on: &dyn UnderTest) {
    a_repeat_gets_the_first_answer_whatever_happened_since(on).await;
    another_body_under_a_key_is_refused(on).await;
    each_of_a_batch_is_answered_for_itself(on).await;
    a_batch_of_more_than_a_page_is_placed_whole_and_listed_in_pages(on).await;
    anothers_order_does_not_exist_for_a_reader(on).await;
    a_cancel_before_the_end_turns_back_once(on).await;
    a_cancel_after_the_end_changes_nothing(on).await;
    what_is_stuck_goes_on_or_back_as_somebody_decides(on).await;
    why_says_where_an_order_stands(on).await;
    events_are_told_in_order_after_a_version(on).await;
    a_list_is_newest_first_and_of_what_is_asked_for(on).await;
    pages_lose_and_double_nothing_of_one_instant(on).await;
    a_list_shows_at_least_what_a_reader_asks_to_see(on).await;
    sales_are_what_was_handed_over_by_hour_and_product(on).await;
    facts_are_of_the_orders_asked_for(on).await;
    a_report_says_how_orders_stand(on).await;
}

fn done<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

fn code<T: std::fmt::Debug>(answer: &Answer<T>) -> &str {
    match answer {
        Answer::Done(_) => "done",
        Answer::Rejected(refusal) => &refusal.code,
        other => panic!("neither done nor rejected: {other:?}"),
    }
}

async fn ask(on: &dyn UnderTest, wish: PlaceOrder) -> Answer<Placed> {
    let mut answers = on.port().place(vec![wish]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

async fn placed(on: &dyn UnderTest, name: &str, of: &str, lines: &[(&str, i64)]) -> OrderAccepted {
    let placed = done(ask(on, wish(name, of, lines)).await);
    assert!(!placed.repeated, "{name}");
    placed.accepted
}

async fn view(on: &dyn UnderTest, name: &str) -> OrderView {
    done(on.port().view(vec![order(name)], None).await).pop().expect(name)
}

async fn cancel(on: &dyn UnderTest, name: &str) -> Answer<OrderView> {
    let order = order(name);
    on.port().cancel(order, "changed my mind".to_owned(), context(order)).await
}

async fn a_repeat_gets_the_first_answer_whatever_happened_since(on: &dyn UnderTest) {
    let wish = wish("repeat", "ada", &[("tea", 2), ("rice", 1)]);
    let first = done(ask(on, wish.clone()).await);
    let OrderAccepted { id, state, total, lines, placed_at } = first.accepted.clone();
    assert_eq!((id, state, placed_at), (order("repeat"), OrderState::Placed, on.clock().now()));
    assert_eq!((total.minor, first.repeated), (3 * PRICE_MINOR, false));
    let lines: Vec<_> = lines.iter().map(|line| (line.sku.as_str(), line.unit_price.minor)).collect();
    assert_eq!(lines, [("tea", PRICE_MINOR), ("rice", PRICE_MINOR)], "in the order asked");
    let again = Placed { repeated: true, ..first };
    on.clock().advance_micros(1_000_000);
    assert_eq!(done(ask(on, wish.clone()).await), again, "a second later");
    done(cancel(on, "repeat").await);
    assert_eq!(done(ask(on, wish.clone()).await), again, "cancelled");
    on.end(order("repeat")).await;
    on.clock().advance_micros(24 * HOUR_MICROS);
    assert_eq!(done(ask(on, wish).await), again, "ended, a day later");
    assert_eq!(view(on, "repeat").await.state, OrderState::Cancelled);
}

async fn another_body_under_a_key_is_refused(on: &dyn UnderTest) {
    let first = placed(on, "key", "ada", &[("tea", 1)]).await;
    let other = PlaceOrder { request_hash: "another body".to_owned(), ..wish("key", "ada", &[("rice", 9)]) };
    for _ in 0..2 {
        assert_eq!(code(&ask(on, other.clone()).await), refusals::KEY_REUSED);
    }
    let kept = view(on, "key").await;
    assert_eq!((kept.lines, kept.version), (first.lines, 1), "what was first with the key stays as it is");
}

async fn each_of_a_batch_is_answered_for_itself(on: &dyn UnderTest) {
    let good = |name: &str| wish(name, "ada", &[("tea", 1)]);
    let other = PlaceOrder { request_hash: "another body".to_owned(), ..good("batch-a") };
    let answers = on.port().place(vec![
        good("batch-a"),
        wish("batch-unknown", "ada", &[("tea", 1), ("nothing", 1)]),
        good("batch-b"),
        good("batch-a"),
        wish("batch-retired", "ada", &[("candle", 1)]),
        other,
        wish("batch-dear", "ada", &[("castle", 1)]),
        wish("batch-empty", "ada", &[]),
    ]);
    let answers = answers.await;
    let codes: Vec<&str> = answers.iter().map(code).collect();
    let (unknown, retired) = (refusals::UNKNOWN_PRODUCT, refusals::RETIRED_PRODUCT);
    let (reused, price) = (refusals::KEY_REUSED, refusals::PRICE);
    assert_eq!(codes, ["done", unknown, "done", "done", retired, reused, price, price]);
    let placed: Vec<(OrderId, bool)> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::Done(placed) => Some((placed.accepted.id, placed.repeated)),
            _ => None,
        })
        .collect();
    let (a, b) = (order("batch-a"), order("batch-b"));
    assert_eq!(placed, [(a, false), (b, false), (a, true)], "twice in a batch is a repeat");
    let refused = ["unknown", "retired", "dear", "empty"].map(|name| order(&format!("batch-{name}")));
    assert_eq!(done(on.port().view(refused.to_vec(), None).await), [], "what is refused is no order");
    assert_eq!(code(&ask(on, good("batch-unknown")).await), "done", "and its key is free");
    assert_eq!(on.port().place(Vec::new()).await, []);
}

async fn a_batch_of_more_than_a_page_is_placed_whole_and_listed_in_pages(on: &dyn UnderTest) {
    let wishes: Vec<PlaceOrder> =
        (0..=PAGE_MAX).map(|n| wish(&format!("many-{n}"), "many", &[("tea", 1)])).collect();
    let asked: Vec<OrderId> = wishes.iter().map(|wish| wish.order).collect();
    let answers = on.port().place(wishes).await;
    let answered: Vec<OrderId> = answers.into_iter().map(|answer| done(answer).accepted.id).collect();
    assert_eq!(answered, asked, "in the order asked");
    on.catch_up().await;
    let which = ListOrders { reader: Some(customer("many")), limit: u16::MAX, ..ListOrders::default() };
    let page = done(on.port().list(which).await);
    assert_eq!(page.orders.len(), usize::from(PAGE_MAX), "whatever is asked for");
    assert_eq!(pages(on, "many", PAGE_MAX).await.len(), usize::from(PAGE_MAX) + 1);
}

async fn anothers_order_does_not_exist_for_a_reader(on: &dyn UnderTest) {
    placed(on, "view-ada", "ada", &[("tea", 1)]).await;
    placed(on, "view-bob", "bob", &[("tea", 1)]).await;
    let all = || ["view-ada", "view-bob", "view-none"].map(order).to_vec();
    let seen = async |reader: Option<&str>| {
        let views = done(on.port().view(all(), reader.map(customer)).await);
        let mut seen: Vec<OrderId> = views.into_iter().map(|view| view.id).collect();
        seen.sort();
        seen
    };
    assert_eq!(seen(Some("ada")).await, [order("view-ada")]);
    assert_eq!(seen(Some("bob")).await, [order("view-bob")]);
    assert_eq!(seen(Some("eve")).await, []);
    let mut both = vec![order("view-ada"), order("view-bob")];
    both.sort();
    assert_eq!(seen(None).await, both, "who may read all");
    assert_eq!(done(on.port().view(Vec::new(), None).await), []);
}

async fn a_cancel_before_the_end_turns_back_once(on: &dyn UnderTest) {
    placed(on, "cancel", "ada", &[("tea", 1)]).await;
    let first = done(cancel(on, "cancel").await);
    assert_eq!((first.state, first.cause.as_deref()), (OrderState::Cancelling, Some("cancelled")));
    assert_eq!((first.version, first.ended_at), (2, None));
    assert_eq!(done(cancel(on, "cancel").await), first, "once more changes nothing");
    on.end(order("cancel")).await;
    let ended = done(cancel(on, "cancel").await);
    assert_eq!((ended.state, ended.ended_at), (OrderState::Cancelled, Some(on.clock().now())));
    assert_eq!(ended, view(on, "cancel").await);
}

async fn a_cancel_after_the_end_changes_nothing(on: &dyn UnderTest) {
    placed(on, "late", "ada", &[("tea", 1)]).await;
    on.end(order("late")).await;
    let before = view(on, "late").await;
    assert_eq!((before.state, before.cause.as_deref()), (OrderState::Shipped, None));
    assert_eq!(code(&cancel(on, "late").await), refusals::ALREADY_SHIPPED);
    assert_eq!(view(on, "late").await, before);
    assert_eq!(code(&cancel(on, "nobody's").await), refusals::UNKNOWN_ORDER);
}

async fn resolve(on: &dyn UnderTest, name: &str, how: Resolution) -> Answer<OrderView> {
    let order = order(name);
    on.port().resolve(order, how, "looked".to_owned(), context(order)).await
}

async fn what_is_stuck_goes_on_or_back_as_somebody_decides(on: &dyn UnderTest) {
    placed(on, "stuck", "ada", &[("tea", 1)]).await;
    assert_eq!(code(&resolve(on, "stuck", Resolution::Retry).await), refusals::NOT_STUCK);
    assert_eq!(code(&resolve(on, "nobody's", Resolution::Retry).await), refusals::UNKNOWN_ORDER);
    on.stop(order("stuck")).await;
    assert_eq!(view(on, "stuck").await.state, OrderState::Stuck);
    assert_eq!(done(resolve(on, "stuck", Resolution::Retry).await).state, OrderState::Placed);
    assert_eq!(code(&resolve(on, "stuck", Resolution::Retry).await), refusals::NOT_STUCK, "it goes on");
    on.stop(order("stuck")).await;
    let back = done(resolve(on, "stuck", Resolution::Cancel).await);
    assert_eq!((back.state, back.cause.as_deref()), (OrderState::Cancelling, Some("cancelled")));
    assert_eq!(back, view(on, "stuck").await);
}

async fn why_says_where_an_order_stands(on: &dyn UnderTest) {
    let [open, stopped, ended] = ["why-open", "why-stopped", "why-ended"];
    for name in [open, stopped, ended] {
        placed(on, name, "ada", &[("tea", 1)]).await;
    }
    on.stop(order(stopped)).await;
    on.end(order(ended)).await;
    let why = async |name: &str| done(on.port().why(order(name)).await);
    let said = why(open).await;
    assert_eq!((said.id, said.state, said.step.is_some()), (order(open), OrderState::Placed, true));
    assert!(said.next_try.is_some() && !said.advice.is_empty(), "it is looked at again: {said:?}");
    let said = why(stopped).await;
    assert_eq!((said.state, said.next_try), (OrderState::Stuck, None), "nothing happens by itself");
    assert!(said.cause.is_some(), "{said:?}");
    let said = why(ended).await;
    assert_eq!((said.state, said.step, said.next_try), (OrderState::Shipped, None, None));
    assert_eq!(code(&on.port().why(order("nobody's")).await), refusals::UNKNOWN_ORDER);
    let stuck = done(on.port().stuck().await);
    assert!(stuck.contains(&why(stopped).await), "{stuck:?}");
    assert!(stuck.iter().all(|said| said.id != order(ended)), "{stuck:?}");
}

async fn events(on: &dyn UnderTest, name: &str, after: i64) -> Vec<OrderEventView> {
    done(on.port().events(order(name), after).await)
}

async fn events_are_told_in_order_after_a_version(on: &dyn UnderTest) {
    placed(on, "events", "ada", &[("tea", 1)]).await;
    on.clock().advance_micros(1_000_000);
    done(cancel(on, "events").await);
    on.end(order("events")).await;
    let all = events(on, "events", 0).await;
    let kinds: Vec<&str> = all.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["OrderCreated", "CancelRequested", "OrderCancelled"]);
    let versions: Vec<i64> = all.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert!(all.is_sorted_by_key(|event| event.at));
    let wanted = &all[1];
    assert_eq!((wanted.actor.clone(), wanted.undo), (context(order("events")).actor, true), "who");
    assert_eq!(wanted.cause.as_deref(), Some("changed my mind"), "and why");
    let correlation = view(on, "events").await.correlation;
    assert!(all.iter().all(|event| event.correlation == correlation), "one trace: {correlation}");
    assert_eq!(events(on, "events", 1).await, all[1..]);
    assert_eq!(events(on, "events", 3).await, [], "nothing new");
    assert_eq!(code(&on.port().events(order("nobody's"), 0).await), refusals::UNKNOWN_ORDER);
}

async fn list(on: &dyn UnderTest, which: ListOrders) -> Vec<OrderSummary> {
    let OrdersPage { orders, .. } = done(on.port().list(ListOrders { limit: PAGE_MAX, ..which }).await);
    orders
}

fn ids(orders: &[OrderSummary]) -> Vec<OrderId> {
    orders.iter().map(|order| order.id).collect()
}

async fn a_list_is_newest_first_and_of_what_is_asked_for(on: &dyn UnderTest) {
    let names = ["list-1", "list-2", "list-3"];
    for (name, lines) in names.iter().zip([&[("tea", 2)][..], &[("rice", 1), ("tea", 3)], &[("rice", 1)]]) {
        on.clock().advance_micros(1_000_000);
        placed(on, name, "lister", lines).await;
    }
    placed(on, "list-foreign", "lister's neighbour", &[("tea", 1)]).await;
    done(cancel(on, "list-1").await);
    on.end(order("list-2")).await;
    on.catch_up().await;
    let [one, two, three] = names.map(order);
    let of = || ListOrders { customer: Some(customer("lister")), ..ListOrders::default() };
    let all = list(on, of()).await;
    assert_eq!(ids(&all), [three, two, one]);
    let shown = |of: &OrderSummary| (of.state, of.pieces, of.total.minor, of.ended_at.is_some());
    assert_eq!(shown(&all[1]), (OrderState::Shipped, 4, 4 * PRICE_MINOR, true));
    assert_eq!(all[1].version, view(on, "list-2").await.version);
    let reader = ListOrders { reader: Some(customer("lister")), ..ListOrders::default() };
    assert_eq!(list(on, reader.clone()).await, all, "a customer's own");
    let curious = ListOrders { customer: Some(customer("lister's neighbour")), ..reader };
    assert_eq!(list(on, curious).await, all, "are all that it learns of");
    let in_state = |state| ListOrders { state: Some(state), ..of() };
    assert_eq!(ids(&list(on, in_state(OrderState::Cancelling)).await), [one]);
    assert_eq!(ids(&list(on, in_state(OrderState::Stuck)).await), []);
    assert_eq!(ids(&list(on, ListOrders { cause: Some("cancelled".to_owned()), ..of() }).await), [one]);
    assert_eq!(ids(&list(on, ListOrders { sku: Some(sku("tea")), ..of() }).await), [two, one]);
    let from = Some(all[1].placed_at);
    assert_eq!(ids(&list(on, ListOrders { placed_from: from, ..of() }).await), [three, two], "or later");
    assert_eq!(ids(&list(on, ListOrders { customer: Some(customer("nobody")), ..of() }).await), []);
}

/// All pages of a customer's orders.
async fn pages(on: &dyn UnderTest, of: &str, limit: u16) -> Vec<OrderId> {
    let mut which = ListOrders { reader: Some(customer(of)), limit, ..ListOrders::default() };
    let mut all = Vec::new();
    loop {
        let page = done(on.port().list(which.clone()).await);
        assert!(page.orders.len() <= usize::from(limit), "{page:?}");
        all.extend(ids(&page.orders));
        let Some(next) = page.next else { return all };
        which.before = Some(next);
    }
}

async fn pages_lose_and_double_nothing_of_one_instant(on: &dyn UnderTest) {
    let wishes = (0..7).map(|n| wish(&format!("page-{n}"), "pager", &[("tea", 1)])).collect();
    on.port().place(wishes).await.into_iter().for_each(|answer| drop(done(answer)));
    on.catch_up().await;
    let whole = list(on, ListOrders { reader: Some(customer("pager")), ..ListOrders::default() }).await;
    assert_eq!(whole.len(), 7);
    for limit in [1, 3, 7, 100] {
        assert_eq!(pages(on, "pager", limit).await, ids(&whole), "in pages of {limit}");
    }
}

async fn a_list_shows_at_least_what_a_reader_asks_to_see(on: &dyn UnderTest) {
    placed(on, "seen", "seer", &[("tea", 1)]).await;
    let version = done(cancel(on, "seen").await).version;
    on.catch_up().await;
    let seen = |reader: &str, version: i64| ListOrders {
        reader: Some(customer(reader)),
        limit: 10,
        at_least: vec![(order("seen"), version)],
        ..ListOrders::default()
    };
    let shown = done(on.port().list(seen("seer", version)).await).orders;
    assert_eq!((shown.len(), shown[0].version), (1, version), "what was written");
    assert_eq!(code(&on.port().list(seen("seer", version + 1)).await), refusals::BEHIND);
    assert_eq!(
        code(&on.port().list(seen("eve", 1)).await),
        refusals::BEHIND,
        "tells nothing of a foreign order"
    );
    let nothing = ListOrders { at_least: vec![(order("nobody's"), 1)], ..seen("seer", 1) };
    assert_eq!(code(&on.port().list(nothing).await), refusals::BEHIND);
}

async fn sales_of(on: &dyn UnderTest, which: ListSales) -> Vec<Sales> {
    done(on.port().sales(ListSales { limit: PAGE_MAX, ..which }).await).sales
}

async fn sales_are_what_was_handed_over_by_hour_and_product(on: &dyn UnderTest) {
    on.clock().advance_micros(HOUR_MICROS);
    let began = on.clock().now();
    let sold = async |name: &str, lines: &[(&str, i64)]| {
        placed(on, name, "buyer", lines).await;
        on.end(order(name)).await;
    };
    sold("sale-1", &[("salt", 2), ("rice", 1)]).await;
    sold("sale-2", &[("salt", 3)]).await;
    placed(on, "sale-open", "buyer", &[("salt", 50)]).await;
    placed(on, "sale-cancelled", "buyer", &[("salt", 50)]).await;
    done(cancel(on, "sale-cancelled").await);
    on.end(order("sale-cancelled")).await;
    on.clock().advance_micros(HOUR_MICROS);
    sold("sale-3", &[("salt", 1)]).await;
    on.catch_up().await;
    let from = Some(began - Duration::from_secs(3_600));
    let recent = sales_of(on, ListSales { from, ..ListSales::default() }).await;
    let summed: Vec<_> =
        recent.iter().map(|line| (line.sku.as_str(), line.orders, line.pieces, line.amount_minor)).collect();
    let minor = PRICE_MINOR;
    assert_eq!(summed, [("salt", 1, 1, minor), ("rice", 1, 1, minor), ("salt", 2, 5, 5 * minor)]);
    assert!(recent[0].hour > recent[1].hour && recent[1].hour == recent[2].hour, "the newest hour first");
    assert!(recent[1].hour <= began && began < recent[1].hour + Duration::from_secs(3_600));
    let salt = sales_of(on, ListSales { sku: Some(sku("salt")), ..ListSales::default() }).await;
    assert_eq!(salt, [recent[0].clone(), recent[2].clone()]);
    let latest = sales_of(on, ListSales { from: Some(recent[0].hour), ..ListSales::default() }).await;
    assert_eq!(latest, recent[..1], "of that hour or later");
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = done(on.port().sales(ListSales { from, after, limit: 1, ..ListSales::default() }).await);
        walked.extend(page.sales);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, recent, "in pages of one");
}

async fn facts_are_of_the_orders_asked_for(on: &dyn UnderTest) {
    on.catch_up().await;
    let nobody: OrderId = "00000000-0000-0000-0000-000000000000".parse().expect("an id");
    let (mut after, mut seen) = (nobody, Vec::new());
    while let Some(end) = done(on.facts().page_end(after, 50).await) {
        let facts: Vec<OrderFact> = done(on.facts().facts(after, end).await);
        assert!(facts.iter().all(|fact| after < fact.id && fact.id <= end), "up to and with {end}");
        assert!(facts.len() <= 50, "{}", facts.len());
        seen.extend(facts);
        after = end;
    }
    let wrong = |fact: &&OrderFact| {
        fact.chain.is_some()
            || fact.row.is_some()
            || fact.list.is_some()
            || fact.out_of_order
            || fact.answers_otherwise
    };
    assert_eq!(seen.iter().find(wrong), None);
    let of = |name: &str| seen.iter().find(|fact| fact.id == order(name)).expect(name);
    for name in ["sale-1", "sale-open", "sale-cancelled", "why-stopped"] {
        let (fact, view) = (of(name), view(on, name).await);
        let fold = fact.order.as_ref().expect("what its events say");
        assert_eq!((fold.state, fold.version, fold.ended), (view.state, view.version, view.ended_at));
        assert_eq!((fold.total, &fold.lines), (view.total, &view.lines));
        let (ended, is_sold) = (view.ended_at.is_some(), view.state == OrderState::Shipped);
        assert_eq!((fold.told, fact.listed), (1 + i64::from(ended), view.version), "{name}");
        assert_eq!((fact.is_sold, fact.sale_heard), (is_sold, is_sold), "{name}");
        assert_eq!(fact.due_at.is_some(), !ended && view.state != OrderState::Stuck, "{name}");
    }
    assert_eq!(done(on.facts().facts(after, after).await), []);
    assert_eq!(done(on.facts().sales_violations().await), [] as [String; 0]);
}

async fn a_report_says_how_orders_stand(on: &dyn UnderTest) {
    let open = async |state| {
        let open = done(on.facts().open().await);
        open.iter().find(|open| open.state == state).map_or((0, 0.0), |open| (open.orders, open.oldest_s))
    };
    let before = open(OrderState::Placed).await;
    placed(on, "report-open", "ada", &[("tea", 1)]).await;
    placed(on, "report-ended", "ada", &[("tea", 1)]).await;
    on.end(order("report-ended")).await;
    on.clock().advance_micros(2_000_000);
    let after = open(OrderState::Placed).await;
    assert_eq!(after.0, before.0 + 1, "the one that is not ended");
    assert!(after.1 >= before.1 + 2.0, "{before:?} {after:?}");
    let asked = ["report-open", "report-ended", "nobody's"].map(order).to_vec();
    let mut settled = done(on.facts().settled(asked).await);
    settled.sort_by_key(|settled| settled.state.clone());
    let told: Vec<_> = settled.iter().map(|s| (s.id, s.state.as_str(), s.ended_at.is_some())).collect();
    let expected = [(order("report-open"), "placed", false), (order("report-ended"), "shipped", true)];
    assert_eq!(told, expected, "unknown ones are left out");
    assert!(done(on.facts().refusals().await).is_empty(), "no step was refused");
}
