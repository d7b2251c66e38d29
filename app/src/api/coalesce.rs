//! What waits together commits together: requests that arrive while a commit is under way share the next
//! one. A request alone never waits.

use std::sync::Arc;

use banyan_kernel::Answer;
use orders_api::{Orders, PlaceOrder, Placed};
use tokio::sync::{mpsc, oneshot};

/// Waiting wishes beyond this are told to come back.
const QUEUE_MAX: usize = 1_024;
/// Most wishes of one commit.
const BATCH_MAX: usize = 50;
/// Commits under way at once.
const WORKERS: usize = 2;

type Waiting = (PlaceOrder, oneshot::Sender<Answer<Placed>>);

/// Where wishes wait for the next commit.
#[derive(Clone)]
pub struct Coalescer(mpsc::Sender<Waiting>);

impl Coalescer {
    /// Places through `orders`. Its workers end when the last handle is gone.
    #[must_use]
    pub fn start(orders: Arc<dyn Orders>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        for _ in 0..WORKERS {
            tokio::spawn(work(orders.clone(), receiver.clone()));
        }
        Self(sender)
    }

    /// Places one wish with whatever waits beside it. `None`: too many wait; nothing was done. A caller that
    /// goes away cancels nothing.
    pub async fn place(&self, wish: PlaceOrder) -> Option<Answer<Placed>> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send((wish, reply)).ok()?;
        Some(answer.await.unwrap_or_else(|_| Answer::Unavailable("the shop is stopping".to_owned())))
    }
}

async fn work(orders: Arc<dyn Orders>, receiver: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting>>>) {
    loop {
        let mut waiting = Vec::with_capacity(BATCH_MAX);
        if receiver.lock().await.recv_many(&mut waiting, BATCH_MAX).await == 0 {
            return;
        }
        let (wishes, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        for (reply, answer) in replies.into_iter().zip(orders.place(wishes).await) {
            // Who asked may have gone; the order stands all the same.
            let _ = reply.send(answer);
        }
    }
}
