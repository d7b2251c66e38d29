//! Downloads a PostgreSQL server into the cache folder, where none is installed.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match banyan_postgres::fetch().await {
        Ok(fetched) => {
            println!("{}", fetched.bin_dir.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fetch-postgres: {error}");
            ExitCode::FAILURE
        }
    }
}
