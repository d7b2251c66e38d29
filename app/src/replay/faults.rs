//! The step table: what went wrong at each step of the saga, as the shop counted it.

use std::collections::BTreeMap;

use banyan_kernel::OrderId;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::client::{Call, Shop};

/// The saga's steps, in order.
pub const STEPS: [&str; 5] = ["reserve", "authorise", "confirm", "book", "capture"];
/// What can befall a step, and how the report's columns are called.
pub const KINDS: [(&str, &str); 4] =
    [("refused", "refused"), ("timed_out", "timed out but done"), ("late", "late"), ("twice", "twice")];

/// Step × kind, counted since the shop's data folder was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultTable {
    /// By step, then by kind.
    pub steps: BTreeMap<String, BTreeMap<String, Cell>>,
}

/// How often, and a few orders that it happened to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How often.
    pub count: u64,
    /// Some of the orders.
    #[serde(default)]
    pub examples: Vec<OrderId>,
}

impl FaultTable {
    /// How often `kind` befell `step`.
    #[must_use]
    pub fn count(&self, step: &str, kind: &str) -> u64 {
        self.cell(step, kind).map_or(0, |cell| cell.count)
    }

    /// Some of the orders that it befell.
    #[must_use]
    pub fn examples(&self, step: &str, kind: &str) -> &[OrderId] {
        self.cell(step, kind).map_or(&[], |cell| &cell.examples)
    }

    /// The cells that stand at nought, as `step/kind`.
    #[must_use]
    pub fn empty_cells(&self) -> Vec<String> {
        let all = STEPS.iter().flat_map(|step| KINDS.iter().map(move |(kind, _)| (*step, *kind)));
        all.filter(|(step, kind)| self.count(step, kind) == 0)
            .map(|(step, kind)| format!("{step}/{kind}"))
            .collect()
    }

    fn cell(&self, step: &str, kind: &str) -> Option<&Cell> {
        self.steps.get(step)?.get(kind)
    }
}

/// Asks the shop for the table; none where no admin address is known.
pub(super) async fn fault_table(shop: &Shop) -> Result<Option<FaultTable>, String> {
    let Some(url) = shop.admin("/admin/faults") else { return Ok(None) };
    let call = Call { method: Method::GET, url, token: &shop.staff_token, key: None, body: None };
    let answer = shop.ask(&call).await.map_err(|none| none.to_string());
    // A shop in which no faults may be injected keeps no table, and there is nothing to judge.
    if answer.as_ref().is_ok_and(|answer| answer.status == 403) {
        return Ok(None);
    }
    let table = answer.and_then(|answer| answer.read());
    table.map(Some).map_err(|why| format!("GET /admin/faults: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_is_missing_or_nought_is_empty() {
        let text = r#"{"steps":{"reserve":{"refused":{"count":3},"late":{"count":0,"examples":[]}}}}"#;
        let table: FaultTable = serde_json::from_str(text).unwrap();
        assert_eq!(table.count("reserve", "refused"), 3);
        assert_eq!(table.examples("book", "late"), []);
        let empty = table.empty_cells();
        assert_eq!(empty.len(), STEPS.len() * KINDS.len() - 1);
        assert!(empty.contains(&"reserve/late".to_owned()) && empty.contains(&"capture/twice".to_owned()));
    }
}
