//! What a replay needs to know.

use std::{path::PathBuf, sync::Arc};

use banyan_kernel::{CustomerId, Timestamp};

use super::Patience;

/// Most requests in flight at once.
pub const IN_FLIGHT_MAX: usize = 1_024;

/// Makes a bearer token for a customer. Called once per basket, so that a token may be short-lived.
pub type Mint = Arc<dyn Fn(CustomerId) -> String + Send + Sync>;

/// What to play, where, as whom.
#[derive(Clone)]
pub struct Options {
    /// The replay file.
    pub file: PathBuf,
    /// The shop's public address, as in `http://127.0.0.1:8080`.
    pub base_url: String,
    /// The shop's admin address; without it orders are not followed to their end.
    pub admin_url: Option<String>,
    /// A bearer token of role staff, good for the whole replay.
    pub staff_token: String,
    /// Tokens of role customer.
    pub mint: Mint,
    /// Which series: the same run again repeats its keys, another one starts afresh.
    pub run: u32,
    /// Stop at the first broken line instead of skipping it.
    pub strict: bool,
    /// How many baskets are under way at once: 1 to 1,024.
    pub in_flight: usize,
    /// Begin at most so many baskets a second; as fast as they go, unless told.
    pub per_second: Option<u32>,
    /// Play only so many baskets.
    pub limit: Option<usize>,
    /// An empty cell of the step table does not count: for what is too small to fill them all.
    pub allow_empty_cells: bool,
    /// When the replay starts, for the report.
    pub started_at: Timestamp,
    /// Seeds the jitter of retries.
    pub seed: u64,
    /// The yardstick's orders per second on this machine, where it was measured.
    pub yardstick_per_s: Option<f64>,
    /// Where the report is written as JSON.
    pub report_file: Option<PathBuf>,
    /// How long to wait for what.
    pub patience: Patience,
}

impl Options {
    /// A replay of `file` with every choice at its default: run 1, not strict, 64 in flight, all baskets.
    #[must_use]
    pub fn new(
        file: PathBuf,
        base_url: String,
        staff_token: String,
        mint: Mint,
        started_at: Timestamp,
    ) -> Self {
        Self {
            file,
            base_url,
            admin_url: None,
            staff_token,
            mint,
            run: 1,
            strict: false,
            in_flight: 64,
            per_second: None,
            limit: None,
            allow_empty_cells: false,
            started_at,
            seed: 0,
            yardstick_per_s: None,
            report_file: None,
            patience: Patience::default(),
        }
    }
}
