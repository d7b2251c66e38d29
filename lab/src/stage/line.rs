//! A line to a process: passes TCP on, at once, late, not at all, or cut off.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

const CHUNK_BYTES: usize = 16 * 1024;

/// How a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// What comes is passed on.
    Good,
    /// So much later, each way.
    Late(Duration),
    /// Nothing comes through, and nobody is told.
    Silent,
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
    let mut calls = JoinSet::new();
    while let Ok((caller, _)) = listener.accept().await {
        while calls.try_join_next().is_some() {}
        calls.spawn(call(caller, there, quality.clone()));
    }
}

/// One connection, until either side ends it or the line is cut.
async fn call(mut caller: TcpStream, there: SocketAddr, quality: watch::Receiver<Quality>) {
    let mut seen = quality.clone();
    // The sender lives as long as the line.
    let cut = seen.wait_for(|now| *now == Quality::Cut);
    let talk = async {
        let mut callee = TcpStream::connect(there).await?;
        let (mut hears, mut says) = caller.split();
        let (mut answers, mut asks) = callee.split();
        let (there, back) = (quality.clone(), quality.clone());
        tokio::try_join!(pass(&mut hears, &mut asks, there), pass(&mut answers, &mut says, back))?;
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
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        let heard = quality.wait_for(|now| *now != Quality::Silent).await;
        let late = heard.map(|now| *now).unwrap_or(Quality::Good);
        if let Quality::Late(by) = late {
            tokio::time::sleep(by).await;
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
    }
}
