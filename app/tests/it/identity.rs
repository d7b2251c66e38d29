//! Who may do what: tokens that are not ours, orders that are somebody else's, what is for staff alone.

use std::time::Duration;

use banyan_kernel::{Actor, Clock, Role, SystemClock};
use banyan_net::Keys;
use banyan_store::role_of;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::{
    http::basket,
    shop::{ALICE, BOB, Call, mint, sample_shop, shop, until},
};

/// `{"alg":"none","typ":"JWT"}`
const ALG_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
/// `{"alg":"HS256","typ":"JWT"}`
const ALG_HS256: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

#[tokio::test]
async fn each_bad_token_has_its_problem() {
    let shop = shop().await;
    let (alice, bob) = (shop.customer(ALICE), shop.customer(BOB));
    let [head, claims, signature] = parts(&alice);
    let [_, bobs_claims, _] = parts(&bob);
    let hour = Duration::from_secs(3_600);
    let expired = Actor { role: Role::Customer, id: ALICE.to_string() };
    let expired = shop.keys().mint(&expired, SystemClock.now() - 2 * hour, hour).expect("a token");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let foreign = Keys::open(&elsewhere.path().join("key.pem")).expect("a key");
    let cases = [
        (String::new(), "token_missing"),
        ("Bearer".to_owned(), "token_missing"),
        (format!("Basic {alice}"), "token_missing"),
        ("Bearer x".to_owned(), "token_invalid"),
        (format!("Bearer {}", "x".repeat(3_000)), "token_invalid"),
        (format!("Bearer {head}.{bobs_claims}.{signature}"), "token_invalid"),
        (format!("Bearer {ALG_NONE}.{claims}."), "token_invalid"),
        (format!("Bearer {ALG_NONE}.{claims}.{signature}"), "token_invalid"),
        (format!("Bearer {ALG_HS256}.{claims}.{signature}"), "token_invalid"),
        (format!("Bearer {head}.{claims}."), "token_invalid"),
        (format!("Bearer {expired}"), "token_expired"),
        (format!("Bearer {}", mint(&foreign, Role::Staff, "mallory", hour)), "token_invalid"),
        (format!("Bearer {}", shop.token(Role::Customer, "not-a-uuid")), "token_invalid"),
    ];
    for (authorization, problem) in &cases {
        let answer = Call::get("/v1/orders").authorization(authorization).check(401, problem).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for call in [
        Call::post("/v1/orders").key("nobody").json(&basket()),
        Call::get("/v1/orders"),
        Call::get("/v1/stock/apple"),
        Call::post("/v1/products").key("nobody"),
        Call::post("/admin/audit").on_admin(),
        Call::get("/admin/groups").on_admin(),
    ] {
        call.check(401, "token_missing").await;
    }
    Call::get("/v1/orders").authorization(&format!("bearer  {alice}")).check(200, "").await;
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("a token has three parts")
}

#[tokio::test]
async fn anothers_order_does_not_exist() {
    let placed = Call::post("/v1/orders").customer(ALICE).key("mine").json(&basket()).check(201, "").await;
    let id = placed.json()["id"].as_str().expect("an id").to_owned();
    for path in ["", "/events"] {
        let get = Call::get(&format!("/v1/orders/{id}{path}"));
        get.clone().customer(ALICE).check(200, "").await;
        get.clone().staff().check(200, "").await;
        let hidden = get.customer(BOB).check(404, "unknown_order").await;
        let absent = Call::get(&format!("/v1/orders/{}{path}", Uuid::from_u128(9)));
        let absent = absent.customer(BOB).check(404, "unknown_order").await;
        assert_eq!(hidden.text, absent.text, "nothing tells the two apart");
    }
    let cancel = Call::post(&format!("/v1/orders/{id}/cancel")).json(&json!({"reason": "not mine"}));
    cancel.customer(BOB).check(404, "unknown_order").await;
    let bobs = Call::get("/v1/orders?limit=200").customer(BOB).check(200, "").await;
    assert!(!bobs.text.contains(&id), "a list shows own orders alone");
}

/// That its history is not what was written tells a stranger no more than that there is none.
#[tokio::test]
async fn anothers_order_that_is_not_believed_does_not_exist_either() {
    let shop = sample_shop().await;
    let body = json!({"lines": [{"sku": "P878302", "quantity": 1}], "payment_method": "pm_card_visa"});
    let placed = Call::post("/v1/orders").customer(ALICE).key("changed").json(&body).send(shop).await.is(201);
    let path = format!("/v1/orders/{}", placed.json()["id"].as_str().expect("an id"));
    let order = Call::get(&path);
    until("the order to be shipped", async || {
        (order.clone().staff().send(shop).await.json()["state"] == "shipped").then_some(())
    })
    .await;
    let pool = shop.database.superuser_pool().await;
    let change = "update orders.order_event set at = at + interval '1 day' where order_id = $1::uuid";
    let id = path.rsplit('/').next();
    sqlx::query(change).bind(id).execute(&pool).await.expect("changed behind the shop's back");
    for path in [path.clone(), format!("{path}/events"), format!("{path}/shipments")] {
        Call::get(&path).customer(BOB).send(shop).await.has_problem(404, "unknown_order");
        for may in [Call::get(&path).customer(ALICE), Call::get(&path).staff()] {
            may.send(shop).await.has_problem(500, "internal");
        }
    }
}

#[tokio::test]
async fn staff_and_customers_have_their_own_doors() {
    let line = json!({"lines": [{"sku": "apple", "quantity": 1}]});
    let staff_only = [
        Call::get("/v1/stock/apple"),
        Call::post("/v1/stock/receipts").key("k").json(&line),
        Call::post("/v1/products").key("k").json(&json!({"products": [
            {"sku": "x", "name": "x", "category": "", "price_minor": 1, "currency": "EUR"}]})),
        Call::get("/admin/groups").on_admin(),
        Call::get("/admin/orders/stuck").on_admin(),
        Call::post("/admin/audit").on_admin(),
        Call::new(Method::DELETE, "/admin/break").on_admin(),
    ];
    let service = format!("Bearer {}", shop().await.token(Role::Service, "reporting"));
    for call in staff_only {
        call.clone().customer(ALICE).check(403, "staff_only").await;
        let reads_it = call.to_string().starts_with("GET /v1/");
        if !reads_it {
            call.authorization(&service).check(403, "staff_only").await;
        }
    }
    Call::post("/v1/orders").staff().key("k").json(&basket()).check(403, "customers_only").await;
    Call::get("/admin/groups").on_admin().staff().check(200, "").await;
    Call::new(Method::DELETE, "/admin/break").on_admin().staff().check(403, "faults_not_allowed").await;
}

#[tokio::test]
async fn a_cancel_is_checked_and_may_be_repeated() {
    let placed = Call::post("/v1/orders").customer(BOB).key("cancel").json(&basket()).check(201, "").await;
    let path = format!("/v1/orders/{}/cancel", placed.json()["id"].as_str().expect("an id"));
    let cancel = |reason: &str| Call::post(&path).customer(BOB).json(&json!({"reason": reason}));
    cancel("").check(422, "invalid_body").await;
    cancel(&"x".repeat(201)).check(422, "invalid_body").await;
    cancel("line\nbreak").check(422, "invalid_body").await;
    Call::post(&path).customer(BOB).raw("{}").check(422, "invalid_body").await;
    // The saga may be faster than the wish; both answers are told, and stay the same.
    let first = cancel("ordered twice").send(shop().await).await;
    let again = cancel("ordered twice").send(shop().await).await;
    assert!(matches!(first.status, 200 | 410), "{}", first.text);
    assert_eq!(again.status, first.status, "{}", again.text);
}

/// Who can do something cannot do it unseen, nor take the record of it away.
#[tokio::test]
async fn what_staff_do_is_recorded_for_good_and_what_others_do_is_not() {
    let product = |price: i64| {
        json!({"products": [
        {"sku": "recorded", "name": "recorded", "category": "", "price_minor": price, "currency": "EUR"}]})
    };
    let put = |price: i64| Call::post("/v1/products").staff().json(&product(price));
    put(5).key("done").check(200, "").await;
    put(0).key("refused").check(422, "invalid_body").await;
    Call::post("/v1/products")
        .customer(ALICE)
        .json(&product(5))
        .key("a-customers")
        .check(403, "staff_only")
        .await;
    Call::post("/admin/audit").on_admin().staff().key("audited").check(200, "").await;
    let placed =
        Call::post("/v1/orders").customer(ALICE).key("to-be-cancelled").json(&basket()).check(201, "").await;
    let cancel = format!("/v1/orders/{}/cancel", placed.json()["id"].as_str().expect("an id"));
    let cancelled = Call::post(&cancel).key("cancelled").json(&json!({"reason": "asked by phone"}));
    let cancelled = cancelled.staff().send(shop().await).await.status;
    Call::get("/v1/staff/actions").customer(ALICE).check(403, "staff_only").await;
    let listed = Call::get("/v1/staff/actions?limit=200").staff().check(200, "").await.json();
    let of = |key: &str| {
        let action = listed["actions"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|action| action["idempotency_key"] == key);
        action.map(|action| (action["actor"].clone(), action["path"].clone(), action["status"].clone()))
    };
    let staff = json!("staff:tester");
    assert_eq!(of("done"), Some((staff.clone(), json!("/v1/products"), json!(200))));
    assert_eq!(of("refused"), Some((staff.clone(), json!("/v1/products"), json!(422))));
    assert_eq!(of("cancelled"), Some((staff.clone(), json!(cancel), json!(cancelled))));
    assert_eq!(of("audited"), Some((staff, json!("/admin/audit"), json!(200))));
    assert_eq!(of("a customer's"), None);
    let first = Call::get("/v1/staff/actions?limit=1").staff().check(200, "").await.json();
    let next =
        format!("/v1/staff/actions?limit=1&cursor={}", first["next"].as_str().expect("there are more"));
    let second = Call::get(&next).staff().check(200, "").await.json();
    assert_ne!(first["actions"][0]["id"], second["actions"][0]["id"]);
    let twice = format!("Bearer {}", shop().await.customer(ALICE));
    let twice = Call::get("/v1/orders").staff().header("authorization", twice);
    twice.check(401, "token_repeated").await;
    Call::get("/v1/staff/actions?cursor=x").staff().check(400, "invalid_cursor").await;
    let pool =
        sqlx::PgPool::connect_with(shop().await.database.options(&role_of("edge"))).await.expect("the role");
    for refused in
        ["update staff_action set actor = 'nobody'", "delete from staff_action", "truncate staff_action"]
    {
        let error = sqlx::query(refused).execute(&pool).await.expect_err(refused);
        assert_eq!(
            error.as_database_error().and_then(|error| error.code()).as_deref(),
            Some("42501"),
            "{refused}"
        );
    }
}
