//! `banyan stock`

use std::process::ExitCode;

use banyan_kernel::Sku;
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::{Common, client::Client};

#[derive(Subcommand)]
pub(super) enum StockCommand {
    /// How much there is of a product, what the public is told, and where it came from and went: newest first.
    Show {
        /// The product.
        sku: Sku,
        /// How many movements, 1 to 200.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
}

pub(super) async fn stock(common: &Common, command: StockCommand) -> Result<ExitCode, String> {
    let StockCommand::Show { sku, limit } = command;
    let client = Client::find(common)?;
    let get = async |path: String| client.value(client.api(Method::GET, &path)).await;
    let level = get(format!("/v1/stock/{sku}")).await?;
    let number = |name: &str| level[name].as_i64().unwrap_or_default();
    say!(
        "{sku}, at {}: {} free, {} kept for orders, {} shipped; {} received, {} written off",
        text(&level["place"]),
        number("on_hand"),
        number("reserved"),
        number("shipped"),
        number("received"),
        number("adjusted")
    );
    let public = get(format!("/v1/products/{sku}/availability")).await?;
    say!("the public is told {} as of {}", public["available"], text(&public["as_of"]));
    let page = get(format!("/v1/stock/{sku}/movements?limit={limit}")).await?;
    for movement in page["movements"].as_array().into_iter().flatten() {
        say!(
            "{:<30} {:>+8}  {:<18} {:<44} {:<20} {:<16} {}",
            text(&movement["at"]),
            movement["quantity"].as_i64().unwrap_or_default(),
            text(&movement["what"]),
            text(&movement["of"]),
            text(&movement["reason"]),
            text(&movement["actor"]),
            text(&movement["correlation"])
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
