//! The modules in memory, behind ports that forget, delay, lose and repeat.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use banyan_kernel::{Answer, Clock, Command, CommandId, Context, Money, OrderId, Sku};
use futures::future::BoxFuture;
use inventory_api::{
    ConfirmReservation, Inventory, ReceiveStock, ReleaseStock, ReservationConfirmed, ReserveStock,
    StockLevel, StockReceived, StockReleased, StockReserved, testing::FakeInventory,
};
use payments_api::{
    AuthorisePayment, CapturePayment, PaymentAuthorisedReply, PaymentCapturedReply, PaymentUndone, Payments,
    RefundPayment, VoidPayment, testing::FakePayments,
};
use shipping_api::{
    BookShipment, CancelShipment, ShipmentBookedReply, ShipmentCancelledReply, Shipping,
    testing::{FakeShipping, Said},
};

use super::{Asked, At, Fault, Weather};
use crate::Ports;

/// The modules; they survive whatever happens to a driver.
pub(crate) struct Modules {
    pub inventory: FakeInventory,
    pub payments: FakePayments,
    pub shipping: FakeShipping,
    /// What was asked for by way of holding money.
    pub amounts: Mutex<Vec<(OrderId, Money)>>,
    /// Calls whose askers gave up.
    pub late: AtomicUsize,
    /// A bug that a test plants: an undo of what was never seen does nothing.
    pub forgets_tombstones: bool,
    seen: Mutex<BTreeSet<CommandId>>,
}

/// The ports as one process sees them.
#[derive(Clone)]
pub(crate) struct Faulty {
    modules: Arc<Modules>,
    weather: Arc<dyn Weather>,
}

type Port<B, A> = fn(Arc<Modules>, Command<B>) -> BoxFuture<'static, Answer<A>>;

impl Modules {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            inventory: FakeInventory::new(clock),
            payments: FakePayments::default(),
            shipping: FakeShipping::default(),
            amounts: Mutex::default(),
            late: AtomicUsize::new(0),
            forgets_tombstones: false,
            seen: Mutex::default(),
        }
    }

    /// The carrier will not take this order's parcel.
    pub fn is_undeliverable(&self, order: OrderId) {
        self.shipping.script(order, "book", [Said::Refused(shipping_api::refusals::UNDELIVERABLE)]);
    }
}

/// The answer of a batch of one.
fn only<A>(mut answers: Vec<Answer<A>>) -> Answer<A> {
    answers.pop().expect("an answer per item")
}

impl Faulty {
    pub fn ports(modules: &Arc<Modules>, weather: Arc<dyn Weather>) -> Ports {
        let all = Arc::new(Self { modules: modules.clone(), weather });
        Ports { inventory: all.clone(), payments: all.clone(), shipping: all }
    }

    /// `undone` is what an undo answers that did nothing.
    async fn each<B: Clone + Send + 'static, A: Send + 'static>(
        &self,
        batch: Vec<Command<B>>,
        undone: Option<fn() -> A>,
        port: Port<B, A>,
    ) -> Vec<Answer<A>> {
        let item = |command: &Command<B>| Asked { id: command.id.clone(), undo: undone.is_some() };
        let asked: Vec<Asked> = batch.iter().map(item).collect();
        self.weather.step(At::Asking(&asked)).await;
        let mut answers = Vec::new();
        for (command, asked) in batch.into_iter().zip(&asked) {
            answers.push(self.one(command, asked, undone, port).await);
        }
        self.weather.step(At::Answered(&asked)).await;
        answers
    }

    async fn one<B: Clone + Send + 'static, A: Send + 'static>(
        &self,
        command: Command<B>,
        asked: &Asked,
        undone: Option<fn() -> A>,
        port: Port<B, A>,
    ) -> Answer<A> {
        let modules = self.modules.clone();
        let call = move |command| reach(modules.clone(), command, undone, port);
        match self.weather.fault(asked) {
            Fault::None => call(command).await,
            Fault::Pending => Answer::Pending,
            Fault::Unavailable => Answer::Unavailable("away".to_owned()),
            Fault::Broken => Answer::Broken("garbage".to_owned()),
            Fault::BrokenThoughDone => {
                call(command).await;
                Answer::Broken("garbage".to_owned())
            }
            Fault::Lost => {
                call(command).await;
                Answer::Unavailable("the answer was lost".to_owned())
            }
            Fault::Twice => {
                call(command.clone()).await;
                call(command).await
            }
            Fault::Late(after) => {
                let modules = self.modules.clone();
                modules.late.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    call(command).await;
                    modules.late.fetch_sub(1, Ordering::SeqCst);
                });
                Answer::Unavailable("timed out".to_owned())
            }
        }
    }
}

/// What arrives at a module.
async fn reach<B, A>(
    modules: Arc<Modules>,
    command: Command<B>,
    undone: Option<fn() -> A>,
    port: Port<B, A>,
) -> Answer<A> {
    let is_new = modules.seen.lock().expect("no panic").insert(command.id.clone());
    match undone {
        Some(undone) if is_new && modules.forgets_tombstones => {
            modules.seen.lock().expect("no panic").remove(&command.id);
            Answer::Done(undone())
        }
        _ => port(modules, command).await,
    }
}

#[async_trait]
impl Inventory for Faulty {
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        self.each(batch, None, |m, c| Box::pin(async move { only(m.inventory.reserve(vec![c]).await) })).await
    }

    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        self.each(batch, None, |m, c| Box::pin(async move { only(m.inventory.confirm(vec![c]).await) })).await
    }

    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        let port: Port<_, _> = |m, c| Box::pin(async move { only(m.inventory.release(vec![c]).await) });
        self.each(batch, Some(StockReleased::default), port).await
    }

    async fn receive(&self, context: Context, batch: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        self.modules.inventory.receive(context, batch).await
    }

    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        self.modules.inventory.levels(skus).await
    }
}

#[async_trait]
impl Payments for Faulty {
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        let port: Port<AuthorisePayment, _> = |m, c| {
            Box::pin(async move {
                m.amounts.lock().expect("no panic").push((c.id.order, c.body.amount));
                only(m.payments.authorise(vec![c]).await)
            })
        };
        self.each(batch, None, port).await
    }

    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        self.each(batch, None, |m, c| Box::pin(async move { only(m.payments.capture(vec![c]).await) })).await
    }

    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        let port: Port<_, _> = |m, c| Box::pin(async move { only(m.payments.void(vec![c]).await) });
        self.each(batch, Some(PaymentUndone::default), port).await
    }

    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        let port: Port<_, _> = |m, c| Box::pin(async move { only(m.payments.refund(vec![c]).await) });
        self.each(batch, Some(PaymentUndone::default), port).await
    }
}

#[async_trait]
impl Shipping for Faulty {
    async fn book(&self, batch: Vec<Command<BookShipment>>) -> Vec<Answer<ShipmentBookedReply>> {
        self.each(batch, None, |m, c| Box::pin(async move { only(m.shipping.book(vec![c]).await) })).await
    }

    async fn cancel(&self, batch: Vec<Command<CancelShipment>>) -> Vec<Answer<ShipmentCancelledReply>> {
        let port: Port<_, _> = |m, c| Box::pin(async move { only(m.shipping.cancel(vec![c]).await) });
        self.each(batch, Some(ShipmentCancelledReply::default), port).await
    }
}
