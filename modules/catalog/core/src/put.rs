//! Put: products as staff want them; what already stands so is left alone. Each wish once, by its key.

use std::collections::BTreeMap;

use banyan_kernel::{Answer, Context, Sku, stable_hash};
use banyan_store::{Store, StoreError};
use catalog_api::{Product, ProductsPut, PutProduct, PutProducts, refusals};

use crate::write::Desk;

/// Answers for each product asked, as it stood when the wish was done; of one named twice the last wish holds.
pub(crate) async fn run(
    store: &Store,
    context: &Context,
    PutProducts { key, products: wishes }: PutProducts,
) -> Result<Answer<ProductsPut>, StoreError> {
    let asked: Vec<Sku> = wishes.iter().map(|wish| wish.sku.clone()).collect();
    let wish = hash(&wishes);
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
    for wish in wishes {
        desk.put(wish);
    }
    let products: Vec<Product> = asked.iter().filter_map(|sku| desk.standing.get(sku).cloned()).collect();
    desk.keep(&key, wish, &products).await?;
    desk.commit().await?;
    Ok(Answer::Done(ProductsPut { products, repeated: false }))
}

/// Of what is wished, in the order in which it is.
fn hash(wishes: &[PutProduct]) -> i64 {
    // Plain structs of texts and numbers always have a JSON form.
    stable_hash(&serde_json::to_vec(wishes).unwrap_or_default()).cast_signed()
}
