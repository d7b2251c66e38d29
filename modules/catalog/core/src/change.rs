//! Change: one product, for who has seen how it stands.

use banyan_kernel::{Answer, Context, Refusal};
use banyan_store::{Store, StoreError};
use catalog_api::{Expected, Product, PutProduct, refusals};

use crate::write::Desk;

pub(crate) async fn run(
    store: &Store,
    context: &Context,
    wish: PutProduct,
    expected: Expected,
) -> Result<Answer<Product>, StoreError> {
    let sku = wish.sku.clone();
    let mut desk = Desk::open(store, context, std::iter::once(&sku), None).await?;
    if let Some(refusal) = stale(desk.standing.get(&sku), expected) {
        return Ok(desk.refuse(refusal).await);
    }
    if let Some(refusal) = desk.judge_currency(std::slice::from_ref(&wish)).await? {
        return Ok(desk.refuse(refusal).await);
    }
    let product = desk.put(wish).clone();
    desk.commit().await?;
    Ok(Answer::Done(product))
}

fn stale(standing: Option<&Product>, expected: Expected) -> Option<Refusal> {
    let stands = match standing {
        Some(product) => format!("it stands at version {}", product.version),
        None => "it is not there".to_owned(),
    };
    let expected = match expected {
        Expected::Absent => None,
        Expected::Version(version) => Some(version),
    };
    (standing.map(|product| product.version) != expected)
        .then(|| Refusal::new(refusals::STALE_VERSION, stands))
}
