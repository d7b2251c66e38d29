//! The routed form: payments on both sides.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Json, OrderId};
use banyan_net::route::Route;
use payments_api::{
    AuthorisePayment, CapturePayment, DisputeView, GatewayEvents, GiveBack, Heard, LedgerViolation,
    PaymentAuthorisedReply, PaymentCapturedReply, PaymentFact, PaymentFacts, PaymentUndone, Payments,
    RefundPayment, RefundView, Refunds, VoidPayment,
};

use crate::Served;

/// Payments here and elsewhere, by their orders.
pub struct RoutedPayments(pub Route<Served>);

#[async_trait]
impl Payments for RoutedPayments {
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        self.0.batch(batch, |side, batch| async move { side.payments.authorise(batch).await }).await
    }

    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        self.0.batch(batch, |side, batch| async move { side.payments.capture(batch).await }).await
    }

    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.0.batch(batch, |side, batch| async move { side.payments.void(batch).await }).await
    }

    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.0.batch(batch, |side, batch| async move { side.payments.refund(batch).await }).await
    }
}

#[async_trait]
impl Refunds for RoutedPayments {
    async fn give_back(&self, batch: Vec<Command<GiveBack>>) -> Vec<Answer<RefundView>> {
        self.0.batch(batch, |side, batch| async move { side.refunds.give_back(batch).await }).await
    }

    async fn disputes(&self, order: OrderId) -> Answer<Vec<DisputeView>> {
        let ask = |side: Served, order| async move { side.refunds.disputes(order).await };
        self.0.read("disputes", Some(&order.to_string()), order, ask).await
    }

    async fn refunds(&self, order: OrderId) -> Answer<Vec<RefundView>> {
        let ask = |side: Served, order| async move { side.refunds.refunds(order).await };
        self.0.read("refunds", Some(&order.to_string()), order, ask).await
    }
}

#[async_trait]
impl GatewayEvents for RoutedPayments {
    async fn hear(&self, event: Json) -> Answer<Heard> {
        self.0.change(None, event, |side, event| async move { side.events.hear(event).await }).await
    }

    async fn look_at_all(&self) -> Answer<u64> {
        self.0.change(None, (), |side, ()| async move { side.events.look_at_all().await }).await
    }
}

#[async_trait]
impl PaymentFacts for RoutedPayments {
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<PaymentFact>> {
        let ask = move |side: Served, ()| async move { side.facts.facts(after, upto).await };
        self.0.read("facts", None, (), ask).await
    }

    async fn violations(&self) -> Answer<Vec<LedgerViolation>> {
        self.0
            .read("violations", None, (), |side: Served, ()| async move { side.facts.violations().await })
            .await
    }
}
