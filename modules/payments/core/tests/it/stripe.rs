//! The module against another server of Stripe's shape than our own sandbox: localstripe, which was not made for us. `make chaos`
//! fetches and starts it; `BANYAN_STRIPE_URL` says where. It has no search and ignores Idempotency-Key: that a repeat under the same
//! key is done once is tested against the sandbox.

use std::time::Duration;

use banyan_kernel::{Answer, OrderId};
use payments_api::{
    Payments,
    testing::{UnderTest, ask_until_settled, authorise, capture, give_back as back, order, refund, void},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use crate::{give_back::given, world::World};

const CARD: &str = "pm_card_visa";

fn url() -> String {
    std::env::var("BANYAN_STRIPE_URL").expect("BANYAN_STRIPE_URL says where localstripe is")
}

/// A name that no run before had.
fn fresh(name: &str) -> OrderId {
    order(&format!("{name} {}", Uuid::new_v4()))
}

async fn world() -> World {
    World::with(|_| (), |callee| callee.base_url = url()).await
}

async fn held(world: &World, order: OrderId) {
    let answer = ask_until_settled(world, || world.payments.authorise(vec![authorise(order, 1, CARD)])).await;
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
}

#[tokio::test]
#[ignore = "needs localstripe: make chaos"]
async fn held_taken_and_given_back_in_parts() {
    let world = world().await;
    let order = fresh("parts");
    held(&world, order).await;
    let taken = ask_until_settled(&world, || world.payments.capture(vec![capture(order, 1)])).await;
    assert!(matches!(taken, Answer::Done(_)), "{taken:?}");
    for (key, amount) in [("a", Some(300)), ("b", None)] {
        let given = given(&world, back(order, key, amount)).await;
        assert!(matches!(given, Answer::Done(_)), "{given:?}");
    }
    world.balances().await;
}

#[tokio::test]
#[ignore = "needs localstripe: make chaos"]
async fn let_go_and_undone() {
    let world = world().await;
    let (let_go, undone) = (fresh("let go"), fresh("undone"));
    held(&world, let_go).await;
    let answer = ask_until_settled(&world, || world.payments.void(vec![void(let_go, 1)])).await;
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    held(&world, undone).await;
    ask_until_settled(&world, || world.payments.capture(vec![capture(undone, 1)])).await;
    let answer = ask_until_settled(&world, || world.payments.refund(vec![refund(undone, 1)])).await;
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    world.balances().await;
}

#[tokio::test]
#[ignore = "needs localstripe: make chaos"]
async fn a_card_that_declines_or_does_not_exist_is_refused() {
    let world = world().await;
    for card in ["pm_card_chargeCustomerFail", "pm_there_is_none"] {
        let order = fresh(card);
        let answer =
            ask_until_settled(&world, || world.payments.authorise(vec![authorise(order, 1, card)])).await;
        assert!(matches!(answer, Answer::Rejected(_)), "{card}: {answer:?}");
    }
}

#[tokio::test]
#[ignore = "needs localstripe: make chaos"]
async fn what_was_held_without_an_answer_is_found_among_the_latest() {
    let lossy = loses_the_first_answer(url()).await;
    let world = World::with(|_| (), |callee| callee.base_url = lossy).await;
    let order = fresh("lost");
    // Others come between, so that the list has more than one page.
    for n in 0..30 {
        if n == 0 {
            assert_eq!(world.payments.authorise(vec![authorise(order, 1, CARD)]).await, [Answer::Pending]);
        }
        held(&world, fresh("between")).await;
    }
    world.pass(Duration::from_secs(40 * 3_600));
    world.settle().await;
    held(&world, order).await;
    let reference = world.column(order, "reference").await.expect("a reference");
    let client = banyan_net::client().build().expect("a client");
    let mut of_order = 0;
    let mut after = String::new();
    loop {
        let page = client.get(format!("{}/v1/payment_intents?limit=25{after}", url())).bearer_auth("sk_test");
        let page: banyan_kernel::Json = page.send().await.expect("a page").json().await.expect("JSON");
        let intents = page["data"].as_array().expect("intents");
        let ours = intents.iter().filter(|intent| intent["metadata"]["order"] == order.to_string());
        of_order += ours.inspect(|intent| assert_eq!(intent["id"], reference)).count();
        if page["has_more"] != true {
            break;
        }
        after = format!("&starting_after={}", intents[24]["id"].as_str().expect("an id"));
    }
    assert_eq!(of_order, 1, "found, not charged again");
}

/// A way to `to` that loses the answer on its first connection.
async fn loses_the_first_answer(to: String) -> String {
    let to = to.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&to).await.expect("localstripe");
            if std::mem::take(&mut first) {
                let mut bytes = vec![0; 16 * 1024];
                let read = near.read(&mut bytes).await.expect("a request");
                far.write_all(&bytes[..read]).await.expect("it is passed on");
                let answered = far.read(&mut bytes).await.expect("an answer");
                assert!(answered > 0);
                continue;
            }
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    format!("http://{address}")
}
