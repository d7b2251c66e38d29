//! Put: products as staff want them; what already stands so is left alone.

use std::collections::BTreeMap;

use banyan_kernel::{Answer, Context, Sku};
use banyan_store::{Store, StoreError};
use catalog_api::{Product, PutProduct};

use crate::write::Desk;

/// Answers for each product asked, as it now stands; of one named twice the last wish holds.
pub(crate) async fn run(
    store: &Store,
    context: &Context,
    wishes: Vec<PutProduct>,
) -> Result<Answer<Vec<Product>>, StoreError> {
    let asked: Vec<Sku> = wishes.iter().map(|wish| wish.sku.clone()).collect();
    let folded: BTreeMap<Sku, PutProduct> = wishes.into_iter().map(|wish| (wish.sku.clone(), wish)).collect();
    let wishes: Vec<PutProduct> = folded.into_values().collect();
    let mut desk = Desk::open(store, context, wishes.iter().map(|wish| &wish.sku)).await?;
    if let Some(refusal) = desk.judge_currency(&wishes).await? {
        return Ok(desk.refuse(refusal).await);
    }
    for wish in wishes {
        desk.put(wish);
    }
    let standing = desk.commit().await?;
    Ok(Answer::Done(asked.iter().filter_map(|sku| standing.get(sku).cloned()).collect()))
}
