//! Notifications in memory, and what every implementation must do.

mod conformance;
mod fake;

use banyan_kernel::{CustomerId, OrderId};

use crate::{Address, Contact, Language};

pub use conformance::{UnderTest, conformance};
pub use fake::FakeNotifications;

/// The order called `name`: the same name, the same order.
#[must_use]
pub fn order(name: &str) -> OrderId {
    OrderId::derive("test", name)
}

/// The customer called `name`.
#[must_use]
pub fn customer(name: &str) -> CustomerId {
    CustomerId(OrderId::derive("customer", name).0)
}

/// How somebody of this name is reached.
#[must_use]
pub fn contact(name: &str) -> Contact {
    let [street, postcode, city, country] = ["Ring 1", "1010", "Wien", "AT"].map(str::to_owned);
    let address = Address { street, postcode, city, country };
    let email = format!("{}@example.org", name.to_lowercase());
    Contact { name: name.to_owned(), email, language: Language::En, address, unwanted: Vec::new() }
}
