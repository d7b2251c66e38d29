//! The contract by HTTP: real client, real router, real core on real PostgreSQL.

mod world;

use std::{path::Path, sync::Arc};

use banyan_kernel::Answer;
use banyan_net::{
    port::testing::{CALLER, Database, agreed, key},
    route::Side,
};
use banyan_store::sqlx;
use notifications_api::{
    NAME, Notifications,
    testing::{conformance, contact, customer},
};
use notifications_http::{HttpNotifications, port};

use crate::world::World;

#[tokio::test]
async fn notifications_by_http_conform() {
    conformance(&World::new().await).await;
}

#[tokio::test]
async fn notifications_by_a_route_that_splits_what_it_is_asked_conform() {
    let (world, gauge) = World::routed().await;
    conformance(&world).await;
    assert_eq!(gauge.differences(), []);
    for side in [Side::Here, Side::There] {
        assert!(gauge.counts(side).items > 0, "{side:?} was asked nothing");
    }
}

const CONTACTS: &str = "select count(*) from contact";

async fn contacts(world: &World) -> i64 {
    sqlx::query_scalar(CONTACTS).fetch_one(world.store.pool()).await.expect("a count")
}

fn is_unavailable<T>(answer: &Answer<T>, why: &str) -> bool {
    matches!(answer, Answer::Unavailable(said) if said.contains(why))
}

#[tokio::test]
async fn a_stranger_and_who_means_another_database_change_no_contact() {
    let world = World::new().await;
    let ada = customer("ada");
    let folder = tempfile::tempdir().expect("a folder");
    let (stranger, _) = key(folder.path(), CALLER);
    let for_another = world.wire.key.credential("payments");
    for credential in [stranger.credential(NAME), for_another] {
        let client = HttpNotifications(world.wire.client_as(credential));
        let refused = client.put_contact(ada, contact("Mallory")).await;
        assert!(is_unavailable(&refused, "does not let us in (401)"), "{refused:?}");
        let hidden = client.contact(ada).await;
        assert!(is_unavailable(&hidden, "does not let us in (401)"), "{hidden:?}");
    }
    let elsewhere = world.wire.client().sharing(Arc::new(Database("7/5/notifications/1")));
    let refused = HttpNotifications(elsewhere).put_contact(ada, contact("Mallory")).await;
    assert!(is_unavailable(&refused, "another database"), "{refused:?}");
    assert_eq!(contacts(&world).await, 0);
    assert_eq!(world.client.put_contact(ada, contact("Ada")).await, Answer::Done(contact("Ada")));
    assert_eq!(contacts(&world).await, 1);
}

#[test]
fn the_contract_of_notifications_is_the_one_that_was_agreed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../pacts/openapi/notifications/v1.json");
    agreed(&port(), &path);
}
