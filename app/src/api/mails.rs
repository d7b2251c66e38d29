//! `/v1/mails`: what was told to a customer.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use banyan_kernel::{CustomerId, Role, Timestamp};
use banyan_net::{Principal, Problem};
use notifications_api::{Mail, MailHead, MailId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Api, done, query::Asked, read_orders::limit_of};

/// What a browser may do with a mail: show it.
const SHOWN_ALONE: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Which page of mails.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailsQuery {
    /// The `next` of the page before.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]+[.][0-9a-f]{32}$")]
    cursor: Option<String>,
    /// At most so many, 1 to 200; 50 unless told.
    #[param(value_type = u16, required = false, minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// A page of mails, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailsPage {
    /// The mails.
    mails: Vec<MailHead>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists the asker's mailbox, newest first (customer).
#[utoipa::path(
    get, path = "/v1/mails", tag = "mails", security(("bearer" = [])), params(MailsQuery),
    responses(
        (status = 200, description = "A page.", body = MailsPage),
        (status = 400, description = "No such limit, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "No customer.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_mails(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<MailsQuery>,
) -> Result<Json<MailsPage>, Problem> {
    mailbox(&api, principal.customer()?, query).await
}

/// Lists a customer's mailbox, newest first (staff).
#[utoipa::path(
    get, path = "/v1/customers/{id}/mails", tag = "mails", security(("bearer" = [])),
    params(("id" = CustomerId, Path, description = "The customer."), MailsQuery),
    responses(
        (status = 200, description = "A page; nothing for who was never written to.", body = MailsPage),
        (status = 400, description = "No such limit, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "No customer's id.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_mails_of(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<String>,
    Asked(query): Asked<MailsQuery>,
) -> Result<Json<MailsPage>, Problem> {
    principal.staff()?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_customer", "a customer is a UUID");
    mailbox(&api, id.parse().map_err(|_| unknown())?, query).await
}

async fn mailbox(api: &Api, customer: CustomerId, query: MailsQuery) -> Result<Json<MailsPage>, Problem> {
    let limit = limit_of(query.limit)?;
    let list = api.cursors.of("mails", customer);
    let before = list.open(query.cursor.as_deref(), parse_place)?;
    let mails = api.notifications.mailbox(customer, before, limit).await;
    let mails = done(mails, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let next = mails.last().filter(|_| mails.len() == usize::from(limit));
    let next = next.map(|last| list.seal(&place(last)));
    Ok(Json(MailsPage { mails, next }))
}

/// Time and id of the last mail of a page.
fn place(last: &MailHead) -> String {
    format!("{:x}.{}", last.at.unix_timestamp_nanos() / 1_000, last.id)
}

fn parse_place(text: &str) -> Option<(Timestamp, MailId)> {
    let (micros, id) = text.split_once('.')?;
    let nanos = i128::from(i64::from_str_radix(micros, 16).ok()?) * 1_000;
    Some((Timestamp::from_unix_timestamp_nanos(nanos).ok()?, MailId::parse(id)?))
}

/// Shows a mail, to whom it was told and to staff. Another's mail is unknown.
///
/// `Accept: text/html` or `text/plain` answers with that part alone.
#[utoipa::path(
    get, path = "/v1/mails/{id}", tag = "mails", security(("bearer" = [])),
    params(("id" = String, Path, description = "`ORDER.KIND.N`, as a list says it.")),
    responses(
        (status = 200, description = "The mail.", content(
            (Mail = "application/json"), (String = "text/html"), (String = "text/plain"),
        )),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Neither a customer nor staff: a mail has a name in it.", body = Problem),
        (status = 404, description = "No such mail, or somebody else's.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_mail(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_mail", "there is no such mail");
    let reader = match principal.0.role {
        Role::Customer => Some(principal.customer()?),
        // A mail has a name in it: no program reads that for the shop.
        _ => principal.staff().map(|()| None)?,
    };
    let id = MailId::parse(&id).ok_or_else(unknown)?;
    let mail = done(api.notifications.mail(id).await, |_| StatusCode::NOT_FOUND)?.ok_or_else(unknown)?;
    if reader.is_some_and(|reader| reader != mail.customer) {
        return Err(unknown());
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.starts_with("text/html") {
        let alone = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SHOWN_ALONE));
        return Ok(([alone], axum::response::Html(mail.html)).into_response());
    }
    if accept.starts_with("text/plain") {
        return Ok(mail.text.into_response());
    }
    Ok(Json::<Mail>(mail).into_response())
}
