//! The rules of the port, each a short story about customers and orders of its own.

use async_trait::async_trait;
use banyan_kernel::{Answer, Clock as _, CustomerId, ManualClock, OrderId, Timestamp};

use super::{contact, customer, order};
use crate::{
    Awaited, Contact, Kind, Language, MAILS_MAX, Mail, MailFact, MailFacts, MailHead, MailId, Notifications,
    Sending, refusals,
};

/// Notifications that send nothing, and what they hear.
#[async_trait]
pub trait UnderTest: Send + Sync {
    /// The port.
    fn port(&self) -> &dyn Notifications;
    /// What they say of themselves.
    fn facts(&self) -> &dyn MailFacts;
    /// Lets them hear that an order was accepted, as its first event.
    async fn accepted(&self, order: OrderId, customer: CustomerId, at: Timestamp);
    /// Lets them hear that it was shipped, as its second.
    async fn shipped(&self, order: OrderId, at: Timestamp);
}

/// Holds an implementation to the port's rules; it must be empty.
///
/// # Panics
/// At the first rule that is broken.
pub async fn conformance(on: &dyn UnderTest) {
    a_contact_is_what_was_said_last(on).await;
    what_cannot_be_a_contact_changes_nothing(on).await;
    who_is_forgotten_is_known_no_longer(on).await;
    a_mailbox_is_read_newest_first_and_by_its_owner_alone(on).await;
    pages_lose_and_double_nothing_of_one_instant(on).await;
    a_page_is_bounded(on).await;
    a_mail_is_the_one_that_the_list_shows(on).await;
    a_mailbox_shows_at_least_what_a_reader_asks_to_see(on).await;
    facts_are_of_the_orders_asked_for(on).await;
}

fn at(second: i64) -> Timestamp {
    ManualClock::at_micros(1_750_000_000_000_000 + second * 1_000_000).now()
}

fn done<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

async fn known(on: &dyn UnderTest, of: CustomerId) -> Option<Contact> {
    done(on.port().contact(of).await)
}

async fn mailbox(on: &dyn UnderTest, of: &str) -> Vec<MailHead> {
    done(on.port().mailbox(customer(of), None, MAILS_MAX, Vec::new()).await)
}

async fn a_contact_is_what_was_said_last(on: &dyn UnderTest) {
    let ada = customer("contact");
    assert_eq!(known(on, ada).await, None, "who never said");
    let first = contact("Ada");
    for _ in 0..2 {
        assert_eq!(done(on.port().put_contact(ada, first.clone()).await), first, "once more, the same");
        assert_eq!(known(on, ada).await.as_ref(), Some(&first));
    }
    let later = Contact { language: Language::De, unwanted: vec![Kind::Delayed], ..contact("Augusta") };
    assert_eq!(done(on.port().put_contact(ada, later.clone()).await), later);
    assert_eq!(known(on, ada).await, Some(later), "the last counts, whole");
    assert_eq!(known(on, customer("somebody else")).await, None);
}

async fn what_cannot_be_a_contact_changes_nothing(on: &dyn UnderTest) {
    let ada = customer("invalid");
    let good = contact("Ada");
    done(on.port().put_contact(ada, good.clone()).await);
    let changes: [fn(&mut Contact); 7] = [
        |contact| contact.name.clear(),
        |contact| contact.name = "Ada\r\nBcc: all@example.org".to_owned(),
        |contact| contact.email = "no-address".to_owned(),
        |contact| contact.email = "jö@example.org".to_owned(),
        |contact| contact.email = "ada@example.org, eve@example.org".to_owned(),
        |contact| contact.address.country = "Austria".to_owned(),
        |contact| contact.unwanted = vec![Kind::Shipped; 7],
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        match on.port().put_contact(ada, bad.clone()).await {
            Answer::Rejected(refusal) => {
                assert_eq!(refusal.code, refusals::INVALID_CONTACT);
                assert!(!refusal.detail.contains(&bad.email), "a person is not repeated: {}", refusal.detail);
            }
            other => panic!("{bad:?}: {other:?}"),
        }
        assert_eq!(known(on, ada).await.as_ref(), Some(&good));
    }
}

async fn who_is_forgotten_is_known_no_longer(on: &dyn UnderTest) {
    let (ada, about) = (customer("forgotten"), order("forgotten"));
    assert!(!done(on.port().forget(ada).await), "nothing was known");
    done(on.port().put_contact(ada, contact("Unforgettable")).await);
    on.accepted(about, ada, at(0)).await;
    let id = MailId { order: about, kind: Kind::Confirmed, n: 0 };
    assert!(mail(on, id).await.text.contains("Unforgettable"));
    assert!(done(on.port().forget(ada).await));
    assert!(!done(on.port().forget(ada).await), "once more changes nothing");
    assert_eq!(known(on, ada).await, None);
    let Mail { text, html, .. } = mail(on, id).await;
    assert!(!format!("{text}{html}").contains("Unforgettable"), "it is addressed to nobody: {text}");
    assert_eq!(mailbox(on, "forgotten").await.len(), 1, "what was told stays told");
}

async fn mail(on: &dyn UnderTest, id: MailId) -> Mail {
    done(on.port().mail(id, Vec::new()).await).expect("a mail")
}

async fn a_mailbox_is_read_newest_first_and_by_its_owner_alone(on: &dyn UnderTest) {
    let [one, two, foreign] = ["box-1", "box-2", "box-foreign"].map(order);
    assert_eq!(mailbox(on, "box").await, [], "who was told nothing");
    on.accepted(one, customer("box"), at(1)).await;
    on.accepted(foreign, customer("box-other"), at(2)).await;
    on.accepted(two, customer("box"), at(3)).await;
    on.shipped(one, at(4)).await;
    let told: Vec<_> =
        mailbox(on, "box").await.into_iter().map(|head| (head.order, head.kind, head.at)).collect();
    let expected =
        [(one, Kind::Shipped, at(4)), (two, Kind::Confirmed, at(3)), (one, Kind::Confirmed, at(1))];
    assert_eq!(told, expected);
    let others: Vec<_> = mailbox(on, "box-other").await.into_iter().map(|head| head.order).collect();
    assert_eq!(others, [foreign], "nobody reads another's");
}

/// All pages of so many mails.
async fn pages(on: &dyn UnderTest, of: &str, limit: u16) -> Vec<String> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = done(on.port().mailbox(customer(of), before, limit, Vec::new()).await);
        assert!(page.len() <= usize::from(limit));
        let Some(last) = page.last() else { return all };
        before = Some((last.at, MailId::parse(&last.id).expect("an id")));
        all.extend(page.into_iter().map(|head| head.id));
    }
}

async fn pages_lose_and_double_nothing_of_one_instant(on: &dyn UnderTest) {
    for n in 0..5 {
        let order = order(&format!("page-{n}"));
        on.accepted(order, customer("page"), at(10)).await;
        on.shipped(order, at(10)).await;
    }
    let whole: Vec<String> = mailbox(on, "page").await.into_iter().map(|head| head.id).collect();
    assert_eq!(whole.len(), 10);
    for limit in [1, 3, 10] {
        assert_eq!(pages(on, "page", limit).await, whole, "in pages of {limit}");
    }
}

async fn a_page_is_bounded(on: &dyn UnderTest) {
    for n in 0..=MAILS_MAX {
        on.accepted(order(&format!("many-{n}")), customer("many"), at(n.into())).await;
    }
    let page = done(on.port().mailbox(customer("many"), None, u16::MAX, Vec::new()).await);
    assert_eq!(page.len(), usize::from(MAILS_MAX), "whatever is asked for");
    assert_eq!(pages(on, "many", MAILS_MAX).await.len(), usize::from(MAILS_MAX) + 1);
}

async fn a_mail_is_the_one_that_the_list_shows(on: &dyn UnderTest) {
    let about = order("mail");
    on.accepted(about, customer("mail"), at(20)).await;
    let id = MailId { order: about, kind: Kind::Confirmed, n: 0 };
    let first = mail(on, id).await;
    assert_eq!(mailbox(on, "mail").await, std::slice::from_ref(&first.head));
    assert_eq!((first.head.id.as_str(), first.customer), (id.to_string().as_str(), customer("mail")));
    assert_eq!((first.head.at, first.head.sending), (at(20), Sending::Kept));
    assert!(!first.text.is_empty() && !first.html.is_empty() && !first.head.subject.is_empty());
    assert_eq!(mail(on, id).await.message_id, first.message_id, "the same however often it is asked for");
    for unknown in [
        MailId { kind: Kind::Shipped, ..id },
        MailId { n: 1, ..id },
        MailId { order: order("mail-unknown"), ..id },
    ] {
        assert_eq!(done(on.port().mail(unknown, Vec::new()).await), None, "{unknown}");
    }
}

/// What is there is shown; what is not is waited for, and then said to be missing, whatever else is there.
async fn a_mailbox_shows_at_least_what_a_reader_asks_to_see(on: &dyn UnderTest) {
    let about = order("awaited");
    let id = MailId { order: about, kind: Kind::Confirmed, n: 0 };
    on.accepted(about, customer("awaited"), at(40)).await;
    let awaited = |kind, mails| vec![Awaited { order: about, kind, mails }];
    let asked = async |at_least: Vec<Awaited>| {
        let mailbox = on.port().mailbox(customer("awaited"), None, MAILS_MAX, at_least.clone()).await;
        (code(&mailbox), code(&on.port().mail(id, at_least).await))
    };
    let behind = (Some(refusals::BEHIND.to_owned()), Some(refusals::BEHIND.to_owned()));
    assert_eq!(asked(awaited(Kind::Confirmed, 1)).await, (None, None));
    assert_eq!(asked(awaited(Kind::Shipped, 1)).await, behind);
    let both = [awaited(Kind::Confirmed, 1), awaited(Kind::Shipped, 1)].concat();
    assert_eq!(asked(both.clone()).await, behind, "all of it");
    on.shipped(about, at(41)).await;
    assert_eq!(asked(both).await, (None, None));
    assert_eq!(asked(awaited(Kind::Confirmed, 2)).await, behind, "so many");
}

fn code<T: std::fmt::Debug>(answer: &Answer<T>) -> Option<String> {
    match answer {
        Answer::Done(_) => None,
        Answer::Rejected(refusal) => Some(refusal.code.to_string()),
        other => panic!("{other:?}"),
    }
}

async fn facts_are_of_the_orders_asked_for(on: &dyn UnderTest) {
    let mut orders = ["fact-1", "fact-2", "fact-3"].map(order);
    orders.sort();
    let before = done(on.facts().counts().await);
    for about in orders {
        on.accepted(about, customer("fact"), at(30)).await;
    }
    on.shipped(orders[1], at(31)).await;
    let told = |order, kinds: &[Kind], orders_seen| MailFact { order, kinds: kinds.to_vec(), orders_seen };
    let ours = |facts: Vec<MailFact>| {
        let ours = facts.into_iter().filter(|fact| orders.contains(&fact.order));
        ours.collect::<Vec<_>>()
    };
    let found = ours(done(on.facts().facts(orders[0], orders[2]).await));
    let expected =
        [told(orders[1], &[Kind::Confirmed, Kind::Shipped], 2), told(orders[2], &[Kind::Confirmed], 1)];
    assert_eq!(found, expected, "after one, up to and with another");
    assert_eq!(done(on.facts().facts(orders[1], orders[1]).await), []);
    let after = done(on.facts().counts().await);
    let more = |kind: Kind| {
        let count = |counts: &std::collections::BTreeMap<String, i64>| {
            counts.get(kind.as_str()).copied().unwrap_or_default()
        };
        count(&after) - count(&before)
    };
    assert_eq!((more(Kind::Confirmed), more(Kind::Shipped), more(Kind::Cancelled)), (3, 1, 0));
    let due = done(on.facts().due().await);
    assert_eq!((due.mails, due.refused), (0, 0), "nothing is sent");
    assert_eq!(done(on.port().retry_refused().await), 0);
}
