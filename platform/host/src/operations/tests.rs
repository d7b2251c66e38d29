//! By HTTP an operator is answered as here.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use banyan_bus::{Building, TopicView};
use banyan_kernel::{Answer, Json};
use banyan_net::port::testing::{Database, Wire, agreed};
use serde_json::json;
use uuid::Uuid;

use super::{
    About, By, Dependency, GroupAbout, LetterView, Operations, Reached, Ready, ask::Asked, questions::port,
    refusals,
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pacts/openapi/operations/v1.json");

/// A process of inventory that has one group with one parked key.
struct OneLetter;

fn by() -> By {
    By { who: "staff:ada".to_owned(), why: "mended".to_owned() }
}

fn group() -> GroupAbout {
    GroupAbout { applied: 7, held: 3, lag_s: Some(1.5), parked: Some(1), ..GroupAbout::default() }
}

fn letter() -> LetterView {
    let [key, kind, correlation] = ["order", "OrderShipped", "trace"].map(str::to_owned);
    LetterView { key, place: 4, kind, sequence: 2, reason: Some("why".to_owned()), attempts: 3, correlation }
}

fn building(events: u64) -> Building {
    let position = "1/20/3";
    let building: Json = json!({
        "model": "inventory.public", "phase": "fold", "build": 5, "copy": 1, "at": position, "end": position,
        "judged_at": position, "after": "", "events": events, "keys": 0, "count": 0, "named": [], "letters": 0,
        "live_from": position, "is_over": false,
    });
    serde_json::from_value(building).expect("a rebuild under way")
}

#[async_trait]
impl Operations for OneLetter {
    async fn about(&self) -> Answer<About> {
        let database = Dependency { ready: true, needed: true, why: None, identity: Some("one".to_owned()) };
        let dependencies = [("database".to_owned(), database)].into();
        Answer::Done(About {
            name: "inventory".to_owned(),
            version: "1".to_owned(),
            instance: Uuid::from_u128(9),
            up_for_s: 60,
            readiness: Ready { ready: true, draining: false, dependencies },
            groups: BTreeMap::from([("inventory.orders".to_owned(), group())]),
            slots_held: 3,
            calls: Vec::new(),
            pools: Vec::new(),
        })
    }

    async fn letters(&self, group: &str) -> Answer<Vec<LetterView>> {
        match group {
            "inventory.orders" => Answer::Done(vec![letter()]),
            _ => Answer::rejected(refusals::UNKNOWN_GROUP, group.to_owned()),
        }
    }

    async fn replay(&self, group: &str, key: &str, by: &By) -> Answer<u64> {
        Answer::Unavailable(format!("{group} {key} {} {}", by.who, by.why))
    }

    async fn drop_letter(&self, group: &str, key: &str, place: i64, by: &By) -> Answer<()> {
        Answer::rejected(refusals::DEAD_LETTER, format!("{group} {key} {place} {} {}", by.who, by.why))
    }

    async fn read_models(&self) -> Answer<Vec<String>> {
        Answer::Done(vec!["inventory.public".to_owned()])
    }

    async fn begin_rebuild(&self, _: &str) -> Answer<Building> {
        Answer::Done(building(0))
    }

    async fn rebuild_step(&self, begun: Building, _: &By) -> Answer<Building> {
        assert_eq!(json!(begun), json!(building(0)), "as it was told");
        Answer::Done(building(1_000))
    }

    async fn topics(&self) -> Answer<Vec<TopicView>> {
        Answer::rejected(refusals::NO_TOPICS, "none")
    }

    async fn recover(&self, source: &str, by: &By) -> Answer<()> {
        Answer::rejected(refusals::UNKNOWN_SOURCE, format!("{source} {} {}", by.who, by.why))
    }

    async fn begin_anew(&self, source: &str, by: &By) -> Answer<Vec<String>> {
        Answer::Done(vec![source.to_owned(), by.who.clone(), by.why.clone()])
    }
}

/// What is answered to each question, as it would be written.
async fn all(it: &dyn Operations) -> Vec<Json> {
    vec![
        json!(it.about().await),
        json!(it.letters("inventory.orders").await),
        json!(it.letters("orders.list").await),
        json!(it.replay("inventory.orders", "order", &by()).await),
        json!(it.drop_letter("inventory.orders", "order", 4, &by()).await),
        json!(it.read_models().await),
        json!(it.begin_rebuild("inventory.public").await),
        json!(it.rebuild_step(building(0), &by()).await),
        json!(it.topics().await),
        json!(it.recover("inventory", &by()).await),
        json!(it.begin_anew("orders", &by()).await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn by_http_an_operator_is_answered_as_in_the_process_itself() {
    let state: Arc<dyn Operations> = Arc::new(OneLetter);
    let wire = Wire::serve("inventory", port(), state, Arc::new(Database("one"))).await;
    let by_http = all(&Asked(wire.client())).await;
    assert_eq!(by_http, all(&OneLetter).await);
    assert_eq!(by_http[7]["done"]["events"], 1_000);
}

#[test]
fn the_contract_of_operations_is_the_one_that_was_agreed() {
    agreed(&port(), Path::new(DOCUMENT));
}

#[test]
fn of_two_processes_the_one_that_holds_slots_says_how_far_a_group_is() {
    let at = |xid: i64| Reached { epoch: 1, xid, seq: 0 };
    let one = GroupAbout { reached: at(30), lag_s: Some(0.5), ..group() };
    let other = GroupAbout { applied: 2, reached: at(20), held: 5, parked: None, ..group() };
    let both = one.clone().and(other.clone());
    assert_eq!((both.applied, both.held, both.parked, both.lag_s), (9, 8, Some(1), Some(1.5)));
    assert_eq!(both.reached, at(20), "who is further behind");
    let idle = GroupAbout { held: 0, reached: at(0), ..GroupAbout::default() };
    assert_eq!(idle.clone().and(one.clone()).reached, at(30));
    assert_eq!(one.and(idle).reached, at(30), "who holds nothing says nothing");
}
