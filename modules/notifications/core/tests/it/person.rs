//! A person is one row: checked, joined when a mail is read, and gone when it is erased.

use banyan_kernel::Answer;
use notifications_api::{Contact, Kind, Language, MailId, Notifications as _, refusals};
use sqlx::AssertSqlSafe;

use crate::world::{ADA, World, contact, created, id, shipped};

#[tokio::test]
async fn each_contact_that_cannot_be_one_is_refused_without_being_repeated() {
    let world = World::new(false).await;
    let good = contact("Ada", "ada@example.org");
    let with = |change: &dyn Fn(&mut Contact)| {
        let mut contact = good.clone();
        change(&mut contact);
        contact
    };
    for bad in [
        with(&|c| c.name.clear()),
        with(&|c| c.name = "x".repeat(101)),
        with(&|c| c.name = "Ada\r\nBcc: all@example.org".to_owned()),
        with(&|c| c.email = "ada".to_owned()),
        with(&|c| c.email = "ada@example.org, eve@example.org".to_owned()),
        with(&|c| c.email = "ada@example.org\r\nBcc: eve@example.org".to_owned()),
        with(&|c| c.email = format!("{}@example.org", "x".repeat(250))),
        with(&|c| c.address.street.clear()),
        with(&|c| c.address.country = "Austria".to_owned()),
        with(&|c| c.address.country = "at".to_owned()),
        with(&|c| c.unwanted = vec![Kind::Shipped; 7]),
    ] {
        match world.notifications.put_contact(ADA, bad.clone()).await {
            Answer::Rejected(refusal) => {
                assert_eq!(refusal.code, refusals::INVALID_CONTACT);
                assert!(!refusal.detail.contains(&bad.email), "{}", refusal.detail);
            }
            other => panic!("{bad:?}: {other:?}"),
        }
    }
    assert_eq!(world.notifications.contact(ADA).await, Answer::Done(None));
    world.put(good.clone()).await;
    let german = Contact { language: Language::De, unwanted: vec![Kind::Delayed], ..good };
    world.put(german.clone()).await;
    assert_eq!(world.notifications.contact(ADA).await, Answer::Done(Some(german)));
}

#[tokio::test]
async fn who_is_forgotten_is_in_no_table_and_their_mails_are_addressed_to_nobody() {
    let world = World::new(false).await;
    world.put(contact("Ada Unforgettable", "unforgettable@example.org")).await;
    world.hear(&[created("a"), shipped("a")]).await;
    let id = MailId { order: id("a"), kind: Kind::Shipped, n: 0 };
    let read = async || match world.notifications.mail(id, Vec::new()).await {
        Answer::Done(Some(mail)) => mail,
        other => panic!("{other:?}"),
    };
    assert!(read().await.text.contains("Ada Unforgettable"));
    assert_eq!(world.notifications.forget(ADA).await, Answer::Done(true));
    assert_eq!(world.notifications.forget(ADA).await, Answer::Done(false), "once more changes nothing");
    assert!(read().await.text.starts_with("Dear customer,"));
    assert_eq!(world.mailbox().await.len(), 2, "what was told stays told");
    let superuser = world.database.superuser_pool().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'notifications'",
    )
    .fetch_all(&superuser)
    .await
    .expect("tables");
    assert!(tables.len() >= 7, "{tables:?}");
    for table in tables {
        let find = format!("select count(*) from {table} t where t::text ilike '%unforgettable%'");
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(find)).fetch_one(&superuser).await.expect("rows");
        assert_eq!(found, 0, "{table}");
    }
}

#[tokio::test]
async fn a_mail_that_is_none_is_not_found() {
    let world = World::new(false).await;
    world.hear(&[created("a")]).await;
    let order = id("a");
    for rest in ["", ".", ".shipped", ".shipped.", ".shipped.00", ".shipped.0.0", ".SHIPPED.0"] {
        assert_eq!(MailId::parse(&format!("{order}{rest}")), None, "{rest}");
    }
    let known = MailId { order, kind: Kind::Confirmed, n: 0 };
    assert_eq!(MailId::parse(&known.to_string()), Some(known));
    assert!(matches!(world.notifications.mail(known, Vec::new()).await, Answer::Done(Some(_))));
    let unknown = MailId { kind: Kind::Shipped, ..known };
    assert_eq!(world.notifications.mail(unknown, Vec::new()).await, Answer::Done(None));
}
