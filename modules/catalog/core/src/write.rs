//! How products change: locked, read, decided in memory, written and told in one commit.

use std::collections::BTreeMap;

use banyan_kernel::{Answer, Context, Currency, Json, Refusal, Sku, Timestamp};
use banyan_store::{Locks, Store, StoreError, Tell, Write};
use catalog_api::{Product, ProductUpdated, PutProduct, refusals};
use sqlx::types::Json as SqlJson;

use crate::product::Row;

const READ: &str = "select sku, name, category, description, images, price_minor, currency, retired, version \
     from product where sku = any($1) order by sku";
/// The first product ever put decides; none is ever deleted.
const CURRENCY: &str = "select currency from product limit 1";
/// The pictures of one product come as a text of JSON: an array of arrays must be a rectangle.
const PUT: &str = "insert into product (sku, name, category, description, images, price_minor, currency, retired, \
     version, updated_at) \
     select sku, name, category, description, array(select jsonb_array_elements_text(images::jsonb)), price, \
     currency, retired, version, $10 from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], \
     $6::int8[], $7::text[], $8::bool[], $9::int8[]) \
     as t(sku, name, category, description, images, price, currency, retired, version) \
     on conflict (sku) do update set name = excluded.name, category = excluded.category, \
     description = excluded.description, images = excluded.images, price_minor = excluded.price_minor, \
     currency = excluded.currency, retired = excluded.retired, version = excluded.version, \
     updated_at = excluded.updated_at";

const REQUEST: &str = "select wish, products from put_request where key = $1";
const KEEP: &str = "insert into put_request (key, wish, products, at) values ($1, $2, $3, $4)";

/// Products by SKU.
pub(crate) type Shelf = BTreeMap<Sku, Product>;

/// Products that nobody else changes until this ends.
pub(crate) struct Desk<'a> {
    write: Write,
    context: &'a Context,
    now: Timestamp,
    /// As they stand; what is put here is written.
    pub(crate) standing: Shelf,
    before: Shelf,
}

impl<'a> Desk<'a> {
    /// Over these products; under `key`, where the wish has one.
    pub(crate) async fn open(
        store: &Store,
        context: &'a Context,
        skus: impl Iterator<Item = &Sku> + Clone,
        key: Option<&str>,
    ) -> Result<Self, StoreError> {
        let names: Vec<&str> = skus.map(Sku::as_str).collect();
        // Who puts the first product decides on the currency for all: one at a time.
        let locks =
            Locks::none().and("product", names.iter()).and("currency", ["the shop's"]).and("request", key);
        let mut write = store.begin(&locks).await?;
        let rows: Vec<Row> = sqlx::query_as(READ).bind(names).fetch_all(write.connection()).await?;
        let standing: Shelf =
            rows.into_iter().map(Product::from).map(|product| (product.sku.clone(), product)).collect();
        let now = store.clock().now();
        Ok(Self { write, context, now, before: standing.clone(), standing })
    }

    /// What was wished and answered under the key before.
    pub(crate) async fn request(&mut self, key: &str) -> Result<Option<(i64, Vec<Product>)>, StoreError> {
        let known: Option<(i64, SqlJson<Vec<Product>>)> =
            sqlx::query_as(REQUEST).bind(key).fetch_optional(self.write.connection()).await?;
        Ok(known.map(|(wish, SqlJson(products))| (wish, products)))
    }

    /// Remembers the answer.
    pub(crate) async fn keep(
        &mut self,
        key: &str,
        wish: i64,
        products: &[Product],
    ) -> Result<(), StoreError> {
        let keep = sqlx::query(KEEP).bind(key).bind(wish).bind(SqlJson(products)).bind(self.now);
        keep.execute(self.write.connection()).await?;
        Ok(())
    }

    /// The refusal, if a price is in another currency than the catalogue's.
    pub(crate) async fn judge_currency(
        &mut self,
        wishes: &[PutProduct],
    ) -> Result<Option<Refusal>, StoreError> {
        let ours: Option<String> =
            sqlx::query_scalar(CURRENCY).fetch_optional(self.write.connection()).await?;
        let first = wishes.first().map(|wish| wish.price.currency);
        let ours: Option<Currency> = ours.and_then(|text| text.parse().ok()).or(first);
        let other = wishes.iter().find(|wish| Some(wish.price.currency) != ours);
        Ok(other.zip(ours).map(|(wish, ours)| {
            let detail = format!("product {}: the catalogue's prices are in {}", wish.sku, ours.as_str());
            Refusal::new(refusals::CURRENCY, detail)
        }))
    }

    /// Puts a wish in the product's place; one that stands so already stays as it is.
    pub(crate) fn put(&mut self, wish: PutProduct) -> &Product {
        let version = self.standing.get(&wish.sku).map_or(0, |product| product.version);
        self.place(wish.sku.clone(), wished(wish, version))
    }

    /// As [`Self::put`], of a whole product at the version that it stands at.
    pub(crate) fn place(&mut self, sku: Sku, wished: Product) -> &Product {
        let changed = self.standing.get(&sku) != Some(&wished);
        let product = self.standing.entry(sku).or_insert_with(|| wished.clone());
        if changed {
            *product = Product { version: wished.version + 1, ..wished };
        }
        product
    }

    /// Writes and tells what differs, and answers with all as they stand.
    pub(crate) async fn commit(mut self) -> Result<Shelf, StoreError> {
        let differs = |product: &&Product| self.before.get(&product.sku) != Some(*product);
        let changed: Vec<&Product> = self.standing.values().filter(differs).collect();
        if !changed.is_empty() {
            upsert(&mut self.write, &changed, self.now).await?;
            let told: Vec<Tell> =
                changed.iter().map(|product| updated(product, self.context, self.now)).collect();
            self.write.tell(&told).await?;
        }
        self.write.commit().await?;
        Ok(self.standing)
    }

    /// Changes nothing.
    pub(crate) async fn leave<T>(self, answer: Answer<T>) -> Answer<T> {
        self.write.abandon().await;
        answer
    }

    pub(crate) async fn refuse<T>(self, refusal: Refusal) -> Answer<T> {
        self.leave(Answer::Rejected(refusal)).await
    }
}

/// The product that is wished for, at the version that the one in its place stands at.
pub(crate) fn wished(wish: PutProduct, version: i64) -> Product {
    let PutProduct { sku, name, category, description, images, price } = wish;
    Product { sku, name, category, description, images, price, retired: false, version }
}

async fn upsert(write: &mut Write, products: &[&Product], now: Timestamp) -> Result<(), StoreError> {
    fn all<'a, T>(products: &[&'a Product], f: impl Fn(&'a Product) -> T) -> Vec<T> {
        products.iter().map(|product| f(product)).collect()
    }
    sqlx::query(PUT)
        .bind(all(products, |p| p.sku.as_str()))
        .bind(all(products, |p| p.name.as_str()))
        .bind(all(products, |p| p.category.as_str()))
        .bind(all(products, |p| p.description.as_str()))
        // A list of texts always becomes JSON.
        .bind(all(products, |p| serde_json::to_string(&p.images).unwrap_or_default()))
        .bind(all(products, |p| p.price.minor))
        .bind(all(products, |p| p.price.currency.as_str()))
        .bind(all(products, |p| p.retired))
        .bind(all(products, |p| p.version))
        .bind(now)
        .execute(write.connection())
        .await?;
    Ok(())
}

fn updated(product: &Product, context: &Context, at: Timestamp) -> Tell {
    Tell {
        kind: ProductUpdated::KIND,
        subject: product.sku.to_string(),
        sequence: product.version,
        schema_version: 1,
        // A plain struct of texts and numbers always has a JSON form.
        data: serde_json::to_value(ProductUpdated { product: product.clone() }).unwrap_or(Json::Null),
        at,
        causation: format!("put/{}/{}", product.sku, product.version),
        context: context.clone(),
    }
}
