//! Put: products as staff want them; what already stands so is left alone. Each wish once, by its key.

use std::collections::BTreeMap;

use banyan_kernel::{Answer, Context, Refusal, Sku, stable_hash};
use banyan_store::{Store, StoreError};
use catalog_api::{Product, ProductsPut, PutProduct, PutProducts, refusals};

use crate::write::{Desk, Shelf, wished};

/// Answers for each product asked, as it stood when the wish was done; of one named twice the last wish holds.
pub(crate) async fn run(
    store: &Store,
    context: &Context,
    PutProducts { key, products: wishes, seen }: PutProducts,
) -> Result<Answer<ProductsPut>, StoreError> {
    let asked: Vec<Sku> = wishes.iter().map(|wish| wish.sku.clone()).collect();
    let wish = hash(&wishes, seen.as_ref());
    let folded: BTreeMap<Sku, PutProduct> = wishes.into_iter().map(|wish| (wish.sku.clone(), wish)).collect();
    let wishes: Vec<PutProduct> = folded.into_values().collect();
    let mut desk = Desk::open(store, context, wishes.iter().map(|wish| &wish.sku), Some(&key)).await?;
    if let Some((known, products)) = desk.request(&key).await? {
        let answer = if known == wish {
            Answer::Done(ProductsPut { products, repeated: true })
        } else {
            Answer::rejected(refusals::KEY_REUSED, "this key came before with other products")
        };
        return Ok(desk.leave(answer).await);
    }
    if let Some(refusal) = desk.judge_currency(&wishes).await? {
        return Ok(desk.refuse(refusal).await);
    }
    if let Some(refusal) = seen.as_ref().and_then(|seen| unseen(&desk.standing, &wishes, seen)) {
        return Ok(desk.refuse(refusal).await);
    }
    for wish in wishes {
        desk.put(wish);
    }
    let products: Vec<Product> = asked.iter().filter_map(|sku| desk.standing.get(sku).cloned()).collect();
    desk.keep(&key, wish, &products).await?;
    desk.commit().await?;
    Ok(Answer::Done(ProductsPut { products, repeated: false }))
}

/// The refusal, if one would change that the asker has not seen as it stands.
fn unseen(standing: &Shelf, wishes: &[PutProduct], seen: &BTreeMap<Sku, i64>) -> Option<Refusal> {
    let stale = wishes.iter().find_map(|wish| {
        let product = standing.get(&wish.sku)?;
        let wished = wished(wish.clone(), product.version);
        (*product != wished && seen.get(&wish.sku) != Some(&product.version)).then_some(product)
    })?;
    let Product { sku, version, retired, .. } = stale;
    let how = if *retired { "it is no longer sold, and" } else { "it" };
    let detail =
        format!("product {sku}: {how} stands otherwise, at version {version}: look, and say that you have");
    Some(Refusal::new(refusals::STALE_VERSION, detail))
}

/// Of what is wished, in the order in which it is; what was seen counts where somebody says so.
fn hash(wishes: &[PutProduct], seen: Option<&BTreeMap<Sku, i64>>) -> i64 {
    // Plain structs of texts and numbers always have a JSON form.
    let json = match seen.filter(|seen| !seen.is_empty()) {
        Some(seen) => serde_json::to_vec(&(wishes, seen)),
        None => serde_json::to_vec(wishes),
    };
    stable_hash(&json.unwrap_or_default()).cast_signed()
}
