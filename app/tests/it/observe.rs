//! What a running shop tells of itself, and whether what looks at it looks at what is there.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use crate::{
    architecture::root,
    http::basket,
    shop::{BOB, Call, shop, until},
};

const FOLDER: &str = "app/observability";

async fn metrics() -> String {
    Call::get("/metrics").on_admin().send(shop().await).await.is(200).text
}

/// The names of all metrics in a text, as queries and exporters write them.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("banyan_")).map(str::to_owned).collect()
}

/// A query for what nobody records is a panel that stays empty, and an alert that never comes.
#[tokio::test]
async fn what_dashboards_and_alerts_ask_for_is_recorded() {
    let placed = Call::post("/v1/orders").customer(BOB).key("observed").json(&basket()).check(201, "").await;
    let order =
        Call::get(&format!("/v1/orders/{}", placed.json()["id"].as_str().expect("an id"))).customer(BOB);
    until("the order to be shipped", async || {
        (order.send(shop().await).await.json()["state"] == "shipped").then_some(())
    })
    .await;
    let mut asked = BTreeSet::new();
    for file in ["dashboard.json", "alerts.yaml"] {
        asked.extend(names(&fs::read_to_string(root().join(FOLDER).join(file)).expect(file)));
    }
    // No breaker has turned in a shop whose outside answers, nobody collects its traces, and it has no mail server.
    for absent in ["banyan_breaker_turns_total", "banyan_traces_spans_total", "banyan_mails_tries_total"] {
        asked.remove(absent);
    }
    assert!(asked.len() >= 18, "{asked:?}");
    let missing = async || {
        let recorded = names(&metrics().await);
        let missing: Vec<String> = asked.difference(&recorded).cloned().collect();
        missing.is_empty().then_some(())
    };
    until("every metric to be recorded", missing).await;
    let text = metrics().await;
    for id in [BOB.to_string(), "observed".to_owned(), "apple".to_owned()] {
        assert!(!text.contains(&id), "no id is a label: {id}");
    }
    assert!(text.contains("route=\"/v1/orders/{id}\""), "routes are templates");
}

#[tokio::test]
async fn the_shop_is_a_row_of_its_own_status() {
    let about = async || {
        let status: Value =
            Call::get("/admin/status").on_admin().staff().send(shop().await).await.is(200).json();
        let processes = status["processes"].as_array().expect("processes").clone();
        assert_eq!(processes.len(), 1, "{processes:?}");
        assert_eq!((&processes[0]["module"], &processes[0]["why"]), (&"shop".into(), &Value::Null));
        processes[0]["about"].clone()
    };
    let about = until("all slots to be held", async || {
        let about = about().await;
        let groups = about["groups"].as_object().expect("groups");
        groups.values().all(|group| group["held"] == 8).then_some(about.clone())
    })
    .await;
    assert_eq!(about["readiness"]["dependencies"]["database"]["ready"], true, "{about}");
    assert!(about["slots_held"].as_u64() > Some(8 * 6), "consumers and what works by itself: {about}");
    assert!(about["groups"]["inventory.orders"]["lag_s"].is_number(), "{about}");
    let callees: Vec<&Value> =
        about["calls"].as_array().into_iter().flatten().map(|it| &it["callee"]).collect();
    assert!(callees.contains(&&"gateway".into()) && callees.contains(&&"carrier".into()), "{callees:?}");
}

#[test]
fn every_alert_links_a_section_of_the_runbook_with_its_three_parts() {
    let runbook = fs::read_to_string(root().join("RUNBOOK.md")).expect("the runbook");
    let sections: Vec<(String, &str)> = runbook
        .split("\n## ")
        .skip(1)
        .map(|section| {
            let (title, body) = section.split_once('\n').expect("a title");
            let plain: String =
                title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-')).collect();
            (plain.to_lowercase().replace(' ', "-"), body)
        })
        .collect();
    let alerts = fs::read_to_string(root().join(FOLDER).join("alerts.yaml")).expect("the alerts");
    let links: Vec<&str> =
        alerts.split("RUNBOOK.md#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), alerts.matches("- alert:").count(), "each alert has one");
    for link in links {
        let section = sections.iter().find(|(name, _)| name == link);
        let (_, body) = section.unwrap_or_else(|| panic!("RUNBOOK.md has no section {link}"));
        for part in ["**It means**", "\n1. ", "\n2. ", "\n3. ", "**Wake somebody**"] {
            assert!(body.contains(part), "{link} has no {part:?}");
        }
    }
}

/// Where promtool is installed: a rule that does not fire when it should is no rule.
#[test]
fn the_alert_rules_pass_their_tests() {
    let promtool = Command::new("promtool")
        .args(["test", "rules", "alerts_test.yaml"])
        .current_dir(root().join(FOLDER))
        .output();
    let Ok(tested) = promtool else {
        println!("promtool is not installed: the alert rules were not tested (apt-get install prometheus)");
        return;
    };
    let said =
        String::from_utf8_lossy(&tested.stdout).into_owned() + &String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{said}");
}

/// A person's psql with an open transaction, in another database even: everybody's events wait for it.
#[tokio::test]
async fn who_holds_the_horizon_is_named() {
    let shop = shop().await;
    let holder = async || {
        let answer: Value = Call::get("/admin/horizon").on_admin().staff().send(shop).await.is(200).json();
        answer["holder"].clone()
    };
    let pool = shop.database.superuser_pool().await;
    let mut transaction = pool.begin().await.expect("a transaction");
    let mine: i32 = sqlx::query_scalar("select pg_backend_pid() where pg_current_xact_id() is not null")
        .fetch_one(&mut *transaction)
        .await
        .expect("a pid");
    let seen = until("the holder to be seen", async || {
        let holder = holder().await;
        (holder["pid"] == mine).then_some(holder)
    })
    .await;
    assert_eq!(seen["database"], shop.database.name.as_str());
    assert!(seen["query"].as_str().expect("a query").contains("pg_current_xact_id"), "{seen}");
    let named = async || {
        let log = fs::read_to_string(shop.data.join("shop.log")).expect("the log");
        (log.contains("holds the horizon") && log.contains(&mine.to_string())).then_some(())
    };
    until("the log to name it", named).await;
    transaction.rollback().await.expect("let go");
    until("it to be gone", async || (holder().await["pid"] != mine).then_some(())).await;
}
