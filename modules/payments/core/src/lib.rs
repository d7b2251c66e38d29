//! Implementation of payments: what the gateway is asked for is recorded before it is asked, and what it
//! answers after; no transaction is open in between.
//!
//! One command, file by file: [`authorise`](Payments) (what it means for the row), `ask` (intent, call,
//! outcome), `write` (the one write), `gateway` (the call), `ledger` (the movement and the event told with it),
//! `reconcile` (what has no outcome yet).

mod ask;
mod authorise;
mod capture;
mod facts;
mod gateway;
mod ledger;
mod payment;
mod reconcile;
mod refund;
mod void;
mod write;

pub use banyan_net::outbound::Callee as GatewayConfig;
pub use facts::PaymentFact;
pub use ledger::LedgerViolation;
pub use reconcile::{GROUP, IntentReconciler};

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Command};
use banyan_net::outbound::Timing;
use banyan_store::{Schema, Store};
use payments_api::{
    AuthorisePayment, CapturePayment, PaymentAuthorisedReply, PaymentCapturedReply, PaymentUndone, RefundPayment,
    VoidPayment,
};

use gateway::Gateway;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/payments");

/// Every statement of this module, for the test that prepares each under its role.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("payment::READ", payment::READ),
    ("payment::INSERT", payment::INSERT),
    ("payment::UPDATE", payment::UPDATE),
    ("ledger::INSERT", ledger::INSERT),
    ("ledger::VIOLATIONS", ledger::VIOLATIONS),
    ("reconcile::DUE", reconcile::DUE),
    ("facts::FACTS", facts::FACTS),
];

/// The module's schema.
#[must_use]
pub fn schema() -> Schema {
    Schema { name: payments_api::NAME, migrations: &MIGRATIONS, insert_only: &["ledger_entry"] }
}

/// The port, on PostgreSQL and a gateway.
#[derive(Clone)]
pub struct Payments {
    store: Store,
    gateway: Arc<Gateway>,
    timing: Timing,
}

impl Payments {
    /// On `store`, calling the gateway as `config` says.
    ///
    /// # Panics
    /// When no HTTP client can be made, which no input causes.
    #[must_use]
    pub fn new(store: Store, config: GatewayConfig) -> Arc<Self> {
        let timing = Timing::of(&config);
        let gateway = Arc::new(Gateway::new(config));
        Arc::new(Self { store, gateway, timing })
    }

    /// Where it keeps its truth.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[async_trait]
impl payments_api::Payments for Payments {
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        self.ask(batch, authorise::judge).await
    }

    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        self.ask(batch, capture::judge).await
    }

    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.ask(batch, void::judge).await
    }

    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.ask(batch, refund::judge).await
    }
}
