//! The client: notifications that are elsewhere.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, CustomerId, OrderId, Timestamp, TraceParent};
use banyan_net::port::PortClient;
use notifications_api::{
    Awaited, Contact, Mail, MailFact, MailFacts, MailHead, MailId, MailsDue, Notifications,
};
use uuid::Uuid;

use crate::questions::{Facts, Mailbox, Nothing, OfCustomer, OfMail, Place, Reached};

/// Notifications by HTTP.
pub struct HttpNotifications(pub PortClient);

/// What is asked here is asked for nobody's order, and belongs to no trace that anybody collects.
fn nobodys() -> TraceParent {
    TraceParent::root(Uuid::nil()).unsampled()
}

#[async_trait]
impl Notifications for HttpNotifications {
    async fn contact(&self, customer: CustomerId) -> Answer<Option<Contact>> {
        self.0.one("contact", nobodys(), &OfCustomer { customer }).await
    }

    async fn put_contact(&self, customer: CustomerId, contact: Contact) -> Answer<Contact> {
        self.0.one("put-contact", nobodys(), &Reached { customer, contact }).await
    }

    async fn forget(&self, customer: CustomerId) -> Answer<bool> {
        self.0.one("forget", nobodys(), &OfCustomer { customer }).await
    }

    async fn mailbox(
        &self,
        customer: CustomerId,
        before: Option<(Timestamp, MailId)>,
        limit: u16,
        at_least: Vec<Awaited>,
    ) -> Answer<Vec<MailHead>> {
        let before = before.map(|(at, id)| Place { at, id });
        self.0.one("mailbox", nobodys(), &Mailbox { customer, before, limit, at_least }).await
    }

    async fn mail(&self, id: MailId, at_least: Vec<Awaited>) -> Answer<Option<Mail>> {
        self.0.one("mail", nobodys(), &OfMail { id, at_least }).await
    }

    async fn retry_refused(&self) -> Answer<u64> {
        self.0.one("retry-refused", nobodys(), &Nothing {}).await
    }
}

#[async_trait]
impl MailFacts for HttpNotifications {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<MailFact>> {
        self.0.one("facts", nobodys(), &Facts { after, upto }).await
    }

    async fn counts(&self) -> Answer<BTreeMap<String, i64>> {
        self.0.one("counts", nobodys(), &Nothing {}).await
    }

    async fn due(&self) -> Answer<MailsDue> {
        self.0.one("due", nobodys(), &Nothing {}).await
    }
}
