//! `/v1/customers`: how a person is reached, for themselves and for staff.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use banyan_kernel::CustomerId;
use banyan_net::{Principal, Problem};
use notifications_api::Contact;

use super::{
    Api,
    body::Body,
    consistency::{Token, token},
    done,
};

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_customer", "nothing is known of this customer")
}

async fn contact_of(api: &Api, customer: CustomerId) -> Result<Json<Contact>, Problem> {
    done(api.notifications.contact(customer).await, status)?.map(Json).ok_or_else(unknown)
}

fn status(_: &str) -> StatusCode {
    StatusCode::UNPROCESSABLE_ENTITY
}

/// Shows how the asker is reached (customer).
#[utoipa::path(
    get, path = "/v1/customers/me", tag = "customers", security(("bearer" = [])),
    responses(
        (status = 200, description = "As it was said last.", body = Contact),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "No customer.", body = Problem),
        (status = 404, description = "It was never said, or is forgotten.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_me(State(api): State<Api>, principal: Principal) -> Result<Json<Contact>, Problem> {
    contact_of(&api, principal.customer()?).await
}

/// Says how the asker is reached (customer). The whole of it; what is not named is empty from now on.
#[utoipa::path(
    put, path = "/v1/customers/me", tag = "customers", security(("bearer" = [])),
    request_body = Contact,
    responses(
        (status = 200, description = "As it stands now.", body = Contact),
        (status = 400, description = "Malformed JSON.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "No customer.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "A name or an address that cannot be one.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn put_me(
    State(api): State<Api>,
    principal: Principal,
    Body(contact): Body<Contact>,
) -> Result<(HeaderMap, Json<Contact>), Problem> {
    let customer = principal.customer()?;
    let contact = done(api.notifications.put_contact(customer, contact).await, status)?;
    Ok((written(&api, customer), Json(contact)))
}

fn written(api: &Api, customer: CustomerId) -> HeaderMap {
    let mut headers = HeaderMap::new();
    token(&mut headers, &Token::customer(customer, api.webhooks.clock.now()));
    headers
}

/// Forgets the asker (customer): name, addresses and preferences are gone; orders and mails stay, of nobody.
#[utoipa::path(
    delete, path = "/v1/customers/me", tag = "customers", security(("bearer" = [])),
    responses(
        (status = 204, description = "Nothing is known of them any more."),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "No customer.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn forget_me(
    State(api): State<Api>,
    principal: Principal,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let customer = principal.customer()?;
    done(api.forgotten.forget(&*api.notifications, customer).await, status)?;
    Ok((StatusCode::NO_CONTENT, written(&api, customer)))
}

/// Shows how a customer is reached (staff).
#[utoipa::path(
    get, path = "/v1/customers/{id}", tag = "customers", security(("bearer" = [])),
    params(("id" = CustomerId, Path, description = "The customer.")),
    responses(
        (status = 200, description = "As it was said last.", body = Contact),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "It was never said, or is forgotten.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_customer(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Contact>, Problem> {
    principal.staff()?;
    contact_of(&api, id.parse().map_err(|_| unknown())?).await
}
