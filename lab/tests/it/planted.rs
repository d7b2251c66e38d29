//! The audit finds what was planted by hand, and names it.

use std::{fmt::Display, process::Output, time::Duration};

use banyan_kernel::{
    Actor, Clock, CustomerId, Money, OrderId, Role, SystemClock, TraceParent, slot_of, stable_hash,
};
use banyan_lab::stage::{ShopOptions, ShopProcess, Stage, Wish, until, violations};
use banyan_store::sqlx::{self, AssertSqlSafe, Executor, PgPool, types::Json};
use orders_api::{OrderAccepted, PricedLine};
use orders_core::{Created, Order};
use uuid::Uuid;

const SETTLE: Duration = Duration::from_secs(60);
const ORDERS: usize = 9;
/// Older than any order may be that neither ended nor is stuck.
const AGE: Duration = Duration::from_secs(600);

const EVENT: &str = "insert into orders.order_event (order_id, version, sequence, type, schema_version, payload, hash, at, \
     traceparent, slot, epoch) select $1, 1, 1, $2, 1, $3, $4, $5, $6, $7, epoch from orders.fence";
/// Without a due time nobody looks after it.
const ROW: &str = "insert into orders.orders (order_id, customer_id, slot, placed_at, state, version, told, hash, \
     response, open, due_at) values ($1, $2, $3, $4, 'placed', 1, 1, $5, $6, true, null)";

/// By the mail that says that an order was accepted, and by the list.
const TOLD: &str = "select least((select count(*) from notifications.mail where order_id = $1), \
     (select count(*) from orders.order_list where order_id = $1))";

/// A clean shop and its orders.
struct Scene {
    shop: ShopProcess,
    pool: PgPool,
    orders: Vec<String>,
}

impl Scene {
    async fn new(stage: &Stage) -> Self {
        let shop = stage.shop("shop", ShopOptions::default()).await;
        // Each order is two parcels.
        shop.stock(&["APPLE"], 100).await;
        shop.stock_at("north", &["PEAR"], 100).await;
        let wish = |n: usize| Wish::of("ada", &format!("order-{n}"), &["APPLE", "PEAR"]);
        let orders = shop.place_all((0..ORDERS).map(wish).collect(), 4).await;
        shop.settled(&orders, SETTLE).await.unwrap();
        shop.clean_audit(SETTLE).await;
        let pool = shop.superuser_pool();
        Self { shop, pool, orders }
    }

    async fn run(&self, statements: String) {
        self.pool.execute(AssertSqlSafe(statements)).await.expect("the superuser may");
    }

    /// Plants, looks, mends: the audit names that check and what it is about, and nothing else is wrong
    /// before and after.
    async fn check(&self, name: &str, names: impl Display, plant: String, mend: String) {
        self.check_all(&[name], names, plant, mend).await;
    }

    /// As [`Self::check`], of what more than one check must see.
    async fn check_all(&self, checks: &[&str], names: impl Display, plant: String, mend: String) {
        self.run(plant).await;
        self.finds(checks, &names.to_string()).await;
        self.run(mend).await;
        let audit = self.shop.audit().await;
        assert!(violations(&audit).is_empty(), "{checks:?} was mended: {audit:#}");
    }

    async fn finds(&self, checks: &[&str], names: &str) {
        let Output { status, stdout, .. } = self.shop.banyan(&["audit"]).await;
        let text = String::from_utf8_lossy(&stdout);
        assert_eq!(status.code(), Some(1), "{checks:?}: {text}");
        let found = violations(&self.shop.audit().await);
        assert_eq!(found.keys().collect::<Vec<_>>(), checks, "{found:?}");
        for check in checks {
            assert!(found[*check].contains(names), "{check} names {names}: {found:?}");
            println!("{check}: {}", found[*check]);
            assert!(text.contains(&format!("  {check:<10} VIOLATED")), "{text}");
        }
        assert!(text.contains(names) && text.ends_with("NOT CLEAN\n"), "{text}");
    }
}

/// Changes rows of a table of which a copy is kept, and puts the copy back.
fn changed(table: &str, rows: &str, change: &str) -> (String, String) {
    let plant = format!(
        "create table public.kept as select * from {table} where {rows}; update {table} set {change} where {rows}"
    );
    let mend = format!(
        "delete from {table} where {rows}; \
         insert into {table} overriding system value select * from public.kept; drop table public.kept"
    );
    (plant, mend)
}

fn changed_event(order: &str, version: u8, change: &str) -> (String, String) {
    changed("orders.order_event", &format!("order_id = '{order}' and version = {version}"), change)
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_are_found_and_named() {
    let stage = Stage::new();
    let scene = Scene::new(&stage).await;
    let order = |n: usize| scene.orders[n].as_str();

    let stock = |by: &str| format!("update inventory.stock set on_hand = on_hand {by} where sku = 'APPLE'");
    scene.check("stock", "APPLE", stock("- 1"), stock("+ 1")).await;

    let entry = |verb: &str, rest: &str| {
        format!("{verb} payments.ledger_entry {rest} payment_id = '{}' and debit = 'cash'", order(0))
    };
    let more = |by: &str| entry("update", &format!("set amount_minor = amount_minor {by} where"));
    scene.check("money", order(0), more("+ 1"), more("- 1")).await;

    let response = |by: &str| {
        format!("update orders.orders set response = response {by} where order_id = '{}'", order(1))
    };
    scene.check("replay", order(1), response("+ 1"), response("- 1")).await;

    let (plant, mend) = changed_event(order(2), 3, "payload = jsonb_set(payload, '{attempt}', '2')");
    scene.check("chain", order(2), plant, mend).await;

    let (plant, mend) = changed_event(order(3), 7, "slot = slot");
    let tail = format!("delete from orders.order_event where order_id = '{}' and version = 7", order(3));
    // The sales have an order of which no event says that it was shipped.
    scene.check_all(&["chain", "read-model"], order(3), format!("{plant}; {tail}"), mend).await;

    let last =
        format!("(select xid from orders.order_event where order_id = '{}' and version = 7)", order(4));
    let (plant, mend) = changed_event(order(4), 1, &format!("xid = {last}, seq = default"));
    scene.check("order", order(4), plant, mend).await;

    let (plant, mend) = changed_event(order(5), 1, "sequence = 2");
    scene.check("chain", order(5), plant, mend).await;

    let of = |n: usize| format!("order_id = '{}'", order(n));
    for (n, change) in [
        (6, "customer_id = '00000000-0000-0000-0000-00000000dead'"),
        (7, "open = true"),
        (
            8,
            "version = 6, hash = (select e.hash from orders.order_event e where e.order_id = orders.order_id and e.version = 6)",
        ),
    ] {
        let (plant, mend) = changed("orders.orders", &of(n), change);
        scene.check("chain", order(n), plant, mend).await;
    }

    in_payments(&scene).await;

    let another =
        r#"further = (further::jsonb || '[{"place":"south","items":1,"tracking":"another"}]')::json"#;
    for change in ["tracking = 'elsewhere'", "carrier_id = 'shp_another'", "further = null", another] {
        let (plant, mend) = changed("shipping.shipment", &of(7), change);
        scene.check("once", order(7), plant, mend).await;
    }

    in_what_cannot_be_read(&scene).await;
    in_read_models(&scene).await;

    let forgotten = plant_forgotten(&scene.pool).await;
    // Its event is heard like any other, sooner or later; what that left must be mended as well.
    until(SETTLE, "its customer to be told", async || {
        let told: i64 =
            sqlx::query_scalar(TOLD).bind(forgotten.0).fetch_one(&scene.pool).await.expect("a count");
        (told > 0).then_some(())
    })
    .await;
    scene.finds(&["ended"], &forgotten.to_string()).await;
    let tables = ["orders.orders", "orders.order_event", "notifications.mail", "orders.order_list"];
    scene
        .run(tables.map(|table| format!("delete from {table} where order_id = '{forgotten}'")).join("; "))
        .await;
    assert!(violations(&scene.shop.audit().await).is_empty(), "mended");

    let mail = format!("order_id = '{}' and kind = 'shipped'", order(4));
    let plant = format!(
        "create table public.kept as select * from notifications.mail where {mail}; delete from notifications.mail where {mail}"
    );
    let mend = "insert into notifications.mail select * from public.kept; drop table public.kept".to_owned();
    scene.check("once", order(4), plant, mend).await;

    in_the_outsides_book(&scene).await;
}

/// The outside's book takes nothing back: these are last.
async fn in_the_outsides_book(scene: &Scene) {
    let order = |n: usize| scene.orders[n].as_str();
    scene.shop.outside().book_parcel(order(5)).await;
    scene.finds(&["once"], order(5)).await;
    let nobodys = Uuid::from_u128(0xbeef).to_string();
    for (of, named) in [
        (Some("no order of ours"), "no order of ours"),
        (None, "none"),
        (Some(nobodys.as_str()), nobodys.as_str()),
    ] {
        scene.shop.outside().hold_money(of, "eur").await;
        scene.finds(&["once"], named).await;
    }
    scene.shop.outside().hold_money(Some(order(8)), "usd").await;
    scene.finds(&["money", "once"], order(8)).await;
    let found = violations(&scene.shop.audit().await);
    assert!(found["money"].contains("costs EUR, and of its money some is USD"), "{found:?}");
}

/// Another currency, another amount.
async fn in_payments(scene: &Scene) {
    let order = scene.orders[6].as_str();
    let entries = format!("payment_id = '{}' and debit = 'cash'", order);
    let (plant, mend) = changed("payments.ledger_entry", &entries, "currency = 'USD'");
    scene.check("money", order, plant, mend).await;

    for change in ["currency = 'USD'", "amount_minor = amount_minor + 1"] {
        let (plant, mend) = changed("payments.payment", &format!("order_id = '{order}'"), change);
        scene.check("money", order, plant, mend).await;
    }
}

/// A row that cannot be read is named and hides no other.
async fn in_what_cannot_be_read(scene: &Scene) {
    let order = scene.orders[5].as_str();
    for (check, table, column, garbled) in [
        ("stock", "inventory.reservation", "lines", r#"[["APPLE", 1]]"#),
        ("once", "shipping.shipment", "further", "7"),
    ] {
        let plant = format!(
            "create table public.kept as select order_id, {column} from {table} where order_id = '{order}'; \
             update {table} set {column} = '{garbled}' where order_id = '{order}'"
        );
        let mend = format!(
            "update {table} t set {column} = k.{column} from public.kept k where k.order_id = t.order_id; \
             drop table public.kept"
        );
        scene.check(check, order, plant, mend).await;
    }
}

/// The views beside the truth.
async fn in_read_models(scene: &Scene) {
    let order = |n: usize| scene.orders[n].as_str();
    let of = |n: usize| format!("order_id = '{}'", order(n));
    for (n, change) in
        [(0, "state = 'stuck'"), (1, "ended_at = null"), (2, "version = 6"), (3, "tracking = 'elsewhere'")]
    {
        let (plant, mend) = changed("orders.order_list", &of(n), change);
        scene.check("read-model", order(n), plant, mend).await;
    }
    for (table, rows, names) in [
        ("orders.order_list", of(4), order(4)),
        ("orders.sold_order", of(5), order(5)),
        (
            "orders.sales",
            "sku = 'PEAR'".to_owned(),
            "PEAR EUR: sales say nothing, and the orders say 9 pieces of 9 orders for",
        ),
    ] {
        let (plant, mend) = changed(table, &rows, "copy = copy");
        scene.check("read-model", names, format!("{plant}; delete from {table} where {rows}"), mend).await;
    }
    let (plant, mend) = changed("orders.sales", "sku = 'APPLE'", "amount_minor = amount_minor + 1");
    scene.check("read-model", "APPLE EUR: sales say 9 pieces of 9 orders for", plant, mend).await;
}

/// An order that was acknowledged ten minutes ago and then forgotten: its chain is whole, its row is what its
/// event says, and it is never due.
async fn plant_forgotten(pool: &PgPool) -> OrderId {
    let id = OrderId(Uuid::from_u128(0xdead));
    let customer = CustomerId(Uuid::from_u128(7));
    let (quantity, currency) = (1.try_into().expect("a quantity"), "EUR".parse().expect("a currency"));
    let price = Money { minor: 250, currency };
    let line = PricedLine { sku: "APPLE".parse().expect("a SKU"), quantity, unit_price: price };
    let created = Created {
        customer,
        lines: vec![line.clone()],
        total: price,
        payment_method: "pm_card_visa".to_owned(),
        request_hash: String::new(),
        saga: orders_core::saga::VERSION,
    };
    let (at, trace) = (SystemClock.now() - AGE, TraceParent::root(id.0));
    let actor = Actor { role: Role::Customer, id: customer.to_string() };
    let (order, first) = Order::create(id, created, trace, at, &actor);
    let state = orders_api::OrderState::Placed;
    let accepted = OrderAccepted { id, state, total: price, lines: vec![line], placed_at: at };
    let response = stable_hash(&serde_json::to_vec(&accepted).expect("JSON")).cast_signed();
    let slot = slot_of(&id.to_string()) as i16;
    let event =
        sqlx::query(EVENT).bind(id.0).bind(first.kind).bind(Json(first.payload)).bind(&first.hash[..]);
    event.bind(at).bind(trace.to_string()).bind(slot).execute(pool).await.expect("an event");
    let row = sqlx::query(ROW).bind(id.0).bind(customer.0).bind(slot).bind(at);
    row.bind(&order.hash[..]).bind(response).execute(pool).await.expect("a row");
    id
}
