//! `banyan`: see `banyan help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    banyan::cli::main()
}
