//! Notifications' contract by HTTP, over its traits alone: the operations as a service offers them, and a client that is
//! notifications to whoever asks it.

mod ask;
mod questions;
mod routed;

use std::sync::Arc;

use banyan_net::port::Port;
use notifications_api::{MailFacts, NAME, Notifications};

pub use ask::HttpNotifications;
use questions::{Facts, Mailbox, Nothing, OfCustomer, OfMail, Reached};
pub use routed::RoutedNotifications;

/// Whatever implements the contract.
#[derive(Clone)]
pub struct Served {
    /// What others ask.
    pub notifications: Arc<dyn Notifications>,
    /// What the audit asks, and who looks after a running shop.
    pub facts: Arc<dyn MailFacts>,
}

impl Served {
    /// By one that does all of it.
    pub fn by(all: Arc<impl Notifications + MailFacts + 'static>) -> Self {
        Self { notifications: all.clone(), facts: all }
    }
}

/// The operations.
#[must_use]
pub fn port() -> Port<Served> {
    let port = Port::new(NAME, "What is told to a customer, and how they are reached.");
    facts(mails(contacts(port)))
}

fn contacts(port: Port<Served>) -> Port<Served> {
    port.question(
        "contact",
        "How a customer is reached; nothing for who never said, or was forgotten.",
        |served: Served, OfCustomer { customer }| async move { served.notifications.contact(customer).await },
    )
    .question(
        "put-contact",
        "Says how a customer is reached. Refusal: invalid_contact.",
        |served: Served, Reached { customer, contact }| async move {
            served.notifications.put_contact(customer, contact).await
        },
    )
    .question(
        "forget",
        "Forgets a person. True when something was known; once more changes nothing.",
        |served: Served, OfCustomer { customer }| async move { served.notifications.forget(customer).await },
    )
}

fn mails(port: Port<Served>) -> Port<Served> {
    port.question(
        "mailbox",
        "A customer's mails, the newest first, strictly older than a place. Refusal: read_model_behind.",
        |served: Served, Mailbox { customer, before, limit, at_least }| async move {
            let before = before.map(|place| (place.at, place.id));
            served.notifications.mailbox(customer, before, limit, at_least).await
        },
    )
    .question(
        "mail",
        "One mail; nothing where there is none. Refusal: read_model_behind.",
        |served: Served, OfMail { id, at_least }| async move {
            served.notifications.mail(id, at_least).await
        },
    )
    .question(
        "retry-refused",
        "Has mails sent again that the server refused for good, and says how many.",
        |served: Served, Nothing {}| async move { served.notifications.retry_refused().await },
    )
}

fn facts(port: Port<Served>) -> Port<Served> {
    port.question(
        "facts",
        "For the audit: what was told of a range of orders.",
        |served: Served, Facts { after, upto }| async move { served.facts.facts(after, upto).await },
    )
    .question("counts", "How many mails of each kind there are.", |served: Served, Nothing {}| async move {
        served.facts.counts().await
    })
    .question("due", "What waits to be sent.", |served: Served, Nothing {}| async move {
        served.facts.due().await
    })
}
