//! The private PostgreSQL, on the server that this machine has.

mod bad;
mod leash;
mod life;
mod scratch;
