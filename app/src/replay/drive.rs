//! Baskets, played as their customers: many in flight, each asked until it is answered.

use std::{collections::BTreeMap, time::Duration};

use banyan_kernel::{CustomerId, Money, OrderId};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use uuid::Uuid;

use super::{
    Basket, Options, Percentiles, Phase, Progress, Tally,
    client::{Answer, Call, Effort, NoAnswer, Shop},
    feed::Feed,
    percentiles::Histogram,
    run::Error,
};

/// Name space of customer ids (UUID version 5): a household keeps its id over runs and files.
const CUSTOMER_NAMESPACE: Uuid = Uuid::from_u128(0x2f6c_61d4_58b3_5a0e_9d77_1c40_6e8f_b2a9);
/// At least so many baskets unanswered in a row, and no fewer than are in flight, mean that the shop is gone.
const UNANSWERED_IN_A_ROW: usize = 8;

/// The part of the shop's answer that is used.
#[derive(Debug, Deserialize)]
struct Accepted {
    id: OrderId,
    total: Money,
}

/// What became of one basket at the counter.
enum Fate {
    Accepted { order: Accepted, repeated: bool },
    Refused(String),
    Unanswered(String),
}

/// An order that was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) total_minor: i64,
    /// An earlier replay had placed it already.
    pub(super) repeated: bool,
}

/// All baskets, answered.
#[derive(Debug, Default)]
pub(super) struct Driven {
    pub(super) tally: Tally,
    pub(super) orders: BTreeMap<OrderId, Order>,
    /// Refusals by name.
    pub(super) refused: BTreeMap<String, u64>,
    /// The first basket without an answer, and why.
    pub(super) unanswered: Option<String>,
    pub(super) acceptance: Option<Percentiles>,
    pub(super) took: Duration,
}

struct Count {
    driven: Driven,
    acceptance: Histogram,
    unanswered_in_a_row: usize,
}

/// Plays the baskets of a file, as many at once as the options say.
pub(super) async fn drive(
    shop: &Shop,
    feed: &mut Feed<'_>,
    options: &Options,
    baskets: Option<u64>,
    progress: &dyn Progress,
) -> Result<Driven, Error> {
    let limit = options.limit.unwrap_or(usize::MAX);
    progress.phase(Phase::Baskets, baskets.map(|count| count.min(limit as u64)));
    let began = Instant::now();
    let mut count = Count::new();
    let baskets = stream::try_unfold((feed, pace(options)), |(feed, mut pace)| async {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        Ok(feed.basket().await?.map(|basket| (basket, (feed, pace))))
    });
    let placed = baskets
        .take(limit)
        .map_ok(|basket| async move { Ok::<_, Error>(place(shop, options, &basket).await) })
        .try_buffer_unordered(options.in_flight);
    let mut placed = std::pin::pin!(placed);
    while let Some((fate, effort)) = placed.try_next().await? {
        count.note(fate, effort);
        progress.tally(&count.driven.tally);
        count.give_up_when_gone(options.in_flight)?;
    }
    Ok(count.finish(began.elapsed()))
}

/// When the next basket may begin, where there is a measure.
fn pace(options: &Options) -> Option<Interval> {
    let mut pace = interval(Duration::from_secs(1) / options.per_second?);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(pace)
}

async fn place(shop: &Shop, options: &Options, basket: &Basket) -> (Fate, Effort) {
    let key = format!("replay-{}-{}", options.run, basket.key);
    let token = (options.mint)(customer(&basket.customer));
    let body = json!({"lines": basket.lines, "payment_method": basket.payment_method});
    let call = Call {
        method: Method::POST,
        url: shop.public("/v1/orders"),
        token: &token,
        key: Some(&key),
        body: Some(body.to_string().into_bytes()),
    };
    let answer = shop.ask(&call).await;
    let effort = answer.as_ref().map_or_else(|none| none.effort, |answer| answer.effort);
    (fate(answer, &basket.key), effort)
}

/// A customer's id, from the name in the file.
pub(super) fn customer(name: &str) -> CustomerId {
    CustomerId(Uuid::new_v5(&CUSTOMER_NAMESPACE, name.as_bytes()))
}

fn fate(answer: Result<Answer, NoAnswer>, basket: &str) -> Fate {
    match answer {
        Err(none) => Fate::Unanswered(format!("{basket}: {none}")),
        Ok(answer) if !answer.is_success() => Fate::Refused(answer.problem()),
        Ok(answer) => match answer.read() {
            Ok(order) => Fate::Accepted { order, repeated: answer.repeated },
            Err(why) => Fate::Unanswered(format!("{basket}: {why}")),
        },
    }
}

impl Count {
    fn new() -> Self {
        Self { driven: Driven::default(), acceptance: Histogram::new(), unanswered_in_a_row: 0 }
    }

    fn note(&mut self, fate: Fate, effort: Effort) {
        let tally = &mut self.driven.tally;
        tally.done += 1;
        tally.retries += u64::from(effort.tries - 1);
        if let Fate::Unanswered(why) = fate {
            tally.unanswered += 1;
            self.unanswered_in_a_row += 1;
            self.driven.unanswered.get_or_insert(why);
            return;
        }
        self.unanswered_in_a_row = 0;
        match fate {
            Fate::Accepted { order, repeated } => self.accept(&order, repeated, effort.took),
            Fate::Refused(name) => {
                tally.refused += 1;
                *self.driven.refused.entry(name).or_default() += 1;
            }
            Fate::Unanswered(_) => {}
        }
    }

    fn accept(&mut self, order: &Accepted, repeated: bool, took: Duration) {
        self.driven.tally.accepted += 1;
        self.driven.tally.replayed += u64::from(repeated);
        self.acceptance.record(took);
        self.driven.orders.insert(order.id, Order { total_minor: order.total.minor, repeated });
    }

    fn give_up_when_gone(&self, in_flight: usize) -> Result<(), Error> {
        if self.unanswered_in_a_row < in_flight.max(UNANSWERED_IN_A_ROW) {
            return Ok(());
        }
        let first = self.driven.unanswered.clone().unwrap_or_default();
        let (accepted, done) = (self.driven.tally.accepted, self.driven.tally.done);
        Err(Error::Shop(format!(
            "{} baskets in a row had no answer, the first of all: {first}; {accepted} of {done} were accepted; \
             the same command resumes",
            self.unanswered_in_a_row
        )))
    }

    fn finish(mut self, took: Duration) -> Driven {
        self.driven.took = took;
        self.driven.acceptance = self.acceptance.percentiles();
        self.driven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_keeps_its_id() {
        assert_eq!(customer("H123"), customer("H123"));
        assert_ne!(customer("H123"), customer("H124"));
        insta::assert_snapshot!(customer("H123"), @"5dd4da12-293c-5af0-b7c2-5e9509463f5c");
    }
}
