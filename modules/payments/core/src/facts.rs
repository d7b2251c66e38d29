//! What this module says of itself, for the audit.

use async_trait::async_trait;
use banyan_kernel::{Answer, Currency, Money, OrderId};
use banyan_store::{Store, StoreError};
use payments_api::{LedgerViolation, PaymentFact, PaymentFacts};
use sqlx::{Row, postgres::PgRow};

use crate::{Payments, ledger, payment::parsed};

pub(crate) const FACTS: &str = "select p.order_id, p.state, p.amount_minor, p.currency, p.reference, p.version, \
     coalesce(sum(case when e.debit = 'held' then e.amount_minor when e.credit = 'held' then -e.amount_minor end), 0)::int8 as held, \
     coalesce(sum(e.amount_minor) filter (where e.debit = 'cash'), 0)::int8 as captured, \
     coalesce(sum(e.amount_minor) filter (where e.credit = 'cash'), 0)::int8 as refunded, \
     coalesce((select sum(r.amount_minor) from refund r where r.order_id = p.order_id and r.state = 'done'), 0)::int8 as given_back, \
     array(select distinct e.currency from ledger_entry e where e.payment_id = p.order_id order by 1) as currencies \
     from payment p left join ledger_entry e on e.payment_id = p.order_id \
     where p.order_id > $1 and p.order_id <= $2 group by p.order_id order by p.order_id";

#[async_trait]
impl PaymentFacts for Payments {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<PaymentFact>> {
        read(self.store(), after, upto).await.map_or_else(StoreError::of_facts, Answer::Done)
    }

    async fn violations(&self) -> Answer<Vec<LedgerViolation>> {
        ledger::violations(self.store()).await.map_or_else(StoreError::of_facts, Answer::Done)
    }
}

async fn read(store: &Store, after: OrderId, upto: OrderId) -> Result<Vec<PaymentFact>, StoreError> {
    let rows = sqlx::query(FACTS).bind(after.0).bind(upto.0).fetch_all(store.pool()).await?;
    Ok(rows.iter().map(fact).collect::<Result<_, _>>()?)
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
