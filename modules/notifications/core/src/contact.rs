//! Contact: how a person is reached. One row, which is all there is to erase.

use banyan_kernel::{Answer, CustomerId, unseen};
use banyan_store::{Locks, Store, StoreError};
use notifications_api::{Address, COUNTRIES, Contact, Kind, Language, refusals};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

const READ: &str = "select customer_id, name, email, language, street, postcode, city, country, unwanted \
     from contact where customer_id = any($1)";
const PUT: &str = "insert into contact (customer_id, name, email, language, street, postcode, city, country, unwanted, \
     updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     on conflict (customer_id) do update set name = excluded.name, email = excluded.email, \
     language = excluded.language, street = excluded.street, postcode = excluded.postcode, city = excluded.city, \
     country = excluded.country, unwanted = excluded.unwanted, updated_at = excluded.updated_at";
const FORGET: &str = "delete from contact where customer_id = $1";

const NAME_CHARACTERS_MAX: usize = 100;
const STREET_CHARACTERS_MAX: usize = 200;
const POSTCODE_CHARACTERS_MAX: usize = 20;
const EMAIL_BYTES_MAX: usize = 254;

#[derive(FromRow)]
struct Row {
    customer_id: Uuid,
    name: String,
    email: String,
    language: String,
    street: String,
    postcode: String,
    city: String,
    country: String,
    unwanted: Vec<String>,
}

impl Row {
    fn contact(self) -> (CustomerId, Contact) {
        let Self { customer_id, name, email, language, street, postcode, city, country, unwanted } = self;
        let language = if language == Language::De.tag() { Language::De } else { Language::En };
        let unwanted = unwanted.iter().filter_map(|kind| Kind::parse(kind)).collect();
        let address = Address { street, postcode, city, country };
        (CustomerId(customer_id), Contact { name, email, language, address, unwanted })
    }
}

/// Those of these customers who said how they are reached.
pub(crate) async fn read_all(
    pool: &PgPool,
    customers: &[CustomerId],
) -> Result<std::collections::HashMap<CustomerId, Contact>, StoreError> {
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
    let rows: Vec<Row> = sqlx::query_as(READ).bind(ids).fetch_all(pool).await?;
    Ok(rows.into_iter().map(Row::contact).collect())
}

pub(crate) async fn read(pool: &PgPool, customer: CustomerId) -> Result<Option<Contact>, StoreError> {
    Ok(read_all(pool, &[customer]).await?.remove(&customer))
}

pub(crate) async fn put(
    store: &Store,
    customer: CustomerId,
    contact: Contact,
) -> Result<Answer<Contact>, StoreError> {
    if let Err(why) = check(&contact) {
        return Ok(Answer::rejected(refusals::INVALID_CONTACT, why));
    }
    let mut write = store.begin(&Locks::none().and("customer", [customer.to_string()])).await?;
    sqlx::query(PUT)
        .bind(customer.0)
        .bind(&contact.name)
        .bind(&contact.email)
        .bind(contact.language.tag())
        .bind(&contact.address.street)
        .bind(&contact.address.postcode)
        .bind(&contact.address.city)
        .bind(&contact.address.country)
        .bind(contact.unwanted.iter().map(|kind| kind.as_str()).collect::<Vec<_>>())
        .bind(store.clock().now())
        .execute(write.connection())
        .await?;
    write.commit().await?;
    Ok(Answer::Done(contact))
}

pub(crate) async fn forget(store: &Store, customer: CustomerId) -> Result<bool, StoreError> {
    let mut write = store.begin(&Locks::none().and("customer", [customer.to_string()])).await?;
    let forgotten = sqlx::query(FORGET).bind(customer.0).execute(write.connection()).await?.rows_affected();
    write.commit().await?;
    Ok(forgotten > 0)
}

/// Says what is wrong without repeating it: an error may be logged, a person may not.
fn check(contact: &Contact) -> Result<(), String> {
    let Contact { name, email, address, unwanted, .. } = contact;
    let Address { street, postcode, city, country } = address;
    let texts = [
        ("name", name, NAME_CHARACTERS_MAX),
        ("address.street", street, STREET_CHARACTERS_MAX),
        ("address.postcode", postcode, POSTCODE_CHARACTERS_MAX),
        ("address.city", city, NAME_CHARACTERS_MAX),
    ];
    texts.into_iter().try_for_each(|(field, text, most)| fits(field, text, most))?;
    email_fits(email)?;
    if COUNTRIES.binary_search(&country.as_str()).is_err() {
        return Err(
            "address.country: a country is the two capital letters that ISO 3166-1 gives it".to_owned()
        );
    }
    if unwanted.len() > Kind::ALL.len() {
        return Err("unwanted: each kind is unwanted once".to_owned());
    }
    Ok(())
}

/// A domain may be of any script, since each has a form that every server knows; what stands before the `@` has none, and could not be
/// delivered by most. What hides in one is told apart by nobody.
fn email_fits(email: &str) -> Result<(), String> {
    let is_address = email.len() <= EMAIL_BYTES_MAX && email.parse::<lettre::Address>().is_ok();
    let (local, domain) = email.rsplit_once('@').unwrap_or_default();
    if !is_address || unseen(email).is_some() || idna::domain_to_ascii(domain).is_err() {
        return Err("email: this is no e-mail address".to_owned());
    }
    if !local.is_ascii() {
        return Err("email: before the @ there are letters, digits and signs of ASCII alone".to_owned());
    }
    Ok(())
}

fn fits(field: &str, text: &str, most: usize) -> Result<(), String> {
    if !(1..=most).contains(&text.chars().count()) {
        return Err(format!("{field} has 1 to {most} characters"));
    }
    let hidden = unseen(text).map(u32::from);
    hidden.map_or(Ok(()), |c| {
        Err(format!("{field} has none but characters that can be seen, and not U+{c:04X}"))
    })
}
