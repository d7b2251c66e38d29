//! What the modules that are here can be asked by processes of their own.

use std::sync::Arc;

use axum::Router;
use banyan_host::operations::Readiness;
use banyan_net::port::{Callers, Door};

use crate::compose::{Shop, Stores};

/// Each module's port under its name, and for all whether they can be asked.
pub(super) fn router(shop: &Shop, stores: &Stores, callers: &Callers, readiness: Arc<Readiness>) -> Router {
    shop.ports().into_iter().fold(banyan_host::ports::health(readiness), |router, (source, port)| {
        let module = source.name();
        let door = Door::new(callers.at(module), Arc::new(stores.of(module)));
        router.nest(&format!("/{module}"), banyan_host::ports::router(port, source, door))
    })
}
