//! `/v1/webhooks`: what others tell of their own accord. Whoever signs with a secret of theirs is believed to be them; what they
//! tell is a hint.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use banyan_kernel::Clock;
use banyan_net::{Problem, WebhookSecrets};
use payments_api::GatewayEvents;
use utoipa::ToSchema;

use super::{
    Api,
    body::{Raw, explain},
    done,
};

const SIGNATURE: &str = "Stripe-Signature";

/// Who is heard, and how they prove who they are.
#[derive(Clone)]
pub struct Webhooks {
    /// The gateway's secrets.
    pub gateway: WebhookSecrets,
    /// The payments module, which hears the gateway.
    pub payments: Arc<dyn GatewayEvents>,
    /// Says how old a signature is.
    pub clock: Arc<dyn Clock>,
}

/// An event in Stripe's form; what else stands in it is not looked at.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's; the module reads what it needs of the JSON")]
pub(crate) struct GatewayEvent {
    #[schema(example = "evt_1")]
    id: String,
    #[schema(example = "charge.refunded")]
    r#type: String,
    data: banyan_kernel::Json,
}

/// Hears an event of the payment gateway.
///
/// It is a hint: the payment is looked up, whatever the event says. One that comes twice, late or out of order changes nothing.
///
/// Only who knows a secret of the gateway's can sign, and a signature is old after 300 s: the example's is answered with 401, as
/// everything is that anybody could send. `RUNBOOK.md` says how one is made by hand.
#[utoipa::path(
    post, path = "/v1/webhooks/payments", tag = "webhooks", security(()),
    params(("Stripe-Signature" = String, Header, description = "`t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`; at most 300 s old")),
    request_body = GatewayEvent,
    responses(
        (status = 204, description = "Heard."),
        (status = 400, description = "Malformed JSON.", body = Problem),
        (status = 401, description = "The signature is missing, old, or not one of the gateway's.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "JSON, and no event.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; send it again.", body = Problem),
    )
)]
pub(crate) async fn hear_gateway(
    State(api): State<Api>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<StatusCode, Problem> {
    let Webhooks { gateway, payments, clock } = &api.webhooks;
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    gateway.check(signature, &body, clock.now()).map_err(|forged| {
        tracing::info!(%forged, correlation = "", "a webhook is not believed");
        Problem::new(StatusCode::UNAUTHORIZED, "signature_invalid", forged.to_string())
    })?;
    let event = serde_json::from_slice(&body).map_err(|error| explain(".", &error))?;
    let heard = done(payments.hear(event).await, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    tracing::debug!(?heard, "a webhook");
    Ok(StatusCode::NO_CONTENT)
}
