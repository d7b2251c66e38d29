//! The yardstick: what PostgreSQL alone takes, on the shop's own server, by pgbench.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use banyan_lab::stage::ShopClient;
use banyan_store::sqlx::{self, postgres::PgConnectOptions};
use tokio::process::Command;

const FOLDER: &str = "lab/yardstick";
const DATABASE: &str = "yardstick";
/// Of one transaction script.
const ORDERS: f64 = 50.0;

/// Ready to be run.
pub struct Yardstick {
    pgbench: PathBuf,
    server: PgConnectOptions,
}

impl Yardstick {
    /// In a database of its own on the shop's server; or why there is none.
    pub async fn new(shop: &ShopClient) -> Result<Self, String> {
        let (psql, pgbench) = (tool("psql")?, tool("pgbench")?);
        let schema = Path::new(FOLDER).join("schema.sql");
        if !schema.exists() {
            return Err(format!("{} is not there; run it from the repository's root", schema.display()));
        }
        let created = sqlx::query("create database yardstick").execute(&shop.superuser_pool()).await;
        created.map_err(|error| error.to_string())?;
        let yardstick = Self { pgbench, server: shop.superuser() };
        yardstick
            .output(yardstick.command(&psql).args(["-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(schema))
            .await?;
        Ok(yardstick)
    }

    /// Orders per second over so many seconds.
    pub async fn slice(&self, seconds: u64) -> f64 {
        let (mut command, seconds) = (self.command(&self.pgbench), seconds.to_string());
        command
            .args(["-n", "-c", "2", "-j", "1", "-T", &seconds, "-f"])
            .arg(Path::new(FOLDER).join("order.sql"));
        let text = self.output(&mut command).await.unwrap_or_else(|why| panic!("pgbench: {why}"));
        let tps = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
        tps.map_or(f64::NAN, |tps: f64| tps * ORDERS)
    }

    fn command(&self, tool: &Path) -> Command {
        let mut command = Command::new(tool);
        command.env("PGHOST", self.server.get_socket().map_or(Path::new(""), PathBuf::as_path));
        command.env("PGPORT", self.server.get_port().to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", DATABASE);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn output(&self, command: &mut Command) -> Result<String, String> {
        let output = command.output().await.map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

fn tool(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|tool| tool.is_file());
    found.ok_or_else(|| format!("{name} is not installed"))
}
