//! What the way itself may bring: strangers, other databases, too much, too late, who hangs up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use banyan_kernel::{Answer, Clock, Command, Context, Sku};
use banyan_net::{
    call::{Call, Callee, Caller, DEADLINE_HEADER, Method},
    port::{
        BODY_BYTES_MAX, ITEMS_MAX,
        testing::{CALLER, Database, key},
    },
};
use inventory_api::{
    ConfirmReservation, Inventory, NAME, ReceiveStock, ReleaseStock, ReservationConfirmed, ReserveStock,
    StockLevel, StockReceived, StockReleased, StockReserved,
    testing::{UnderTest, confirm, context, order, receipt, reserve, sku},
};
use inventory_http::{HttpInventory, Served};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::world::World;

const RESERVATIONS: &str = "select count(*) from reservation";

async fn reservations(world: &World) -> i64 {
    let count = banyan_store::sqlx::query_scalar(RESERVATIONS).fetch_one(world.store.pool());
    count.await.expect("a count")
}

fn is_unavailable<T>(answer: &Answer<T>, why: &str) -> bool {
    matches!(answer, Answer::Unavailable(said) if said.contains(why))
}

/// One request as it is, with what the answer says: status and type of problem.
async fn post(world: &World, operation: &str, body: String) -> (u16, String) {
    let callee = Callee::port(world.wire.address.clone(), world.wire.key.credential(NAME));
    let call = Call::new(Method::POST, operation, format!("/v1/{operation}"), context().trace);
    let caller = Caller::new(NAME, callee).expect("a client");
    let reply = caller.call(call.body("application/json", body)).await.expect("an answer");
    (reply.status, reply.body["type"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_stranger_and_a_token_for_somebody_else_write_nothing() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (stranger, _) = key(folder.path(), CALLER);
    let wish = || vec![reserve(order("mine"), 1, &[("tea", 1)], world.clock().now())];
    for credential in [stranger.credential(NAME), world.wire.key.credential("payments")] {
        let refused = HttpInventory(world.wire.client_as(credential)).reserve(wish()).await;
        assert!(is_unavailable(&refused[0], "does not let us in (401)"), "{refused:?}");
    }
    assert_eq!(reservations(&world).await, 0);
    let known = world.client.reserve(wish()).await;
    assert!(matches!(known[..], [Answer::Rejected(_)]), "there is no tea, and that is an answer: {known:?}");
}

#[tokio::test]
async fn a_route_whose_two_sides_are_on_two_databases_writes_nothing() {
    let world = World::new().await;
    let elsewhere = world.wire.client().sharing(Arc::new(Database("7/5/inventory/1")));
    let elsewhere = HttpInventory(elsewhere);
    let refused =
        elsewhere.reserve(vec![reserve(order("mine"), 1, &[("tea", 1)], world.clock().now())]).await;
    assert!(is_unavailable(&refused[0], "another database"), "{refused:?}");
    assert_eq!(reservations(&world).await, 0);
    // A restore makes it another one; both sides notice by themselves.
    assert!(matches!(world.client.levels(vec![sku("tea")]).await, Answer::Done(_)));
    world.store.fence().raise().await.expect("a new incarnation");
    let first = world.client.levels(vec![sku("tea")]).await;
    assert!(is_unavailable(&first, "another database") || matches!(first, Answer::Done(_)), "{first:?}");
    assert!(matches!(world.client.levels(vec![sku("tea")]).await, Answer::Done(_)));
}

#[tokio::test]
async fn what_is_no_question_or_too_much_is_a_problem_of_its_own() {
    let world = World::new().await;
    let nobody = reserve(order("mine"), 1, &[("tea", 1)], world.clock().now());
    let many = serde_json::to_string(&vec![nobody; ITEMS_MAX + 1]).expect("a batch");
    for (operation, body, status, problem) in [
        ("reserve", "[{".to_owned(), 400, "/problems/not_understood"),
        ("reserve", "{\"a\":1}".to_owned(), 400, "/problems/not_understood"),
        ("levels", r#"{"skus":["no sku"]}"#.to_owned(), 400, "/problems/not_understood"),
        ("reserve", many, 413, "/problems/too_many_items"),
        ("nothing", "{}".to_owned(), 404, "/problems/no_such_operation"),
    ] {
        assert_eq!(post(&world, operation, body.clone()).await, (status, problem.to_owned()), "{body:.60}");
    }
    let long = post(&world, "reserve", " ".repeat(BODY_BYTES_MAX + 1)).await;
    assert_eq!(long.0, 413);
    assert_eq!(reservations(&world).await, 0);
}

#[tokio::test]
async fn a_batch_of_more_than_fits_goes_in_several_and_is_answered_in_its_order() {
    let world = World::new().await;
    let booked = world.client.receive(context(), vec![receipt("tea", &[("tea", 10)])]).await;
    assert!(matches!(booked[..], [Answer::Done(StockReceived { repeated: false, .. })]), "{booked:?}");
    let wishes = (0..ITEMS_MAX + 7).map(|n| {
        let name = if n % 2 == 0 { "none" } else { "tea" };
        reserve(
            order(&format!("order-{n}")),
            1,
            &[(name, if n == ITEMS_MAX + 4 { 3 } else { 100 })],
            world.clock().now(),
        )
    });
    let mut wishes: Vec<_> = wishes.collect();
    wishes[ITEMS_MAX + 5] = reserve(order("the-last"), 1, &[("tea", 3)], world.clock().now());
    let answers = world.client.reserve(wishes).await;
    assert_eq!(answers.len(), ITEMS_MAX + 7);
    let done: Vec<usize> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| matches!(answer, Answer::Done(_)))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(done, [ITEMS_MAX + 5]);
}

/// An inventory that holds each question until it is let go, and counts those that it came to the end of.
struct Slow {
    gate: Semaphore,
    ended: AtomicUsize,
}

#[async_trait]
impl Inventory for Slow {
    async fn reserve(&self, _: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        unreachable!("nobody asks")
    }
    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        self.gate.acquire().await.expect("a gate").forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
        batch.iter().map(|_| Answer::Done(ReservationConfirmed {})).collect()
    }
    async fn release(&self, _: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        unreachable!("nobody asks")
    }
    async fn receive(&self, _: Context, _: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        unreachable!("nobody asks")
    }
    async fn levels(&self, _: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        Answer::Unavailable("not now".to_owned())
    }
}

#[tokio::test]
async fn who_waits_no_longer_cancels_nothing_and_is_not_worked_for_in_vain() {
    let slow: Arc<Slow> = Arc::new(Slow { gate: Semaphore::new(0), ended: AtomicUsize::new(0) });
    let world = World::with(|core| Served { inventory: slow.clone(), ..core }).await;
    let client = banyan_net::client().build().expect("a client");
    let asked = client
        .post(format!("{}/v1/confirm", world.wire.address))
        .bearer_auth(world.wire.key.mint(NAME).expect("a token"))
        .header(DEADLINE_HEADER, "200")
        .body(serde_json::to_string(&[confirm(order("mine"))]).expect("a batch"));
    assert_eq!(
        asked.send().await.expect("an answer").status(),
        503,
        "the server gives up as its caller does"
    );
    assert_eq!(slow.ended.load(Ordering::SeqCst), 0);
    slow.gate.add_permits(1);
    let ended = async {
        while slow.ended.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("what was begun goes to its end");
}

/// The breaker looks into the answer: 200 with nothing but `unavailable` is no answer.
#[tokio::test]
async fn a_module_that_answers_only_that_it_cannot_is_left_alone_for_a_while() {
    let slow: Arc<Slow> = Arc::new(Slow { gate: Semaphore::new(0), ended: AtomicUsize::new(0) });
    let world = World::with(|core| Served { inventory: slow.clone(), ..core }).await;
    let mut said = Vec::new();
    for _ in 0..12 {
        said.push(world.client.levels(vec![sku("tea")]).await);
    }
    assert!(is_unavailable(&said[0], "not now"), "{said:?}");
    assert!(is_unavailable(&said[11], "has not answered for a while"), "{said:?}");
    let body: Value = serde_json::to_value(&said[0]).expect("an answer");
    assert_eq!(body["unavailable"], "not now");
}
