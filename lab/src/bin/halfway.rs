//! A process that stands between two statements of a writing transaction, for the tests: it begins as every
//! module does, changes a row, says `inside XID`, waits for a line, and says how the rest went.
//!
//! Arguments: the socket's folder and port, a module, an order, a SKU.

use std::{error::Error, io::BufRead, path::PathBuf, sync::Arc};

use banyan_kernel::SystemClock;
use banyan_store::{
    Locks, Store, StoreError, Write, role_of,
    sqlx::{self, postgres::PgConnectOptions},
};

const CHANGE: &str = "update stock set on_hand = on_hand where sku = $1 returning pg_current_xact_id()::text";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, port, module, order, sku] = args.try_into().map_err(|_| "five arguments")?;
    let module: &'static str = module.leak();
    let options = PgConnectOptions::new()
        .socket(PathBuf::from(dir))
        .port(port.parse()?)
        .username(&role_of(module))
        .database("banyan");
    let store = Store::new(options, module, 1, Arc::new(SystemClock));
    let mut write = store.begin(&Locks::none().and("order", [order])).await?;
    println!("inside {}", change(&mut write, &sku).await?);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match finish(write, &sku).await {
        Ok(()) => println!("committed"),
        Err(error) => println!("failed: {error}"),
    }
    Ok(())
}

async fn change(write: &mut Write, sku: &str) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar(CHANGE).bind(sku).fetch_one(write.connection()).await?)
}

async fn finish(mut write: Write, sku: &str) -> Result<(), StoreError> {
    change(&mut write, sku).await?;
    write.commit().await
}
