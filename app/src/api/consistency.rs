//! Consistency tokens: a write says where it left its source, and a reader may ask to see at least that
//! ("Session Guarantees for Weakly Consistent Replicated Data", D. Terry et al., 1994: read your writes).
//!
//! Every write of the API answers one, every read of it takes them. A read that may be behind what it is asked for waits for it
//! for a bounded time or says so; one that reads what was committed shows it anyway, and says so where no such write was committed.

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use banyan_kernel::{CustomerId, OrderId, Refusal, Sku, Timestamp};
use banyan_net::Problem;
use inventory_api::Told;
use orders_api::refusals;
use utoipa::ToSchema;
use uuid::Uuid;

use super::refuse;

/// `SOURCE/SUBJECT/SEQUENCE`; a reader may send several, separated by commas.
pub(crate) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// What a write answers: how far its source had come with it. Not to be taken apart.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = "^((orders|payments|notifications|catalog)/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|catalog/[.]{0,3}[A-Za-z0-9_-][A-Za-z0-9._-]{0,28}|inventory/[0-9]{1,4}[.][0-9]{1,9})/[0-9]{1,18}$"
)]
#[schema(example = "orders/5f0c0a0e-5d0b-5a3c-9b6e-0d6c5d2f4a11/3")]
pub(crate) struct ConsistencyToken(#[expect(dead_code, reason = "it is there for the document")] String);

/// Tokens of one request.
const TOKENS_MAX: usize = 16;

/// Where a write left its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// An order, at a version.
    Order(OrderId, i64),
    /// A product, at a version.
    Product(Sku, i64),
    /// A wish for several products, which was done.
    Products(Uuid),
    /// What inventory told.
    Stock(Told),
    /// What is given back of an order's payment, at a time.
    Payment(OrderId, i64),
    /// How a customer is reached, at a time.
    Customer(CustomerId, i64),
}

impl Token {
    /// Of rows that are read where they are written: the time alone says which of two is the newer.
    pub(crate) fn payment(order: OrderId, now: Timestamp) -> Self {
        Self::Payment(order, micros(now))
    }

    pub(crate) fn customer(customer: CustomerId, now: Timestamp) -> Self {
        Self::Customer(customer, micros(now))
    }

    fn text(&self) -> String {
        use {catalog_api as catalog, inventory_api as inventory, notifications_api as notifications};
        use {orders_api as orders, payments_api as payments};
        match self {
            Self::Order(order, version) => format!("{}/{order}/{version}", orders::NAME),
            Self::Product(sku, version) => format!("{}/{sku}/{version}", catalog::NAME),
            Self::Products(wish) => format!("{}/{wish}/1", catalog::NAME),
            Self::Stock(Told { slot, epoch, xid }) => format!("{}/{slot}.{epoch}/{xid}", inventory::NAME),
            Self::Payment(order, at) => format!("{}/{order}/{at}", payments::NAME),
            Self::Customer(customer, at) => format!("{}/{customer}/{at}", notifications::NAME),
        }
    }

    fn parse(token: &str) -> Option<Self> {
        let (source, rest) = token.split_once('/')?;
        let (subject, sequence) = rest.split_once('/')?;
        let sequence = number(sequence)?;
        match source {
            orders_api::NAME => Some(Self::Order(subject.parse().ok()?, sequence)),
            // No SKU is as long as a UUID.
            catalog_api::NAME => match subject.parse() {
                Ok(sku) => Some(Self::Product(sku, sequence)),
                Err(_) => Some(Self::Products(Uuid::try_parse(subject).ok()?)),
            },
            inventory_api::NAME => {
                let (slot, epoch) = subject.split_once('.')?;
                let slot = number(slot)?.try_into().ok()?;
                Some(Self::Stock(Told { slot, epoch: number(epoch)?, xid: sequence }))
            }
            payments_api::NAME => Some(Self::Payment(subject.parse().ok()?, sequence)),
            notifications_api::NAME => Some(Self::Customer(subject.parse().ok()?, sequence)),
            _ => None,
        }
    }
}

/// Of 1 to 18 digits, which always fit.
fn number(text: &str) -> Option<i64> {
    let fits = (1..=18).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or_default()
}

/// What a reader asks to see, each at least so far.
pub(crate) struct AtLeast(Vec<Token>);

impl AtLeast {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let detail = "a Consistency-Token is what a write answered, as it stood there: SOURCE/SUBJECT/SEQUENCE; at most 16, \
                      with commas between";
        let wrong = || Problem::new(StatusCode::BAD_REQUEST, "consistency_token_invalid", detail);
        let values = headers.get_all(CONSISTENCY_TOKEN).iter();
        let texts = values.map(|value| value.to_str().map_err(|_| wrong())).collect::<Result<Vec<_>, _>>()?;
        let tokens = texts.iter().flat_map(|text| text.split(','));
        let tokens = tokens.map(|token| Token::parse(token.trim()).ok_or_else(wrong));
        let tokens = tokens.take(TOKENS_MAX + 1).collect::<Result<Vec<_>, _>>()?;
        if tokens.len() > TOKENS_MAX { Err(wrong()) } else { Ok(Self(tokens)) }
    }

    pub(crate) fn orders(&self) -> Vec<(OrderId, i64)> {
        let order = |token: &Token| match token {
            Token::Order(order, version) => Some((*order, *version)),
            _ => None,
        };
        self.0.iter().filter_map(order).collect()
    }

    /// Orders of whose money something was given back.
    pub(crate) fn payments(&self) -> Vec<OrderId> {
        let payment = |token: &Token| match token {
            Token::Payment(order, _) => Some(*order),
            _ => None,
        };
        self.0.iter().filter_map(payment).collect()
    }

    /// Whether an order at this version, as it was committed, is less than what is asked for: then there was no such write.
    pub(crate) fn exceeds_order(&self, order: OrderId, committed: i64) -> bool {
        self.orders().iter().any(|(id, version)| *id == order && committed < *version)
    }

    /// As [`Self::exceeds_order`], of a product.
    pub(crate) fn exceeds_product(&self, product: &Sku, committed: i64) -> bool {
        self.0.iter().any(
            |token| matches!(token, Token::Product(sku, version) if sku == product && committed < *version),
        )
    }

    pub(crate) fn told_of_stock(&self) -> Vec<Told> {
        let told = |token: &Token| match token {
            Token::Stock(told) => Some(*told),
            _ => None,
        };
        self.0.iter().filter_map(told).collect()
    }

    /// Whether a product at this version may lack what is asked for.
    pub(crate) fn may_lack(&self, product: &Sku, seen: Option<i64>) -> bool {
        self.0.iter().any(|token| match token {
            Token::Product(sku, version) => sku == product && seen.is_none_or(|seen| seen < *version),
            Token::Products(_) => true,
            _ => false,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AtLeast {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

/// Refuses what is no token, whatever is read: also where what was committed is read, and nothing is waited for.
pub(super) async fn understood(request: Request, next: Next) -> Response {
    let reads =
        [Method::GET, Method::HEAD].contains(request.method()) && request.uri().path().starts_with("/v1/");
    match AtLeast::of(request.headers()) {
        Err(problem) if reads => problem.into_response(),
        _ => next.run(request).await,
    }
}

/// What is asked for is not there, or not yet.
pub(crate) fn behind(detail: &str) -> Problem {
    let refusal = Refusal::new(refusals::BEHIND, detail);
    refuse(refusal, |_| StatusCode::PRECONDITION_FAILED)
}

/// What a write answers.
pub(crate) fn token(headers: &mut HeaderMap, token: &Token) {
    if let Ok(value) = HeaderValue::from_str(&token.text()) {
        headers.insert(CONSISTENCY_TOKEN, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is() {
        let (order, now) = (OrderId::derive("test", "token"), Timestamp::UNIX_EPOCH);
        let told = Told { slot: 255, epoch: 1, xid: 9 };
        for written in [
            Token::Order(order, 7),
            Token::Product("x.y_z-1".parse().expect("a SKU"), 3),
            Token::Products(order.0),
            Token::Stock(told),
            Token::payment(order, now),
            Token::customer(CustomerId(order.0), now),
        ] {
            let mut headers = HeaderMap::new();
            token(&mut headers, &written);
            assert_eq!(AtLeast::of(&headers).expect("a token").0, [written]);
        }
        for wrong in [
            "",
            "orders",
            "orders/1/7",
            &format!("orders/{order}"),
            &format!("stock/{order}/7"),
            &format!("orders/{order}/-7"),
            &format!("orders/{order}/"),
            &format!("orders/{order}/99999999999999999999"),
            &format!("orders/{order}/7/"),
            "catalog/a b/1",
            "inventory/1/1",
            "inventory/x.1/1",
            "inventory/-1.1/1",
        ] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }
}
