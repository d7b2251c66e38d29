//! The shop's database: a private PostgreSQL, or the one it was told.

use std::time::Duration;

use banyan_postgres::{Cluster, ClusterConfig, StopMode, find_for};
use banyan_store::sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::StartError;
use crate::{
    compose,
    config::{Config, Elsewhere},
    place::Place,
};

const NAME: &str = "banyan";
const ALLOWED: &str = "select current_setting('max_connections')::int4 \
     - current_setting('superuser_reserved_connections')::int4";
/// Ownership, migrations and a person's psql.
const SPARE: u32 = 5;

/// Where the modules' schemas are.
pub(super) struct Database {
    pub(super) administrator: PgConnectOptions,
    private: Option<(Cluster, tokio::task::JoinHandle<()>)>,
}

impl Database {
    pub(super) async fn start(config: &Config, place: &Place) -> Result<Self, StartError> {
        if let Some(administrator) = &config.database {
            return Ok(Self { administrator: administrator.clone(), private: None });
        }
        let data_dir = place.path("postgres");
        let binaries = find_for(&data_dir)?;
        let cluster = Cluster::start(ClusterConfig::new(data_dir, binaries)).await?;
        cluster.create_database(NAME).await?;
        let administrator = cluster.options(cluster.superuser(), NAME);
        let supervisor = tokio::spawn(cluster.supervise());
        Ok(Self { administrator, private: Some((cluster, supervisor)) })
    }

    /// Checks the budget of connections, then schemas, roles and migrations.
    pub(super) async fn prepare(
        &self,
        password: &str,
        wanted: u32,
        elsewhere: &Elsewhere,
    ) -> Result<(), StartError> {
        let unavailable = |error: banyan_store::sqlx::Error| StartError::Prepare(error.into());
        let mut connection = PgConnection::connect_with(&self.administrator).await.map_err(unavailable)?;
        let allowed: i32 = banyan_store::sqlx::query_scalar(ALLOWED)
            .fetch_one(&mut connection)
            .await
            .map_err(unavailable)?;
        let allowed = allowed.unsigned_abs();
        if wanted + SPARE > allowed {
            return Err(StartError::Connections { allowed, wanted: wanted + SPARE });
        }
        banyan_store::prepare(&self.administrator, password, &compose::all_schemas(elsewhere)).await?;
        Ok(())
    }

    pub(super) fn private_cluster(&self) -> Option<&Cluster> {
        self.private.as_ref().map(|(cluster, _)| cluster)
    }

    /// Whether it ended as it was asked.
    pub(super) async fn stop(self, within: Duration) -> bool {
        let Some((cluster, supervisor)) = self.private else { return true };
        let stopped = cluster.stop_within(StopMode::Fast, within).await;
        supervisor.abort();
        stopped.unwrap_or_else(|error| {
            tracing::warn!(%error, "the database did not stop; the next start adopts it");
            false
        })
    }
}
