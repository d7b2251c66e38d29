//! The routed form: a catalogue on both sides.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, Sku};
use banyan_net::route::Route;
use catalog_api::{
    Catalog, Category, Expected, Found, ListProducts, Product, ProductsPut, PutProduct, PutProducts,
    Unavailable,
};

type Side = Arc<dyn Catalog>;

/// A catalogue here and elsewhere: what is of products goes by the first of them, a search by chance.
pub struct RoutedCatalog(pub Route<Side>);

#[async_trait]
impl Catalog for RoutedCatalog {
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        let key = skus.first().map(ToString::to_string);
        let ask = |side: Side, skus| async move { side.products(skus).await };
        self.0.read("products", key.as_deref(), skus, ask).await
    }

    async fn list(&self, which: ListProducts) -> Result<Vec<Found>, Unavailable> {
        self.0.read("list", None, which, |side: Side, which| async move { side.list(which).await }).await
    }

    async fn categories(&self) -> Result<Vec<Category>, Unavailable> {
        self.0.read("categories", None, (), |side: Side, ()| async move { side.categories().await }).await
    }

    async fn put(&self, context: Context, wish: PutProducts) -> Answer<ProductsPut> {
        let ask = |side: Side, wish| async move { side.put(context, wish).await };
        self.0.change(None, wish, ask).await
    }

    async fn change(&self, context: Context, product: PutProduct, expected: Expected) -> Answer<Product> {
        let key = product.sku.to_string();
        let ask = |side: Side, product| async move { side.change(context, product, expected).await };
        self.0.change(Some(&key), product, ask).await
    }

    async fn retire(&self, context: Context, sku: Sku) -> Answer<Product> {
        let key = sku.to_string();
        self.0.change(Some(&key), sku, |side: Side, sku| async move { side.retire(context, sku).await }).await
    }
}
