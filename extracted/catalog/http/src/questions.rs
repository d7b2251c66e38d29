//! What is asked, as it is written.

use banyan_kernel::{Context, Sku};
use catalog_api::{Expected, PutProduct, PutProducts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// About these products.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct AboutSkus {
    pub(crate) skus: Vec<Sku>,
}

/// About everything.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Nothing {}

/// Products as somebody wants them.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Put {
    pub(crate) context: Context,
    pub(crate) wish: PutProducts,
}

/// One product as somebody wants it, who saw how it stands.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Changed {
    pub(crate) context: Context,
    pub(crate) product: PutProduct,
    pub(crate) expected: Expected,
}

/// A product that is no longer to be sold.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Retired {
    pub(crate) context: Context,
    pub(crate) sku: Sku,
}
