//! The catalogue's port on real PostgreSQL.

mod port;
mod statements;
mod world;
