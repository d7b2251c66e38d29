//! Payments in memory: the same rules, answers that a test scripts, and a book of what was done.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Line, Money, OrderId, Refusal};

use crate::{
    AuthorisePayment, CapturePayment, DisputeView, GiveBack, LineBack, PaymentAuthorisedReply,
    PaymentCapturedReply, PaymentUndone, Payments, RefundPayment, RefundState, RefundView, Refunds,
    VoidPayment, refusals,
};

/// What a test has the fake say once, instead of its own answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Refused; for an undo, as if nothing was scripted.
    Refused(&'static str),
    /// Nothing done yet.
    Pending,
    /// Done, and the answer lost: `Pending` now, done when asked again.
    Lost,
    /// Nothing done.
    Unavailable,
    /// Nothing done.
    Broken,
}

/// Understands the sandbox's declining cards, and `pm_sandbox_captureFails`.
#[derive(Debug, Default)]
pub struct FakePayments(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    payments: HashMap<OrderId, Payment>,
    script: HashMap<(OrderId, &'static str), VecDeque<Said>>,
    book: HashMap<OrderId, Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Authorised,
    Refused,
    Cancelled,
    Captured,
    CaptureRefused,
    Voided,
    Refunded,
}

#[derive(Clone, Debug)]
struct Payment {
    state: State,
    method: String,
    attempt: u32,
    capture_attempt: u32,
    authorised: Option<PaymentAuthorisedReply>,
    captured: Option<PaymentCapturedReply>,
    refusal: Option<Refusal>,
    barred: bool,
    amount: Option<Money>,
    /// By key.
    given_back: Vec<(String, RefundView)>,
}

impl FakePayments {
    /// Has a step of an order (`authorise`, `capture`, `void`, `refund`, `give_back`) say these in turn, before its own answer.
    pub fn script(&self, order: OrderId, step: &'static str, said: impl IntoIterator<Item = Said>) {
        self.inner().script.entry((order, step)).or_default().extend(said);
    }

    /// What was done for an order: `authorised`, `declined`, `captured`, `cancelled`, `refunded`.
    #[must_use]
    pub fn book(&self, order: OrderId) -> Vec<String> {
        self.inner().book.get(&order).cloned().unwrap_or_default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each<B, A>(
        &self,
        step: &'static str,
        batch: Vec<Command<B>>,
        answer: impl Fn(&mut Inner, &Command<B>, Option<Refusal>) -> Answer<A>,
    ) -> Vec<Answer<A>> {
        let mut inner = self.inner();
        batch.iter().map(|command| inner.scripted(step, command, &answer)).collect()
    }
}

impl Inner {
    fn scripted<B, A>(
        &mut self,
        step: &'static str,
        command: &Command<B>,
        answer: impl Fn(&mut Self, &Command<B>, Option<Refusal>) -> Answer<A>,
    ) -> Answer<A> {
        let said = self.script.get_mut(&(command.id.order, step)).and_then(VecDeque::pop_front);
        match said {
            None => answer(self, command, None),
            Some(Said::Refused(code)) => answer(self, command, Some(Refusal::new(code, "scripted"))),
            Some(Said::Pending) => Answer::Pending,
            Some(Said::Unavailable) => Answer::Unavailable("scripted".to_owned()),
            Some(Said::Broken) => Answer::Broken("scripted".to_owned()),
            Some(Said::Lost) => {
                answer(self, command, None);
                self.ask_again(command.id.order, step);
                Answer::Pending
            }
        }
    }

    fn ask_again(&mut self, order: OrderId, step: &str) {
        let Some(payment) = self.payments.get_mut(&order) else { return };
        match (step, &mut payment.authorised, &mut payment.captured) {
            ("authorise", Some(reply), _) => reply.asked_again = true,
            ("capture", _, Some(reply)) => reply.asked_again = true,
            _ => {}
        }
    }

    fn write(&mut self, order: OrderId, kind: &str) {
        self.book.entry(order).or_default().push(kind.to_owned());
    }

    fn tombstone(&mut self, order: OrderId, attempt: u32) -> &mut Payment {
        self.payments.entry(order).or_insert(Payment {
            state: State::Cancelled,
            method: String::new(),
            attempt,
            capture_attempt: 0,
            authorised: None,
            captured: None,
            refusal: None,
            barred: false,
            amount: None,
            given_back: Vec::new(),
        })
    }

    fn authorise(
        &mut self,
        command: &Command<AuthorisePayment>,
        refused: Option<Refusal>,
    ) -> Answer<PaymentAuthorisedReply> {
        let (order, attempt) = (command.id.order, command.id.attempt);
        let payment = self.tombstone(order, 0);
        let again = matches!(payment.state, State::Refused | State::Cancelled | State::Voided);
        if attempt < payment.attempt {
            return Answer::rejected(Refusal::EXPIRED, "a later attempt was made");
        }
        if attempt > payment.attempt && payment.state == State::Refunded {
            return Answer::Rejected(Refusal::cancelled());
        }
        let newer = attempt > payment.attempt;
        payment.attempt = attempt;
        if newer && again {
            let refusal = refused.or_else(|| declined(&command.body.method));
            payment.method.clone_from(&command.body.method);
            payment.amount = Some(command.body.amount);
            payment.state = if refusal.is_some() { State::Refused } else { State::Authorised };
            let reference = format!("pi_{order}_{attempt}");
            payment.authorised =
                refusal.is_none().then_some(PaymentAuthorisedReply { reference, asked_again: false });
            payment.refusal = refusal;
            let kind = if payment.state == State::Refused { "declined" } else { "authorised" };
            self.write(order, kind);
        }
        let payment = &self.payments[&order];
        match (&payment.authorised, &payment.refusal) {
            (Some(reply), _) => Answer::Done(reply.clone()),
            (None, Some(refusal)) => Answer::Rejected(refusal.clone()),
            (None, None) => Answer::Rejected(Refusal::cancelled()),
        }
    }

    fn capture(
        &mut self,
        command: &Command<CapturePayment>,
        refused: Option<Refusal>,
    ) -> Answer<PaymentCapturedReply> {
        let (order, attempt) = (command.id.order, command.id.attempt);
        let not_authorised = Answer::rejected(refusals::NOT_AUTHORISED, "no money is held");
        let Some(payment) = self.payments.get_mut(&order) else { return not_authorised };
        if payment.barred {
            return Answer::Rejected(Refusal::cancelled());
        }
        if attempt < payment.capture_attempt {
            return Answer::rejected(Refusal::EXPIRED, "a later attempt was made");
        }
        let newer = attempt > payment.capture_attempt;
        match payment.state {
            State::Refunded if newer => return Answer::Rejected(Refusal::cancelled()),
            State::Captured | State::Refunded => payment.capture_attempt = attempt,
            State::Authorised | State::CaptureRefused if newer => {
                let fails = (payment.method == "pm_sandbox_captureFails").then(generic);
                payment.refusal = refused.or(fails);
                payment.capture_attempt = attempt;
                let failed = payment.refusal.is_some();
                payment.state = if failed { State::CaptureRefused } else { State::Captured };
                payment.captured = (!failed).then_some(PaymentCapturedReply { asked_again: false });
                self.write(order, if failed { "declined" } else { "captured" });
            }
            State::CaptureRefused | State::Voided if !newer => {}
            _ => return not_authorised,
        }
        let payment = &self.payments[&order];
        match (&payment.captured, &payment.refusal) {
            (Some(reply), _) => Answer::Done(reply.clone()),
            (None, Some(refusal)) => Answer::Rejected(refusal.clone()),
            (None, None) => not_authorised,
        }
    }

    fn void(&mut self, command: &Command<VoidPayment>) -> Answer<PaymentUndone> {
        let (order, attempt) = (command.id.order, command.id.attempt);
        let payment = self.tombstone(order, attempt);
        if attempt < payment.attempt {
            return Answer::Done(PaymentUndone {});
        }
        match payment.state {
            State::Captured => return Answer::rejected("captured", "the money was taken; refund it"),
            State::Authorised | State::CaptureRefused => {
                (payment.state, payment.attempt) = (State::Voided, attempt);
                self.write(order, "cancelled");
            }
            State::Refused | State::Cancelled | State::Voided if attempt > payment.attempt => {
                (payment.state, payment.attempt) = (State::Cancelled, attempt);
                (payment.authorised, payment.refusal) = (None, None);
            }
            _ => {}
        }
        Answer::Done(PaymentUndone {})
    }

    fn refund(&mut self, command: &Command<RefundPayment>) -> Answer<PaymentUndone> {
        let (order, attempt) = (command.id.order, command.id.attempt);
        let payment = self.tombstone(order, 0);
        match payment.state {
            _ if attempt < payment.capture_attempt => {}
            State::Captured => {
                (payment.state, payment.capture_attempt) = (State::Refunded, attempt);
                self.write(order, "refunded");
            }
            State::Refunded => {}
            _ => (payment.barred, payment.capture_attempt) = (true, attempt),
        }
        Answer::Done(PaymentUndone {})
    }
}

impl Inner {
    fn give_back(&mut self, command: &Command<GiveBack>, refused: Option<Refusal>) -> Answer<RefundView> {
        let (order, wish) = (command.id.order, &command.body);
        let not_captured = || Answer::rejected(refusals::NOT_CAPTURED, "no money is kept");
        let Some(payment) = self.payments.get_mut(&order) else { return not_captured() };
        if let Some((_, known)) = payment.given_back.iter().find(|(key, _)| *key == wish.key) {
            let same = wish.amount_minor.is_none_or(|minor| minor == known.amount.minor);
            let same = same && wish.lines.iter().map(|wanted| &wanted.line).eq(&known.lines);
            return match same && wish.reason == known.reason {
                true => Answer::Done(known.clone()),
                false => Answer::rejected(refusals::KEY_REUSED, "another refund"),
            };
        }
        let (Some(amount), State::Captured) = (payment.amount, payment.state) else { return not_captured() };
        let before = |line: &Line| {
            let all = payment.given_back.iter().flat_map(|(_, one)| &one.lines);
            all.filter(|one| one.sku == line.sku).map(|one| one.quantity.get()).sum::<i64>()
        };
        let too_many = |one: &&LineBack| before(&one.line) + one.line.quantity.get() > one.ordered.get();
        if wish.lines.iter().any(|one| too_many(&one)) {
            return Answer::rejected(refusals::MORE_THAN_ORDERED, "more than was ordered");
        }
        let left = amount.minor - payment.given_back.iter().map(|(_, one)| one.amount.minor).sum::<i64>();
        let minor = wish.amount_minor.unwrap_or(left);
        if left == 0 || minor > left {
            return Answer::rejected(refusals::MORE_THAN_TAKEN, "more than is left");
        }
        if let Some(refusal) = refused {
            return Answer::Rejected(refusal);
        }
        let refund = RefundView {
            n: u32::try_from(payment.given_back.len() + 1).unwrap_or(u32::MAX),
            amount: Money { minor, ..amount },
            lines: wish.lines.iter().map(|wanted| wanted.line.clone()).collect(),
            reason: wish.reason.clone(),
            state: RefundState::Done,
            actor: command.context.actor.to_string(),
            at: None,
        };
        payment.given_back.push((wish.key.clone(), refund.clone()));
        self.write(order, "refunded");
        Answer::Done(refund)
    }
}

fn generic() -> Refusal {
    Refusal::new("generic_decline", "Your card was declined.")
}

fn declined(method: &str) -> Option<Refusal> {
    let how = method.strip_prefix("pm_card_")?.strip_prefix("chargeDeclined")?;
    Some(match how {
        "InsufficientFunds" => Refusal::new("insufficient_funds", "Your card has insufficient funds."),
        "ExpiredCard" => Refusal::new("expired_card", "Your card has expired."),
        _ => generic(),
    })
}

#[async_trait]
impl Payments for FakePayments {
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        self.each("authorise", batch, Inner::authorise)
    }

    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        self.each("capture", batch, Inner::capture)
    }

    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.each("void", batch, |inner, command, _| inner.void(command))
    }

    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        self.each("refund", batch, |inner, command, _| inner.refund(command))
    }
}

#[async_trait]
impl Refunds for FakePayments {
    async fn give_back(&self, batch: Vec<Command<GiveBack>>) -> Vec<Answer<RefundView>> {
        self.each("give_back", batch, Inner::give_back)
    }

    /// Nobody disputes.
    async fn disputes(&self, _: OrderId) -> Answer<Vec<DisputeView>> {
        Answer::Done(Vec::new())
    }

    async fn refunds(&self, order: OrderId) -> Answer<Vec<RefundView>> {
        let inner = self.inner();
        let given_back = inner.payments.get(&order).map(|payment| payment.given_back.iter());
        Answer::Done(given_back.into_iter().flatten().map(|(_, refund)| refund.clone()).collect())
    }
}
