//! Downloads a PostgreSQL server into the cache folder, where none is installed, and prints its folder of
//! binaries.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    eprintln!(
        "PostgreSQL {} is fetched once, into {}",
        banyan_postgres::FETCHED_VERSION,
        banyan_postgres::cache_dir().display()
    );
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
