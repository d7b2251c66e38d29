//! The catalogue in memory, and what every implementation must do.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use banyan_kernel::{Actor, Context, Money, Role, Sku, TraceParent};

use crate::{Catalog, Product, PutProduct, Unavailable};

/// A catalogue in memory.
#[derive(Debug, Default)]
pub struct FakeCatalog(Mutex<BTreeMap<Sku, Product>>);

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

    async fn page(&self, after: Option<Sku>, limit: u16) -> Result<Vec<Product>, Unavailable> {
        let all = self.shelf();
        let later = all.values().filter(|product| Some(&product.sku) > after.as_ref());
        Ok(later.take(usize::from(limit)).cloned().collect())
    }

    async fn put(&self, _: Context, products: Vec<PutProduct>) -> Result<Vec<Product>, Unavailable> {
        let mut all = self.shelf();
        let asked: Vec<Sku> = products.iter().map(|wish| wish.sku.clone()).collect();
        let folded: BTreeMap<Sku, PutProduct> =
            products.into_iter().map(|wish| (wish.sku.clone(), wish)).collect();
        for (sku, PutProduct { name, category, price, .. }) in folded {
            let version = all.get(&sku).map_or(0, |product| product.version);
            let wished = Product { sku: sku.clone(), name, category, price, version };
            if all.get(&sku) != Some(&wished) {
                all.insert(sku, Product { version: version + 1, ..wished });
            }
        }
        Ok(asked.iter().filter_map(|sku| all.get(sku).cloned()).collect())
    }
}

/// A SKU of this text.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn sku(text: &str) -> Sku {
    text.parse().expect("a test names valid SKUs")
}

/// A product wished for at so many cents.
#[must_use]
pub fn wish(sku_text: &str, minor: i64) -> PutProduct {
    let currency = "USD".parse().expect("a currency");
    PutProduct {
        sku: sku(sku_text),
        name: format!("Product {sku_text}"),
        category: "groceries".into(),
        price: Money { minor, currency },
    }
}

/// A member of staff.
#[must_use]
pub fn staff() -> Context {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse();
    let trace: TraceParent = trace.expect("a trace");
    Context { actor: Actor { role: Role::Staff, id: "tester".into() }, trace }
}

/// What every catalogue does; it must be empty.
///
/// # Panics
/// When it does not.
pub async fn conformance(catalog: &dyn Catalog) {
    puts_and_leaves_alone(catalog).await;
    folds_what_is_named_twice(catalog).await;
    answers_only_what_is_sold(catalog).await;
    pages_in_sku_order(catalog).await;
}

async fn versions(catalog: &dyn Catalog, wishes: Vec<PutProduct>) -> Vec<(String, i64)> {
    let standing = catalog.put(staff(), wishes).await.expect("put");
    standing.into_iter().map(|product| (product.sku.into(), product.version)).collect()
}

async fn puts_and_leaves_alone(catalog: &dyn Catalog) {
    let first = versions(catalog, vec![wish("B", 2), wish("A", 1)]).await;
    assert_eq!(first, [("B".into(), 1), ("A".into(), 1)], "created, in the order asked");
    let again = versions(catalog, vec![wish("B", 2), wish("A", 1)]).await;
    assert_eq!(again, first, "the same wish changes nothing");
    let changed = versions(catalog, vec![wish("A", 3), wish("B", 2)]).await;
    assert_eq!(changed, [("A".into(), 2), ("B".into(), 1)], "only what differs counts");
}

async fn folds_what_is_named_twice(catalog: &dyn Catalog) {
    let twice = versions(catalog, vec![wish("C", 1), wish("C", 2)]).await;
    assert_eq!(twice, [("C".into(), 1), ("C".into(), 1)], "one change");
    let standing = catalog.products(vec![sku("C")]).await.expect("products");
    assert_eq!(standing[0].price.minor, 2, "the last wish holds");
}

async fn answers_only_what_is_sold(catalog: &dyn Catalog) {
    let some = catalog.products(vec![sku("C"), sku("unknown"), sku("A"), sku("A")]).await.expect("products");
    let some: Vec<&str> = some.iter().map(|product| product.sku.as_str()).collect();
    assert_eq!(some, ["A", "C"]);
    assert_eq!(catalog.products(Vec::new()).await.expect("products"), []);
}

async fn pages_in_sku_order(catalog: &dyn Catalog) {
    versions(catalog, vec![wish("a", 1), wish("_", 1), wish("Z-9", 1), wish("Z.1", 1)]).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.page(after, 3).await.expect("page");
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.sku.clone());
        seen.extend(page.into_iter().map(|product| product.sku.to_string()));
    }
    assert_eq!(seen, ["A", "B", "C", "Z-9", "Z.1", "_", "a"], "each once, by bytes");
}
