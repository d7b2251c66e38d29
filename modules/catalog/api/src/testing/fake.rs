//! A catalogue in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, Refusal, Sku};

use crate::{
    Catalog, Category, Expected, Found, ListProducts, Product, ProductsPut, PutProduct, PutProducts,
    Unavailable, refusals,
};

/// A catalogue in memory.
#[derive(Debug, Default)]
pub struct FakeCatalog(Mutex<BTreeMap<Sku, Product>>, Mutex<BTreeMap<String, (PutProducts, Vec<Product>)>>);

impl FakeCatalog {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shelf(&self) -> MutexGuard<'_, BTreeMap<Sku, Product>> {
        // A test that panicked while holding it has failed already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Catalog for FakeCatalog {
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        let all = self.shelf();
        Ok(all.values().filter(|product| skus.contains(&product.sku)).cloned().collect())
    }

    async fn list(&self, which: ListProducts) -> Result<Vec<Found>, Unavailable> {
        let all = self.shelf();
        let found = all.values().filter(|product| is_listed(product, &which));
        let found = found.map(|product| Found { rank: 0.0, product: product.clone() });
        Ok(found.take(usize::from(which.limit)).collect())
    }

    async fn categories(&self) -> Result<Vec<Category>, Unavailable> {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for product in self.shelf().values().filter(|product| !product.retired) {
            *counts.entry(product.category.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().map(|(name, products)| Category { name, products }).collect())
    }

    async fn put(&self, _: Context, wish: PutProducts) -> Answer<ProductsPut> {
        let mut all = self.shelf();
        let mut known = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((first, products)) = known.get(&wish.key) {
            return if *first == wish {
                Answer::Done(ProductsPut { products: products.clone(), repeated: true })
            } else {
                Answer::rejected(refusals::KEY_REUSED, "this key came before with other products")
            };
        }
        let products = wish.products.clone();
        if let Some(refusal) = other_currency(&all, &products) {
            return Answer::Rejected(refusal);
        }
        let unseen = |wanted: &&PutProduct| {
            let seen = wish.seen.as_ref().map(|seen| seen.get(&wanted.sku));
            let stands = all.get(&wanted.sku).filter(|product| differs(product, wanted));
            stands.zip(seen).is_some_and(|(product, seen)| seen != Some(&product.version))
        };
        if let Some(unseen) = products.iter().find(unseen) {
            return Answer::rejected(
                refusals::STALE_VERSION,
                format!("product {} stands otherwise", unseen.sku),
            );
        }
        let asked: Vec<Sku> = products.iter().map(|wish| wish.sku.clone()).collect();
        let folded: BTreeMap<Sku, PutProduct> =
            products.into_iter().map(|wish| (wish.sku.clone(), wish)).collect();
        folded.into_values().for_each(|wish| place(&mut all, wish));
        let products: Vec<Product> = asked.iter().filter_map(|sku| all.get(sku).cloned()).collect();
        known.insert(wish.key.clone(), (wish, products.clone()));
        Answer::Done(ProductsPut { products, repeated: false })
    }

    async fn change(&self, _: Context, product: PutProduct, expected: Expected) -> Answer<Product> {
        let mut all = self.shelf();
        let sku = product.sku.clone();
        let expected = match expected {
            Expected::Absent => None,
            Expected::Version(version) => Some(version),
        };
        if all.get(&sku).map(|product| product.version) != expected {
            return Answer::rejected(refusals::STALE_VERSION, "it changed");
        }
        if let Some(refusal) = other_currency(&all, std::slice::from_ref(&product)) {
            return Answer::Rejected(refusal);
        }
        place(&mut all, product);
        Answer::Done(all[&sku].clone())
    }

    async fn retire(&self, _: Context, sku: Sku) -> Answer<Product> {
        let mut all = self.shelf();
        let Some(product) = all.get_mut(&sku) else {
            return Answer::rejected(refusals::UNKNOWN_PRODUCT, "there is none");
        };
        product.version += i64::from(!product.retired);
        product.retired = true;
        Answer::Done(product.clone())
    }
}

/// Finds whole words, or parts of what is written without blanks, each as good as the other.
fn is_listed(product: &Product, which: &ListProducts) -> bool {
    let after = which.after.as_ref().map(|after| &after.sku);
    let text = format!("{} {} {}", product.name, product.category, product.description).to_lowercase();
    // Scripts that set words apart are the small ones; this knows no more of it than its tests need.
    let is_apart = |word: &str| word.chars().all(|c| c < '\u{e00}');
    let has = |word: &str| {
        let as_a_word = text.split(|c: char| !c.is_alphanumeric() || c >= '\u{e00}').any(|part| part == word);
        as_a_word || (!is_apart(word) && text.contains(word))
    };
    let found = which.search.as_ref().is_none_or(|words| {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        !words.is_empty() && words.iter().all(|word| has(word))
    });
    let of_category = which.category.as_ref().is_none_or(|category| *category == product.category);
    !product.retired && Some(&product.sku) > after && of_category && found
}

fn other_currency(all: &BTreeMap<Sku, Product>, wishes: &[PutProduct]) -> Option<Refusal> {
    let first = wishes.first().map(|wish| wish.price.currency);
    let ours = all.values().next().map(|product| product.price.currency).or(first);
    let other = wishes.iter().any(|wish| Some(wish.price.currency) != ours);
    other.then(|| Refusal::new(refusals::CURRENCY, "another currency"))
}

fn differs(product: &Product, wish: &PutProduct) -> bool {
    let PutProduct { sku, name, category, description, images, price } = wish.clone();
    let version = product.version;
    *product != Product { sku, name, category, description, images, price, retired: false, version }
}

fn place(all: &mut BTreeMap<Sku, Product>, wish: PutProduct) {
    let PutProduct { sku, name, category, description, images, price } = wish;
    let version = all.get(&sku).map_or(0, |product| product.version);
    let wished =
        Product { sku: sku.clone(), name, category, description, images, price, retired: false, version };
    if all.get(&sku) != Some(&wished) {
        all.insert(sku, Product { version: version + 1, ..wished });
    }
}
