//! Send: mails leave the house by SMTP (RFC 5321), at least once, each always under the same `Message-ID`.
//!
//! The intent is committed before the server is asked: tries and the next one. A crash between leaves a mail that is due
//! again. No transaction is open while the server is talked to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_kernel::{CustomerId, TRACED, Timestamp, TraceParent};
use banyan_store::{Held, Locks, Store, StoreError};
use futures::{StreamExt, stream};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, header},
};
use notifications_api::{Contact, MailId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use crate::{Notifications, contact, mail::Mail};

/// The group under which processes share the slots.
pub const MAIL_GROUP: &str = "notifications.mail";

const DUE: &str = "select order_id, kind, n, customer_id, at, amount_minor, currency, pieces, cause, orders_seen, sending, \
     tries, tracking, trace from mail where sending = 'due' and slot = any($1) and next_try_at <= $2 order by next_try_at limit $3";
/// Still due and still at the tries that were seen: what somebody else took meanwhile is theirs.
const CLAIM: &str = "update mail m set tries = m.tries + 1, next_try_at = $5 \
     from unnest($1::uuid[], $2::text[], $3::int4[], $4::int4[]) as t(o, kind, n, tries) \
     where m.order_id = t.o and m.kind = t.kind and m.n = t.n and m.tries = t.tries and m.sending = 'due' \
     returning m.order_id, m.kind, m.n";
const SETTLE: &str = "update mail m set sending = t.sending, trouble = t.trouble, next_try_at = t.next \
     from unnest($1::uuid[], $2::text[], $3::int4[], $4::text[], $5::text[], $6::timestamptz[]) \
     as t(o, kind, n, sending, trouble, next) where m.order_id = t.o and m.kind = t.kind and m.n = t.n \
     and m.sending = 'due'";

const BATCH: i64 = 50;
/// Conversations with the server at once.
const AT_ONCE: usize = 4;
const POLL: Duration = Duration::from_secs(1);
/// One mail, from the connection to the server's word.
const TIME_OUT: Duration = Duration::from_secs(20);
/// Between two tries of a mail: doubled each time, up to the cap.
const BACK_OFF_FIRST: Duration = Duration::from_secs(2);
const BACK_OFF_MAX: Duration = Duration::from_secs(600);
/// So often a server may say no for good before it is believed: some say so while they are misconfigured.
const REFUSED_MAX: i32 = 3;

/// Where mails are sent by.
#[derive(Clone)]
pub struct MailServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why there is no way to a mail server.
#[derive(Debug, thiserror::Error)]
pub enum MailServerError {
    /// The address of the server.
    #[error("the mail server's address cannot be used: {0}")]
    Server(String),
    /// The sender's address.
    #[error("the sender is no e-mail address")]
    From,
}

impl MailServer {
    /// By a URL: `smtps://USER:PASSWORD@HOST:PORT` (TLS from the first byte), `smtp://HOST:PORT?tls=required`
    /// (STARTTLS), or `smtp://HOST:PORT` on loopback without TLS; `from` is the sender, `Name <address>`.
    ///
    /// # Errors
    /// When one of them cannot be understood, or a password would travel in the clear.
    pub fn new(url: &str, from: &str) -> Result<Self, MailServerError> {
        // Whoever came first chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_open = url.starts_with("smtp://") && !url.contains("tls=required");
        let host = url.split("://").nth(1).unwrap_or_default().rsplit('@').next().unwrap_or_default();
        let is_loopback = ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| host.starts_with(name));
        if is_open && !is_loopback {
            let why = "without TLS only on loopback: smtps://, or smtp://...?tls=required";
            return Err(MailServerError::Server(why.to_owned()));
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        // The error is lettre's own and repeats nothing of the URL.
        let builder = builder.map_err(|error| MailServerError::Server(error.to_string()))?;
        let transport = builder.timeout(Some(TIME_OUT)).build();
        Ok(Self { transport, from: from.parse().map_err(|_| MailServerError::From)? })
    }
}

/// What came of one mail.
enum Outcome {
    Sent,
    /// Nobody to send it to, or they do not want it: it stays in the mailbox.
    Kept(&'static str),
    Refused(String),
    Later(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Kept(_) => "kept",
            Self::Refused(_) => "refused",
            Self::Later(_) => "later",
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
        Self { notifications, server }
    }

    /// Works on the slots that this process holds, until `stop`; then finishes the batch under way.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let slots: Vec<u16> = held.borrow().keys().copied().collect();
            let sent = self.turn(&slots).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot look for due mails now");
                0
            });
            if sent == 0 {
                // Elapsed means: look again.
                let _ = tokio::time::timeout(POLL, stop.cancelled()).await;
            }
        }
    }

    /// Sends one batch of what is due in these slots, and tells how many mails were tried.
    ///
    /// # Errors
    /// Of the database.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        let mails = self.claim(slots).await?;
        let customers: Vec<CustomerId> = mails.iter().map(|mail| mail.customer).collect();
        let contacts = contact::read_all(self.store().pool(), &customers).await?;
        let one = |mail: Mail| {
            let contact = contacts.get(&mail.customer);
            async move {
                let outcome = self.send(&mail, contact).await;
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
            .bind(now + 2 * TIME_OUT * u32::try_from(due.len().div_ceil(AT_ONCE)).unwrap_or(1))
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
        let outcome = self.hand_over(mail, message).instrument(span.clone()).await;
        span.record("outcome", outcome.word());
        if let Outcome::Refused(why) | Outcome::Later(why) = &outcome {
            span.record("error", why);
        }
        outcome
    }

    async fn hand_over(&self, mail: &Mail, message: Message) -> Outcome {
        match tokio::time::timeout(TIME_OUT, self.server.transport.send(message)).await {
            Ok(Ok(_)) => Outcome::Sent,
            Ok(Err(error)) if error.is_permanent() && mail.tries >= REFUSED_MAX => {
                Outcome::Refused(code(&error))
            }
            Ok(Err(error)) => Outcome::Later(code(&error)),
            Err(_) => Outcome::Later(format!("no word within {} s", TIME_OUT.as_secs())),
        }
    }

    fn message(&self, mail: &Mail, contact: &Contact) -> Result<Message, String> {
        let rendered = self.notifications.templates.render(mail, Some(contact));
        let address = contact.email.parse().map_err(|_| "the address is none".to_owned())?;
        let message = Message::builder()
            .from(self.server.from.clone())
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
        let rows: Vec<(&Mail, &str, Option<&str>, Option<Timestamp>)> =
            outcomes.iter().map(|(mail, outcome)| row(mail, outcome, now)).collect();
        let mut write = self.store().begin(&Locks::none()).await?;
        sqlx::query(SETTLE)
            .bind(rows.iter().map(|(mail, ..)| mail.id.order.0).collect::<Vec<_>>())
            .bind(rows.iter().map(|(mail, ..)| mail.id.kind.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(mail, ..)| mail.id.n).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, sending, ..)| *sending).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, _, trouble, _)| *trouble).collect::<Vec<_>>())
            .bind(rows.iter().map(|(.., next)| *next).collect::<Vec<_>>())
            .execute(write.connection())
            .await?;
        write.commit().await
    }
}

fn row<'a>(
    mail: &'a Mail,
    outcome: &'a Outcome,
    now: Timestamp,
) -> (&'a Mail, &'static str, Option<&'a str>, Option<Timestamp>) {
    match outcome {
        Outcome::Sent => (mail, "sent", None, None),
        Outcome::Kept(why) => (mail, "kept", Some(why), None),
        Outcome::Refused(why) => {
            tracing::warn!(mail = %mail.id, why, "the mail server refuses a mail for good");
            (mail, "refused", Some(why), None)
        }
        Outcome::Later(why) => {
            let doubled =
                BACK_OFF_FIRST * 2_u32.saturating_pow(u32::try_from(mail.tries).unwrap_or(0).min(12));
            tracing::info!(mail = %mail.id, tries = mail.tries, why, "a mail was not taken; it is tried again");
            (mail, "due", Some(why), Some(now + doubled.min(BACK_OFF_MAX)))
        }
    }
}

/// The server's code or the kind of the failure: its words may repeat the address.
fn code(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the server answered {code}"),
        None if error.is_timeout() => "the server does not answer".to_owned(),
        None => "the server cannot be reached, or went away".to_owned(),
    }
}
