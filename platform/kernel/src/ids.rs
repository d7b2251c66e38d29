//! Identifiers and counts, parsed at the edge: a value of these types is a valid one.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// An order, for its whole life. Derived from who placed it and the `Idempotency-Key`, see
/// [`OrderId::derive`], so that a repeated request meets its own first row by primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct OrderId(pub Uuid);

/// A customer: an opaque id, never a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct CustomerId(pub Uuid);

/// Name space of order ids (UUID version 5, RFC 9562 section 5.5).
const ORDER_NAMESPACE: Uuid = Uuid::from_u128(0x6d4f_2b0e_9c1a_5e7b_8f33_b0a7_0a1b_c2d3);

impl OrderId {
    /// The order that `principal` means by `key`: the same two always give the same order.
    /// The lengths keep ("ab", "c") and ("a", "bc") apart.
    #[must_use]
    pub fn derive(principal: &str, key: &str) -> Self {
        let name = format!("{}:{principal}:POST /v1/orders:{key}", principal.len());
        Self(Uuid::new_v5(&ORDER_NAMESPACE, name.as_bytes()))
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CustomerId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A product's stock-keeping unit: 1 to 32 of `A-Z a-z 0-9 . _ -`, and not dots alone: as a part of a path `.` and `..` mean others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 32, pattern = "^[.]*[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
pub struct Sku(String);

/// Why a text is no [`Sku`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a SKU is 1 to 32 letters, digits, dots, dashes or underscores, and not dots alone")]
pub struct ParseSkuError;

impl Sku {
    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sku {
    type Error = ParseSkuError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=32).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let dots_alone = text.bytes().all(|b| b == b'.');
        if fits && plain && !dots_alone { Ok(Self(text)) } else { Err(ParseSkuError) }
    }
}

impl FromStr for Sku {
    type Err = ParseSkuError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> Self {
        sku.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many of one product: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(into = "i64")]
#[schema(value_type = i64, minimum = 1, maximum = 1_000_000)]
pub struct Quantity(u32);

/// Of whatever number it is said why it is none.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl serde::de::Visitor<'_> for Number {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, 1 to 1000000")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Quantity, E> {
                number.try_into().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Quantity, E> {
                i64::try_from(number).unwrap_or(i64::MAX).try_into().map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Quantity, E> {
                Err(E::custom(QuantityError))
            }
        }
        deserializer.deserialize_i64(Number)
    }
}

/// Why a number is no [`Quantity`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a quantity is a whole number, 1 to 1000000")]
pub struct QuantityError;

impl Quantity {
    /// The largest quantity of one line.
    pub const MAX: i64 = 1_000_000;

    /// The number.
    #[must_use]
    pub fn get(self) -> i64 {
        i64::from(self.0)
    }
}

impl TryFrom<i64> for Quantity {
    type Error = QuantityError;
    fn try_from(number: i64) -> Result<Self, Self::Error> {
        if !(1..=Self::MAX).contains(&number) {
            return Err(QuantityError);
        }
        u32::try_from(number).map(Self).map_err(|_| QuantityError)
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        quantity.get()
    }
}

/// So many of one product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Which product.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// Where stock stands: a warehouse, a cold store. Most shops have one, and never name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 32, pattern = "^[a-z0-9-]{1,32}$", example = "main")]
pub struct Place(String);

/// Why a text is no [`Place`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a place is 1 to 32 small letters, digits or dashes")]
pub struct ParsePlaceError;

impl Place {
    /// Where stock stands of which nobody said where.
    pub const MAIN: &str = "main";

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Place {
    fn default() -> Self {
        Self(Self::MAIN.to_owned())
    }
}

impl TryFrom<String> for Place {
    type Error = ParsePlaceError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=32).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits && plain { Ok(Self(text)) } else { Err(ParsePlaceError) }
    }
}

impl FromStr for Place {
    type Err = ParsePlaceError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where products stand: those that stand elsewhere than at [`Place::MAIN`] are named. So whoever says nothing says `main`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Places(BTreeMap<Sku, Place>);

impl Places {
    /// Whether all stands at `main`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a product stands.
    #[must_use]
    pub fn of(&self, sku: &Sku) -> Place {
        self.0.get(sku).cloned().unwrap_or_default()
    }

    /// What leaves together: one group of lines per place, in the order of the places' names.
    #[must_use]
    pub fn parcels(&self, lines: impl IntoIterator<Item = Line>) -> BTreeMap<Place, Vec<Line>> {
        let mut parcels: BTreeMap<Place, Vec<Line>> = BTreeMap::new();
        for line in lines {
            parcels.entry(self.of(&line.sku)).or_default().push(line);
        }
        parcels
    }
}

impl FromIterator<(Sku, Place)> for Places {
    fn from_iter<T: IntoIterator<Item = (Sku, Place)>>(places: T) -> Self {
        Self(places.into_iter().filter(|(_, place)| place.as_str() != Place::MAIN).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_depends_on_who_and_on_the_key_and_on_where_one_ends() {
        assert_eq!(OrderId::derive("customer:a", "k"), OrderId::derive("customer:a", "k"));
        assert_ne!(OrderId::derive("customer:a", "k"), OrderId::derive("customer:b", "k"));
        assert_ne!(OrderId::derive("a", ":POST /v1/orders:k"), OrderId::derive("a:POST /v1/orders", "k"));
    }

    #[test]
    fn skus_and_quantities_are_parsed_not_trusted() {
        for bad in ["", "a b", "é", "x'--", ".", "..", "...", &"x".repeat(33)] {
            assert_eq!(bad.parse::<Sku>(), Err(ParseSkuError), "{bad:?}");
        }
        for good in ["P1234.x_y-z", "..x", "x..", "-"] {
            assert!(good.parse::<Sku>().is_ok(), "{good}");
        }
        for bad in [0, -1, i64::MIN, i64::MAX, Quantity::MAX + 1] {
            assert_eq!(Quantity::try_from(bad), Err(QuantityError), "{bad}");
        }
    }

    #[test]
    fn what_stands_at_one_place_leaves_in_one_parcel() {
        for bad in ["", "Main", "a b", "a_b", "é", &"x".repeat(33)] {
            assert_eq!(bad.parse::<Place>(), Err(ParsePlaceError), "{bad:?}");
        }
        let line = |sku: &str| Line { sku: sku.parse().unwrap(), quantity: Quantity(1) };
        let places = [("a", "north"), ("b", "main"), ("c", "north")];
        let places: Places =
            places.map(|(sku, place)| (sku.parse().unwrap(), place.parse().unwrap())).into_iter().collect();
        assert_eq!(serde_json::to_string(&places).unwrap(), r#"{"a":"north","c":"north"}"#);
        let parcels = places.parcels(["a", "b", "c", "d"].map(line));
        let parcels: Vec<(&str, Vec<Line>)> =
            parcels.iter().map(|(place, lines)| (place.as_str(), lines.clone())).collect();
        assert_eq!(parcels, [("main", vec![line("b"), line("d")]), ("north", vec![line("a"), line("c")])]);
        assert!(Places::default().is_empty());
    }
}
