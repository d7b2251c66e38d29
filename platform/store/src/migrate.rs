//! Schemas, roles and migrations: what the administrator does once at start, before any role logs in.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, migrate::Migrator, postgres::PgConnectOptions,
};

use crate::{ROLE_SETTINGS, StoreError, role_of, role_password};

/// Applied into every module's schema before its own.
static PLATFORM: Migrator = sqlx::migrate!("../../migrations/platform");

/// Two shops starting at once take turns.
const TURN: &str = "select pg_advisory_lock(7241000001)";

/// Roles are the whole server's and locks a database's: two shops on two databases of one server may be at the same role
/// at once, and one of them is told so. Then it is tried again.
const ROLE_TRIES: u32 = 20;
const ROLE_WAIT: Duration = Duration::from_millis(10);

/// A module's schema: its name and its migrations.
pub struct Schema {
    /// The module's name.
    pub name: &'static str,
    /// Its own migrations.
    pub migrations: &'static Migrator,
    /// Tables that its role may add to and read, but neither change nor empty.
    pub insert_only: &'static [&'static str],
    /// Whether its role may read the server's statistics: who runs which transaction.
    pub reads_statistics: bool,
}

/// Creates what is missing: schemas, roles with their limits, tables; grants each role its own schema.
/// `administrator_password` is what module passwords are derived from ([`role_password`]).
///
/// # Errors
/// When the administrator may not, or a migration fails or was changed after it ran.
pub async fn prepare(
    administrator: &PgConnectOptions,
    administrator_password: &str,
    schemas: &[Schema],
) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect_with(administrator).await?;
    connection.execute(TURN).await?;
    for schema in schemas {
        create(&mut connection, schema.name, administrator_password).await?;
        migrate(administrator, schema).await?;
        grant(&mut connection, schema).await?;
    }
    connection.close().await?;
    Ok(())
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), StoreError> {
    // Names and settings are constants of this program; the password is hexadecimal.
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

async fn create(connection: &mut PgConnection, name: &str, secret: &str) -> Result<(), StoreError> {
    for tries in 1.. {
        match create_role(connection, name, secret).await {
            Err(StoreError::Statement(error)) if tries < ROLE_TRIES && was_outrun(&error) => {
                tokio::time::sleep(ROLE_WAIT * tries).await;
            }
            made => {
                made?;
                break;
            }
        }
    }
    run(connection, format!("create schema if not exists {name}")).await?;
    run(connection, "revoke all on schema public from public".to_owned()).await
}

/// Somebody else made or changed the same role in this moment: unique, duplicate, `tuple concurrently updated`.
fn was_outrun(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("23505" | "42710" | "XX000"))
}

async fn create_role(connection: &mut PgConnection, name: &str, secret: &str) -> Result<(), StoreError> {
    let role = role_of(name);
    let password = role_password(secret, name).map_or("null".to_owned(), |password| format!("'{password}'"));
    let missing = format!(
        "do $$ begin if not exists (select from pg_roles where rolname = '{role}') then \
         create role {role} login; end if; end $$"
    );
    run(connection, missing).await?;
    run(connection, format!("alter role {role} password {password}")).await?;
    for (setting, value) in ROLE_SETTINGS {
        run(connection, format!("alter role {role} set {setting} = '{value}'")).await?;
    }
    run(connection, format!("alter role {role} set search_path = {name}")).await
}

async fn migrate(administrator: &PgConnectOptions, schema: &Schema) -> Result<(), StoreError> {
    let options = administrator.clone().options([("search_path", schema.name)]);
    let mut connection = PgConnection::connect_with(&options).await?;
    for migrations in [&PLATFORM, schema.migrations] {
        // The two sets share a table of what was applied; each ignores what the other brought.
        let mut migrator = Migrator::with_migrations(migrations.migrations.to_vec());
        migrator.set_ignore_missing(true);
        migrator.run(&mut connection).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => StoreError::Conflict(format!("schema {}: {other}", schema.name)),
        })?;
    }
    connection.close().await?;
    Ok(())
}

async fn grant(connection: &mut PgConnection, schema: &Schema) -> Result<(), StoreError> {
    let (role, name) = (role_of(schema.name), schema.name);
    run(connection, format!("grant usage on schema {name} to {role}")).await?;
    run(connection, format!("grant select, insert, update, delete on all tables in schema {name} to {role}"))
        .await?;
    run(connection, format!("grant usage on all sequences in schema {name} to {role}")).await?;
    for table in ["outbox"].iter().chain(schema.insert_only) {
        run(connection, format!("revoke update, delete on {name}.{table} from {role}")).await?;
    }
    if schema.reads_statistics {
        run(connection, format!("grant pg_read_all_stats to {role}")).await?;
    }
    run(connection, format!("revoke all on {name}._sqlx_migrations from {role}")).await
}
