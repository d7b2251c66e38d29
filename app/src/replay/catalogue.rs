//! The file's products and their stock, brought in as staff before the first basket.

use banyan_kernel::Currency;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Header, Phase, Product, Progress, Tally,
    client::{Call, Shop},
    feed::Feed,
    run::Error,
};

/// Products of one request, the API's limit.
const CHUNK: usize = 200;

/// Puts every product and receives its stock; answers with how many there were.
pub(super) async fn load(
    shop: &Shop,
    feed: &mut Feed<'_>,
    header: &Header,
    run: u32,
    progress: &dyn Progress,
) -> Result<u64, Error> {
    progress.phase(Phase::Catalogue, header.products);
    let (mut chunk, mut done) = (Vec::with_capacity(CHUNK), 0);
    loop {
        let product = feed.product().await?;
        let last = product.is_none();
        chunk.extend(product);
        if chunk.len() == CHUNK || (last && !chunk.is_empty()) {
            put(shop, header.currency, run, &chunk).await?;
            receive(shop, &header.id, run, &chunk).await?;
            done += chunk.len() as u64;
            progress.tally(&Tally { done, ..Tally::default() });
            chunk.clear();
        }
        if last {
            return Ok(done);
        }
    }
}

async fn put(shop: &Shop, currency: Currency, run: u32, chunk: &[Product]) -> Result<(), Error> {
    let products: Vec<Value> = chunk
        .iter()
        .map(|product| {
            json!({"sku": product.sku, "name": product.name, "category": product.category,
                   "price_minor": product.price_minor, "currency": currency})
        })
        .collect();
    send(shop, "/v1/products", &format!("replay-{run}-products"), &json!({ "products": products })).await
}

const RECEIPTS: &str = "/v1/stock/receipts";
/// Where what must stay cold stands.
const COLD_STORE: &str = "cold-store";
/// The beginnings of such categories.
const COLD: [&str; 2] = ["FROZEN", "SEAFOOD"];

fn is_cold(product: &Product) -> bool {
    COLD.iter().any(|cold| product.category.starts_with(cold))
}

/// What is cold is received at the cold store, so that a basket with something else in it goes in two parcels. Products that start
/// with nothing are not delivered.
async fn receive(shop: &Shop, file_id: &str, run: u32, chunk: &[Product]) -> Result<(), Error> {
    let in_stock = chunk.iter().filter(|product| product.stock > 0);
    let (cold, other): (Vec<&Product>, Vec<&Product>) = in_stock.partition(|product| is_cold(product));
    let series = format!("replay-{run}-stock-{file_id}");
    for (products, place) in [(other, None), (cold, Some(COLD_STORE))] {
        if products.is_empty() {
            continue;
        }
        let sent = send(shop, RECEIPTS, &series, &receipt(&products, place)).await;
        if sent.is_err() && place.is_some() {
            // Some of it may be left where it was received before there was a cold store: then it goes there.
            send(shop, RECEIPTS, &series, &receipt(&products, None)).await?;
        } else {
            sent?;
        }
    }
    Ok(())
}

fn receipt(products: &[&Product], place: Option<&str>) -> Value {
    let line = |product: &&Product| json!({"sku": product.sku, "quantity": product.stock});
    let mut receipt = json!({ "lines": products.iter().map(line).collect::<Vec<_>>() });
    if let Some(place) = place {
        receipt["place"] = place.into();
    }
    receipt
}

/// The key hangs on the run and the content: the same delivery twice is one, an edited one is another.
async fn send(shop: &Shop, path: &str, series: &str, body: &Value) -> Result<(), Error> {
    let body = body.to_string().into_bytes();
    let content = hex::encode(&Sha256::digest(&body)[..16]);
    let key = format!("{series}-{content}");
    let call = Call {
        method: Method::POST,
        url: shop.public(path),
        token: &shop.staff_token,
        key: Some(&key),
        body: Some(body),
    };
    let answer = shop.ask(&call).await.map_err(|none| Error::Shop(format!("POST {path}: {none}")))?;
    if answer.is_success() {
        return Ok(());
    }
    Err(Error::Shop(format!("POST {path}: {}", answer.refusal())))
}
