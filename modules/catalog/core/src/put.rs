//! Put: products as staff want them; what already stands so is left alone.

use std::collections::BTreeMap;

use banyan_kernel::{Context, Json, Sku, Timestamp};
use banyan_store::{Locks, Store, StoreError, Tell, Write};
use catalog_api::{Product, ProductUpdated, PutProduct};

use crate::product::Row;

const READ: &str = "select sku, name, category, price_minor, currency, version from product \
     where sku = any($1) order by sku";
const PUT: &str = "insert into product (sku, name, category, price_minor, currency, version, updated_at) \
     select t.*, $7 from unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::text[], $6::int8[]) as t \
     on conflict (sku) do update set name = excluded.name, category = excluded.category, \
     price_minor = excluded.price_minor, currency = excluded.currency, version = excluded.version, \
     updated_at = excluded.updated_at";

/// Answers for each product asked, as it now stands; of one named twice the last wish holds.
pub(crate) async fn run(
    store: &Store,
    context: &Context,
    wishes: Vec<PutProduct>,
) -> Result<Vec<Product>, StoreError> {
    let asked: Vec<Sku> = wishes.iter().map(|wish| wish.sku.clone()).collect();
    let folded: BTreeMap<Sku, PutProduct> = wishes.into_iter().map(|wish| (wish.sku.clone(), wish)).collect();
    let mut write = store.begin(&Locks::none().and("product", folded.keys().map(Sku::as_str))).await?;
    let mut standing = read(&mut write, &folded).await?;
    let changed: Vec<Product> =
        folded.into_values().filter_map(|wish| decide(standing.get(&wish.sku), wish)).collect();
    if !changed.is_empty() {
        let now = store.clock().now();
        upsert(&mut write, &changed, now).await?;
        write.tell(&changed.iter().map(|product| updated(product, context, now)).collect::<Vec<_>>()).await?;
    }
    write.commit().await?;
    standing.extend(changed.into_iter().map(|product| (product.sku.clone(), product)));
    Ok(asked.iter().filter_map(|sku| standing.get(sku).cloned()).collect())
}

async fn read(
    write: &mut Write,
    wishes: &BTreeMap<Sku, PutProduct>,
) -> Result<BTreeMap<Sku, Product>, StoreError> {
    let names: Vec<&str> = wishes.keys().map(Sku::as_str).collect();
    let rows: Vec<Row> = sqlx::query_as(READ).bind(names).fetch_all(write.connection()).await?;
    Ok(rows.into_iter().map(Product::from).map(|product| (product.sku.clone(), product)).collect())
}

/// The product's next version, if the wish changes anything.
fn decide(standing: Option<&Product>, wish: PutProduct) -> Option<Product> {
    let PutProduct { sku, name, category, price } = wish;
    let version = standing.map_or(0, |product| product.version);
    let wished = Product { sku, name, category, price, version };
    (standing != Some(&wished)).then_some(Product { version: version + 1, ..wished })
}

async fn upsert(write: &mut Write, products: &[Product], now: Timestamp) -> Result<(), StoreError> {
    fn all<'a, T>(products: &'a [Product], f: impl Fn(&'a Product) -> T) -> Vec<T> {
        products.iter().map(f).collect()
    }
    sqlx::query(PUT)
        .bind(all(products, |p| p.sku.as_str()))
        .bind(all(products, |p| p.name.as_str()))
        .bind(all(products, |p| p.category.as_str()))
        .bind(all(products, |p| p.price.minor))
        .bind(all(products, |p| p.price.currency.as_str()))
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
