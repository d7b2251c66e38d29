//! `banyan`: see `banyan help`.

use std::process::ExitCode;

/// A fifth of the shop's time went to the system's allocator: JSON is many small pieces, freed on other threads than they were
/// made on (measured, ADR 25).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    banyan::cli::main()
}
