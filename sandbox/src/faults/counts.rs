//! The faults that really happened, per step and kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::FaultKind;
use crate::step::Step;

const EXAMPLES: usize = 5;

#[derive(Default)]
struct Cell {
    count: u64,
    examples: Vec<String>,
}

/// A table of step × kind; each cell with a few orders to look at.
#[derive(Default)]
pub(crate) struct Counts {
    cells: BTreeMap<(Step, FaultKind), Cell>,
}

impl Counts {
    pub(crate) fn add(&mut self, step: Step, kind: FaultKind, order: &str) {
        let cell = self.cells.entry((step, kind)).or_default();
        cell.count += 1;
        if cell.examples.len() < EXAMPLES && !cell.examples.iter().any(|known| known == order) {
            cell.examples.push(order.to_owned());
        }
    }

    pub(crate) fn table(&self) -> Value {
        let rows = Step::ALL.into_iter().map(|step| (step.name().to_owned(), self.row(step)));
        Value::Object(rows.collect())
    }

    fn row(&self, step: Step) -> Value {
        let mut row = Map::new();
        for kind in FaultKind::ALL {
            let (count, examples) = match self.cells.get(&(step, kind)) {
                Some(cell) => (cell.count, cell.examples.as_slice()),
                None => (0, [].as_slice()),
            };
            row.insert(kind.met().to_owned(), json!({ "count": count, "examples": examples }));
        }
        Value::Object(row)
    }
}
