//! The catalogue behind a cache: what is asked for by SKU. Lists and searches go to the database.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_bus::{
    Hearing,
    cache::{CacheLimits, VersionedCache},
};
use banyan_kernel::{Answer, Context, Envelope, Sku};
use catalog_api::{
    Catalog, Category, Expected, Found, ListProducts, NAME, Product, ProductUpdated, ProductsPut, PutProduct,
    PutProducts, Unavailable,
};

/// Products by SKU.
pub type ProductCache = VersionedCache<Sku, Product>;

/// A catalogue, read through a cache.
pub struct CachedCatalog {
    within: Arc<dyn Catalog>,
    cache: Arc<ProductCache>,
}

impl CachedCatalog {
    /// Over a catalogue, with an empty cache; it must hear what the catalogue tells ([`Self::hearing`]).
    #[must_use]
    pub fn new(within: Arc<dyn Catalog>) -> (Arc<Self>, Arc<ProductCache>) {
        let cache = Arc::new(ProductCache::new(CacheLimits::default(), Self::bytes));
        (Arc::new(Self { within, cache: cache.clone() }), cache)
    }

    /// What has a cache hear what changes.
    #[must_use]
    pub fn hearing(cache: Arc<ProductCache>) -> Hearing {
        Hearing { source: NAME, hear: Box::new(|told| Box::pin(cache.listen(told, Self::heard))) }
    }

    /// Which entry an event makes old, and from which version on it would be new.
    fn heard(event: &Envelope) -> Option<(Sku, i64)> {
        (event.kind == ProductUpdated::KIND).then(|| Some((event.subject.parse().ok()?, event.sequence)))?
    }

    /// What a product weighs in the cache, in bytes: its texts, and what holds them.
    fn bytes(product: &Product) -> usize {
        let texts = [&product.name, &product.category, &product.description];
        let images: usize = product.images.iter().map(|link| link.len() + size_of::<String>()).sum();
        size_of::<Product>()
            + product.sku.as_str().len()
            + texts.map(String::len).iter().sum::<usize>()
            + images
    }

    /// This process knows what it changed before anybody tells it.
    fn changed<'a>(&self, products: impl IntoIterator<Item = &'a Product>) {
        for product in products {
            self.cache.invalidate(&product.sku, product.version);
        }
    }
}

#[async_trait]
impl Catalog for CachedCatalog {
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        let fill = self.cache.begin();
        let (mut found, mut missing) = (Vec::with_capacity(skus.len()), Vec::new());
        for sku in skus {
            match self.cache.get(&sku) {
                Some(product) => found.push(product),
                None => missing.push(sku),
            }
        }
        if !missing.is_empty() {
            let loaded = self.within.products(missing).await?;
            for product in &loaded {
                self.cache.fill(fill, product.sku.clone(), product.version, product.clone());
            }
            found.extend(loaded);
        }
        found.sort_by(|one, other| one.sku.cmp(&other.sku));
        found.dedup_by(|one, other| one.sku == other.sku);
        Ok(found)
    }

    /// Past the cache, which keeps what was read.
    async fn products_now(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        let fill = self.cache.begin();
        let products = self.within.products_now(skus).await?;
        for product in &products {
            self.cache.fill(fill, product.sku.clone(), product.version, product.clone());
        }
        Ok(products)
    }

    async fn list(&self, which: ListProducts) -> Result<Vec<Found>, Unavailable> {
        self.within.list(which).await
    }

    async fn categories(&self) -> Result<Vec<Category>, Unavailable> {
        self.within.categories().await
    }

    async fn put(&self, context: Context, wish: PutProducts) -> Answer<ProductsPut> {
        let answer = self.within.put(context, wish).await;
        // What stood so another time says nothing of now.
        if let Answer::Done(ProductsPut { products, repeated: false }) = &answer {
            self.changed(products);
        }
        answer
    }

    async fn change(&self, context: Context, product: PutProduct, expected: Expected) -> Answer<Product> {
        let answer = self.within.change(context, product, expected).await;
        if let Answer::Done(product) = &answer {
            self.changed([product]);
        }
        answer
    }

    async fn retire(&self, context: Context, sku: Sku) -> Answer<Product> {
        let answer = self.within.retire(context, sku).await;
        if let Answer::Done(product) = &answer {
            self.changed([product]);
        }
        answer
    }
}
