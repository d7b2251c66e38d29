//! `banyan service-key`

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use banyan_kernel::SystemClock;
use banyan_net::port::ServiceKey;
use clap::Args;

/// Makes the key that a process signs its calls of others with, where there is none; one that is there stays. Its public half, for
/// those whom it calls, is put beside it.
#[derive(Args)]
pub(super) struct ServiceKeyArgs {
    /// The file, `NAME.pem`; the public half goes to `NAME.pub.pem`.
    file: PathBuf,
}

pub(super) fn service_key(args: &ServiceKeyArgs) -> Result<ExitCode, String> {
    // Whose it is, those say who are given the public half.
    ServiceKey::open("", &args.file, Arc::new(SystemClock)).map_err(|error| error.to_string())?;
    say!("{}", args.file.with_extension("pub.pem").display());
    Ok(ExitCode::SUCCESS)
}
