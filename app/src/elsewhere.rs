//! The ways to modules that are processes of their own. Each shares its database with this shop, and each call says which one that is.

use std::sync::Arc;

use banyan_net::{
    call::{Callee, Caller, Registry},
    port::{PortClient, ServiceKey},
};
use banyan_store::Store;
use inventory_http::HttpInventory;

use crate::config::Addresses;

/// What this shop is called by those whom it calls.
pub const NAME: &str = "shop";

/// The way to inventory.
///
/// # Errors
/// When the client cannot be made.
pub fn inventory(
    addresses: &Addresses,
    key: &Arc<ServiceKey>,
    shared: Option<Store>,
) -> Result<Arc<HttpInventory>, reqwest::Error> {
    way(inventory_api::NAME, addresses, key, shared).map(HttpInventory).map(Arc::new)
}

fn way(
    module: &'static str,
    addresses: &Addresses,
    key: &Arc<ServiceKey>,
    shared: Option<Store>,
) -> Result<PortClient, reqwest::Error> {
    let registry = match addresses {
        Addresses::Fixed(all) => Registry::fixed(all.clone()),
        Addresses::Dns(host, port) => Registry::dns(host.clone(), *port),
    };
    let caller = Caller::registered(module, Callee::port("", key.credential(module)), registry)?;
    let client = PortClient::new(module, caller);
    Ok(match shared {
        Some(store) => client.sharing(Arc::new(store)),
        None => client,
    })
}
