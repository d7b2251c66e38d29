//! Money in minor units of one currency; sums that overflow or mix currencies are errors.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Quantity;

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "USD")]
pub struct Currency([u8; 3]);

/// An amount in the currency's minor unit (cents), never below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// The amount in minor units.
    #[schema(minimum = 0, example = 1299)]
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Why money could not be made or added.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MoneyError {
    /// Not three capital letters.
    #[error("a currency is three capital letters (ISO 4217)")]
    Currency,
    /// Two currencies in one sum.
    #[error("{0} and {1} cannot be added")]
    Mixed(Currency, Currency),
    /// Larger than 2^53, beyond which JSON numbers lose cents.
    #[error("the sum is too large")]
    TooLarge,
}

/// Sums stay where every JSON reader is exact (RFC 8259 section 6).
const LARGEST_MINOR: i64 = 1 << 53;

impl Money {
    /// Nothing, in a currency.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// This and `other`.
    ///
    /// # Errors
    /// When the currencies differ or the sum is too large.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed(self.currency, other.currency));
        }
        let minor = self.minor.checked_add(other.minor).filter(|sum| *sum <= LARGEST_MINOR);
        minor.map(|minor| Self { minor, ..self }).ok_or(MoneyError::TooLarge)
    }

    /// This much, `quantity` times.
    ///
    /// # Errors
    /// When the product is too large.
    pub fn times(self, quantity: Quantity) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(quantity.get()).filter(|product| *product <= LARGEST_MINOR);
        minor.map(|minor| Self { minor, ..self }).ok_or(MoneyError::TooLarge)
    }

    /// In the currency's major unit: the whole ones, and the rest with its decimal `mark`, which some currencies have not.
    ///
    /// ```
    /// # use banyan_kernel::Money;
    /// let money = |minor, code: &str| Money { minor, currency: code.parse().unwrap() };
    /// assert_eq!(money(1_205, "EUR").major(","), (12, ",05".to_owned()));
    /// assert_eq!(money(1_205, "JPY").major("."), (1_205, String::new()));
    /// assert_eq!(money(1_205, "KWD").major("."), (1, ".205".to_owned()));
    /// ```
    #[must_use]
    pub fn major(self, mark: &str) -> (u64, String) {
        let (minor, digits) = (self.minor.unsigned_abs(), self.currency.digits());
        let unit = 10_u64.pow(digits);
        match usize::try_from(digits) {
            Ok(width) if width > 0 => (minor / unit, format!("{mark}{:0width$}", minor % unit)),
            _ => (minor, String::new()),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.major(".");
        write!(f, "{whole}{fraction} {}", self.currency)
    }
}

impl Currency {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// How many decimal digits its minor unit has (ISO 4217); two, where the code is not in the standard's list.
    #[must_use]
    pub fn digits(&self) -> u32 {
        let known = iso_currency::Currency::from_code(self.as_str());
        known.and_then(|known| known.exponent()).map_or(2, u32::from)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(MoneyError::Currency),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_refuse_to_mix_or_overflow() {
        let usd = Money { minor: 1, currency: "USD".parse().unwrap() };
        let eur = Money { minor: 1, currency: "EUR".parse().unwrap() };
        assert_eq!(usd.plus(usd).map(|m| m.minor), Ok(2));
        assert!(matches!(usd.plus(eur), Err(MoneyError::Mixed(..))));
        let large = Money { minor: LARGEST_MINOR, ..usd };
        assert_eq!(large.plus(usd), Err(MoneyError::TooLarge));
        assert_eq!(large.times(Quantity::try_from(2).unwrap()), Err(MoneyError::TooLarge));
        assert_eq!("usd".parse::<Currency>(), Err(MoneyError::Currency));
    }

    #[test]
    fn money_is_written_with_as_many_digits_as_its_currency_has() {
        let written = |minor, code: &str| Money { minor, currency: code.parse().unwrap() }.to_string();
        assert_eq!(written(7, "USD"), "0.07 USD");
        assert_eq!(written(123_456, "EUR"), "1234.56 EUR");
        assert_eq!(written(123_456, "JPY"), "123456 JPY");
        assert_eq!(written(123_456, "BHD"), "123.456 BHD");
        assert_eq!(written(123_456, "QQQ"), "1234.56 QQQ", "a code of nobody's");
    }
}
