//! Notifications: asked by the shop.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{Answer, ManualClock, Money, OrderId, Timestamp};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use notifications_api::{
    Contact, Kind, Mail, MailFact, MailFacts, MailHead, MailId, MailsDue, NAME, Notifications, Sending,
    refusals,
    testing::{contact, customer, order},
};
use notifications_core::{OrdersConsumer, schema};
use notifications_http::{HttpNotifications, Served, port};
use orders_api::OrderCreated;
use serde_json::json;

use crate::{
    events::envelope,
    inventory::{before, hear},
    talk::{Talk, json_of},
    verify::{Provider, States},
};

const REACHED: &str = "a customer said how they are reached";
const NOBODY: &str = "nothing is known of a customer";
const TOLD: &str = "a customer was told that their order was accepted";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_expects_of_notifications() {
    let talk = Talk::new("shop", NAME);
    customers_are_known(&talk).await;
    customers_change_it(&talk).await;
    mails_are_read(&talk).await;
    mails_are_looked_after(&talk).await;
    talk.agreed();
}

async fn customers_are_known(talk: &Talk) {
    let (ada, nobody) = (customer("ada"), customer("nobody"));
    let known = Answer::Done(Some(contact("Ada")));
    talk.ask("contact", REACHED, &json!({ "customer": ada }), known, async |to| {
        HttpNotifications(to).contact(ada).await
    })
    .await;
    talk.ask("contact", NOBODY, &json!({ "customer": nobody }), Answer::Done(None), async |to| {
        HttpNotifications(to).contact(nobody).await
    })
    .await;
}

async fn customers_change_it(talk: &Talk) {
    let bob = customer("bob");
    let question = json!({ "customer": bob, "contact": contact("Bob") });
    talk.ask("put-contact", NOBODY, &question, Answer::Done(contact("Bob")), async |to| {
        HttpNotifications(to).put_contact(bob, contact("Bob")).await
    })
    .await;
    let nameless = || Contact { name: String::new(), ..contact("Bob") };
    let question = json!({ "customer": bob, "contact": nameless() });
    let refused = Answer::rejected(refusals::INVALID_CONTACT, "a name has 1 to 100 characters");
    talk.ask("put-contact", "what is said cannot be", &question, refused, async |to| {
        HttpNotifications(to).put_contact(bob, nameless()).await
    })
    .await;
    let nobody = customer("nobody");
    talk.ask("forget", NOBODY, &json!({ "customer": nobody }), Answer::Done(false), async |to| {
        HttpNotifications(to).forget(nobody).await
    })
    .await;
}

fn told() -> MailId {
    MailId { order: order("mine"), kind: Kind::Confirmed, n: 0 }
}

fn head() -> MailHead {
    let (order, kind, at) = (told().order, told().kind, Timestamp::UNIX_EPOCH);
    let (id, subject) = (told().to_string(), "Your order".to_owned());
    MailHead { id, order, kind, subject, at, sending: Sending::Kept }
}

async fn mails_are_read(talk: &Talk) {
    let eve = customer("eve");
    let question = json!({ "customer": eve, "limit": 10 });
    talk.ask("mailbox", TOLD, &question, Answer::Done(vec![head()]), async |to| {
        HttpNotifications(to).mailbox(eve, None, 10, Vec::new()).await
    })
    .await;
    let (message_id, text, html) = ("<a@b>".to_owned(), "Hello".to_owned(), "<p>Hello</p>".to_owned());
    let mail = Mail { head: head(), customer: eve, message_id, text, html };
    talk.ask("mail", TOLD, &json!({ "id": told() }), Answer::Done(Some(mail)), async |to| {
        HttpNotifications(to).mail(told(), Vec::new()).await
    })
    .await;
    let none = MailId { kind: Kind::Shipped, ..told() };
    talk.ask("mail", NOBODY, &json!({ "id": none }), Answer::Done(None), async |to| {
        HttpNotifications(to).mail(none, Vec::new()).await
    })
    .await;
}

async fn mails_are_looked_after(talk: &Talk) {
    talk.ask("retry-refused", NOBODY, &json!({}), Answer::Done(0), async |to| {
        HttpNotifications(to).retry_refused().await
    })
    .await;
    let (of, kinds) = (order("mine"), vec![Kind::Confirmed]);
    let fact = MailFact { order: of, kinds, orders_seen: 1 };
    let question = json!({ "after": before(of), "upto": of });
    talk.ask("facts", TOLD, &question, Answer::Done(vec![fact]), async |to| {
        HttpNotifications(to).facts(before(of), of).await
    })
    .await;
    let counts = BTreeMap::from([("confirmed".to_owned(), 1)]);
    talk.ask("counts", TOLD, &json!({}), Answer::Done(counts), async |to| {
        HttpNotifications(to).counts().await
    })
    .await;
    let due = MailsDue { mails: 0, oldest_s: 0.0, refused: 0 };
    talk.ask("due", TOLD, &json!({}), Answer::Done(due), async |to| HttpNotifications(to).due().await).await;
}

/// Notifications on real PostgreSQL, in this process or not.
pub struct World {
    core: Served,
    store: Store,
}

impl World {
    /// Whoever answers, on this database.
    pub fn new(core: Served, database: &TestDatabase) -> Self {
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        Self { core, store: Store::new(database.options(&role_of(NAME)), NAME, 4, clock) }
    }

    async fn accepted(&self, order: OrderId) {
        let total = Money { minor: 1_000, currency: "EUR".parse().expect("a currency") };
        let created = OrderCreated { order, customer: customer("eve"), lines: Vec::new(), total };
        let told = envelope("orders", &order.to_string(), 1, OrderCreated::KIND, json_of(&created));
        hear(&OrdersConsumer::new(self.store.clone(), false), &[told]).await;
    }
}

#[async_trait]
impl States for World {
    async fn bring_about(&self, state: &str) {
        match state {
            REACHED => {
                let put = self.core.notifications.put_contact(customer("ada"), contact("Ada")).await;
                assert!(matches!(put, Answer::Done(_)), "{put:?}");
            }
            TOLD => self.accepted(order("mine")).await,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_keep_their_pacts() {
    let database = database().await;
    prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    let store = Store::new(database.options(&role_of(NAME)), NAME, 8, clock);
    let core = Served::by(notifications_core::Notifications::new(store));
    let world = World::new(core.clone(), &database);
    Provider::new(NAME, port(), core, Arc::new(world), database).keeps_its_pacts().await;
}
