//! What every catalogue does.

use banyan_kernel::{Answer, Money};

use super::{sku, staff, wish, wishes};
use crate::{After, Catalog, Expected, ListProducts, ProductsPut, PutProduct, PutProducts, refusals};

/// Holds a catalogue to the contract; it must be empty.
///
/// # Panics
/// When it does not keep it.
pub async fn conformance(catalog: &dyn Catalog) {
    puts_and_leaves_alone(catalog).await;
    folds_what_is_named_twice(catalog).await;
    answers_only_what_is_sold(catalog).await;
    pages_in_sku_order(catalog).await;
    changes_for_who_has_seen_it(catalog).await;
    sells_no_longer_what_is_retired(catalog).await;
    changes_many_for_who_has_seen_them(catalog).await;
    finds_words(catalog).await;
    finds_words_that_are_not_set_apart(catalog).await;
    has_one_currency(catalog).await;
    does_each_wish_once(catalog).await;
}

fn done<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(reply) => reply,
        other => panic!("{other:?}"),
    }
}

/// The refusal's code.
fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> String {
    match answer {
        Answer::Rejected(refusal) => refusal.code.into_owned(),
        other => panic!("{other:?}"),
    }
}

async fn versions(catalog: &dyn Catalog, products: Vec<PutProduct>) -> Vec<(String, i64)> {
    let standing = done(catalog.put(staff(), wishes(products)).await);
    standing.products.into_iter().map(|product| (product.sku.into(), product.version)).collect()
}

async fn puts_and_leaves_alone(catalog: &dyn Catalog) {
    let first = versions(catalog, vec![wish("B", 2), wish("A", 1)]).await;
    assert_eq!(first, [("B".into(), 1), ("A".into(), 1)], "created, in the order asked");
    let again = versions(catalog, vec![wish("B", 2), wish("A", 1)]).await;
    assert_eq!(again, first, "the same wish changes nothing");
    let changed = versions(catalog, vec![wish("A", 3), wish("B", 2)]).await;
    assert_eq!(changed, [("A".into(), 2), ("B".into(), 1)], "only what differs counts");
}

/// A repeat that comes late brings back neither an old price nor what was retired.
async fn does_each_wish_once(catalog: &dyn Catalog) {
    let old = wishes(vec![wish("K", 1), wish("L", 1)]);
    let first = done(catalog.put(staff(), old.clone()).await);
    assert!(!first.repeated);
    done(catalog.put(staff(), wishes(vec![wish("K", 2)])).await);
    done(catalog.retire(staff(), sku("L")).await);
    let again = done(catalog.put(staff(), old.clone()).await);
    assert_eq!(again, ProductsPut { repeated: true, ..first });
    let other = PutProducts { products: vec![wish("K", 3)], ..old };
    assert_eq!(refused(catalog.put(staff(), other).await), refusals::KEY_REUSED);
    let standing = catalog.products(vec![sku("K"), sku("L")]).await.expect("products");
    let stands: Vec<_> = standing.iter().map(|one| (one.price.minor, one.retired, one.version)).collect();
    assert_eq!(stands, [(2, false, 2), (1, true, 2)], "as they were left");
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

/// All SKUs of a list, page by page.
async fn listed(catalog: &dyn Catalog, which: ListProducts) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let which = ListProducts { after: after.clone(), ..which.clone() };
        let page = catalog.list(which.clone()).await.expect("a page");
        assert!(page.len() <= usize::from(which.limit));
        let Some(last) = page.last() else { return seen };
        after = Some(After { rank: last.rank, sku: last.product.sku.clone() });
        seen.extend(page.into_iter().map(|found| found.product.sku.to_string()));
    }
}

async fn pages_in_sku_order(catalog: &dyn Catalog) {
    versions(catalog, vec![wish("a", 1), wish("_", 1), wish("Z-9", 1), wish("Z.1", 1)]).await;
    let seen = listed(catalog, ListProducts { limit: 3, ..ListProducts::default() }).await;
    assert_eq!(seen, ["A", "B", "C", "Z-9", "Z.1", "_", "a"], "each once, by bytes");
}

async fn changes_for_who_has_seen_it(catalog: &dyn Catalog) {
    let change = async |minor, expected| catalog.change(staff(), wish("changed", minor), expected).await;
    assert_eq!(refused(change(1, Expected::Version(1)).await), refusals::STALE_VERSION, "it is not there");
    assert_eq!(done(change(1, Expected::Absent).await).version, 1);
    assert_eq!(refused(change(2, Expected::Absent).await), refusals::STALE_VERSION, "it is there");
    assert_eq!(done(change(2, Expected::Version(1)).await).version, 2);
    assert_eq!(refused(change(3, Expected::Version(1)).await), refusals::STALE_VERSION);
    assert_eq!(done(change(2, Expected::Version(2)).await).version, 2, "nothing changes");
}

/// Many at once are created, or left as they stand; what stands otherwise is changed by who has seen how, and else nothing is done.
async fn changes_many_for_who_has_seen_them(catalog: &dyn Catalog) {
    let put = async |products: Vec<PutProduct>, seen: &[(&str, i64)]| {
        let seen = Some(seen.iter().map(|(name, version)| (sku(name), *version)).collect());
        catalog.put(staff(), PutProducts { seen, ..wishes(products) }).await
    };
    let standing = |put: ProductsPut| put.products.into_iter().map(|one| one.version).collect::<Vec<_>>();
    assert_eq!(standing(done(put(vec![wish("M1", 1), wish("M2", 1)], &[]).await)), [1, 1], "created");
    assert_eq!(standing(done(put(vec![wish("M1", 1), wish("M2", 1)], &[]).await)), [1, 1], "as they stand");
    let dearer = vec![wish("M1", 2), wish("M3", 1)];
    for seen in [&[][..], &[("M1", 2)], &[("M2", 1)]] {
        match put(dearer.clone(), seen).await {
            Answer::Rejected(refusal) => {
                assert_eq!(refusal.code, refusals::STALE_VERSION);
                assert!(refusal.detail.contains("M1"), "it is named: {}", refusal.detail);
            }
            other => panic!("{seen:?}: {other:?}"),
        }
        assert_eq!(catalog.products(vec![sku("M3")]).await, Ok(Vec::new()), "nothing of it is done");
    }
    assert_eq!(standing(done(put(dearer, &[("M1", 1)]).await)), [2, 1]);
    done(catalog.retire(staff(), sku("M1")).await);
    assert_eq!(refused(put(vec![wish("M1", 2)], &[]).await), refusals::STALE_VERSION, "it is not sold again");
    assert_eq!(standing(done(put(vec![wish("M1", 2)], &[("M1", 3)]).await)), [4], "unless somebody saw it");
}

async fn sells_no_longer_what_is_retired(catalog: &dyn Catalog) {
    let old = PutProduct { category: "old".into(), ..wish("gone", 1) };
    assert_eq!(refused(catalog.retire(staff(), sku("unknown")).await), refusals::UNKNOWN_PRODUCT);
    versions(catalog, vec![old.clone()]).await;
    assert!(catalog.categories().await.expect("categories").iter().any(|category| category.name == "old"));
    for _ in 0..2 {
        let retired = done(catalog.retire(staff(), sku("gone")).await);
        assert!(retired.retired && retired.version == 2, "once more changes nothing: {retired:?}");
    }
    let of_category = ListProducts { category: Some("old".into()), limit: 3, ..ListProducts::default() };
    assert_eq!(listed(catalog, of_category.clone()).await, [""; 0]);
    assert!(!catalog.categories().await.expect("categories").iter().any(|category| category.name == "old"));
    let known = catalog.products(vec![sku("gone")]).await.expect("products");
    assert!(known[0].retired, "who asks by name is told");
    versions(catalog, vec![old]).await;
    assert_eq!(listed(catalog, of_category).await, ["gone"], "it is sold again");
}

async fn finds_words(catalog: &dyn Catalog) {
    let named = |text: &str, name: &str, description: &str| PutProduct {
        name: name.into(),
        description: description.into(),
        category: "tea".into(),
        ..wish(text, 1)
    };
    let teas = vec![
        named("T1", "Darjeeling first flush", "light"),
        named("T2", "Assam", "Strong; goes with milk. Darjeeling it is not."),
        named("T3", "Чай", "红茶"),
    ];
    versions(catalog, teas).await;
    let find = async |words: &str| {
        let search = Some(words.to_owned());
        let mut found = listed(catalog, ListProducts { search, limit: 1, ..ListProducts::default() }).await;
        found.sort();
        found
    };
    assert_eq!(find("darjeeling").await, ["T1", "T2"], "page by page, each once");
    assert_eq!(find("Darjeeling flush").await, ["T1"], "all words");
    assert_eq!(find("红茶").await, ["T3"], "other scripts");
    assert_eq!(find("coffee").await, [""; 0]);
    for nothing in ["", "   ", "!!! ((( &&& ||| :*", "\"\"", "-"] {
        assert_eq!(find(nothing).await, [""; 0], "{nothing:?} asks for nothing");
    }
}

/// Where words are written without blanks between them, a part of what is written is found.
async fn finds_words_that_are_not_set_apart(catalog: &dyn Catalog) {
    let named = |text: &str, name: &str| PutProduct { name: name.into(), ..wish(text, 1) };
    let products = vec![
        named("S1", "新鲜牛奶一升"),
        named("S2", "鲜花 奶牛"),
        named("S3", "おいしい牛乳"),
        named("S4", "นมสดหนึ่งลิตร"),
        named("S5", "신선한우유"),
        named("S6", "USB充電器 20W"),
    ];
    versions(catalog, products).await;
    let find = async |words: &str| {
        let search = Some(words.to_owned());
        let mut found = listed(catalog, ListProducts { search, limit: 1, ..ListProducts::default() }).await;
        found.sort();
        found
    };
    for (words, found) in [
        ("牛奶", &["S1"][..]),
        ("新鲜牛奶一升", &["S1"]),
        ("奶", &["S1", "S2"]),
        ("鲜奶", &[]),
        ("牛奶 新鲜", &["S1"]),
        ("牛乳", &["S3"]),
        ("นมสด", &["S4"]),
        ("우유", &["S5"]),
        ("usb 充電", &["S6"]),
        ("20w", &["S6"]),
    ] {
        assert_eq!(find(words).await, found, "{words}");
    }
}

async fn has_one_currency(catalog: &dyn Catalog) {
    let currency = "EUR".parse().expect("a currency");
    let euros = PutProduct { price: Money { minor: 1, currency }, ..wish("E", 1) };
    assert_eq!(
        refused(catalog.put(staff(), wishes(vec![wish("F", 1), euros.clone()])).await),
        refusals::CURRENCY
    );
    assert_eq!(refused(catalog.change(staff(), euros, Expected::Absent).await), refusals::CURRENCY);
    assert_eq!(catalog.products(vec![sku("E"), sku("F")]).await, Ok(Vec::new()), "nothing of it is done");
}
