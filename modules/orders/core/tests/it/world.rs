//! The module on a database of its own, with a clock that stands and a catalogue of one product.

use std::sync::Arc;

use banyan_kernel::{Answer, Clock, Context, CustomerId, ManualClock, OrderId, Timestamp, TraceParent};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use catalog_api::{
    Catalog,
    testing::{FakeCatalog, sku, staff, wish, wishes},
};
use orders_api::{Orders as _, PlaceOrder, Placed};
use orders_core::{Orders, PostgresLog, schema};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// What a module says of itself.
pub fn told<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(told) => told,
        other => panic!("{other:?}"),
    }
}

/// Everything a test needs.
pub struct World {
    pub database: TestDatabase,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub log: PostgresLog,
    pub catalog: Arc<FakeCatalog>,
    pub orders: Arc<Orders>,
}

/// The order called `name`.
pub fn id(name: &str) -> OrderId {
    OrderId::derive("test", name)
}

/// Who asks.
pub fn context(order: OrderId) -> Context {
    Context::system("test", TraceParent::root(order.0))
}

/// A wish for two of A.
pub fn place(name: &str) -> PlaceOrder {
    let order = id(name);
    let line = banyan_kernel::Line { sku: sku("A"), quantity: 2.try_into().expect("a quantity") };
    PlaceOrder {
        order,
        customer: CustomerId(Uuid::from_u128(1)),
        lines: vec![line],
        payment_method: "pm_card_visa".to_owned(),
        request_hash: "the body".to_owned(),
        context: context(order),
    }
}

impl World {
    /// Without an order.
    pub async fn new() -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let store = Store::new(database.options(&role_of("orders")), "orders", 16, clock.clone());
        let catalog = Arc::new(FakeCatalog::new());
        assert!(matches!(catalog.put(staff(), wishes(vec![wish("A", 250)])).await, Answer::Done(_)));
        let orders = Orders::new(store.clone(), catalog.clone());
        Self { database, clock, log: PostgresLog::new(store.clone()), store, catalog, orders }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// As the administrator.
    pub async fn plant(&self, statement: &str) {
        let planted = sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&self.database.superuser_pool().await)
            .await;
        assert_ne!(planted.expect(statement).rows_affected(), 0, "{statement}");
    }

    /// Has the database change the rows of copy 1 of a read model, of which `which` is true, as they are written.
    pub async fn plant_trigger(&self, table: &str, which: &str, change: &str) {
        let superuser = self.database.superuser_pool().await;
        for statement in [
            format!(
                "create function orders.planted() returns trigger language plpgsql as $$ begin {change} end $$"
            ),
            format!(
                "create trigger planted before insert or update on orders.{table} for each row \
                 when (new.copy = 1 and {which}) execute function orders.planted()"
            ),
        ] {
            sqlx::query(AssertSqlSafe(statement.clone())).execute(&superuser).await.expect(&statement);
        }
    }

    /// Ends that.
    pub async fn drop_trigger(&self, table: &str) {
        let superuser = self.database.superuser_pool().await;
        for statement in
            [format!("drop trigger planted on orders.{table}"), "drop function orders.planted()".to_owned()]
        {
            sqlx::query(AssertSqlSafe(statement.clone())).execute(&superuser).await.expect(&statement);
        }
    }

    /// Places orders of these names.
    pub async fn place_all(&self, names: &[&str]) -> Vec<Answer<Placed>> {
        self.orders.place(names.iter().map(|name| place(name)).collect()).await
    }

    /// Places one.
    pub async fn placed(&self, name: &str) -> OrderId {
        let answers = self.place_all(&[name]).await;
        assert!(matches!(answers[..], [Answer::Done(_)]), "{answers:?}");
        id(name)
    }

    pub async fn count(&self, of: &'static str) -> i64 {
        sqlx::query_scalar(of).fetch_one(self.store.pool()).await.expect(of)
    }
}
