//! Notifications in memory, for the tests of who depends on them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use banyan_kernel::{Answer, CustomerId, OrderId, Timestamp};

use crate::{
    Address, Awaited, COUNTRIES, Contact, Kind, MAILS_MAX, Mail, MailFact, MailFacts, MailHead, MailId,
    MailsDue, Notifications, Sending, refusals,
};

/// Keeps what the real ones keep, without a database, templates and a server to send by.
#[derive(Debug, Default)]
pub struct FakeNotifications(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    contacts: BTreeMap<CustomerId, Contact>,
    mails: Vec<Kept>,
}

impl Inner {
    fn is_behind(&self, at_least: &[Awaited]) -> bool {
        at_least.iter().any(|Awaited { order, kind, mails }| {
            let told = self.mails.iter().filter(|mail| mail.id.order == *order && mail.id.kind == *kind);
            i32::try_from(told.count()).unwrap_or(i32::MAX) < *mails
        })
    }
}

/// A mail as it is kept: who is written to is joined when it is read.
#[derive(Clone, Debug)]
struct Kept {
    id: MailId,
    customer: CustomerId,
    at: Timestamp,
}

impl FakeNotifications {
    /// As when orders tell that an order of this customer was accepted.
    pub fn accepted(&self, order: OrderId, customer: CustomerId, at: Timestamp) {
        self.put(Kept { id: MailId { order, kind: Kind::Confirmed, n: 0 }, customer, at });
    }

    /// As when orders tell that it was shipped.
    ///
    /// # Panics
    /// When it was not accepted before.
    pub fn shipped(&self, order: OrderId, at: Timestamp) {
        let first = self.inner().mails.iter().find(|mail| mail.id.order == order).cloned();
        let customer = first.expect("an order that was accepted").customer;
        self.put(Kept { id: MailId { order, kind: Kind::Shipped, n: 0 }, customer, at });
    }

    fn put(&self, mail: Kept) {
        let mut inner = self.inner();
        if inner.mails.iter().all(|known| known.id != mail.id) {
            inner.mails.push(mail);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked while holding it has failed already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Notifications for FakeNotifications {
    async fn contact(&self, customer: CustomerId) -> Answer<Option<Contact>> {
        Answer::Done(self.inner().contacts.get(&customer).cloned())
    }

    async fn put_contact(&self, customer: CustomerId, contact: Contact) -> Answer<Contact> {
        if !is_plausible(&contact) {
            return Answer::rejected(refusals::INVALID_CONTACT, "nobody is reached so");
        }
        self.inner().contacts.insert(customer, contact.clone());
        Answer::Done(contact)
    }

    async fn forget(&self, customer: CustomerId) -> Answer<bool> {
        Answer::Done(self.inner().contacts.remove(&customer).is_some())
    }

    async fn mailbox(
        &self,
        customer: CustomerId,
        before: Option<(Timestamp, MailId)>,
        limit: u16,
        at_least: Vec<Awaited>,
    ) -> Answer<Vec<MailHead>> {
        let inner = self.inner();
        if inner.is_behind(&at_least) {
            return Answer::rejected(refusals::BEHIND, "the mailbox has not come to it");
        }
        let mut theirs: Vec<&Kept> = inner.mails.iter().filter(|mail| mail.customer == customer).collect();
        theirs.sort_by_key(|mail| std::cmp::Reverse(place(mail.at, mail.id)));
        let older = |mail: &&Kept| before.is_none_or(|(at, id)| place(mail.at, mail.id) < place(at, id));
        let limit = usize::from(limit.clamp(1, MAILS_MAX));
        Answer::Done(theirs.into_iter().filter(older).take(limit).map(head).collect())
    }

    async fn mail(&self, id: MailId, at_least: Vec<Awaited>) -> Answer<Option<Mail>> {
        let inner = self.inner();
        if inner.is_behind(&at_least) {
            return Answer::rejected(refusals::BEHIND, "the mailbox has not come to it");
        }
        let mail = inner.mails.iter().find(|mail| mail.id == id);
        Answer::Done(mail.map(|mail| {
            let name = inner.contacts.get(&mail.customer).map_or("customer", |contact| &contact.name);
            let text = format!("Dear {name},\n{}", id.kind.as_str());
            let (html, message_id) = (format!("<p>{text}</p>"), format!("<{id}@fake>"));
            Mail { head: head(mail), customer: mail.customer, message_id, text, html }
        }))
    }

    async fn retry_refused(&self) -> Answer<u64> {
        // There is nobody to refuse any.
        Answer::Done(0)
    }
}

#[async_trait]
impl MailFacts for FakeNotifications {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<MailFact>> {
        let mut facts: BTreeMap<OrderId, MailFact> = BTreeMap::new();
        for mail in self.inner().mails.iter().filter(|mail| after < mail.id.order && mail.id.order <= upto) {
            let order = mail.id.order;
            let fact =
                facts.entry(order).or_insert_with(|| MailFact { order, kinds: Vec::new(), orders_seen: 0 });
            fact.kinds.push(mail.id.kind);
            fact.orders_seen += 1;
        }
        Answer::Done(facts.into_values().collect())
    }

    async fn counts(&self) -> Answer<BTreeMap<String, i64>> {
        let mut counts = BTreeMap::new();
        for mail in &self.inner().mails {
            *counts.entry(mail.id.kind.as_str().to_owned()).or_default() += 1;
        }
        Answer::Done(counts)
    }

    async fn due(&self) -> Answer<MailsDue> {
        Answer::Done(MailsDue::default())
    }
}

/// Where a mail stands among all.
fn place(at: Timestamp, id: MailId) -> (Timestamp, OrderId, &'static str, i32) {
    (at, id.order, id.kind.as_str(), id.n)
}

fn head(mail: &Kept) -> MailHead {
    let Kept { id, at, .. } = *mail;
    let subject = id.kind.as_str().to_owned();
    MailHead { id: id.to_string(), order: id.order, kind: id.kind, subject, at, sending: Sending::Kept }
}

/// What no real one takes, roughly.
fn is_plausible(contact: &Contact) -> bool {
    let Contact { name, email, address, unwanted, .. } = contact;
    let Address { street, postcode, city, country } = address;
    let is_text =
        |text: &String| (1..=100).contains(&text.chars().count()) && !text.contains(char::is_control);
    let mut parts = email.split('@');
    let is_address = parts.by_ref().take(2).filter(|part| !part.is_empty()).count() == 2;
    [name, street, postcode, city].into_iter().all(is_text)
        && is_address
        && parts.next().is_none()
        && email.split('@').next().is_some_and(str::is_ascii)
        && !email.contains(|c: char| c.is_whitespace() || c.is_control())
        && COUNTRIES.contains(&country.as_str())
        && unwanted.len() <= Kind::ALL.len()
}
