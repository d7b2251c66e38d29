//! Inventory: asked by orders and by the shop.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer};
use banyan_kernel::{Answer, Clock, Envelope, Json, ManualClock, OrderId};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use inventory_api::{
    AdjustStock, Adjusted, Finding, Inventory, NAME, ReceiveStock, ReservationConfirmed, ReservationFact,
    ReservationState, StockFacts, StockKeeping, StockLevel, StockMovement, StockReceived, StockReleased,
    StockReserved, Told, refusals,
    testing::{confirm, context, lines, order, receipt, receipt_at, release, reserve, sku},
};
use inventory_core::{OrdersConsumer, schema};
use inventory_http::{HttpInventory, Served, port};
use serde_json::json;
use uuid::Uuid;

use crate::{
    talk::Talk,
    verify::{Provider, States},
};

const STOCKED: &str = "tea is in stock, and rice at another place";
const NO_COFFEE: &str = "there is no coffee";
const HELD: &str = "an order's tea is held";
const SHIPPED: &str = "an order's tea was shipped";
const NOTHING_HELD: &str = "nothing is held for an order";
const SALT: &str = "ten of salt came in, and nothing else happened to it";

/// In a year that no service comes to: what is held until then is held whenever the pact is read.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_micros(4_102_444_800_000_000))
}

/// The order just before it: what is asked for after that one is about this one alone.
pub fn before(order: OrderId) -> OrderId {
    OrderId(Uuid::from_u128(order.0.as_u128() - 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_orders_expect_of_inventory() {
    let (talk, now) = (Talk::new("orders", NAME), clock().now());
    let (held, coffee) = (&[("tea", 2), ("rice", 1)], &[("coffee", 1)]);
    let batch = vec![reserve(order("wanted"), 1, held, now)];
    let places = [(sku("rice"), "north".parse().expect("a place"))].into_iter().collect();
    let kept = vec![Answer::Done(StockReserved { expires_at: batch[0].body.expires_at, places })];
    talk.ask("reserve", STOCKED, &batch.clone(), kept, async |to| HttpInventory(to).reserve(batch).await)
        .await;
    let batch = vec![reserve(order("coffee"), 1, coffee, now)];
    let refused = vec![Answer::rejected(refusals::OUT_OF_STOCK, "coffee lacks 1")];
    talk.ask("reserve", NO_COFFEE, &batch.clone(), refused, async |to| {
        HttpInventory(to).reserve(batch).await
    })
    .await;
    let batch = vec![confirm(order("held"))];
    let firm = vec![Answer::Done(ReservationConfirmed {})];
    talk.ask("confirm", HELD, &batch.clone(), firm, async |to| HttpInventory(to).confirm(batch).await).await;
    let batch = vec![confirm(order("nobody's"))];
    let refused = vec![Answer::rejected(refusals::NOT_RESERVED, "no stock is kept for this order")];
    talk.ask("confirm", NOTHING_HELD, &batch.clone(), refused, async |to| {
        HttpInventory(to).confirm(batch).await
    })
    .await;
    let batch = vec![release(order("held"), 1)];
    let free = vec![Answer::Done(StockReleased {})];
    talk.ask("release", HELD, &batch.clone(), free, async |to| HttpInventory(to).release(batch).await).await;
    let batch = vec![release(order("shipped"), 1)];
    let refused = vec![Answer::rejected(refusals::ALREADY_SHIPPED, "the goods have left")];
    talk.ask("release", SHIPPED, &batch.clone(), refused, async |to| HttpInventory(to).release(batch).await)
        .await;
    talk.agreed();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_expects_of_inventory() {
    let talk = Talk::new("shop", NAME);
    staff_book(&talk).await;
    all_look(&talk).await;
    talk.agreed();
}

async fn staff_book(talk: &Talk) {
    let told = Told { slot: 3, epoch: 1, xid: 748 };
    let came: Vec<ReceiveStock> = vec![receipt("delivery/1", &[("pepper", 5)])];
    let question = json!({ "context": context(), "receipts": came });
    let booked = vec![Answer::Done(StockReceived { repeated: false, told })];
    talk.ask("receive", STOCKED, &question, booked, async |to| {
        HttpInventory(to).receive(context(), came).await
    })
    .await;
    let came = vec![receipt_at("delivery/2", "south", &[("rice", 5)])];
    let question = json!({ "context": context(), "receipts": came });
    let refused = vec![Answer::rejected(refusals::STANDS_ELSEWHERE, "some of it is left at another place")];
    let given = "rice is left at another place than it came to";
    talk.ask("receive", given, &question, refused, async |to| {
        HttpInventory(to).receive(context(), came).await
    })
    .await;
    let wish = |of| AdjustStock {
        key: format!("finding/{of}"),
        sku: sku(of),
        finding: Finding::By(-1),
        reason: "broken".to_owned(),
    };
    let question = json!({ "context": context(), "wish": wish("tea") });
    let adjusted = Answer::Done(Adjusted { quantity: -1, repeated: false, told });
    talk.ask("adjust", STOCKED, &question, adjusted, async |to| {
        HttpInventory(to).adjust(context(), wish("tea")).await
    })
    .await;
    let question = json!({ "context": context(), "wish": wish("coffee") });
    let refused = Answer::rejected(refusals::UNKNOWN_PRODUCT, "coffee was never received");
    talk.ask("adjust", NO_COFFEE, &question, refused, async |to| {
        HttpInventory(to).adjust(context(), wish("coffee")).await
    })
    .await;
}

async fn all_look(talk: &Talk) {
    let skus = || vec![sku("salt")];
    let level = StockLevel { on_hand: 10, received: 10, ..StockLevel::none(sku("salt")) };
    let levels = Answer::Done(vec![level]);
    talk.ask("levels", SALT, &json!({ "skus": skus() }), levels, async |to| {
        HttpInventory(to).levels(skus()).await
    })
    .await;
    let movement = StockMovement {
        place: [1, 748, 2],
        at: clock().now(),
        what: "GoodsReceived".to_owned(),
        quantity: 10,
        of: "salt".to_owned(),
        reason: None,
        actor: "system:saga".to_owned(),
        correlation: context().trace.correlation(),
    };
    let written = json!({ "done": [{ "at": movement.place, "movement": movement }] });
    let question = json!({ "sku": "salt", "before": null, "limit": 5 });
    talk.ask_as("movements", SALT, &question, &written, Answer::Done(vec![movement]), async |to| {
        HttpInventory(to).movements(sku("salt"), None, 5).await
    })
    .await;
    let question = json!({ "skus": ["coffee"], "at_least": [] });
    talk.ask("availability", NO_COFFEE, &question, Answer::Done(Vec::new()), async |to| {
        HttpInventory(to).availability(vec![sku("coffee")], Vec::new()).await
    })
    .await;
    let (order, expires_at) =
        (order("looked at"), reserve(order("held"), 1, &[], clock().now()).body.expires_at);
    let (state, lines) = (ReservationState::Held, lines(&[("tea", 1)]));
    let (places, version, orders_seen) = ([(sku("tea"), "main".parse().expect("a place"))], 1, 1);
    let places = places.into_iter().collect();
    let fact = ReservationFact { order, state, lines, places, version, orders_seen, expires_at };
    let question = json!({ "after": before(order), "upto": order });
    talk.ask("facts", HELD, &question, Answer::Done(vec![fact]), async |to| {
        HttpInventory(to).facts(before(order), order).await
    })
    .await;
    talk.ask("violations", STOCKED, &json!({}), Answer::Done(Vec::new()), async |to| {
        HttpInventory(to).violations().await
    })
    .await;
}

/// Inventory on real PostgreSQL, in this process or not.
pub struct World {
    core: Served,
    store: Store,
}

impl World {
    /// Whoever answers, on this database.
    pub fn new(core: Served, database: &TestDatabase) -> Self {
        Self { core, store: Store::new(database.options(&role_of(NAME)), NAME, 4, clock()) }
    }

    async fn receive(&self, of: ReceiveStock) {
        let answers = self.core.inventory.receive(context(), vec![of]).await;
        assert!(matches!(answers[..], [Answer::Done(_)]), "{answers:?}");
    }

    async fn hold(&self, name: &str) {
        self.receive(receipt("some tea", &[("tea", 1_000)])).await;
        let wish = reserve(order(name), 1, &[("tea", 1)], self.store.clock().now());
        let answers = self.core.inventory.reserve(vec![wish]).await;
        assert!(matches!(answers[..], [Answer::Done(_)]), "{answers:?}");
    }

    async fn ship(&self, name: &str) {
        self.hold(name).await;
        let answers = self.core.inventory.confirm(vec![confirm(order(name))]).await;
        assert!(matches!(answers[..], [Answer::Done(_)]), "{answers:?}");
        let told = [shipped(order(name))];
        assert!(matches!(
            hear(&OrdersConsumer::new(self.store.clone()), &told).await[..],
            [Applied::Done | Applied::Duplicate]
        ));
    }
}

/// Applies these, in one commit.
pub async fn hear(consumer: &dyn Consumer, told: &[Envelope]) -> Vec<Applied> {
    let mut write = consumer.store().begin(&consumer.locks(told)).await.expect("a write");
    let applied = consumer.apply(&mut write, told).await.expect("applied");
    write.commit().await.expect("committed");
    applied
}

fn shipped(order: OrderId) -> Envelope {
    crate::events::envelope("orders", &order.to_string(), 2, "OrderShipped", Json::Null)
}

#[async_trait]
impl States for World {
    async fn bring_about(&self, state: &str) {
        match state {
            HELD => {
                self.hold("held").await;
                self.hold("looked at").await;
            }
            SHIPPED => self.ship("shipped").await,
            SALT => self.receive(receipt("some salt", &[("salt", 10)])).await,
            NO_COFFEE | NOTHING_HELD => {}
            _ => {
                self.receive(receipt("some tea", &[("tea", 1_000)])).await;
                self.receive(receipt_at("some rice", "north", &[("rice", 1_000)])).await;
            }
        }
    }
}

/// With nothing in it.
pub async fn provider() -> Provider {
    let database = database().await;
    prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
    let store = Store::new(database.options(&role_of(NAME)), NAME, 8, clock());
    let core = Served::by(inventory_core::Inventory::new(store));
    let world = World::new(core.clone(), &database);
    Provider::new(NAME, port(), core, Arc::new(world), database)
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_keeps_its_pacts() {
    provider().await.keeps_its_pacts().await;
}
