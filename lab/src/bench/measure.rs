//! What a slice cost: bytes of PostgreSQL's log, transaction ids, processor time.

use std::fs;

use banyan_lab::stage::{ShopProcess, Stage};
use banyan_store::sqlx;

use crate::scenarios::processes_of_postgres;

const MARKS: &str = "select (pg_current_wal_insert_lsn() - '0/0')::float8, \
     pg_snapshot_xmax(pg_current_snapshot())::text::float8";
/// The kernel's clock tick, as `/proc` counts.
const TICK_MS: f64 = 10.0;

/// Where the counters stand.
pub struct Meter {
    wal_bytes: f64,
    xids: f64,
    /// Of the shop, PostgreSQL, the sandbox, and this process.
    cpu_ms: [f64; 4],
}

/// What was spent between two looks.
pub struct Spent {
    /// Of PostgreSQL's log.
    pub wal_bytes: f64,
    /// Transactions that wrote.
    pub xids: f64,
    /// Of the shop, PostgreSQL, the sandbox, and this process.
    pub cpu_ms: [f64; 4],
}

impl Meter {
    /// Looks.
    pub async fn read(stage: &Stage, shop: &ShopProcess) -> Self {
        let marks = sqlx::query_as(MARKS).fetch_one(&shop.superuser_pool()).await;
        let (wal_bytes, xids) = marks.expect("the server's own counters");
        let mut cpu_ms = [0.0, 0.0, 0.0, ticks(std::process::id() as i32) * TICK_MS];
        let servers = processes_of_postgres(shop);
        let sandboxes =
            stage.processes().into_iter().filter(|pid| *pid != shop.pid && !servers.contains(pid));
        cpu_ms[0] = ticks(shop.pid) * TICK_MS;
        cpu_ms[1] = servers.iter().map(|pid| ticks(*pid) * TICK_MS).sum();
        cpu_ms[2] = sandboxes.map(|pid| ticks(pid) * TICK_MS).sum();
        Self { wal_bytes, xids, cpu_ms }
    }

    /// From an earlier look to this one.
    pub fn since(&self, earlier: &Self) -> Spent {
        let mut cpu_ms = self.cpu_ms;
        cpu_ms.iter_mut().zip(earlier.cpu_ms).for_each(|(now, then)| *now -= then);
        Spent { wal_bytes: self.wal_bytes - earlier.wal_bytes, xids: self.xids - earlier.xids, cpu_ms }
    }
}

/// User and system time of a process, with that of its children that ended.
fn ticks(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum()
}
