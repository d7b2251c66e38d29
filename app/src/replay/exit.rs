//! What the process's exit code says.

use serde::{Deserialize, Serialize};

/// How a replay ended, as an exit code. Where several fit, the first in this list wins:
/// [`Failed`](Self::Failed), [`Usage`](Self::Usage), [`StrictStop`](Self::StrictStop),
/// [`EmptyCell`](Self::EmptyCell), [`SomeSkipped`](Self::SomeSkipped), [`Clean`](Self::Clean).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// 0: every line was read, and every basket was answered and followed to its end.
    Clean,
    /// 1: the shop could not be asked, left baskets unanswered, accepted none, or did not settle.
    Failed,
    /// 2: the file is unknown, empty, or no replay file; or an option makes no sense.
    Usage,
    /// 3: some lines were broken and skipped.
    SomeSkipped,
    /// 4: `--strict` stopped at a broken line.
    StrictStop,
    /// 5: a cell of the step table is empty: a fault that is to be survived was never met.
    EmptyCell,
}

/// What an [`Exit`] is decided from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) baskets: u64,
    pub(super) accepted: u64,
    pub(super) unanswered: u64,
    pub(super) open: u64,
    pub(super) trouble: bool,
    pub(super) skipped: u64,
    pub(super) strict_stop: bool,
    pub(super) empty_cell: bool,
}

impl Exit {
    /// The number for the operating system.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SomeSkipped => 3,
            Self::StrictStop => 4,
            Self::EmptyCell => 5,
        }
    }

    pub(super) fn of(seen: Seen) -> Self {
        let none_accepted = seen.baskets > 0 && seen.accepted == 0;
        if seen.unanswered > 0 || seen.open > 0 || seen.trouble || none_accepted {
            Self::Failed
        } else if seen.strict_stop {
            Self::StrictStop
        } else if seen.empty_cell {
            Self::EmptyCell
        } else if seen.skipped > 0 {
            Self::SomeSkipped
        } else {
            Self::Clean
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_thing_seen_names_the_exit_code() {
        let fine = Seen { baskets: 3, accepted: 3, ..Seen::default() };
        let cases = [
            (fine, 0),
            (Seen { accepted: 0, ..fine }, 1),
            (Seen { unanswered: 1, strict_stop: true, ..fine }, 1),
            (Seen { trouble: true, skipped: 1, ..fine }, 1),
            (Seen { open: 1, empty_cell: true, ..fine }, 1),
            (Seen { skipped: 2, ..fine }, 3),
            (Seen { skipped: 1, strict_stop: true, empty_cell: true, ..fine }, 4),
            (Seen { skipped: 1, empty_cell: true, ..fine }, 5),
            (Seen { strict_stop: true, ..Seen::default() }, 4),
        ];
        for (seen, code) in cases {
            assert_eq!(Exit::of(seen).code(), code, "{seen:?}");
        }
        assert_eq!(Exit::Usage.code(), 2);
    }
}
