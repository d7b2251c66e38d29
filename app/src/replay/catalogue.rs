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

/// Products that start with nothing are not delivered.
async fn receive(shop: &Shop, file_id: &str, run: u32, chunk: &[Product]) -> Result<(), Error> {
    let lines: Vec<Value> = chunk
        .iter()
        .filter(|product| product.stock > 0)
        .map(|product| json!({"sku": product.sku, "quantity": product.stock}))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    send(shop, "/v1/stock/receipts", &format!("replay-{run}-stock-{file_id}"), &json!({ "lines": lines }))
        .await
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
