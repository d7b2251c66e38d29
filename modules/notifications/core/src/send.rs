//! Send: mails leave the house by SMTP (RFC 5321), at least once, each always under the same `Message-ID`.
//!
//! The intent is committed before the server is asked: tries and the next one. A crash between leaves a mail that is due
//! again. No transaction is open while the server is talked to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_kernel::{CustomerId, TRACED, Timestamp, TraceParent};
use banyan_store::{Held, Locks, Store, StoreError};
use futures::{StreamExt, stream};
use lettre::{
    Address, Message,
    message::{Mailbox, MultiPart, header},
};
use notifications_api::{Contact, MailId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use crate::{
    MailServer, Notifications, contact,
    mail::Mail,
    measure::{OUTCOMES, tried},
    smtp::{TIME_MAX, Trouble},
};

/// The group under which processes share the slots.
pub const MAIL_GROUP: &str = "notifications.mail";

const DUE: &str = "select order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, orders_seen, sending, \
     tries, refusals, tracking, trace from mail where sending = 'due' and slot = any($1) and next_try_at <= $2 order by next_try_at limit $3";
/// Still due and still at the tries that were seen: what somebody else took meanwhile is theirs.
const CLAIM: &str = "update mail m set tries = m.tries + 1, next_try_at = $5 \
     from unnest($1::uuid[], $2::text[], $3::int4[], $4::int4[]) as t(o, kind, n, tries) \
     where m.order_id = t.o and m.kind = t.kind and m.n = t.n and m.tries = t.tries and m.sending = 'due' \
     returning m.order_id, m.kind, m.n";
const SETTLE: &str = "update mail m set sending = t.sending, trouble = t.trouble, next_try_at = t.next, \
     refusals = t.refusals \
     from unnest($1::uuid[], $2::text[], $3::int4[], $4::text[], $5::text[], $6::timestamptz[], $7::int4[]) \
     as t(o, kind, n, sending, trouble, next, refusals) where m.order_id = t.o and m.kind = t.kind and m.n = t.n \
     and m.sending = 'due'";

/// Not all at once: who is sent again is no longer refused, so the next call finds the rest.
const RETRY: &str = "update mail m set sending = 'due', next_try_at = $1, tries = 0, refusals = 0 \
     from (select order_id, kind, n from mail where sending = 'refused' limit $2) as t \
     where m.order_id = t.order_id and m.kind = t.kind and m.n = t.n and m.sending = 'refused'";

const BATCH: i64 = 50;
/// Conversations with the server at once.
const AT_ONCE: usize = 4;
const POLL: Duration = Duration::from_secs(1);
/// Between two tries of a mail: doubled each time, up to the cap.
const BACK_OFF_FIRST: Duration = Duration::from_secs(2);
const BACK_OFF_MAX: Duration = Duration::from_secs(600);
/// So often a server may say of one mail that it will never take it, before it is believed: some say so while they are misconfigured.
/// Between two of them lies more than a restart takes.
const REFUSALS_MAX: i32 = 3;
const REFUSAL_PAUSE: Duration = Duration::from_secs(300);
/// Refused mails that are sent again in one commit.
const RETRY_MAX: i64 = 1_000;

/// What came of one mail.
enum Outcome {
    Sent,
    /// Nobody to send it to, or they do not want it: it stays in the mailbox.
    Kept(&'static str),
    /// This one, for good; believed when it was said often enough.
    Refused(String),
    /// Us, whatever we bring: a setting, or the server's own trouble. No mail is lost by that, and somebody must look.
    ServerRefuses(String),
    Later(String),
    /// The shop stops: it is as due as it was.
    GivenUp,
}

impl Outcome {
    /// A word of [`OUTCOMES`].
    fn word(&self, mail: &Mail) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Kept(_) => "kept",
            Self::Refused(_) if mail.refusals + 1 >= REFUSALS_MAX => "refused_for_good",
            Self::Refused(_) => "refused",
            Self::ServerRefuses(_) => "server_refuses",
            Self::Later(_) => "later",
            Self::GivenUp => "given_up",
        }
    }

    fn trouble(&self) -> Option<&str> {
        match self {
            Self::Sent | Self::GivenUp => None,
            Self::Kept(why) => Some(why),
            Self::Refused(why) | Self::ServerRefuses(why) | Self::Later(why) => Some(why),
        }
    }
}

/// One try of a mail, below its order; nothing in it is about the person.
fn span(mail: &Mail) -> tracing::Span {
    let order = mail.id.order;
    let parent = mail.trace.map_or(TraceParent::root(order.0), |trace| TraceParent::kept(trace, order));
    let trace = parent.child(&format!("smtp {} {}", mail.id, mail.tries));
    tracing::info_span!(
        target: TRACED, "call", name = "smtp send", kind = "client", module = notifications_api::NAME,
        order = %order, mail = mail.id.kind.as_str(), delivery = mail.tries, trace = %trace, parent = %parent,
        outcome = Empty, error = Empty,
    )
}

/// Has due mails delivered.
pub struct SendReconciler {
    notifications: Arc<Notifications>,
    server: MailServer,
}

impl SendReconciler {
    /// By this server.
    #[must_use]
    pub fn new(notifications: Arc<Notifications>, server: MailServer) -> Self {
        // What was never counted is nought and not unknown: who asks for an increase sees the first one.
        OUTCOMES.into_iter().for_each(|outcome| tried(outcome, 0));
        Self { notifications, server }
    }

    /// Works on the slots that this process holds, until `stop`; then mails under way are given up, and due again.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let slots: Vec<u16> = held.borrow().keys().copied().collect();
            let sent = self.turn(&slots, &stop).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot look for due mails now");
                0
            });
            if sent == 0 {
                // Elapsed means: look again.
                let _ = tokio::time::timeout(POLL, stop.cancelled()).await;
            }
        }
    }

    /// Sends one batch of what is due in these slots, and tells how many mails were tried. A server that hangs holds up no `stop`: what
    /// it has not answered for is sent again, under the same id.
    ///
    /// # Errors
    /// Of the database.
    pub async fn turn(&self, slots: &[u16], stop: &CancellationToken) -> Result<usize, StoreError> {
        let mails = self.claim(slots).await?;
        let customers: Vec<CustomerId> = mails.iter().map(|mail| mail.customer).collect();
        let contacts = contact::read_all(self.store().pool(), &customers).await?;
        let one = |mail: Mail| {
            let contact = contacts.get(&mail.customer);
            async move {
                let outcome = tokio::select! {
                    biased;
                    () = stop.cancelled() => Outcome::GivenUp,
                    outcome = self.send(&mail, contact) => outcome,
                };
                tried(outcome.word(&mail), 1);
                (mail, outcome)
            }
        };
        let outcomes: Vec<(Mail, Outcome)> =
            stream::iter(mails).map(one).buffer_unordered(AT_ONCE).collect().await;
        self.settle(&outcomes).await?;
        Ok(outcomes.len())
    }

    fn store(&self) -> &Store {
        self.notifications.store()
    }

    /// Takes what is due, so that it is due again if nothing is heard of it.
    async fn claim(&self, slots: &[u16]) -> Result<Vec<Mail>, StoreError> {
        let now = self.store().clock().now();
        let due: Vec<Mail> = sqlx::query_as(DUE)
            .bind(slots.iter().map(|slot| *slot as i16).collect::<Vec<_>>())
            .bind(now)
            .bind(BATCH)
            .fetch_all(self.store().pool())
            .await?;
        if due.is_empty() {
            return Ok(due);
        }
        let mut write = self.store().begin(&Locks::none()).await?;
        let claimed: Vec<(Uuid, String, i32)> = sqlx::query_as(CLAIM)
            .bind(due.iter().map(|mail| mail.id.order.0).collect::<Vec<_>>())
            .bind(due.iter().map(|mail| mail.id.kind.as_str()).collect::<Vec<_>>())
            .bind(due.iter().map(|mail| mail.id.n).collect::<Vec<_>>())
            .bind(due.iter().map(|mail| mail.tries).collect::<Vec<_>>())
            .bind(now + 2 * TIME_MAX * u32::try_from(due.len().div_ceil(AT_ONCE)).unwrap_or(1))
            .fetch_all(write.connection())
            .await?;
        write.commit().await?;
        let is_ours = |id: &MailId| {
            claimed
                .iter()
                .any(|(order, kind, n)| (*order, kind.as_str(), *n) == (id.order.0, id.kind.as_str(), id.n))
        };
        let ours = due.into_iter().filter(|mail| is_ours(&mail.id));
        Ok(ours.map(|mail| Mail { tries: mail.tries + 1, ..mail }).collect())
    }

    async fn send(&self, mail: &Mail, contact: Option<&Contact>) -> Outcome {
        let Some(contact) = contact else { return Outcome::Kept("nobody is known to send it to") };
        if contact.unwanted.contains(&mail.id.kind) {
            return Outcome::Kept("they do not want it sent");
        }
        let message = match self.message(mail, contact) {
            Ok(message) => message,
            Err(why) => return Outcome::Refused(why),
        };
        let span = span(mail);
        let outcome = self.hand_over(message).instrument(span.clone()).await;
        span.record("outcome", outcome.word(mail));
        if let Some(why) = outcome.trouble() {
            span.record("error", why);
        }
        outcome
    }

    async fn hand_over(&self, message: Message) -> Outcome {
        match self.server.deliver(&message).await {
            Ok(()) => Outcome::Sent,
            Err(Trouble::Server(why)) => Outcome::ServerRefuses(why),
            Err(Trouble::Mail(why)) => Outcome::Refused(why),
            Err(Trouble::Passing(why)) => Outcome::Later(why),
        }
    }

    fn message(&self, mail: &Mail, contact: &Contact) -> Result<Message, String> {
        let rendered = self.notifications.templates.render(mail, Some(contact));
        let address = address(&contact.email).ok_or_else(|| "the address is none".to_owned())?;
        let message = Message::builder()
            .from(self.server.from().clone())
            .to(Mailbox::new(Some(contact.name.clone()), address))
            .subject(&rendered.head.subject)
            .message_id(Some(rendered.message_id))
            .header(header::ContentTransferEncoding::QuotedPrintable)
            .multipart(MultiPart::alternative_plain_html(rendered.text, rendered.html));
        message.map_err(|_| "the mail cannot be written".to_owned())
    }

    async fn settle(&self, outcomes: &[(Mail, Outcome)]) -> Result<(), StoreError> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let now = self.store().clock().now();
        let rows: Vec<Row<'_>> = outcomes.iter().map(|(mail, outcome)| row(mail, outcome, now)).collect();
        let mut write = self.store().begin(&Locks::none()).await?;
        sqlx::query(SETTLE)
            .bind(rows.iter().map(|row| row.id.order.0).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.id.kind.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.id.n).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.sending).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.trouble).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.next_try_at).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.refusals).collect::<Vec<_>>())
            .execute(write.connection())
            .await?;
        write.commit().await
    }
}

/// Has mails that were refused for good sent again, and says how many those are.
pub(crate) async fn retry(store: &Store) -> Result<u64, StoreError> {
    let (now, mut again) = (store.clock().now(), 0);
    loop {
        let mut write = store.begin(&Locks::none()).await?;
        let retried = sqlx::query(RETRY).bind(now).bind(RETRY_MAX).execute(write.connection()).await?;
        write.commit().await?;
        again += retried.rows_affected();
        if retried.rows_affected() < RETRY_MAX.unsigned_abs() {
            return Ok(again);
        }
    }
}

/// As every server takes it: a domain in another script has a form of ASCII (RFC 5890).
fn address(email: &str) -> Option<Address> {
    let (user, domain) = email.rsplit_once('@')?;
    Address::new(user, idna::domain_to_ascii(domain).ok()?).ok()
}

/// What is kept of a try.
struct Row<'a> {
    id: MailId,
    sending: &'static str,
    trouble: Option<&'a str>,
    next_try_at: Option<Timestamp>,
    refusals: i32,
}

fn row<'a>(mail: &'a Mail, outcome: &'a Outcome, now: Timestamp) -> Row<'a> {
    let id = mail.id;
    let row = |sending, next_try_at| Row {
        id,
        sending,
        trouble: outcome.trouble(),
        next_try_at,
        refusals: mail.refusals,
    };
    match outcome {
        Outcome::Sent => row("sent", None),
        Outcome::Kept(_) => row("kept", None),
        Outcome::GivenUp => row("due", Some(now)),
        Outcome::Refused(why) => {
            let refusals = mail.refusals + 1;
            let is_believed = refusals >= REFUSALS_MAX;
            tracing::warn!(mail = %id, why, refusals, is_believed, "the mail server refuses a mail");
            let next = (!is_believed).then_some(now + REFUSAL_PAUSE);
            Row { refusals, ..row(if is_believed { "refused" } else { "due" }, next) }
        }
        Outcome::ServerRefuses(why) => {
            tracing::warn!(mail = %id, tries = mail.tries, why, "the mail server refuses us; mails wait");
            row("due", Some(now + back_off(mail.tries)))
        }
        Outcome::Later(why) => {
            tracing::info!(mail = %id, tries = mail.tries, why, "a mail was not taken; it is tried again");
            row("due", Some(now + back_off(mail.tries)))
        }
    }
}

fn back_off(tries: i32) -> Duration {
    let doubled = BACK_OFF_FIRST * 2_u32.saturating_pow(u32::try_from(tries).unwrap_or(0).min(12));
    doubled.min(BACK_OFF_MAX)
}
