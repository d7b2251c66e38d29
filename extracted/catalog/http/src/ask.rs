//! The client: a catalogue that is elsewhere.

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, Sku, TraceParent};
use banyan_net::port::PortClient;
use catalog_api::{
    Catalog, Category, Expected, Found, ListProducts, Product, ProductsPut, PutProduct, PutProducts,
    Unavailable,
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::questions::{AboutSkus, Changed, Nothing, Put, Retired};

/// A catalogue by HTTP.
pub struct HttpCatalog(pub PortClient);

impl HttpCatalog {
    /// What is read belongs to no trace that anybody collects.
    async fn read<R: DeserializeOwned>(
        &self,
        operation: &'static str,
        question: &(impl Serialize + Sync),
    ) -> Result<R, Unavailable> {
        let nobodys = TraceParent::root(Uuid::nil()).unsampled();
        match self.0.one(operation, nobodys, question).await {
            Answer::Done(read) => Ok(read),
            Answer::Unavailable(why) | Answer::Broken(why) => Err(Unavailable(why)),
            Answer::Pending => Err(Unavailable("it is still looking".to_owned())),
            Answer::Rejected(refusal) => Err(Unavailable(refusal.detail)),
        }
    }
}

#[async_trait]
impl Catalog for HttpCatalog {
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        self.read("products", &AboutSkus { skus }).await
    }

    async fn list(&self, which: ListProducts) -> Result<Vec<Found>, Unavailable> {
        self.read("list", &which).await
    }

    async fn categories(&self) -> Result<Vec<Category>, Unavailable> {
        self.read("categories", &Nothing {}).await
    }

    async fn put(&self, context: Context, wish: PutProducts) -> Answer<ProductsPut> {
        self.0.one("put", context.trace, &Put { context, wish }).await
    }

    async fn change(&self, context: Context, product: PutProduct, expected: Expected) -> Answer<Product> {
        self.0.one("change", context.trace, &Changed { context, product, expected }).await
    }

    async fn retire(&self, context: Context, sku: Sku) -> Answer<Product> {
        self.0.one("retire", context.trace, &Retired { context, sku }).await
    }
}
