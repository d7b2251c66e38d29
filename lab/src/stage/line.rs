//! A line to a process: passes TCP on, at once, late, not at all, or cut off.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::Seed;

const CHUNK_BYTES: usize = 16 * 1024;

/// How a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// What comes is passed on.
    Good,
    /// So much later, each way, evenly spread.
    Late {
        /// In the mean.
        by: Duration,
        /// At most that much sooner or later.
        give_or_take: Duration,
    },
    /// Nothing comes through, and nobody is told.
    Silent,
    /// What is said arrives, and what is answered does not.
    OneWay,
    /// Every other connection is reset as soon as something is said.
    Reset,
    /// Connections are reset, those that are there and those that come.
    Cut,
}

/// Ends when it is dropped, and with it whatever it carries.
pub struct Line {
    /// Where it is entered.
    pub port: u16,
    quality: watch::Sender<Quality>,
    task: JoinHandle<()>,
}

impl Line {
    /// To what listens at a port of this machine, or will.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let entered = listener.local_addr().expect("it is bound").port();
        let (quality, seen) = watch::channel(Quality::Good);
        let task = tokio::spawn(carry(listener, SocketAddr::from(([127, 0, 0, 1], port)), seen));
        Self { port: entered, quality, task }
    }

    /// Is so from now on, for what is under way as well.
    pub fn becomes(&self, quality: Quality) {
        self.quality.send_replace(quality);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(listener: TcpListener, there: SocketAddr, quality: watch::Receiver<Quality>) {
    let (mut calls, mut is_other) = (JoinSet::new(), false);
    while let Ok((caller, _)) = listener.accept().await {
        while calls.try_join_next().is_some() {}
        is_other = !is_other;
        calls.spawn(call(caller, there, quality.clone(), is_other));
    }
}

/// One connection, until either side ends it or the line is cut.
async fn call(mut caller: TcpStream, there: SocketAddr, quality: watch::Receiver<Quality>, is_other: bool) {
    let mut seen = quality.clone();
    // The sender lives as long as the line.
    let cut = seen.wait_for(|now| *now == Quality::Cut || is_other && *now == Quality::Reset);
    let talk = async {
        let mut callee = TcpStream::connect(there).await?;
        let (mut hears, mut says) = caller.split();
        let (mut answers, mut asks) = callee.split();
        let (there, back) = (quality.clone(), quality.clone());
        let is_heard = |now: Quality| now != Quality::Silent;
        let is_answered = |now: Quality| !matches!(now, Quality::Silent | Quality::OneWay);
        tokio::try_join!(
            pass(&mut hears, &mut asks, there, is_heard),
            pass(&mut answers, &mut says, back, is_answered)
        )?;
        Ok::<_, io::Error>(())
    };
    let is_cut = tokio::select! {
        _ = cut => true,
        // Who hung up, or was not there, is known to both ends.
        _ = talk => false,
    };
    if is_cut {
        // Told by a reset, as by a router on the way; without it, by a mere end.
        let _ = caller.set_zero_linger();
    }
}

async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut quality: watch::Receiver<Quality>,
    is_passed: impl Fn(Quality) -> bool,
) -> io::Result<()> {
    let (mut chunk, mut seed) = (vec![0; CHUNK_BYTES], Seed::unforeseen());
    loop {
        let read = from.read(&mut chunk).await?;
        let heard = quality.wait_for(|now| is_passed(*now)).await.map(|now| *now);
        if let Ok(Quality::Late { by, give_or_take }) = heard {
            let spread = seed.below(2 * give_or_take.as_millis() as u64 + 1);
            tokio::time::sleep(by - give_or_take + Duration::from_millis(spread)).await;
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
    }
}
