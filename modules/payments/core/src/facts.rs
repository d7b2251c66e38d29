//! What this module says of itself, for the audit.

use std::fmt;

use banyan_kernel::{Currency, Money, OrderId};
use banyan_store::StoreError;
use sqlx::{Row, postgres::PgRow};

use crate::{Payments, payment::parsed};

pub(crate) const FACTS: &str = "select p.order_id, p.state, p.amount_minor, p.currency, p.reference, p.version, \
     coalesce(sum(case when e.debit = 'held' then e.amount_minor when e.credit = 'held' then -e.amount_minor end), 0)::int8 as held, \
     coalesce(sum(e.amount_minor) filter (where e.debit = 'cash'), 0)::int8 as captured, \
     coalesce(sum(e.amount_minor) filter (where e.credit = 'cash'), 0)::int8 as refunded, \
     coalesce((select sum(r.amount_minor) from refund r where r.order_id = p.order_id and r.state = 'done'), 0)::int8 as given_back, \
     array(select distinct e.currency from ledger_entry e where e.payment_id = p.order_id order by 1) as currencies \
     from payment p left join ledger_entry e on e.payment_id = p.order_id \
     where p.order_id > $1 and p.order_id <= $2 group by p.order_id order by p.order_id";

/// One payment, and what its ledger entries add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFact {
    /// Whose.
    pub order: OrderId,
    /// Where it stands: `authorised`, `captured`, `refunded`, ...; what ends in -ing has a call under way.
    pub state: String,
    /// How much it is about.
    pub amount: Money,
    /// The gateway's id.
    pub reference: Option<String>,
    /// Held with the customer's bank, by the entries.
    pub held_minor: i64,
    /// Taken, by the entries.
    pub captured_minor: i64,
    /// Given back, by the entries.
    pub refunded_minor: i64,
    /// Given back by staff, by the refunds themselves.
    pub given_back_minor: i64,
    /// What its entries are in: one, or none where nothing moved.
    pub currencies: Vec<String>,
    /// Counts the events told.
    pub version: i64,
}

impl fmt::Display for PaymentFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, held_minor, captured_minor, refunded_minor, .. } = self;
        write!(
            f,
            "{state}: by its ledger {held_minor} held, {captured_minor} taken, {refunded_minor} given back"
        )
    }
}

impl Payments {
    /// The payments of the orders after one and up to another, in their order.
    ///
    /// # Errors
    /// As any statement.
    pub async fn facts(&self, after: OrderId, upto: OrderId) -> Result<Vec<PaymentFact>, StoreError> {
        let rows = sqlx::query(FACTS).bind(after.0).bind(upto.0).fetch_all(self.store().pool()).await?;
        Ok(rows.iter().map(fact).collect::<Result<_, _>>()?)
    }
}

fn fact(row: &PgRow) -> Result<PaymentFact, sqlx::Error> {
    let currency: Currency = parsed(row, "currency")?;
    Ok(PaymentFact {
        order: OrderId(row.try_get("order_id")?),
        state: row.try_get("state")?,
        amount: Money { minor: row.try_get("amount_minor")?, currency },
        reference: row.try_get("reference")?,
        held_minor: row.try_get("held")?,
        captured_minor: row.try_get("captured")?,
        refunded_minor: row.try_get("refunded")?,
        given_back_minor: row.try_get("given_back")?,
        currencies: row.try_get("currencies")?,
        version: row.try_get("version")?,
    })
}
