//! D2: views beside the truth, folded anew while they are read.

use banyan_lab::stage::ShopClient;
use banyan_store::sqlx::{AssertSqlSafe, Executor};
use serde_json::Value;

use super::{Cast, ENDED, Row, Shown, baskets, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "D2",
    title: "CQRS: read models of their own, rebuilt online and turned over when they are equal",
    says: [
        "1,000 orders ship; then, while 300 more are placed, the list and the sales are folded anew and turned over.",
        "Then the database spoils one row of each new copy as it is written: no rebuild may be turned over, and each names the key.",
    ],
    without: &[],
    file: "platform/bus/src/read_model.rs",
    play: |cast| Box::pin(play(cast)),
};

const BEFORE: usize = 1_000;
const MEANWHILE: usize = 300;
const MODELS: [&str; 2] = ["orders.list", "orders.sales"];

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let (known, _) = played(&shop, "before", BEFORE).await;
    let selling = async {
        let orders = shop.place_all(baskets("meanwhile", MEANWHILE), 8).await;
        shop.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    };
    let rebuilding = async {
        let mut turned = 0;
        for model in MODELS {
            let (done, said) = rebuild(&shop, model).await;
            println!("    {said}");
            turned += usize::from(done);
        }
        turned
    };
    let ((), turned) = tokio::join!(selling, rebuilding);
    let found = findings(&shop).await;
    let before = totals(&shop).await;
    let spoiled = &known[BEFORE / 2];
    let mut refused = 0;
    for (model, table, which, change, named) in [
        (
            "orders.list",
            "order_list",
            format!("new.order_id = '{spoiled}'"),
            "new.state := 'stuck'",
            spoiled.as_str(),
        ),
        (
            "orders.sales",
            "sales",
            "new.sku = 'LAB-JAM'".to_owned(),
            "new.pieces := new.pieces + 1",
            "LAB-JAM",
        ),
    ] {
        spoil(&shop, table, &which, change).await;
        let (done, said) = rebuild(&shop, model).await;
        println!("    {}", first_words(&said, 220));
        refused += usize::from(!done && said.contains(named));
    }
    let after = totals(&shop).await;
    let still = findings(&shop).await;
    let figure = format!(
        "{turned} of 2 turned over while it sold; {}; {refused} of 2 spoiled ones refused, and what is read is the same: {}",
        in_words(&found),
        before == after && still.is_empty()
    );
    let as_said = turned == 2 && refused == 2 && before == after && found.is_empty() && still.is_empty();
    Shown { figure, as_said }
}

/// Whether it was turned over, and what `banyan rebuild` says.
async fn rebuild(shop: &ShopClient, model: &str) -> (bool, String) {
    let output = shop.banyan(&["rebuild", model]).await;
    let said = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.success(), String::from_utf8_lossy(said).trim().to_owned())
}

/// From now on the database changes these rows of the copy that is not read.
async fn spoil(shop: &ShopClient, table: &str, which: &str, change: &str) {
    let database = shop.superuser_pool();
    for statement in [
        format!(
            "create function orders.spoil_{table}() returns trigger language plpgsql as $$ begin {change}; return new; end $$"
        ),
        format!(
            "create trigger spoil before insert or update on orders.{table} for each row \
             when ({which} and new.copy <> {}) execute function orders.spoil_{table}()",
            live(shop, table).await
        ),
    ] {
        database
            .execute(AssertSqlSafe(statement.clone()))
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

async fn live(shop: &ShopClient, table: &str) -> i16 {
    let name = if table == "sales" { "orders.sales" } else { "orders.list" };
    let live = "select live from orders.read_model where name = $1";
    banyan_store::sqlx::query_scalar(live).bind(name).fetch_one(&shop.superuser_pool()).await.expect(live)
}

/// What a reader sees: how many orders, and how many pieces were sold.
async fn totals(shop: &ShopClient) -> (i64, i64) {
    let staff = shop.staff_token().await;
    let orders = pages(shop, &staff, "orders", |_| 1).await;
    (orders, pages(shop, &staff, "sales", |line| line["pieces"].as_i64().unwrap_or_default()).await)
}

async fn pages(shop: &ShopClient, staff: &str, what: &str, of: impl Fn(&Value) -> i64) -> i64 {
    let (mut sum, mut cursor) = (0, String::new());
    loop {
        let (status, page) = shop.get(&format!("/v1/{what}?limit=200{cursor}"), staff).await;
        assert_eq!(status, 200, "{page}");
        sum += page[what].as_array().into_iter().flatten().map(&of).sum::<i64>();
        let Some(next) = page["next"].as_str() else { return sum };
        cursor = format!("&cursor={next}");
    }
}

/// As much as fits, up to the end of a word.
fn first_words(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let head: String = text.chars().take(characters_max).collect();
    let whole = head.rfind(char::is_whitespace).map_or(&*head, |end| &head[..end]);
    format!("{whole} ...")
}
