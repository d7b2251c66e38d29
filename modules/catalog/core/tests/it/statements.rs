//! Every SQL statement, under the module's role.

use std::path::Path;

use banyan_store::testing::prepare_all;
use sqlx::PgPool;

use crate::world::World;

#[tokio::test]
async fn each_prepares_under_the_modules_role() {
    let world = World::new().await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = prepare_all(&source, world.store.pool()).await;
    assert!(found >= 7, "the search for statements finds {found}");
}

#[tokio::test]
async fn the_role_sees_its_own_schema_alone_and_its_outbox_only_grows() {
    let world = World::new().await;
    let superuser = PgPool::connect_with(world.database.superuser()).await.expect("the superuser");
    for statement in ["create schema other", "create table other.secret (n int)"] {
        sqlx::query(statement).execute(&superuser).await.expect(statement);
    }
    for refused in [
        "select * from other.secret",
        "create table other.mine (n int)",
        "create table public.mine (n int)",
        "delete from outbox",
    ] {
        let error = sqlx::query(refused).execute(world.store.pool()).await.expect_err(refused);
        let code = error.as_database_error().and_then(|error| error.code()).expect(refused).into_owned();
        assert_eq!(code, "42501", "{refused}: {error}");
    }
}
