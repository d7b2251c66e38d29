//! What is heard: each consumer's own code reads what it expects to be told, and what is told has all of it.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use axum::{
    Json as Body, Router,
    response::{IntoResponse, Response},
    routing::post,
};
use banyan_bus::{Applied, Consumer};
use banyan_contracts::{Seam, Way};
use banyan_kernel::{Answer, Envelope, Json, ManualClock, Money, OrderId, Timestamp, TraceParent, event_id};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Schema, Store, prepare, role_of, sqlx};
use base64::{Engine, prelude::BASE64_STANDARD};
use catalog_api::{
    Catalog, ProductUpdated,
    testing::{FakeCatalog, sku, staff, wish, wishes},
};
use catalog_http::CachedCatalog;
use inventory_api::{
    Inventory,
    testing::{confirm, context, order, receipt, reserve},
};
use notifications_core::NewsConsumer;
use orders_api::{OrderCancelled, OrderCreated, OrderShipped, PricedLine};
use pact_consumer::prelude::PactBuilder;
use payments_api::PaymentRefunded;
use serde_json::{Value, json};
use shipping_api::ShipmentDelivered;

use crate::{
    catalog::product,
    inventory::hear,
    talk::{agreed, form, is_quiet, json_of},
    verify::{States, anybody, pacts, serve, verify},
};

/// As the carrier's answer leaves it.
const BOOKED: &str = "insert into shipment (order_id, items, slot, trace, attempt, version, tries, again, look_ups, asked_again, state, \
     orders_seen) values ($1, 1, 1, $1, 1, 1, 1, 0, 0, false, 'booked', 1)";

/// Told of a subject, as the bus brings it.
pub fn envelope(source: &str, subject: &str, sequence: i64, kind: &str, data: Json) -> Envelope {
    Envelope {
        id: event_id(source, subject, sequence),
        kind: kind.to_owned(),
        source: source.to_owned(),
        subject: subject.to_owned(),
        time: Timestamp::UNIX_EPOCH,
        schema_version: 1,
        sequence,
        causation: "test".to_owned(),
        actor: "system:test".to_owned(),
        traceparent: TraceParent::root(mine().0),
        data,
    }
}

fn mine() -> OrderId {
    order("mine")
}

fn total() -> Money {
    Money { minor: 500, currency: "EUR".parse().expect("a currency") }
}

/// All that is heard of, as those who tell it write it.
fn told() -> Vec<Envelope> {
    let tea = reserve(mine(), 1, &[("tea", 2)], Timestamp::UNIX_EPOCH).body.lines.remove(0);
    let lines = vec![PricedLine {
        sku: tea.sku,
        quantity: tea.quantity,
        unit_price: Money { minor: 250, ..total() },
    }];
    let (order, customer) = (mine(), notifications_api::testing::customer("ada"));
    let created = OrderCreated { order, customer, lines, total: total() };
    let shipped = OrderShipped { order, tracking: vec!["T-1".to_owned()] };
    let cancelled = OrderCancelled { order, cause: "out_of_stock".to_owned() };
    let refunded = PaymentRefunded { order, amount: total() };
    let delivered = ShipmentDelivered { order, tracking: "T-1".to_owned(), whole: true };
    let of = order.to_string();
    let of_mine = |source, kind, data| envelope(source, &of, 1, kind, data);
    let updated = ProductUpdated { product: product(&wish("tea", 299), 2) };
    vec![
        of_mine("orders", OrderCreated::KIND, json_of(&created)),
        of_mine("orders", OrderShipped::KIND, json_of(&shipped)),
        of_mine("orders", OrderCancelled::KIND, json_of(&cancelled)),
        of_mine("payments", PaymentRefunded::KIND, json_of(&refunded)),
        of_mine("shipping", ShipmentDelivered::KIND, json_of(&delivered)),
        envelope("catalog", "tea", 1, ProductUpdated::KIND, json_of(&updated)),
    ]
}

/// What a consumer expects to be told of a subject, as Pact hands it to the consumer's own test; it becomes the pact.
fn expected(
    consumer: &str,
    provider: &str,
    subject: &str,
    first: i64,
    kinds: &[(&str, Value)],
) -> Vec<Envelope> {
    is_quiet();
    let folder = tempfile::tempdir().expect("a folder");
    let mut pact = PactBuilder::new_v4(consumer, provider);
    pact.with_output_dir(folder.path());
    for (kind, data) in kinds {
        pact.message_interaction(*kind, |mut told| {
            told.json_body(form(data)).metadata("type", *kind).metadata("source", provider);
            told.metadata("subject", subject).metadata("schema_version", 1);
            told
        });
    }
    let handed = pact.messages().zip(first..).map(|(message, sequence)| {
        let data = message.contents.contents.value().expect("data");
        let data = serde_json::from_slice(&data).expect("JSON");
        envelope(provider, subject, sequence, &message.description, data)
    });
    let handed = handed.collect();
    agreed(&Seam::new(Way::Events, consumer, provider), folder.path());
    handed
}

async fn store(module: &'static str, schema: Schema) -> (Store, TestDatabase) {
    let database = database().await;
    prepare(&database.superuser(), "", &[schema]).await.expect("a schema");
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    (Store::new(database.options(&role_of(module)), module, 8, clock), database)
}

async fn are_understood(consumer: &dyn Consumer, told: &[Envelope]) {
    for event in told {
        let applied = hear(consumer, std::slice::from_ref(event)).await;
        assert_eq!(applied, [Applied::Done], "{}", event.kind);
    }
}

/// It needs to know that it happened, and to which order.
#[tokio::test(flavor = "multi_thread")]
async fn inventory_understands_what_it_expects_of_orders() {
    let (store, _database) = store("inventory", inventory_core::schema()).await;
    let core = inventory_core::Inventory::new(store.clone());
    core.receive(context(), vec![receipt("tea", &[("tea", 9)])]).await;
    let wish = reserve(mine(), 1, &[("tea", 1)], store.clock().now());
    assert!(matches!(core.reserve(vec![wish]).await[..], [Answer::Done(_)]));
    assert!(matches!(core.confirm(vec![confirm(mine())]).await[..], [Answer::Done(_)]));
    let kinds = [(OrderShipped::KIND, json!({})), (OrderCancelled::KIND, json!({}))];
    let told = expected("inventory", "orders", &mine().to_string(), 2, &kinds);
    are_understood(&inventory_core::OrdersConsumer::new(store), &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_understands_what_it_expects_of_orders() {
    let (store, _database) = store("shipping", shipping_core::schema()).await;
    sqlx::query(BOOKED).bind(mine().0).execute(store.pool()).await.expect("a shipment");
    let told = expected("shipping", "orders", &mine().to_string(), 2, &[(OrderShipped::KIND, json!({}))]);
    are_understood(&shipping_core::OrdersConsumer::new(store), &told).await;
}

/// It writes mails of what it reads.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_understand_what_they_expect_of_orders_payments_and_shipping() {
    let (store, _database) = store("notifications", notifications_core::schema()).await;
    let data = |kind: &str| told().into_iter().find(|event| event.kind == kind).expect("an event").data;
    let of = mine().to_string();
    let hears = |provider, kinds: &[&'static str]| {
        let kinds: Vec<(&str, Value)> = kinds.iter().map(|kind| (*kind, data(kind))).collect();
        expected("notifications", provider, &of, 1, &kinds)
    };
    let told = hears("orders", &[OrderCreated::KIND, OrderShipped::KIND, OrderCancelled::KIND]);
    are_understood(&notifications_core::OrdersConsumer::new(store.clone(), false), &told).await;
    let told = hears("payments", &[PaymentRefunded::KIND]);
    are_understood(&NewsConsumer::of_refunds(store.clone(), false), &told).await;
    let told = hears("shipping", &[ShipmentDelivered::KIND]);
    are_understood(&NewsConsumer::of_deliveries(store, false), &told).await;
}

/// A cache forgets what it hears of, and needs to know no more than of which product.
#[tokio::test(flavor = "multi_thread")]
async fn the_caches_of_orders_and_of_the_shop_understand_what_they_expect_of_the_catalogue() {
    for consumer in ["orders", "shop"] {
        let within = Arc::new(FakeCatalog::new());
        let (cached, cache) = CachedCatalog::new(within.clone());
        let price = async |minor| {
            within.put(staff(), wishes(vec![wish("tea", minor)])).await;
            cached.products(vec![sku("tea")]).await.expect("a catalogue")[0].price.minor
        };
        assert_eq!((price(1).await, price(2).await), (1, 1), "nobody told it yet");
        let (tell, heard) = tokio::sync::broadcast::channel(8);
        for event in expected(consumer, "catalog", "tea", 2, &[(ProductUpdated::KIND, json!({}))]) {
            tell.send(Arc::new(event)).expect("a listener");
        }
        drop(tell);
        (CachedCatalog::hearing(cache).hear)(heard).await;
        assert_eq!(price(3).await, 3);
    }
}

struct Nothing;

#[async_trait]
impl States for Nothing {
    async fn bring_about(&self, _: &str) {}
}

/// One told event, to whoever asks for it by its name, with its head as Pact reads it.
fn teller(provider: &'static str, change: fn(Json) -> Json) -> Router {
    let tell = async move |Body(asked): Body<Json>| -> Response {
        let event = told().into_iter().find(|it| it.source == provider && asked["description"] == *it.kind);
        let event = event.expect("an event that is told");
        let Envelope { kind, source, subject, schema_version, data, .. } = event;
        let head =
            json!({ "type": kind, "source": source, "subject": subject, "schema_version": schema_version });
        let head = BASE64_STANDARD.encode(head.to_string());
        ([("Pact-Message-Metadata", head)], Body(change(data))).into_response()
    };
    Router::new().route("/", post(tell))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_what_was_agreed() {
    for provider in ["catalog", "orders", "payments", "shipping"] {
        let (port, _telling) = serve(teller(provider, |data| data)).await;
        let said = verify(
            provider,
            &pacts(provider, Way::Events, &anybody),
            port,
            HashMap::new(),
            Arc::new(Nothing),
        )
        .await;
        assert!(said.result, "{}", said.output.join("\n"));
    }
}

/// Only those who read it notice.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_field_that_somebody_reads_is_found_out() {
    let router = teller("orders", |mut data| {
        data.as_object_mut().expect("an event").remove("customer");
        data
    });
    let (port, _telling) = serve(router).await;
    let said =
        verify("orders", &pacts("orders", Way::Events, &anybody), port, HashMap::new(), Arc::new(Nothing))
            .await;
    let broken: Vec<&str> = said.errors.iter().map(|(event, _)| event.as_str()).collect();
    assert!(matches!(broken[..], [event] if event.contains(OrderCreated::KIND)), "{broken:?}");
}
