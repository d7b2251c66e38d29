//! Lines of a basket or a delivery, as a client sends them.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use banyan_kernel::{Line, Quantity, Sku};
use banyan_net::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// So many of one product. Stricter than the kernel's line, which events carry: those ignore fields they do
/// not know, a client is told.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedLine {
    /// Which product.
    pub(super) sku: Sku,
    /// How many.
    quantity: Quantity,
}

impl From<WantedLine> for Line {
    fn from(wanted: WantedLine) -> Self {
        Self { sku: wanted.sku, quantity: wanted.quantity }
    }
}

/// One line at least, `most` at most, each product once.
pub(crate) fn check(what: &str, lines: &[WantedLine], most: usize) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
    if lines.is_empty() || lines.len() > most {
        return wrong(format!("{what} has 1 to {most} lines"));
    }
    let mut seen = BTreeSet::new();
    match lines.iter().find(|line| !seen.insert(&line.sku)) {
        Some(twice) => wrong(format!("product {} is named twice", twice.sku)),
        None => Ok(()),
    }
}
