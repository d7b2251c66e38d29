//! A line of a replay file becomes a record, or is named as broken and why.

use std::{
    collections::HashSet,
    io::{self, BufRead, Read},
};

use banyan_kernel::{Currency, Line, Quantity, Sku};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::api::PRICE_MINOR_MAX;

/// Longest line; a basket of 200 lines takes a fifth of it.
pub const LINE_BYTES_MAX: usize = 65_536;
/// Most lines of a basket, the API's limit.
pub const BASKET_LINES_MAX: usize = 200;
/// Most products, and most baskets, of one file.
pub const RECORDS_MAX: usize = 1_000_000;
const FORMAT: u32 = 1;
const TEXT_CHARS_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 200;
const CATEGORY_CHARS_MAX: usize = 100;
const STOCK_MAX: i64 = 1_000_000;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The format's version, 1.
    #[serde(rename = "banyan-replay")]
    pub format: u32,
    /// Names the content; part of the idempotency keys of its deliveries.
    pub id: String,
    /// Of all prices.
    pub currency: Currency,
    /// How many products follow, where the file says so.
    #[serde(default)]
    pub products: Option<u64>,
    /// How many baskets follow, where the file says so.
    #[serde(default)]
    pub baskets: Option<u64>,
    /// Where the data came from.
    #[serde(default)]
    pub source: Option<String>,
    /// Under which licence.
    #[serde(default)]
    pub licence: Option<String>,
}

/// A product and how much of it is delivered before the first basket.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its stock-keeping unit.
    pub sku: Sku,
    /// For people.
    pub name: String,
    /// What to group it by.
    pub category: String,
    /// Of one piece.
    pub price_minor: i64,
    /// Pieces delivered.
    pub stock: i64,
}

/// What one customer wants, in one order.
#[derive(Clone, Debug, PartialEq)]
pub struct Basket {
    /// Its name in the file.
    pub key: String,
    /// Whose.
    pub customer: String,
    /// 1 to 200, each SKU once.
    pub lines: Vec<Line>,
    /// The gateway's name of the card.
    pub payment_method: String,
}

/// A line that says something.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A product line.
    Product(Product),
    /// A basket line.
    Basket(Basket),
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Why a file is no replay file.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Nothing in it.
    #[error(
        "the file is empty; its first line must be a header like {{\"banyan-replay\":1,\"id\":\"shop\",\"currency\":\"USD\"}}"
    )]
    Empty,
    /// The first line is something else.
    #[error("line 1 is no replay header ({0}); is this a replay file?")]
    NoHeader(String),
    /// A newer format.
    #[error("the file is of format {0}, this binary reads format 1; use a newer banyan")]
    Format(u32),
    /// The operating system's refusal.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawRecord {
    Product(Product),
    Basket(RawBasket),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBasket {
    key: String,
    customer: String,
    lines: Vec<RawLine>,
    payment_method: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    sku: Sku,
    quantity: Quantity,
}

/// Reads records line by line; holds one line, and the keys seen so far.
pub struct Reader<R> {
    input: R,
    buffer: Vec<u8>,
    line: u64,
    skus: HashSet<String>,
    keys: HashSet<String>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none, or it is of another format.
    pub fn open(input: R) -> Result<(Header, Self), Unreadable> {
        let (buffer, skus, keys) = (Vec::new(), HashSet::new(), HashSet::new());
        let mut reader = Self { input, buffer, line: 0, skus, keys };
        let header = match reader.line()? {
            Length::End => return Err(Unreadable::Empty),
            Length::TooLong => Err(too_long()),
            Length::Whole => header_of(&reader.buffer),
        };
        let header = header.map_err(Unreadable::NoHeader)?;
        if header.format == FORMAT { Ok((header, reader)) } else { Err(Unreadable::Format(header.format)) }
    }

    /// The next record or broken line; none at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn next_record(&mut self) -> io::Result<Option<Result<Record, Broken>>> {
        loop {
            let read = match self.line()? {
                Length::End => return Ok(None),
                Length::Whole if self.buffer.iter().all(u8::is_ascii_whitespace) => continue,
                Length::Whole => self.record(),
                Length::TooLong => Err(too_long()),
            };
            return Ok(Some(read.map_err(|why| Broken { line: self.line, why })));
        }
    }

    /// Fills the buffer with one line, of which never more than the limit is held.
    fn line(&mut self) -> io::Result<Length> {
        self.buffer.clear();
        let bound = LINE_BYTES_MAX as u64 + 1;
        let taken = self.input.by_ref().take(bound).read_until(b'\n', &mut self.buffer)?;
        if taken == 0 {
            return Ok(Length::End);
        }
        self.line += 1;
        if self.buffer.ends_with(b"\n") || taken <= LINE_BYTES_MAX {
            return Ok(Length::Whole);
        }
        self.input.skip_until(b'\n')?;
        Ok(Length::TooLong)
    }

    fn record(&mut self) -> Result<Record, String> {
        match json(&self.buffer)? {
            RawRecord::Product(product) => self.product(product).map(Record::Product),
            RawRecord::Basket(basket) => self.basket(basket).map(Record::Basket),
        }
    }

    fn product(&mut self, product: Product) -> Result<Product, String> {
        if !self.keys.is_empty() {
            return Err("a product after the first basket; products come first".to_owned());
        }
        text("the name", &product.name, NAME_CHARS_MAX)?;
        text("the category", &product.category, CATEGORY_CHARS_MAX)?;
        range("price_minor", product.price_minor, 1, PRICE_MINOR_MAX)?;
        range("stock", product.stock, 0, STOCK_MAX)?;
        once(&mut self.skus, product.sku.as_str(), "product")?;
        Ok(product)
    }

    fn basket(&mut self, raw: RawBasket) -> Result<Basket, String> {
        word("the key", &raw.key)?;
        word("the customer", &raw.customer)?;
        word("the payment method", &raw.payment_method)?;
        let count = raw.lines.len();
        if !(1..=BASKET_LINES_MAX).contains(&count) {
            return Err(format!("a basket of {count} lines; 1 to {BASKET_LINES_MAX} are taken"));
        }
        let mut skus = HashSet::new();
        if let Some(line) = raw.lines.iter().find(|line| !skus.insert(line.sku.as_str())) {
            return Err(format!("{} twice in one basket; fold its quantities", line.sku));
        }
        once(&mut self.keys, &raw.key, "basket")?;
        let lines =
            raw.lines.into_iter().map(|line| Line { sku: line.sku, quantity: line.quantity }).collect();
        Ok(Basket { key: raw.key, customer: raw.customer, lines, payment_method: raw.payment_method })
    }
}

enum Length {
    Whole,
    TooLong,
    End,
}

fn too_long() -> String {
    format!("longer than {LINE_BYTES_MAX} bytes")
}

fn header_of(bytes: &[u8]) -> Result<Header, String> {
    let header: Header = json(bytes)?;
    word("the id", &header.id)?;
    Ok(header)
}

/// The reader counts the file's lines; serde's own line number, always 1, would only confuse.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes.trim_ascii_end())
        .map_err(|error| error.to_string().replace(" at line 1 column ", ", column "))
}

/// A word that may stand in an HTTP header.
fn word(what: &str, text: &str) -> Result<(), String> {
    if (1..=TEXT_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(format!("{what} is not 1 to {TEXT_CHARS_MAX} visible ASCII characters"))
}

fn text(what: &str, text: &str, chars_max: usize) -> Result<(), String> {
    let plain = !text.chars().any(char::is_control);
    if plain && !text.trim().is_empty() && text.chars().count() <= chars_max {
        return Ok(());
    }
    Err(format!("{what} is not 1 to {chars_max} characters, none of them a control character"))
}

fn range(what: &str, number: i64, least: i64, most: i64) -> Result<(), String> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(format!("{what} is {number}; {least} to {most} is taken"))
}

fn once(seen: &mut HashSet<String>, key: &str, what: &str) -> Result<(), String> {
    if seen.contains(key) {
        return Err(format!("{what} {key} was on a line before"));
    }
    if seen.len() >= RECORDS_MAX {
        return Err(format!("more than {RECORDS_MAX} lines of this kind"));
    }
    seen.insert(key.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"banyan-replay":1,"id":"t","currency":"USD"}"#;
    const PRODUCT: &str =
        r#"{"product":{"sku":"P1","name":"MILK","category":"DAIRY","price_minor":129,"stock":4}}"#;
    const BASKET: &str = r#"{"basket":{"key":"B1","customer":"H1","lines":[{"sku":"P1","quantity":2}],"payment_method":"pm_card_visa"}}"#;

    /// What comes of the lines after a header, one text each.
    fn read(lines: &[&str]) -> Vec<String> {
        let file = [&[HEADER], lines].concat().join("\n");
        let (_, mut reader) = Reader::open(file.as_bytes()).unwrap();
        let mut seen = Vec::new();
        while let Some(item) = reader.next_record().unwrap() {
            seen.push(match item {
                Ok(Record::Product(product)) => format!("product {}", product.sku),
                Ok(Record::Basket(basket)) => {
                    format!("basket {} of {} lines", basket.key, basket.lines.len())
                }
                Err(broken) => format!("{}: {}", broken.line, broken.why),
            });
        }
        seen
    }

    fn basket_with(from: &str, to: &str) -> String {
        assert!(BASKET.contains(from));
        BASKET.replace(from, to)
    }

    fn basket_of(count: usize) -> String {
        let lines: Vec<_> = (0..count).map(|n| format!(r#"{{"sku":"P{n}","quantity":1}}"#)).collect();
        basket_with(r#"{"sku":"P1","quantity":2}"#, &lines.join(","))
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let seen = read(&[PRODUCT, line]);
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(seen[1].starts_with("3: "), "{}", seen[1]);
        assert!(seen[1].contains(expected), "{}", seen[1]);
    }

    #[test]
    fn good_lines_are_read_with_or_without_a_last_newline_and_blank_ones_are_skipped() {
        assert_eq!(read(&[PRODUCT, "", "  \r", BASKET]), ["product P1", "basket B1 of 1 lines"]);
        assert_eq!(read(&[BASKET, ""]), ["basket B1 of 1 lines"]);
        assert_eq!(read(&[&basket_of(200)]), ["basket B1 of 200 lines"]);
    }

    #[test]
    fn broken_json_is_named_with_its_column() {
        check("{\"basket\":", "EOF while parsing a value, column 10");
        check("{\n", "EOF while parsing an object, column 1");
        check("hello", "expected value, column 1");
        check("{}", "expected value");
        check("[1]", "column");
        check(&format!("{BASKET} {BASKET}"), "trailing characters");
        check(r#"{"parcel":{}}"#, "unknown variant `parcel`");
    }

    #[test]
    fn wrong_types_and_unknown_missing_or_doubled_fields_are_broken() {
        check(&basket_with("\"B1\"", "7"), "invalid type: integer `7`, expected a string");
        check(
            &basket_with("\"quantity\":2", "\"quantity\":\"2\""),
            "invalid type: string \"2\", expected a whole number, 1 to 1000000",
        );
        check(
            &basket_with("\"quantity\":2", "\"quantity\":2.5"),
            "a quantity is a whole number, 1 to 1000000",
        );
        check(&basket_with("\"quantity\":2", "\"quantity\":2,\"gift\":true"), "unknown field `gift`");
        check(&basket_with("\"key\"", "\"coupon\":1,\"key\""), "unknown field `coupon`");
        check(&basket_with(",\"payment_method\":\"pm_card_visa\"", ""), "missing field `payment_method`");
        check(&basket_with("\"key\"", "\"key\":\"B0\",\"key\""), "duplicate field `key`");
    }

    #[test]
    fn quantities_out_of_range_are_broken() {
        for bad in ["0", "-1", "1000001", "9223372036854775807"] {
            check(
                &basket_with("\"quantity\":2", &format!("\"quantity\":{bad}")),
                "a quantity is a whole number, 1 to 1000000",
            );
        }
        check(
            &basket_with("\"quantity\":2", "\"quantity\":92233720368547758080"),
            "a quantity is a whole number",
        );
        check(&basket_with("\"quantity\":2", "\"quantity\":1e999"), "number out of range");
    }

    #[test]
    fn baskets_of_no_lines_too_many_or_a_sku_twice_are_broken() {
        check(&basket_of(0), "a basket of 0 lines");
        check(&basket_of(201), "a basket of 201 lines; 1 to 200 are taken");
        check(&basket_with("2}", "2},{\"sku\":\"P1\",\"quantity\":1}"), "P1 twice in one basket");
        check(&basket_with("\"sku\":\"P1\"", "\"sku\":\"P 1\""), "a SKU is 1 to 32");
    }

    #[test]
    fn words_that_do_not_fit_a_header_are_broken() {
        check(&basket_with("\"B1\"", "\"\""), "the key is not 1 to 64 visible ASCII");
        check(&basket_with("\"B1\"", "\"B\\n1\""), "the key");
        check(&basket_with("\"H1\"", &format!("\"{}\"", "H".repeat(65))), "the customer");
        check(&basket_with("\"pm_card_visa\"", "\"vísa\""), "the payment method");
    }

    #[test]
    fn keys_and_skus_come_once_and_products_first() {
        let seen = read(&[PRODUCT, PRODUCT, BASKET, BASKET, PRODUCT]);
        assert_eq!(seen[1], "3: product P1 was on a line before");
        assert_eq!(seen[3], "5: basket B1 was on a line before");
        assert_eq!(seen[4], "6: a product after the first basket; products come first");
    }

    #[test]
    fn a_broken_basket_does_not_use_up_its_key() {
        let seen = read(&[&basket_of(201), BASKET]);
        assert_eq!(seen[1], "basket B1 of 1 lines");
    }

    #[test]
    fn products_out_of_range_are_broken() {
        check(&PRODUCT.replace("129", "0").replace("P1", "P2"), "price_minor is 0");
        check(&PRODUCT.replace("129", "10000000001").replace("P1", "P2"), "price_minor is 10000000001");
        check(&PRODUCT.replace("MILK", "MI\\nLK").replace("P1", "P2"), "none of them a control character");
        check(&PRODUCT.replace(":4}", ":-4}").replace("P1", "P2"), "stock is -4");
        check(&PRODUCT.replace("MILK", " ").replace("P1", "P2"), "the name is not 1 to 200");
        check(&PRODUCT.replace("DAIRY", &"D".repeat(101)), "the category is not 1 to 100");
    }

    #[test]
    fn a_line_too_long_is_skipped_whole_and_the_next_one_is_read() {
        let long = "x".repeat(LINE_BYTES_MAX * 3);
        let seen = read(&[&long, BASKET]);
        assert_eq!(seen, ["2: longer than 65536 bytes", "basket B1 of 1 lines"]);
        let fits = format!("{BASKET}{}", " ".repeat(LINE_BYTES_MAX - BASKET.len()));
        assert_eq!(read(&[&fits, PRODUCT])[0], "basket B1 of 1 lines");
    }

    #[test]
    fn bytes_that_are_no_utf8_break_one_line() {
        let file = [HEADER.as_bytes(), b"\n{\"basket\":{\"key\":\"\xff\"}}\n", BASKET.as_bytes()].concat();
        let (_, mut reader) = Reader::open(file.as_slice()).unwrap();
        assert_eq!(reader.next_record().unwrap().unwrap().unwrap_err().line, 2);
        assert!(reader.next_record().unwrap().unwrap().is_ok());
    }

    #[test]
    fn a_file_without_a_header_is_no_replay_file() {
        let open = |file: &str| Reader::open(file.as_bytes()).map(|_| ()).unwrap_err();
        assert!(matches!(open(""), Unreadable::Empty));
        for bad in ["\n", BASKET, "{\"banyan-replay\":1}", "%PDF", &"x".repeat(LINE_BYTES_MAX * 2)] {
            assert!(matches!(open(bad), Unreadable::NoHeader(_)), "{bad:.40}");
        }
        assert!(matches!(open(&HEADER.replace(":1", ":2")), Unreadable::Format(2)));
        assert!(matches!(open(&HEADER.replace("USD", "usd")), Unreadable::NoHeader(_)));
    }
}
