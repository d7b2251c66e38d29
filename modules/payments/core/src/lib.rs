//! Implementation of payments: what the gateway is asked for is recorded before it is asked, and what it
//! answers after; no transaction is open in between.
//!
//! One command, file by file: `authorise` (what it means for the row), [`banyan_net::outbound::ask`] (intent,
//! call, outcome), `gateway` (the call), `till` (what becomes of the row), `ledger` (the movement and the event
//! told with it), [`Payments::intents`] (what has no outcome yet). What the gateway tells of its own accord is heard in `hear`, and
//! looked up in `look`.

mod authorise;
mod capture;
mod disputes;
mod facts;
mod gateway;
mod give_back;
mod hear;
mod ledger;
mod look;
mod payment;
mod refund;
mod refunds;
mod till;
mod void;

pub use banyan_net::outbound::Callee as GatewayConfig;

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Json, OrderId};
use banyan_net::outbound::{Reconciler, ask};
use banyan_store::{Schema, Store, StoreError};
use payments_api::{
    AuthorisePayment, CapturePayment, DisputeView, GiveBack, Heard, PaymentAuthorisedReply,
    PaymentCapturedReply, PaymentUndone, RefundPayment, RefundView, VoidPayment,
};

use gateway::Gateway;
use look::LookDesk;
use refunds::RefundDesk;
use till::Till;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/payments");

/// The module's schema.
#[must_use]
pub fn schema() -> Schema {
    Schema {
        name: payments_api::NAME,
        migrations: &MIGRATIONS,
        insert_only: &["ledger_entry"],
        reads_statistics: false,
    }
}

/// The port, on PostgreSQL and a gateway.
pub struct Payments(Till);

impl Payments {
    /// On `store`, calling the gateway as `config` says.
    ///
    /// # Panics
    /// When no HTTP client can be made, which no input causes.
    #[must_use]
    pub fn new(store: Store, config: GatewayConfig) -> Arc<Self> {
        Arc::new(Self(Till { store, gateway: Arc::new(Gateway::new(config)) }))
    }

    /// Asks the gateway again for what has no outcome.
    #[must_use]
    pub fn intents(&self) -> Reconciler {
        Reconciler::new(self.0.clone())
    }

    /// Asks the gateway again for refunds that have no outcome.
    #[must_use]
    pub fn refund_intents(&self) -> Reconciler {
        Reconciler::new(self.refund_desk())
    }

    /// Looks up what the gateway told of its own accord.
    #[must_use]
    pub fn looks(&self) -> Reconciler {
        Reconciler::new(self.look_desk())
    }

    fn refund_desk(&self) -> RefundDesk {
        RefundDesk { store: self.0.store.clone(), gateway: self.0.gateway.clone() }
    }

    fn look_desk(&self) -> LookDesk {
        LookDesk { store: self.0.store.clone(), gateway: self.0.gateway.clone() }
    }

    /// Where it keeps its truth.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }
}

#[async_trait]
impl payments_api::Payments for Payments {
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        ask(&self.0, batch, authorise::judge).await
    }

    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        ask(&self.0, batch, capture::judge).await
    }

    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        ask(&self.0, batch, void::judge).await
    }

    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        ask(&self.0, batch, refund::judge).await
    }
}

#[async_trait]
impl payments_api::Refunds for Payments {
    async fn give_back(&self, batch: Vec<Command<GiveBack>>) -> Vec<Answer<RefundView>> {
        ask(&self.refund_desk(), batch, give_back::judge).await
    }

    async fn disputes(&self, order: OrderId) -> Answer<Vec<DisputeView>> {
        disputes::disputes(self.store(), order).await
    }

    async fn refunds(&self, order: OrderId) -> Answer<Vec<RefundView>> {
        let read = async {
            let mut connection = self.0.store.pool().acquire().await?;
            let read = refunds::read(&mut connection, &[order]).await?.pop();
            Ok::<_, StoreError>(read.map_or_else(Vec::new, |of| of.list.iter().map(|r| of.view(r)).collect()))
        };
        read.await.map_or_else(Answer::from, Answer::Done)
    }
}

#[async_trait]
impl payments_api::GatewayEvents for Payments {
    async fn hear(&self, event: Json) -> Answer<Heard> {
        hear::hear(self, &event).await
    }

    async fn look_at_all(&self) -> Answer<u64> {
        look::look_at_all(&self.0.store).await.map_or_else(Answer::from, Answer::Done)
    }
}
