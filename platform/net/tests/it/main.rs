//! The edge through its public boundary, over real sockets.

mod identity;
mod server;
