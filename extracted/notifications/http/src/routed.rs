//! The routed form: notifications on both sides.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, CustomerId, OrderId, Timestamp};
use banyan_net::route::Route;
use notifications_api::{
    Awaited, Contact, Mail, MailFact, MailFacts, MailHead, MailId, MailsDue, Notifications,
};

use crate::Served;

/// Notifications here and elsewhere, by their customers.
pub struct RoutedNotifications(pub Route<Served>);

#[async_trait]
impl Notifications for RoutedNotifications {
    async fn contact(&self, customer: CustomerId) -> Answer<Option<Contact>> {
        let ask = |side: Served, customer| async move { side.notifications.contact(customer).await };
        self.0.read("contact", Some(&customer.to_string()), customer, ask).await
    }

    async fn put_contact(&self, customer: CustomerId, contact: Contact) -> Answer<Contact> {
        let ask =
            |side: Served, contact| async move { side.notifications.put_contact(customer, contact).await };
        self.0.change(Some(&customer.to_string()), contact, ask).await
    }

    async fn forget(&self, customer: CustomerId) -> Answer<bool> {
        let ask = |side: Served, customer| async move { side.notifications.forget(customer).await };
        self.0.change(Some(&customer.to_string()), customer, ask).await
    }

    async fn mailbox(
        &self,
        customer: CustomerId,
        before: Option<(Timestamp, MailId)>,
        limit: u16,
        at_least: Vec<Awaited>,
    ) -> Answer<Vec<MailHead>> {
        let ask = move |side: Served, at_least| async move {
            side.notifications.mailbox(customer, before, limit, at_least).await
        };
        self.0.read("mailbox", Some(&customer.to_string()), at_least, ask).await
    }

    async fn mail(&self, id: MailId, at_least: Vec<Awaited>) -> Answer<Option<Mail>> {
        let ask = move |side: Served, at_least| async move { side.notifications.mail(id, at_least).await };
        self.0.read("mail", None, at_least, ask).await
    }

    async fn retry_refused(&self) -> Answer<u64> {
        self.0.change(None, (), |side, ()| async move { side.notifications.retry_refused().await }).await
    }
}

#[async_trait]
impl MailFacts for RoutedNotifications {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<MailFact>> {
        let ask = move |side: Served, ()| async move { side.facts.facts(after, upto).await };
        self.0.read("facts", None, (), ask).await
    }

    async fn counts(&self) -> Answer<BTreeMap<String, i64>> {
        self.0.read("counts", None, (), |side: Served, ()| async move { side.facts.counts().await }).await
    }

    async fn due(&self) -> Answer<MailsDue> {
        self.0.read("due", None, (), |side: Served, ()| async move { side.facts.due().await }).await
    }
}
