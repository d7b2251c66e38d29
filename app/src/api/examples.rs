//! What a reader of `/docs` is given to send: requests that a shop with the sample (`banyan run`) answers as they stand. Tried by
//! a test, operation by operation.

use serde_json::{Value, json};
use utoipa::openapi::{
    RefOr,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
};
use uuid::Uuid;

/// The sample's household H2070.
pub(crate) const CUSTOMER: Uuid = Uuid::from_u128(0xe5bb_9b7d_6c87_5842_b845_b90e_55f1_369f);
/// Its first order, which is shipped.
const ORDER: &str = "96802bbc-4000-5cbd-b62b-0801f548e2dd";
/// Its second, whose card is declined. To cancel it again changes nothing; one that is shipped cannot be cancelled any more.
const CANCELLED: &str = "afb3f83b-064a-576c-a1b0-e61ba7b3b885";
/// Milk, of which there is plenty.
const SKU: &str = "P1133018";
/// Another of the sample's, to be taken out of sale.
const OLD_SKU: &str = "P32785";
/// One that nobody has sold yet.
const NEW_SKU: &str = "docs-teapot";

/// Adds its example to the body and to each parameter that has one.
pub(super) fn fill(path: &str, operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            let example = of_parameter(path, &id, parameter);
            *parameter = ParameterBuilder::from(parameter.clone()).example(example).build();
        }
    }
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content {
            content.example = of_body(&id);
        }
    }
}

/// One that may be left out has none, unless it changes nothing: Swagger UI would send it.
fn of_parameter(path: &str, operation: &str, parameter: &Parameter) -> Option<Value> {
    let text = match (&parameter.parameter_in, parameter.name.as_str()) {
        (ParameterIn::Path, "sku") => match operation {
            "change_product" => NEW_SKU.to_owned(),
            "retire_product" => OLD_SKU.to_owned(),
            _ => SKU.to_owned(),
        },
        (ParameterIn::Path, "id") if path.starts_with("/v1/mails/") => format!("{ORDER}.confirmed.0"),
        (ParameterIn::Path, "id") if path.starts_with("/v1/customers/") => CUSTOMER.to_string(),
        (ParameterIn::Path, "id") if operation == "cancel_order" => CANCELLED.to_owned(),
        (ParameterIn::Path, "id") => ORDER.to_owned(),
        (ParameterIn::Query, "limit") => return Some(json!(5)),
        (ParameterIn::Header, "Idempotency-Key") => format!("docs-{operation}-1"),
        (ParameterIn::Header, "If-None-Match") if operation == "change_product" => "*".to_owned(),
        (ParameterIn::Header, "Stripe-Signature") => {
            format!("t=1767225600,v1={}", "0123456789abcdef".repeat(4))
        }
        _ => return None,
    };
    Some(Value::String(text))
}

fn of_body(operation: &str) -> Option<Value> {
    let line = |quantity: u8| json!([{"sku": SKU, "quantity": quantity}]);
    Some(match operation {
        "place_order" => json!({"lines": line(2), "payment_method": "pm_card_visa"}),
        "cancel_order" => json!({"reason": "ordered twice"}),
        "give_back" => json!({"amount_minor": 1, "reason": "arrived broken"}),
        "quote" => json!({"lines": line(10)}),
        "put_products" => json!({"products": [product("docs-kettle", "A kettle")]}),
        "change_product" => product(NEW_SKU, "A teapot"),
        "receive_stock" => json!({"lines": line(10)}),
        "adjust_stock" => json!({"sku": SKU, "by": -1, "reason": "a broken bottle"}),
        "put_me" => contact(),
        "hear_gateway" => json!({
            "id": "evt_1", "type": "charge.refunded",
            "data": {"object": {"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}}
        }),
        _ => return None,
    })
}

/// How the customer is reached.
pub(crate) fn contact() -> Value {
    json!({
        "name": "Alice", "email": "alice@example.org", "language": "en", "unwanted": ["delayed"],
        "address": {"street": "Ring 1", "postcode": "1010", "city": "Wien", "country": "AT"}
    })
}

fn product(sku: &str, name: &str) -> Value {
    json!({
        "sku": sku, "name": name, "category": "KITCHEN", "description": "Holds a litre.",
        "images": ["https://pictures.example/pot.jpg"], "price_minor": 1_999, "currency": "USD"
    })
}
