//! Orders on a database of their own, whose lists are fed and whose ends a test decides: what a conformance suite is held against. The
//! contract's HTTP form is, too.

use std::{sync::Arc, time::Duration};

use banyan_bus::{Bus, Counters, Feed, GroupOptions, LocalBus, ReadModel, Source};
use banyan_kernel::{Actor, Answer, Clock, ManualClock, OrderId};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{OwnershipConfig, Store, prepare, role_of, sqlx};
use catalog_api::{
    Catalog,
    testing::{FakeCatalog, sku, staff, wish, wishes},
};
use orders_api::{NAME, testing::PRICE_MINOR};
use orders_core::{
    OrderEvent, OrderList, Orders, OrdersSource, PostgresLog, SalesByHour, Step,
    log::{Kept, Loaded, OrderLog, Save},
    schema,
};
use tokio_util::sync::{CancellationToken, DropGuard};

const WITHIN: Duration = Duration::from_secs(30);
/// Whether both views show all that was recorded.
const CAUGHT_UP: &str = "select not exists (select from orders o left join order_list l on l.order_id = o.order_id \
     and l.copy = (select live from read_model where name = 'orders.list') where l.version is distinct from o.version) \
     and not exists (select from order_event e where e.type = 'OrderShipped' and not exists (select from sold_order s \
     where s.copy = (select live from read_model where name = 'orders.sales') and s.order_id = e.order_id))";

/// Everything a suite needs.
pub struct Real {
    pub orders: Arc<Orders>,
    pub store: Store,
    pub clock: Arc<ManualClock>,
    log: PostgresLog,
    _feeding: DropGuard,
    _database: TestDatabase,
}

impl Real {
    /// Without an order; with what the suite buys.
    pub async fn new() -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let store = Store::new(database.options(&role_of(NAME)), NAME, 16, clock.clone());
        let orders = Orders::new(store.clone(), catalogue().await);
        let feeding = feed(&store);
        Self {
            orders,
            log: PostgresLog::new(store.clone()),
            store,
            clock,
            _feeding: feeding,
            _database: database,
        }
    }

    async fn load(&self, order: OrderId) -> Loaded {
        self.log.load(&[order]).await.expect("loaded").pop().expect("an order")
    }

    async fn append(&self, order: OrderId, event: OrderEvent) {
        let (expected, now) = (self.load(order).await.order, self.clock.now());
        let (version, mut changed) = (expected.version, expected);
        let events = vec![changed.record(event, now, &Actor::system("saga"))];
        let due_at = (changed.broken.is_none() && changed.ended.is_none()).then_some(now);
        let save = Save { order: changed, expected: version, events, due_at, asked: 0, waiting: None };
        assert_eq!(self.log.save(&[save]).await.expect("saved"), [Kept::Kept]);
    }

    /// As the saga records it when all was done, or all undone.
    pub async fn record_the_end(&self, order: OrderId) {
        if let Some(cause) = self.load(order).await.order.cause().map(str::to_owned) {
            return self.append(order, OrderEvent::OrderCancelled { cause }).await;
        }
        for step in Step::FORWARD {
            let done = OrderEvent::StepDone {
                step,
                attempt: 1,
                asked: 0,
                asked_again: false,
                result: Some("it".to_owned()),
                places: Default::default(),
                further: Vec::new(),
            };
            self.append(order, done).await;
        }
        self.append(order, OrderEvent::OrderShipped { tracking: vec!["it".to_owned()] }).await;
    }

    /// As the saga records it when nobody can tell what happened.
    pub async fn record_a_stop(&self, order: OrderId) {
        let attempt = self.load(order).await.order.attempt(Step::Reserve);
        let why = "nobody can tell".to_owned();
        self.append(order, OrderEvent::StepBroken { step: Step::Reserve, attempt, undo: false, why }).await;
    }

    /// Waits until both views show all that was recorded.
    pub async fn views_show_all(&self) {
        let waiting = async {
            while !sqlx::query_scalar::<_, bool>(CAUGHT_UP).fetch_one(self.store.pool()).await.expect("rows")
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(WITHIN, waiting).await.expect("the views come to what was recorded");
    }
}

async fn catalogue() -> Arc<FakeCatalog> {
    let catalog = FakeCatalog::new();
    let products = [("tea", PRICE_MINOR), ("rice", PRICE_MINOR), ("salt", PRICE_MINOR), ("castle", 1 << 40)];
    let products = products.into_iter().chain([("candle", PRICE_MINOR)]);
    let put = catalog.put(staff(), wishes(products.map(|(of, minor)| wish(of, minor)).collect())).await;
    assert!(matches!(put, Answer::Done(_)), "{put:?}");
    assert!(matches!(catalog.retire(staff(), sku("candle")).await, Answer::Done(_)));
    Arc::new(catalog)
}

/// Feeds both views until it is dropped.
fn feed(store: &Store) -> DropGuard {
    let ownership =
        OwnershipConfig { beat: Duration::from_millis(20), time_to_live: Duration::from_millis(600) };
    let options = GroupOptions {
        poll: Duration::from_millis(50),
        retry: Duration::from_millis(5),
        ..GroupOptions::default()
    };
    let sources: [Arc<dyn Source>; 2] =
        [Arc::new(OrdersSource::new(store.clone())), Arc::new(OrdersSource::history(store.clone()))];
    let bus = Arc::new(LocalBus::new(sources, uuid::Uuid::from_u128(1)).with(ownership, options));
    let stop = CancellationToken::new();
    let models: [Arc<dyn ReadModel>; 2] =
        [Arc::new(OrderList::new(store.clone())), Arc::new(SalesByHour::new(store.clone()))];
    for model in models {
        let (bus, stop) = (bus.clone(), stop.clone());
        tokio::spawn(async move {
            bus.serve(Arc::new(Feed::new(model)), Arc::new(Counters::default()), stop).await
        });
    }
    stop.drop_guard()
}
