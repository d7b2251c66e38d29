//! Mails that leave the house: at least once, always under the same id, and nobody's trouble is another's.

use banyan_kernel::Answer;
use notifications_api::{Contact, Kind, MailFacts as _, Notifications as _, Sending};
use notifications_core::{MailServer, MailServerError, SendReconciler};

use tokio_util::sync::CancellationToken;

use crate::{
    server::{MailPeer, Mood},
    world::{World, contact, created, shipped, slots},
};

const FROM: &str = "Banyan <shop@example.org>";
/// Beyond the largest pause between two tries.
const LATER_MICROS: i64 = 4_000_000_000;

fn reconciler(world: &World, peer: &MailPeer) -> SendReconciler {
    SendReconciler::new(world.notifications.clone(), MailServer::new(&peer.url(), FROM).expect("a server"))
}

/// Turns until nothing is due, a while later each time; how many tries that took.
async fn settle(world: &World, reconciler: &SendReconciler) -> usize {
    let mut tries = 0;
    for _ in 0..10 {
        tries += reconciler.turn(&slots(), &CancellationToken::new()).await.expect("a turn");
        world.clock.advance_micros(LATER_MICROS);
    }
    tries
}

async fn all_are(world: &World, sending: Sending) -> bool {
    world.mailbox().await.iter().all(|mail| mail.sending == sending)
}

fn message_id(mail: &str) -> String {
    let line = mail.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
    line.expect("a Message-ID").to_owned()
}

#[tokio::test]
async fn a_mail_is_sent_once_with_both_parts() {
    let (world, peer) = (World::new(true).await, MailPeer::open(&[Mood::Takes]).await);
    world.put(contact("Ada Lovelace", "ada@example.org")).await;
    world.hear(&[created("a")]).await;
    assert_eq!(settle(&world, &reconciler(&world, &peer)).await, 1);
    let taken = peer.taken();
    assert_eq!(taken.len(), 1);
    for part in ["<ada@example.org>", "Ada Lovelace", "text/plain", "text/html", "Message-ID: <"] {
        assert!(taken[0].contains(part), "{part}: {}", taken[0]);
    }
    assert!(all_are(&world, Sending::Sent).await);
}

#[tokio::test]
async fn who_takes_and_dies_gets_the_same_mail_again_under_the_same_id() {
    let world = World::new(true).await;
    let peer = MailPeer::open(&[Mood::DiesAfter, Mood::RefusesForNow, Mood::Takes]).await;
    world.put(contact("Ada", "ada@example.org")).await;
    world.hear(&[created("a")]).await;
    assert_eq!(settle(&world, &reconciler(&world, &peer)).await, 3);
    let taken = peer.taken();
    assert_eq!(taken.len(), 2, "at least once");
    assert_eq!(message_id(&taken[0]), message_id(&taken[1]));
    assert!(all_are(&world, Sending::Sent).await);
}

#[tokio::test]
async fn a_refusal_for_good_is_believed_in_the_end_and_keeps_no_other_mail() {
    let world = World::new(true).await;
    let no = Mood::RefusesForGood;
    let peer = MailPeer::open(&[no, no, no, Mood::Takes]).await;
    world.put(contact("Ada", "ada@example.org")).await;
    world.hear(&[created("a")]).await;
    let reconciler = reconciler(&world, &peer);
    assert_eq!(settle(&world, &reconciler).await, 3);
    assert!(all_are(&world, Sending::Refused).await);
    world.hear(&[shipped("a")]).await;
    assert_eq!(settle(&world, &reconciler).await, 1);
    assert_eq!(peer.taken().len(), 1);
}

/// What is said to whoever comes, before it was said for whom a mail is, is no mail's fault, however often it is said.
#[tokio::test]
async fn a_server_that_refuses_us_costs_no_mail() {
    for mood in [Mood::RefusesWhoComes, Mood::RefusesTheLogIn, Mood::RefusesTheSender] {
        let world = World::new(true).await;
        let peer = MailPeer::open(&[mood, mood, mood, mood, mood, Mood::RefusesForNow, Mood::Takes]).await;
        world.put(contact("Ada", "ada@example.org")).await;
        world.hear(&[created("a")]).await;
        assert_eq!(settle(&world, &reconciler(&world, &peer)).await, 7, "{mood:?}");
        assert!(all_are(&world, Sending::Sent).await, "{mood:?}");
        assert_eq!(peer.taken().len(), 1);
    }
}

/// A while in which a server was away counts for nothing when it refuses a reader afterwards.
#[tokio::test]
async fn refusals_of_a_mail_are_counted_apart_from_other_tries_and_there_is_a_way_back() {
    let world = World::new(true).await;
    let (later, no) = (Mood::RefusesForNow, Mood::RefusesTheReader);
    let peer = MailPeer::open(&[later, later, later, no, no, later, no, Mood::Takes]).await;
    world.put(contact("Ada", "ada@example.org")).await;
    world.hear(&[created("a")]).await;
    let reconciler = reconciler(&world, &peer);
    assert_eq!(settle(&world, &reconciler).await, 7, "three refusals, and four that were none");
    assert!(all_are(&world, Sending::Refused).await);
    let refused = async || match world.notifications.due().await {
        Answer::Done(due) => (due.mails, due.refused),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused().await, (0, 1));
    assert_eq!(world.notifications.retry_refused().await, Answer::Done(1));
    assert_eq!(
        world.notifications.retry_refused().await,
        Answer::Done(0),
        "it is due, and no longer refused"
    );
    assert_eq!(refused().await, (1, 0));
    assert_eq!(settle(&world, &reconciler).await, 1);
    assert!(all_are(&world, Sending::Sent).await);
}

/// What it has not answered for is due as it was, and has the same id when it is sent again.
#[tokio::test]
async fn a_server_that_hangs_holds_up_no_stop() {
    let (world, peer) = (World::new(true).await, MailPeer::open(&[Mood::Hangs, Mood::Takes]).await);
    world.put(contact("Ada", "ada@example.org")).await;
    world.hear(&[created("a")]).await;
    let (reconciler, stop) = (reconciler(&world, &peer), CancellationToken::new());
    let all = slots();
    let turn = reconciler.turn(&all, &stop);
    let stopping = async {
        peer.is_called().await;
        stop.cancel();
    };
    let (tried, ()) = tokio::join!(turn, stopping);
    assert_eq!(tried.expect("a turn"), 1);
    assert!(all_are(&world, Sending::Due).await);
    assert_eq!(reconciler.turn(&all, &CancellationToken::new()).await.expect("a turn"), 1, "at once");
    assert!(all_are(&world, Sending::Sent).await);
}

#[tokio::test]
async fn a_domain_in_another_script_is_written_to_as_every_server_takes_it() {
    let (world, peer) = (World::new(true).await, MailPeer::open(&[Mood::Takes]).await);
    world.put(contact("Jörg", "joerg@exämple.org")).await;
    world.hear(&[created("a")]).await;
    assert_eq!(settle(&world, &reconciler(&world, &peer)).await, 1);
    assert!(peer.taken()[0].contains("joerg@xn--exmple-cua.org"), "{}", peer.taken()[0]);
}

#[tokio::test]
async fn nobody_and_who_does_not_want_it_are_sent_nothing() {
    let (world, peer) = (World::new(true).await, MailPeer::open(&[Mood::Takes]).await);
    world.hear(&[created("a")]).await;
    settle(&world, &reconciler(&world, &peer)).await;
    let quiet = Contact { unwanted: vec![Kind::Shipped], ..contact("Ada", "ada@example.org") };
    world.put(quiet).await;
    world.hear(&[shipped("a")]).await;
    settle(&world, &reconciler(&world, &peer)).await;
    assert_eq!(peer.taken(), [""; 0]);
    assert!(all_are(&world, Sending::Kept).await);
}

/// A server that is away costs the try, and the mail stays due; what was claimed is nobody else's meanwhile.
#[tokio::test]
async fn what_somebody_else_is_sending_is_not_sent_beside_them() {
    let (world, peer) = (World::new(true).await, MailPeer::open(&[Mood::Takes]).await);
    world.put(contact("Ada", "ada@example.org")).await;
    world.hear(&(0..20).map(|n| created(&n.to_string())).collect::<Vec<_>>()).await;
    let (one, two) = (reconciler(&world, &peer), reconciler(&world, &peer));
    let (all, going_on) = (slots(), CancellationToken::new());
    let (one, two) = tokio::join!(one.turn(&all, &going_on), two.turn(&all, &going_on));
    assert_eq!(one.expect("a turn") + two.expect("a turn"), 20);
    assert_eq!(peer.taken().len(), 20, "each once");
}

#[tokio::test]
async fn a_server_that_is_away_leaves_the_mail_due() {
    let (world, peer) = (World::new(true).await, MailPeer::open(&[Mood::Takes]).await);
    world.put(contact("Ada", "ada@example.org")).await;
    world.hear(&[created("a")]).await;
    let nowhere = MailServer::new("smtp://127.0.0.1:1", FROM).expect("a server");
    let away = SendReconciler::new(world.notifications.clone(), nowhere);
    assert_eq!(away.turn(&slots(), &CancellationToken::new()).await.expect("a turn"), 1);
    assert!(all_are(&world, Sending::Due).await);
    assert_eq!(away.turn(&slots(), &CancellationToken::new()).await.expect("a turn"), 0, "not again at once");
    world.clock.advance_micros(LATER_MICROS);
    settle(&world, &reconciler(&world, &peer)).await;
    assert!(all_are(&world, Sending::Sent).await);
}

#[test]
fn a_password_does_not_travel_in_the_clear() {
    for url in
        ["smtp://mail.example.org:25", "smtp://user:secret@mail.example.org", "mail.example.org", "http://x"]
    {
        match MailServer::new(url, FROM) {
            Err(MailServerError::Server(why)) => assert!(!why.contains("secret"), "{why}"),
            other => panic!("{url}: {:?}", other.err()),
        }
    }
    assert!(MailServer::new("smtps://user:secret@mail.example.org", FROM).is_ok());
    assert!(MailServer::new("smtp://user:secret@mail.example.org:587?tls=required", FROM).is_ok());
    assert!(matches!(MailServer::new("smtps://mail.example.org", "shop"), Err(MailServerError::From)));
}
