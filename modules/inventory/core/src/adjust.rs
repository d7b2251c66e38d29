//! Adjust: what staff found when they looked, each finding once.

use banyan_kernel::{Answer, Context, Json, Sku, Timestamp};
use banyan_store::{Locks, Store, StoreError, Tell, Write};
use inventory_api::{AdjustStock, Adjusted, Finding, StockAdjusted, StockChange, StockLevel, Told, refusals};
use sqlx::FromRow;

use crate::{levels::LevelRow, receive::told_at, stock};

const KNOWN: &str = "select sku, quantity, counted, reason, told_epoch, told_xid::text::int8 as told_xid from adjustment where key = $1";
const LEVEL: &str =
    "select sku, on_hand, reserved, shipped, received, adjusted, place from stock where sku = $1";
/// A finding that changes nothing is not told.
const INSERT: &str = "insert into adjustment (key, sku, quantity, counted, reason, actor, at, told_epoch, told_xid) \
     values ($1, $2, $3::int8, $4, $5, $6, $7, case when $3::int8 <> 0 then $8::int8 end, case when $3::int8 <> 0 then pg_current_xact_id() end) \
     returning told_epoch, told_xid::text::int8";
const SHIFT: &str = "update stock set on_hand = on_hand + $2, adjusted = adjusted - $2 where sku = $1";

#[derive(FromRow)]
struct Known {
    sku: String,
    quantity: i64,
    counted: Option<i64>,
    reason: String,
    told_epoch: Option<i64>,
    told_xid: Option<i64>,
}

/// Decided on the locked row: nobody sells in between what was counted away.
pub(crate) async fn run(
    store: &Store,
    context: &Context,
    wish: &AdjustStock,
) -> Result<Answer<Adjusted>, StoreError> {
    let mut write = store.begin(&Locks::none().and("adjustment", [&wish.key])).await?;
    let known: Option<Known> =
        sqlx::query_as(KNOWN).bind(&wish.key).fetch_optional(write.connection()).await?;
    stock::lock(&mut write, [&wish.sku]).await?;
    let level: Option<LevelRow> =
        sqlx::query_as(LEVEL).bind(wish.sku.as_str()).fetch_optional(write.connection()).await?;
    let quantity = match decide(known.as_ref(), level.map(StockLevel::from).as_ref(), wish) {
        Ok(quantity) => quantity,
        Err(answer) => {
            write.abandon().await;
            return Ok(answer);
        }
    };
    let told = keep(&mut write, context, wish, quantity, store.clock().now()).await?;
    write.commit().await?;
    Ok(Answer::Done(Adjusted { quantity, repeated: false, told }))
}

/// By how much on hand changes, or the answer where it does not.
fn decide(
    known: Option<&Known>,
    level: Option<&StockLevel>,
    wish: &AdjustStock,
) -> Result<i64, Answer<Adjusted>> {
    let counted = match wish.finding {
        Finding::Counted(counted) => Some(counted),
        Finding::By(_) => None,
    };
    if let Some(known) = known {
        let same_finding = match wish.finding {
            Finding::Counted(counted) => known.counted == Some(counted),
            Finding::By(quantity) => known.counted.is_none() && known.quantity == quantity,
        };
        let same = known.sku == wish.sku.as_str() && known.reason == wish.reason && same_finding;
        return Err(if same {
            let told = told_at(&subject("adjustment", &wish.key), known.told_epoch, known.told_xid);
            Answer::Done(Adjusted { quantity: known.quantity, repeated: true, told })
        } else {
            Answer::rejected(refusals::KEY_REUSED, "this key came before with another finding")
        });
    }
    let Some(level) = level else {
        return Err(Answer::rejected(refusals::UNKNOWN_PRODUCT, "this product was never received"));
    };
    let quantity = match wish.finding {
        Finding::By(quantity) => quantity,
        // What is kept for orders stands on the shelf until it is shipped.
        Finding::Counted(_) => counted.unwrap_or_default() - level.on_hand - level.reserved,
    };
    if level.on_hand.checked_add(quantity).is_none_or(|left| left < 0) {
        let detail = format!(
            "{} are free and {} are kept for orders: cancel orders first, or receive what replaces it",
            level.on_hand, level.reserved
        );
        return Err(Answer::rejected(refusals::BELOW_ZERO, detail));
    }
    Ok(quantity)
}

async fn keep(
    write: &mut Write,
    context: &Context,
    wish: &AdjustStock,
    quantity: i64,
    now: Timestamp,
) -> Result<Told, StoreError> {
    let counted = match wish.finding {
        Finding::Counted(counted) => Some(counted),
        Finding::By(_) => None,
    };
    let written_in = write.epoch();
    let (epoch, xid): (Option<i64>, Option<i64>) = sqlx::query_as(INSERT)
        .bind(&wish.key)
        .bind(wish.sku.as_str())
        .bind(quantity)
        .bind(counted)
        .bind(&wish.reason)
        .bind(context.actor.to_string())
        .bind(now)
        .bind(written_in)
        .fetch_one(write.connection())
        .await?;
    if quantity == 0 {
        return Ok(Told::default());
    }
    sqlx::query(SHIFT).bind(wish.sku.as_str()).bind(quantity).execute(write.connection()).await?;
    write.tell(&[told(context, wish, quantity, now)]).await?;
    Ok(told_at(&subject("adjustment", &wish.key), epoch, xid))
}

fn told(context: &Context, wish: &AdjustStock, quantity: i64, at: Timestamp) -> Tell {
    let lines = vec![StockChange { sku: wish.sku.clone(), quantity }];
    Tell {
        kind: StockAdjusted::KIND,
        subject: subject("adjustment", &wish.key),
        sequence: 1,
        schema_version: 1,
        // A struct of texts and numbers always has a JSON form.
        data: serde_json::to_value(StockAdjusted { lines, reason: wish.reason.clone() })
            .unwrap_or(Json::Null),
        at,
        causation: subject("adjustment", &wish.key),
        context: context.clone(),
    }
}

/// What a delivery or a finding is called on the bus: it happens once, so its sequence is 1.
pub(crate) fn subject(kind: &str, key: &str) -> String {
    format!("{kind}/{key}")
}

/// The SKUs of a change.
pub(crate) fn changes(lines: impl IntoIterator<Item = (Sku, i64)>) -> Vec<StockChange> {
    lines.into_iter().map(|(sku, quantity)| StockChange { sku, quantity }).collect()
}
