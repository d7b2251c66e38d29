//! Every SQL statement, under the module's role.

use std::path::Path;

use banyan_store::testing::{prepare_all, refuse_all};

use crate::world::World;

#[tokio::test]
async fn each_prepares_under_the_modules_role() {
    let world = World::new(false).await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = prepare_all(&source, world.store.pool()).await;
    assert!(found >= 14, "the search for statements finds {found}");
}

#[tokio::test]
async fn the_role_sees_its_own_schema_alone_and_its_outbox_only_grows() {
    let world = World::new(false).await;
    refuse_all(world.store.pool(), &world.database.superuser_pool().await, &[]).await;
}
