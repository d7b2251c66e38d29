//! Three orders worth a look, each with the command that shows it.

use banyan_kernel::OrderId;
use serde::{Deserialize, Serialize};

use super::{
    FaultTable,
    settle::{Found, Ledger},
};

/// An order to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookAt {
    /// Why it is worth a look.
    pub what: String,
    /// The order, if there was one.
    pub order: Option<OrderId>,
}

impl LookAt {
    /// The command that shows it, or why there is none.
    #[must_use]
    pub fn command(&self) -> String {
        self.order.map_or_else(|| "none in this run".to_owned(), |order| format!("banyan order show {order}"))
    }
}

/// One compensated, one charged although the call timed out, the slowest.
pub(super) fn three(ledger: &Ledger, faults: Option<&FaultTable>) -> Vec<LookAt> {
    let slow = ledger
        .slowest
        .map_or_else(String::new, |found| format!(" ({:.0} ms)", found.took.as_secs_f64() * 1e3));
    vec![
        LookAt {
            what: "compensated: a step failed, the ones before it were undone".to_owned(),
            order: id(ledger.compensated),
        },
        charged_though_timed_out(ledger, faults),
        LookAt { what: format!("the slowest to be shipped{slow}"), order: id(ledger.slowest) },
    ]
}

fn id(found: Option<Found>) -> Option<OrderId> {
    found.map(|found| found.order)
}

/// Of the shop's examples one that this run shipped; else a shipped order that was asked again, which says
/// less and is called so.
fn charged_though_timed_out(ledger: &Ledger, faults: Option<&FaultTable>) -> LookAt {
    let examples = |step| faults.map_or(&[][..], |table| table.examples(step, "timed_out"));
    let mut charged = examples("capture").iter().chain(examples("authorise"));
    let what = "timed out though the card was charged";
    if let Some(order) = charged.find(|order| ledger.shipped.contains(order)) {
        return LookAt { what: what.to_owned(), order: Some(*order) };
    }
    match ledger.asked_again {
        Some(found) => {
            LookAt { what: "had no answer at a step, was asked again".to_owned(), order: Some(found.order) }
        }
        None => LookAt { what: what.to_owned(), order: None },
    }
}
