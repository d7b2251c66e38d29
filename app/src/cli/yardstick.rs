//! What PostgreSQL alone takes on this machine, measured beside the report: `lab/yardstick`, by pgbench.
//! `make bench` does it properly, in interleaved slices.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use banyan_postgres::Cluster;
use tokio::process::Command;

/// One transaction script is so many orders.
const ORDERS_PER_TRANSACTION: f64 = 50.0;
const SECONDS: u32 = 5;
const DATABASE: &str = "yardstick";

/// Orders per second, or why there is no figure.
pub(super) async fn measure(cluster: &Cluster, folder: &Path) -> Result<f64, String> {
    let (psql, pgbench) = (tool("psql")?, tool("pgbench")?);
    let schema = folder.join("schema.sql");
    if !schema.exists() {
        return Err(format!("{} is not there", schema.display()));
    }
    cluster.create_database(DATABASE).await.map_err(|error| error.to_string())?;
    output(command(&psql, cluster).args(["-q", "-f"]).arg(schema)).await?;
    let script = folder.join("order.sql");
    let seconds = SECONDS.to_string();
    let mut bench = command(&pgbench, cluster);
    let text = output(bench.args(["-n", "-c", "2", "-j", "1", "-T", &seconds, "-f"]).arg(script)).await?;
    output(command(&psql, cluster).args(["-q", "-c", "drop schema yardstick cascade"])).await?;
    let tps =
        text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    tps.map(|tps: f64| tps * ORDERS_PER_TRANSACTION).ok_or_else(|| "pgbench told no tps".to_owned())
}

fn tool(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|tool| tool.is_file());
    found.ok_or_else(|| format!("{name} is not installed"))
}

fn command(tool: &Path, cluster: &Cluster) -> Command {
    let mut command = Command::new(tool);
    command
        .env("PGHOST", cluster.socket_dir())
        .env("PGUSER", cluster.superuser())
        .env("PGDATABASE", DATABASE);
    let port = cluster.options(cluster.superuser(), DATABASE).get_port();
    command.env("PGPORT", port.to_string());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(errors.lines().next_back().unwrap_or("it failed without a word").to_owned())
}
