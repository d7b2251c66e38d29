//! Retire: a product is no longer sold.

use banyan_kernel::{Answer, Context, Refusal, Sku};
use banyan_store::{Store, StoreError};
use catalog_api::{Product, refusals};

use crate::write::Desk;

pub(crate) async fn run(store: &Store, context: &Context, sku: Sku) -> Result<Answer<Product>, StoreError> {
    let mut desk = Desk::open(store, context, std::iter::once(&sku), None).await?;
    let Some(product) = desk.standing.get(&sku).cloned() else {
        let refusal = Refusal::new(refusals::UNKNOWN_PRODUCT, format!("there is no product {sku}"));
        return Ok(desk.refuse(refusal).await);
    };
    let retired = desk.place(sku, Product { retired: true, ..product }).clone();
    desk.commit().await?;
    Ok(Answer::Done(retired))
}
