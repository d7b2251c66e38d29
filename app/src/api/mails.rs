//! `/v1/mails`: what was told to a customer.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use banyan_kernel::{CustomerId, OrderId, Role, Timestamp};
use banyan_net::{Principal, Problem};
use notifications_api::{Awaited, Kind, Mail, MailHead, MailId};
use orders_api::{OrderState, OrderView};
use payments_api::RefundState;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    consistency::{AtLeast, behind},
    done,
    query::Asked,
    read_orders::limit_of,
};

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
///
/// Mails are made of what orders and payments tell: a moment after a write there may be none of it yet. Send the write's
/// `Consistency-Token` with the request to see at least that; it is waited for, up to two seconds.
#[utoipa::path(
    get, path = "/v1/mails", tag = "mails", security(("bearer" = [])), params(MailsQuery),
    responses(
        (status = 200, description = "A page.", body = MailsPage),
        (status = 400, description = "No such limit, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "No customer.", body = Problem),
        (status = 412, description = "The mailbox has not come to the Consistency-Token yet; ask again.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_mails(
    State(api): State<Api>,
    principal: Principal,
    at_least: AtLeast,
    Asked(query): Asked<MailsQuery>,
) -> Result<Json<MailsPage>, Problem> {
    let customer = principal.customer()?;
    mailbox(&api, customer, query, awaited(&api, Some(customer), &at_least).await?).await
}

/// Lists a customer's mailbox, newest first (staff). A write's `Consistency-Token` is waited for, up to two seconds.
#[utoipa::path(
    get, path = "/v1/customers/{id}/mails", tag = "mails", security(("bearer" = [])),
    params(("id" = CustomerId, Path, description = "The customer."), MailsQuery),
    responses(
        (status = 200, description = "A page; nothing for who was never written to.", body = MailsPage),
        (status = 400, description = "No such limit, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "No customer's id.", body = Problem),
        (status = 412, description = "The mailbox has not come to the Consistency-Token yet; ask again.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_mails_of(
    State(api): State<Api>,
    principal: Principal,
    at_least: AtLeast,
    Path(id): Path<String>,
    Asked(query): Asked<MailsQuery>,
) -> Result<Json<MailsPage>, Problem> {
    principal.staff()?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_customer", "a customer is a UUID");
    let customer = id.parse().map_err(|_| unknown())?;
    mailbox(&api, customer, query, awaited(&api, None, &at_least).await?).await
}

async fn mailbox(
    api: &Api,
    customer: CustomerId,
    query: MailsQuery,
    at_least: Vec<Awaited>,
) -> Result<Json<MailsPage>, Problem> {
    let limit = limit_of(query.limit)?;
    let list = api.cursors.of("mails", customer);
    let before = list.open(query.cursor.as_deref(), parse_place)?;
    let mails = api.notifications.mailbox(customer, before, limit, at_least).await;
    // The one refusal there is.
    let mails = done(mails, |_| StatusCode::PRECONDITION_FAILED)?;
    let next = mails.last().filter(|_| mails.len() == usize::from(limit));
    let next = next.map(|last| list.seal(&place(last)));
    Ok(Json(MailsPage { mails, next }))
}

/// The mails that what was written makes: of an order as it stands now, if that is at least what the token says, and of the refunds
/// that are done. Another's order is never reached, so that a token tells nothing of it.
async fn awaited(api: &Api, reader: Option<CustomerId>, at_least: &AtLeast) -> Result<Vec<Awaited>, Problem> {
    let (orders, refunded) = (at_least.orders(), at_least.payments());
    let ids: Vec<OrderId> = orders.iter().map(|(order, _)| *order).chain(refunded.iter().copied()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let known = done(api.orders.view(ids.clone(), reader).await, |_| StatusCode::PRECONDITION_FAILED)?;
    let at = |id: &OrderId| known.iter().find(|order| order.id == *id);
    let reached = |(id, version): &(OrderId, i64)| at(id).is_some_and(|order| order.version >= *version);
    if !orders.iter().all(reached) || !ids.iter().all(|id| at(id).is_some()) {
        return Err(behind("no order of yours has come to what you ask to see"));
    }
    let mut awaited: Vec<Awaited> = known.iter().flat_map(told_of).collect();
    for order in refunded {
        let refunds = done(api.refunds.refunds(order).await, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
        let done = refunds.iter().filter(|refund| refund.state == RefundState::Done).count();
        awaited.push(Awaited { order, kind: Kind::Refunded, mails: i32::try_from(done).unwrap_or(i32::MAX) });
    }
    Ok(awaited)
}

/// What its customer is told of an order as it stands.
fn told_of(order: &OrderView) -> impl Iterator<Item = Awaited> {
    let end = match order.state {
        OrderState::Shipped => Some(Kind::Shipped),
        OrderState::Cancelled => Some(Kind::Cancelled),
        _ => None,
    };
    let order = order.id;
    [Some(Kind::Confirmed), end].into_iter().flatten().map(move |kind| Awaited { order, kind, mails: 1 })
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
/// `Accept: text/html` or `text/plain` answers with that part alone. A write's `Consistency-Token` is waited for, up to two seconds.
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
        (status = 412, description = "The mailbox has not come to the Consistency-Token yet; ask again.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_mail(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    at_least: AtLeast,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_mail", "there is no such mail");
    let reader = match principal.0.role {
        Role::Customer => Some(principal.customer()?),
        // A mail has a name in it: no program reads that for the shop.
        _ => principal.staff().map(|()| None)?,
    };
    let id = MailId::parse(&id).ok_or_else(unknown)?;
    let at_least = awaited(&api, reader, &at_least).await?;
    let mail = api.notifications.mail(id, at_least).await;
    let mail = done(mail, |_| StatusCode::PRECONDITION_FAILED)?.ok_or_else(unknown)?;
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
