//! The client: payments that are elsewhere.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Json, OrderId, TraceParent};
use banyan_net::port::PortClient;
use payments_api::{
    AuthorisePayment, CapturePayment, DisputeView, GatewayEvents, GiveBack, Heard, LedgerViolation,
    PaymentAuthorisedReply, PaymentCapturedReply, PaymentFact, PaymentFacts, PaymentUndone, Payments,
    RefundPayment, RefundView, Refunds, VoidPayment,
};
use uuid::Uuid;

use crate::questions::{Event, Facts, Nothing, OfOrder};

/// Payments by HTTP.
pub struct HttpPayments(pub PortClient);

/// Reading belongs to no trace that anybody collects.
fn nobodys() -> TraceParent {
    TraceParent::root(Uuid::nil()).unsampled()
}

#[async_trait]
impl Payments for HttpPayments {
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        self.0.batch("authorise", batch).await
    }

    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        self.0.batch("capture", batch).await
    }

    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.0.batch("void", batch).await
    }

    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.0.batch("refund", batch).await
    }
}

#[async_trait]
impl Refunds for HttpPayments {
    async fn give_back(&self, batch: Vec<Command<GiveBack>>) -> Vec<Answer<RefundView>> {
        self.0.batch("give-back", batch).await
    }

    async fn disputes(&self, order: OrderId) -> Answer<Vec<DisputeView>> {
        self.0.one("disputes", nobodys(), &OfOrder { order }).await
    }

    async fn refunds(&self, order: OrderId) -> Answer<Vec<RefundView>> {
        self.0.one("refunds", nobodys(), &OfOrder { order }).await
    }
}

#[async_trait]
impl GatewayEvents for HttpPayments {
    async fn hear(&self, event: Json) -> Answer<Heard> {
        self.0.one("hear", nobodys(), &Event { event }).await
    }

    async fn look_at_all(&self) -> Answer<u64> {
        self.0.one("look-at-all", nobodys(), &Nothing {}).await
    }
}

#[async_trait]
impl PaymentFacts for HttpPayments {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<PaymentFact>> {
        self.0.one("facts", nobodys(), &Facts { after, upto }).await
    }

    async fn violations(&self) -> Answer<Vec<LedgerViolation>> {
        self.0.one("violations", nobodys(), &Nothing {}).await
    }
}
