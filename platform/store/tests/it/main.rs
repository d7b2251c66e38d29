//! The store on real PostgreSQL.

mod fence;
mod slots;
mod write;
