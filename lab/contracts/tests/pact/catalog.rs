//! The catalogue: asked by orders and by the shop.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, ManualClock};
use banyan_postgres::testing::database;
use banyan_store::{Store, prepare, role_of};
use catalog_api::{
    Catalog, Category, Expected, Found, ListProducts, NAME, Product, ProductsPut, PutProduct, PutProducts,
    refusals,
    testing::{sku, staff, wish, wishes},
};
use catalog_core::schema;
use catalog_http::{HttpCatalog, port};
use serde_json::json;

use crate::{
    talk::{Talk, json_of},
    verify::{Provider, States},
};

const SOLD: &str = "tea is sold, and nothing else";
const NO_COFFEE: &str = "there is no coffee";
const CHANGED: &str = "tea was changed since it was seen";

pub fn product(of: &PutProduct, version: i64) -> Product {
    let PutProduct { sku, name, category, description, images, price } = of.clone();
    Product { sku, name, category, description, images, price, retired: false, version }
}

fn tea() -> Product {
    product(&wish("tea", 299), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_orders_expect_of_the_catalogue() {
    let talk = Talk::new("orders", NAME);
    let (question, written) = (json!({ "skus": ["tea"] }), json_of(&Answer::Done(vec![tea()])));
    talk.ask_as("products", SOLD, &question, &written, Ok(vec![tea()]), async |to| {
        HttpCatalog(to).products(vec![sku("tea")]).await
    })
    .await;
    let (question, written) = (json!({ "skus": ["coffee"] }), json!({ "done": [] }));
    talk.ask_as("products", NO_COFFEE, &question, &written, Ok(Vec::new()), async |to| {
        HttpCatalog(to).products(vec![sku("coffee")]).await
    })
    .await;
    talk.agreed();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_expects_of_the_catalogue() {
    let talk = Talk::new("shop", NAME);
    all_read(&talk).await;
    staff_change(&talk).await;
    staff_retire(&talk).await;
    talk.agreed();
}

async fn all_read(talk: &Talk) {
    let (question, written) = (json!({ "skus": ["tea"] }), json_of(&Answer::Done(vec![tea()])));
    talk.ask_as("products", SOLD, &question, &written, Ok(vec![tea()]), async |to| {
        HttpCatalog(to).products(vec![sku("tea")]).await
    })
    .await;
    let which = ListProducts { limit: 1, ..ListProducts::default() };
    let found = vec![Found { rank: 0.0, product: tea() }];
    let question = json!({ "search": null, "category": null, "after": null, "limit": 1 });
    let written = json_of(&Answer::Done(&found));
    talk.ask_as("list", SOLD, &question, &written, Ok(found), async |to| HttpCatalog(to).list(which).await)
        .await;
    let all = vec![Category { name: "groceries".to_owned(), products: 1 }];
    let written = json_of(&Answer::Done(&all));
    talk.ask_as("categories", SOLD, &json!({}), &written, Ok(all), async |to| {
        HttpCatalog(to).categories().await
    })
    .await;
}

async fn staff_change(talk: &Talk) {
    let wished = || PutProducts { key: "put/1".to_owned(), products: vec![wish("salt", 99)], seen: None };
    let put = ProductsPut { products: vec![product(&wish("salt", 99), 1)], repeated: false };
    let question = json!({ "context": staff(), "wish": wished() });
    talk.ask("put", SOLD, &question, Answer::Done(put), async |to| {
        HttpCatalog(to).put(staff(), wished()).await
    })
    .await;
    let question = json!({ "context": staff(), "product": wish("rice", 199), "expected": "absent" });
    let rice = Answer::Done(product(&wish("rice", 199), 1));
    talk.ask("change", "there is no rice", &question, rice, async |to| {
        HttpCatalog(to).change(staff(), wish("rice", 199), Expected::Absent).await
    })
    .await;
    let question = json!({ "context": staff(), "product": wish("tea", 1), "expected": { "version": 1_000 } });
    let stale = Answer::rejected(refusals::STALE_VERSION, "it stands at another version");
    talk.ask("change", CHANGED, &question, stale, async |to| {
        HttpCatalog(to).change(staff(), wish("tea", 1), Expected::Version(1_000)).await
    })
    .await;
}

async fn staff_retire(talk: &Talk) {
    let gone = Product { retired: true, version: 2, ..product(&wish("candle", 5), 1) };
    let question = json!({ "context": staff(), "sku": "candle" });
    talk.ask("retire", "candles are sold", &question, Answer::Done(gone), async |to| {
        HttpCatalog(to).retire(staff(), sku("candle")).await
    })
    .await;
    let question = json!({ "context": staff(), "sku": "coffee" });
    let unknown = Answer::rejected(refusals::UNKNOWN_PRODUCT, "there is no such product");
    talk.ask("retire", NO_COFFEE, &question, unknown, async |to| {
        HttpCatalog(to).retire(staff(), sku("coffee")).await
    })
    .await;
}

/// The catalogue on real PostgreSQL, in this process or not.
pub struct World(pub Arc<dyn Catalog>);

impl World {
    async fn sell(&self, of: &str) {
        let put = self.0.put(staff(), wishes(vec![wish(of, 299)])).await;
        assert!(matches!(put, Answer::Done(_)), "{put:?}");
    }

    /// Of everything that was sold before, nothing is.
    async fn clear(&self) {
        let listed = self.0.list(ListProducts { limit: 200, ..ListProducts::default() }).await;
        for found in listed.expect("a list") {
            let retired = self.0.retire(staff(), found.product.sku).await;
            assert!(matches!(retired, Answer::Done(_)), "{retired:?}");
        }
    }
}

#[async_trait]
impl States for World {
    async fn bring_about(&self, state: &str) {
        match state {
            SOLD => {
                self.clear().await;
                self.sell("tea").await;
            }
            "candles are sold" => self.sell("candle").await,
            CHANGED => self.sell("tea").await,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_keeps_its_pacts() {
    let database = database().await;
    prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    let store = Store::new(database.options(&role_of(NAME)), NAME, 8, clock);
    let core: Arc<dyn Catalog> = catalog_core::Catalog::new(store);
    Provider::new(NAME, port(), core.clone(), Arc::new(World(core)), database).keeps_its_pacts().await;
}
