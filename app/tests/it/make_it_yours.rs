//! The list in README.md, "Make it yours", done by a program: a module with a table, a port, a consumer and
//! two routes is added to a copy of the workspace, in at most ten places, and the copy compiles; and it is deleted from there again.
//!
//! What is not shown here: that the added module works. The copy is checked by the compiler and not run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::architecture::root;

/// The new module's own files stand here as they go into the workspace.
const FILES: &str = "app/tests/wishlist";
const PLACES_MAX: usize = 10;

/// What changes in files that are there: a text that stands once, and what takes its place.
const EDITS: [(&str, &str, &str); 12] = [
    (
        "Cargo.toml",
        "shipping-core = { path = \"modules/shipping/core\" }\n",
        "shipping-core = { path = \"modules/shipping/core\" }\n\
         wishlist-api = { path = \"modules/wishlist/api\" }\n\
         wishlist-core = { path = \"modules/wishlist/core\" }\n",
    ),
    (
        "app/Cargo.toml",
        "uuid.workspace = true\n",
        "uuid.workspace = true\nwishlist-api.workspace = true\nwishlist-core.workspace = true\n",
    ),
    (
        "app/src/compose.rs",
        "        shipping_core::schema(),\n",
        "        shipping_core::schema(),\n        wishlist_core::schema(),\n",
    ),
    (
        "app/src/compose.rs",
        "    pub shipping: shipping_http::Served,\n",
        "    pub shipping: shipping_http::Served,\n    /// Wishlist.\n    pub wishlist: Arc<wishlist_core::Wishlist>,\n",
    ),
    (
        "app/src/compose.rs",
        "    let (catalog, catalog_here) = catalog(",
        "    let wishlist = wishlist_core::Wishlist::new(stores.of(wishlist_api::NAME));\n    \
         let wishlist_here = Module::new(wishlist_core::schema(), wishlist.store().clone())\n        \
         .hears(wishlist_core::OrdersConsumer::new(wishlist.store().clone()));\n    \
         let (catalog, catalog_here) = catalog(",
    ),
    (
        "app/src/compose.rs",
        ".chain([payments_here, shipping_here])",
        ".chain([payments_here, shipping_here, Some(wishlist_here)])",
    ),
    (
        "app/src/compose.rs",
        "        Shop {\n            catalog,\n",
        "        Shop {\n            wishlist,\n            catalog,\n",
    ),
    ("app/src/api/mod.rs", "mod trace;\n", "mod trace;\nmod wishlist;\n"),
    (
        "app/src/api/mod.rs",
        "    pub inventory: Arc<dyn Inventory>,\n",
        "    pub inventory: Arc<dyn Inventory>,\n    /// The wishlist module.\n    pub wishlist: Arc<dyn wishlist_api::Wishlist>,\n",
    ),
    (
        "app/src/api/mod.rs",
        "        .routes(routes!(health::live))\n",
        "        .routes(routes!(wishlist::kept))\n        .routes(routes!(wishlist::keep))\n        \
         .routes(routes!(health::live))\n",
    ),
    (
        "app/src/api/mod.rs",
        "        (name = \"health\", ",
        "        (name = \"wishlist\", description = \"What customers keep in mind.\"),\n        (name = \"health\", ",
    ),
    (
        "app/src/shop.rs",
        "        parcels: shop.shipping.parcels.clone(),\n",
        "        parcels: shop.shipping.parcels.clone(),\n        wishlist: shop.wishlist.clone(),\n",
    ),
];

/// The places, as README.md lists them.
fn places() -> BTreeSet<String> {
    let edited = EDITS.iter().map(|(file, ..)| (*file).to_owned());
    let folders = files(&root().join(FILES)).into_iter().map(|file| {
        let parts: Vec<&str> = file.split('/').collect();
        match parts[..] {
            ["modules", name, part, ..] => format!("modules/{name}/{part}"),
            ["migrations", name, ..] => format!("migrations/{name}"),
            _ => file.clone(),
        }
    });
    edited.chain(folders).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let git = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(folder)
        .output()
        .expect("git");
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    String::from_utf8_lossy(&git.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn the_readme_lists_every_place() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let section = readme.split("## Make it yours").nth(1).expect("the section").split("\n## ").next();
    let section = section.unwrap_or_default();
    for place in places() {
        let place = place.replace("wishlist", "NAME");
        assert!(section.contains(&format!("`{place}`")), "README.md does not name {place}");
    }
    // The tests of contract and crate graph are updated with it: one place more.
    assert!(places().len() < PLACES_MAX, "{:?}", places());
}

#[test]
fn a_module_is_added_in_ten_places_and_compiles() {
    let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("make-it-yours");
    let kept: BTreeSet<String> =
        files(&root()).into_iter().filter(|file| root().join(file).is_file()).collect();
    prune(&copy, &kept);
    for file in &kept {
        put(&copy.join(file), &edited(file, &fs::read(root().join(file)).expect("a file")));
    }
    for file in files(&root().join(FILES)) {
        put(&copy.join(&file), &fs::read(root().join(FILES).join(&file)).expect("a file"));
    }
    let target = Path::new(crate::shop::BANYAN).ancestors().nth(2).expect("the target folder");
    let check = Command::new("timeout")
        .args(["1200", "cargo", "check", "--offline", "-p", "banyan", "-p", "wishlist-core"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "{said}");
}

/// Whoever deletes the module finds in each place, once, what was added there, and nothing else of it is left in the workspace.
#[test]
fn a_module_is_deleted_by_the_same_list_walked_backwards() {
    for file in files(&root()).into_iter().filter(|file| root().join(file).is_file()) {
        let before = fs::read(root().join(&file)).expect("a file");
        let mut edits: Vec<_> = edits_of(&file).collect();
        edits.reverse();
        let after =
            edits.iter().fold(edited(&file, &before), |text, (_, old, new)| once(&file, text, new, old));
        assert_eq!(String::from_utf8_lossy(&after), String::from_utf8_lossy(&before), "{file}");
    }
}

fn edits_of(file: &str) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    EDITS.iter().filter(move |(place, ..)| *place == file)
}

fn edited(file: &str, content: &[u8]) -> Vec<u8> {
    edits_of(file).fold(content.to_vec(), |text, (_, old, new)| once(file, text, old, new))
}

fn once(file: &str, content: Vec<u8>, old: &str, new: &str) -> Vec<u8> {
    let text = String::from_utf8(content).expect("a text");
    assert_eq!(text.matches(old).count(), 1, "{file}: {old:?} must stand there once");
    text.replacen(old, new, 1).into_bytes()
}

/// Writes what differs alone, so that a second run compiles what changed alone.
fn put(path: &Path, content: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == content) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
    fs::write(path, content).expect("the file is written");
}

/// Takes away what an earlier copy had and the workspace no longer has.
fn prune(copy: &Path, kept: &BTreeSet<String>) {
    let sources = ["app", "lab", "migrations", "modules", "platform", "sandbox"];
    for folder in sources {
        for file in walk(&copy.join(folder)) {
            let name = file.strip_prefix(copy).expect("inside").display().to_string();
            if !kept.contains(&name) && !name.contains("wishlist") {
                fs::remove_file(&file).expect("a stale file goes");
            }
        }
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
