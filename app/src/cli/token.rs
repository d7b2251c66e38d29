//! `banyan token`

use std::{process::ExitCode, time::Duration};

use banyan_kernel::CustomerId;
use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::{Common, client};

/// Prints a bearer token, signed with the data folder's key.
#[derive(Args)]
pub(super) struct TokenArgs {
    /// What its bearer may do.
    #[arg(long, value_enum)]
    role: Role,
    /// The customer: a UUID, or any name, which then stands for one.
    #[arg(long, default_value = "alice")]
    customer: String,
    /// For how many seconds it is valid, at most 30 days.
    #[arg(long, default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    valid_s: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Customer,
    Staff,
}

pub(super) fn token(common: &Common, args: &TokenArgs) -> Result<ExitCode, String> {
    let (keys, valid) = (client::keys(common)?, Duration::from_secs(args.valid_s));
    let token = match args.role {
        Role::Staff => client::staff_token(&keys, valid)?,
        Role::Customer => client::customer_token(&keys, customer(&args.customer), valid)?,
    };
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}

/// A name stands for the same customer each time.
fn customer(name: &str) -> CustomerId {
    let named = || Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("banyan:customer:{name}").as_bytes());
    CustomerId(name.parse().unwrap_or_else(|_| named()))
}
