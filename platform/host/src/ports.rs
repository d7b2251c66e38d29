//! What a module can be asked by other processes: its contract, and what it told.

use std::sync::Arc;

use axum::Router;
use banyan_bus::Source;
use banyan_net::port::Door;

use crate::told;

/// Both behind one door.
pub fn router(port: impl FnOnce(Door) -> Router, source: Arc<dyn Source>, door: Door) -> Router {
    port(door.clone()).nest(told::PATH, told::router(source, door))
}
