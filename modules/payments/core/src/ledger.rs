//! The ledger: each movement is one row that debits one account and credits another, so that all sums to
//! zero by its form; and each movement is told as one event of the same number.

use banyan_kernel::{Context, Money, OrderId, Timestamp};
use banyan_store::{Store, StoreError, Tell, Write};
use payments_api::{LedgerViolation, PaymentAuthorised, PaymentCaptured, PaymentRefunded, PaymentVoided};
use serde_json::json;
use sqlx::types::Uuid;

use crate::payment::Payment;

pub(crate) const INSERT: &str = "insert into ledger_entry (payment_id, sequence, at, amount_minor, currency, debit, credit) \
     select * from unnest($1::uuid[], $2::int8[], $3::timestamptz[], $4::int8[], $5::text[], $6::text[], $7::text[])";

/// What is held and what is in the till must be what the state says; nothing is moved of no payment.
pub(crate) const VIOLATIONS: &str = "with moved as (select payment_id, \
     sum(case when debit = 'held' then amount_minor when credit = 'held' then -amount_minor else 0 end) as held, \
     sum(case when debit = 'cash' then amount_minor when credit = 'cash' then -amount_minor else 0 end) as cash \
     from ledger_entry group by payment_id), \
     judged as (select coalesce(p.order_id, m.payment_id) as order_id, \
     coalesce(p.state, 'missing') as state, coalesce(m.held, 0)::int8 as held, coalesce(m.cash, 0)::int8 as cash, \
     case when p.state in ('authorised', 'capturing', 'capture_refused', 'voiding') then p.amount_minor else 0 end as owed_held, \
     case when p.state in ('captured', 'refunding') then p.amount_minor - coalesce(r.given, 0) else 0 end::int8 as owed_cash \
     from payment p full join moved m on m.payment_id = p.order_id \
     left join (select order_id, sum(amount_minor) as given from refund where state = 'done' group by order_id) r \
     on r.order_id = p.order_id) \
     select order_id, state, held, owed_held, cash, owed_cash from judged \
     where held <> owed_held or cash <> owed_cash order by order_id limit 1000";

/// The customer's side: below zero by what the shop holds and has.
const CUSTOMER: &str = "customer";
/// Held with the customer's bank.
const HELD: &str = "held";
/// Taken.
const CASH: &str = "cash";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Authorised,
    Captured,
    Voided,
    Refunded,
}

/// Money that moved, and the event that tells it.
#[derive(Clone, Debug)]
pub(crate) struct Movement {
    kind: Kind,
    order: OrderId,
    amount: Money,
    sequence: i64,
    causation: String,
    context: Context,
}

impl Kind {
    /// Debited, credited, told.
    fn entry(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Authorised => (HELD, CUSTOMER, PaymentAuthorised::KIND),
            Self::Captured => (CASH, HELD, PaymentCaptured::KIND),
            Self::Voided => (CUSTOMER, HELD, PaymentVoided::KIND),
            Self::Refunded => (CUSTOMER, CASH, PaymentRefunded::KIND),
        }
    }
}

impl Movement {
    /// Of a payment that has just come to its state.
    pub(crate) fn new(kind: Kind, payment: &Payment, causation: String, context: Context) -> Self {
        Self::of(kind, payment.order, payment.amount, payment.version, causation, context)
    }

    /// Of a part of a payment.
    pub(crate) fn of(
        kind: Kind,
        order: OrderId,
        amount: Money,
        sequence: i64,
        causation: String,
        context: Context,
    ) -> Self {
        Self { kind, order, amount, sequence, causation, context }
    }

    fn tell(&self, at: Timestamp) -> Tell {
        // The four events have the same form.
        let data = json!({ "order": self.order, "amount": self.amount });
        Tell {
            kind: self.kind.entry().2,
            subject: self.order.to_string(),
            sequence: self.sequence,
            schema_version: 1,
            data,
            at,
            causation: self.causation.clone(),
            context: self.context.clone(),
        }
    }
}

/// Writes the entries and tells the events.
pub(crate) async fn put(write: &mut Write, movements: &[Movement], at: Timestamp) -> Result<(), StoreError> {
    if movements.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(movements: &'a [Movement], f: impl Fn(&'a Movement) -> T) -> Vec<T> {
        movements.iter().map(f).collect()
    }
    sqlx::query(INSERT)
        .bind(all(movements, |m| m.order.0))
        .bind(all(movements, |m| m.sequence))
        .bind(all(movements, |_| at))
        .bind(all(movements, |m| m.amount.minor))
        .bind(all(movements, |m| m.amount.currency.as_str()))
        .bind(all(movements, |m| m.kind.entry().0))
        .bind(all(movements, |m| m.kind.entry().1))
        .execute(write.connection())
        .await?;
    write.tell(&all(movements, |m| m.tell(at))).await
}

/// Payments whose entries and state disagree.
pub(crate) async fn violations(store: &Store) -> Result<Vec<LedgerViolation>, StoreError> {
    let rows: Vec<(Uuid, String, i64, i64, i64, i64)> =
        sqlx::query_as(VIOLATIONS).fetch_all(store.pool()).await?;
    let violation =
        |(order, state, held_minor, held_expected_minor, cash_minor, cash_expected_minor)| LedgerViolation {
            order: OrderId(order),
            state,
            held_minor,
            held_expected_minor,
            cash_minor,
            cash_expected_minor,
        };
    Ok(rows.into_iter().map(violation).collect())
}
