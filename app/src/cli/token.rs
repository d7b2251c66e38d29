//! `banyan token`

use std::{process::ExitCode, time::Duration};

use banyan_kernel::CustomerId;
use banyan_net::Keys;
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
    /// The service's name.
    #[arg(long, default_value = "reports")]
    service: String,
    /// For how many seconds it is valid, at most 30 days.
    #[arg(long, default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    valid_s: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Customer,
    Staff,
    /// A program that reads for the shop.
    Service,
}

pub(super) fn token(common: &Common, args: &TokenArgs) -> Result<ExitCode, String> {
    let (keys, valid) = (client::keys(common)?, Duration::from_secs(args.valid_s));
    let token = match args.role {
        Role::Staff => client::staff_token(&keys, valid)?,
        Role::Service => client::service_token(&keys, &args.service, valid)?,
        Role::Customer => client::customer_token(&keys, customer(&args.customer), valid)?,
    };
    say!("{token}");
    Ok(ExitCode::SUCCESS)
}

/// `banyan rotate-key`: a new key signs from now on; tokens of the one before it count until the next rotation.
pub(super) fn rotate_key(common: &Common) -> Result<ExitCode, String> {
    client::keys(common)?;
    let id = Keys::rotate(&client::key_file(common)).map_err(|error| error.to_string())?;
    say!("key {id} signs from now on; the one before it counts until the next rotation");
    Ok(ExitCode::SUCCESS)
}

/// A name stands for the same customer each time.
pub(super) fn customer(name: &str) -> CustomerId {
    let named = || Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("banyan:customer:{name}").as_bytes());
    CustomerId(name.parse().unwrap_or_else(|_| named()))
}
