//! Implementation of notifications: what is told to a customer, and how they are reached.
//!
//! `orders` and `refunds` hear what happened and put a mail into the mailbox, in one commit with their positions;
//! `delayed` notices what did not happen. `render` joins a mail with its reader; `send` has what is due delivered,
//! by `smtp`.
//! `contact` is the only file that knows a person.

mod contact;
mod delayed;
mod facts;
mod mail;
mod mailbox;
mod measure;
mod news;
mod orders;
mod render;
mod send;
mod smtp;

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, CustomerId, Timestamp};
use banyan_store::{Schema, Store};
use notifications_api::{Awaited, Contact, Mail, MailHead, MailId};
use sqlx::migrate::Migrator;

pub use delayed::{DELAYED_GROUP, DelayedReconciler};
pub use news::NewsConsumer;
pub use orders::OrdersConsumer;
pub use send::{MAIL_GROUP, SendReconciler};
pub use smtp::{MailServer, MailServerError};

use render::Templates;

/// The tables of the module.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations/notifications");

/// The module's schema.
#[must_use]
pub fn schema() -> Schema {
    Schema {
        name: notifications_api::NAME,
        migrations: &MIGRATIONS,
        insert_only: &[],
        reads_statistics: false,
    }
}

/// Notifications on PostgreSQL.
pub struct Notifications {
    store: Store,
    templates: Templates,
}

impl Notifications {
    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Arc<Self> {
        Arc::new(Self { store, templates: Templates::new() })
    }

    /// The module's store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[async_trait]
impl notifications_api::Notifications for Notifications {
    async fn contact(&self, customer: CustomerId) -> Answer<Option<Contact>> {
        contact::read(self.store.pool(), customer).await.map_or_else(Answer::from, Answer::Done)
    }

    async fn put_contact(&self, customer: CustomerId, contact: Contact) -> Answer<Contact> {
        contact::put(&self.store, customer, contact).await.unwrap_or_else(Answer::from)
    }

    async fn forget(&self, customer: CustomerId) -> Answer<bool> {
        contact::forget(&self.store, customer).await.map_or_else(Answer::from, Answer::Done)
    }

    async fn mailbox(
        &self,
        customer: CustomerId,
        before: Option<(Timestamp, MailId)>,
        limit: u16,
        at_least: Vec<Awaited>,
    ) -> Answer<Vec<MailHead>> {
        let mails = mailbox::list(&self.store, &self.templates, customer, before, limit, &at_least).await;
        mails.unwrap_or_else(Answer::from)
    }

    async fn mail(&self, id: MailId, at_least: Vec<Awaited>) -> Answer<Option<Mail>> {
        mailbox::read(&self.store, &self.templates, id, &at_least).await.unwrap_or_else(Answer::from)
    }

    async fn retry_refused(&self) -> Answer<u64> {
        send::retry(&self.store).await.map_or_else(Answer::from, Answer::Done)
    }
}
